//! Finds the addresses of a host: A and AAAA records from the name servers, and from nothing else
//! (no hosts file, no search domain, no `getaddrinfo`).
//!
//! Whether the addresses may be reached is not decided here; all of them are handed on. A name
//! that cannot be resolved is the tenant's business, a resolver that answers nothing is ours: when
//! a look-up fails, the question for the root zone tells the two apart.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::join;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{Name, RecordType};
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::target::{Place, localhost_addresses};
use crate::{AddressRule, EgressConfig, Failure, FailureCode, Target};

/// Most addresses that a name may have.
const MAX_ANSWERS: usize = 16;
/// Most names that are remembered.
const MAX_CACHED: usize = 10_000;
/// Longest time for which an answer is remembered, whatever its TTL.
const LONGEST_TTL: Duration = Duration::from_secs(60);

/// Looks up names.
pub(crate) struct Resolver {
    dns: TokioResolver,
    timeout: Duration,
    cache: Mutex<HashMap<Arc<str>, Cached>>,
    /// When a name server last gave a proper answer, to whatever question.
    last_answer: Mutex<Option<Instant>>,
}

struct Cached {
    ips: Arc<[IpAddr]>,
    until: Instant,
}

impl Resolver {
    pub(crate) fn new(config: &EgressConfig) -> io::Result<Self> {
        let provider = TokioRuntimeProvider::default();
        let mut builder = if config.name_servers.is_empty() {
            TokioResolver::builder(provider.clone()).unwrap_or_else(|error| {
                tracing::warn!(%error, "no name server is configured, asking 127.0.0.1");
                let local = NameServerConfig::udp_and_tcp(IpAddr::from([127, 0, 0, 1]));
                let config = ResolverConfig::from_name_servers(vec![local]);
                TokioResolver::builder_with_config(config, provider)
            })
        } else {
            let servers = config
                .name_servers
                .iter()
                .copied()
                .map(name_server)
                .collect();
            TokioResolver::builder_with_config(ResolverConfig::from_name_servers(servers), provider)
        };
        let options = builder.options_mut();
        options.use_hosts_file = ResolveHosts::Never;
        options.cache_size = 0; // The cache is here, where the verdict on the addresses is near.
        options.timeout = config.dns_timeout / 2;
        options.attempts = 1; // And a second one.
        options.preserve_intermediates = false;
        Ok(Self {
            dns: builder.build().map_err(io::Error::other)?,
            timeout: config.dns_timeout,
            cache: Mutex::default(),
            last_answer: Mutex::default(),
        })
    }

    /// The addresses of the target's host, IPv4 first. Never an empty list.
    pub(crate) async fn addresses(
        &self,
        target: &Target,
        rule: &AddressRule,
        deadline: Instant,
    ) -> Result<Vec<SocketAddr>, Failure> {
        let port = target.port();
        let name = match target.place() {
            Place::Address(ip) => return Ok(vec![SocketAddr::new(*ip, port)]),
            Place::Localhost => return Ok(localhost_addresses(rule, port)),
            Place::Name(name) => name,
        };
        let ips = match self.cached(target.shared_host()) {
            Some(ips) => ips,
            None => Box::pin(self.look_up(target.shared_host(), name, deadline)).await?,
        };
        Ok(ips.iter().map(|ip| SocketAddr::new(*ip, port)).collect())
    }

    fn cached(&self, host: &Arc<str>) -> Option<Arc<[IpAddr]>> {
        let cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        let found = cache.get(host)?;
        (found.until > Instant::now()).then(|| Arc::clone(&found.ips))
    }

    fn remember(&self, host: &Arc<str>, ips: &Arc<[IpAddr]>, until: Instant) {
        let now = Instant::now();
        let until = until.min(now + LONGEST_TTL);
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if until <= now {
            cache.remove(host);
            return;
        }
        if cache.len() >= MAX_CACHED {
            cache.retain(|_host, cached| cached.until > now);
            if cache.len() >= MAX_CACHED {
                cache.clear();
            }
        }
        let ips = Arc::clone(ips);
        cache.insert(Arc::clone(host), Cached { ips, until });
    }

