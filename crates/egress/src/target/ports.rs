//! Ports that belong to other protocols. A POST to one of them could be taken for a command.

/// The bad ports of the Fetch standard (<https://fetch.spec.whatwg.org/#port-blocking>), and those
/// of PostgreSQL, AMQP, Redis, Elasticsearch, memcached and RabbitMQ's management.
const BLOCKED: &[u16] = &[
    0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101,
    102, 103, 104, 109, 110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427,
    465, 512, 513, 514, 515, 526, 530, 531, 532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990,
    993, 995, 1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 5432, 5672, 6000, 6379, 6566,
    6665, 6666, 6667, 6668, 6669, 6679, 6697, 9200, 10080, 11211, 15672,
];

/// Whether the port belongs to another protocol.
pub(super) fn is_blocked(port: u16) -> bool {
    BLOCKED.binary_search(&port).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted() {
        assert!(BLOCKED.is_sorted());
    }

    #[test]
    fn knows_the_ports_of_other_protocols() {
        for port in [
            0, 22, 25, 53, 5432, 5672, 6379, 6667, 9200, 10080, 11211, 15672,
        ] {
            assert!(is_blocked(port), "{port}");
        }
        for port in [80, 443, 3000, 8000, 8080, 8443, 9090, 65535] {
            assert!(!is_blocked(port), "{port}");
        }
    }
}