    async fn look_up(
        &self,
        host: &Arc<str>,
        name: &Name,
        deadline: Instant,
    ) -> Result<Arc<[IpAddr]>, Failure> {
        let started = Instant::now();
        let limit = deadline.min(started + self.timeout);
        // When the name takes long, ask meanwhile whether the resolver answers at all.
        let doubt = async {
            sleep_until(started + (limit - started) / 2).await;
            self.probe().await;
            pending::<Infallible>().await
        };
        // Cancel-safe: a look-up that is dropped only leaves nothing in the cache.
        let result = tokio::select! {
            result = timeout_at(limit, self.query(name)) => result,
            never = doubt => match never {},
        };
        let error = match result {
            Ok(Ok((ips, until))) => {
                self.note_answer();
                return self.accept(host, ips, until);
            }
            Ok(Err(error)) if error.is_no_records_found() => {
                self.note_answer();
                let detail = "the host has no address in the DNS";
                return Err(Failure::new(FailureCode::DnsNotFound, detail));
            }
            Ok(Err(error)) => Some(error),
            Err(_elapsed) => None,
        };
        if !self.has_answered_since(started) {
            // Nothing more to ask with when the time is used up.
            let _elapsed = timeout_at(limit, self.probe()).await;
        }
        Err(self.blame(error.as_ref(), started))
    }

    fn accept(
        &self,
        host: &Arc<str>,
        ips: Vec<IpAddr>,
        until: Instant,
    ) -> Result<Arc<[IpAddr]>, Failure> {
        if ips.len() > MAX_ANSWERS {
            let detail = "the host has more than 16 addresses";
            return Err(Failure::new(FailureCode::DnsFailed, detail));
        }
        if ips.is_empty() {
            let detail = "the host has no address in the DNS";
            return Err(Failure::new(FailureCode::DnsNotFound, detail));
        }
        let ips = Arc::from(ips);
        self.remember(host, &ips, until);
        Ok(ips)
    }

    /// A failed look-up is our own fault unless the resolver has answered something meanwhile.
    fn blame(&self, error: Option<&NetError>, started: Instant) -> Failure {
        let is_timeout = error.is_none_or(|error| matches!(error, NetError::Timeout));
        let (code, detail) = if is_timeout {
            (
                FailureCode::DnsTimeout,
                "the host's name servers did not answer in time",
            )
        } else {
            (
                FailureCode::DnsFailed,
                "the host's name could not be looked up",
            )
        };
        if self.has_answered_since(started) {
            return Failure::new(code, detail);
        }
        tracing::debug!(
            error = error.map(tracing::field::display),
            "egress.resolver_down"
        );
        Failure::own_fault(code, "Signpost's own name server does not answer")
    }

    /// The addresses of a name, and until when they hold.
    async fn query(&self, name: &Name) -> Result<(Vec<IpAddr>, Instant), NetError> {
        let (four, six) = join(
            self.dns.lookup(name.clone(), RecordType::A),
            self.dns.lookup(name.clone(), RecordType::AAAA),
        )
        .await;
        let (four, six) = match (four, six) {
            // A name with addresses of one kind only is the usual case. But a question that
            // failed leaves addresses unseen, and unseen addresses are unchecked ones; they are
            // not connected to either, so the ones that are known will do.
            (Ok(four), Ok(six)) => (Some(four), Some(six)),
            (Ok(four), Err(_)) => (Some(four), None),
            (Err(_), Ok(six)) => (None, Some(six)),
            (Err(error), Err(other)) if error.is_no_records_found() => return Err(other),
            (Err(error), Err(_)) => return Err(error),
        };
        let mut ips = Vec::new();
        let mut until = Instant::now() + LONGEST_TTL;
        for lookup in [four, six].into_iter().flatten() {
            until = until.min(Instant::from_std(lookup.valid_until()));
            ips.extend(ips_of(&lookup));
        }
        Ok((ips, until))
    }

    /// Asks something that every resolver can answer.
    async fn probe(&self) {
        match self.dns.lookup(Name::root(), RecordType::NS).await {
            Ok(_) => self.note_answer(),
            Err(error) if error.is_no_records_found() => self.note_answer(),
            Err(_) => {}
        }
    }

    fn note_answer(&self) {
        *self
            .last_answer
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    fn has_answered_since(&self, time: Instant) -> bool {
        let last = *self
            .last_answer
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        last.is_some_and(|last| last >= time)
    }
}

fn ips_of(lookup: &Lookup) -> impl Iterator<Item = IpAddr> {
    lookup
        .answers()
        .iter()
        .filter_map(|record| record.data.ip_addr())
}

fn name_server(address: SocketAddr) -> NameServerConfig {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
        connection.port = address.port();
        connection
    });
    NameServerConfig::new(address.ip(), true, connections.into())
}
