//! How many messages a consumer may hold unsettled: as many as it is allowed to, or fewer, so that
//! they take no more than some megabytes. RabbitMQ's prefetch counts messages, not bytes
//! (<https://www.rabbitmq.com/docs/consumer-prefetch>). Pure: sizes come in, a number comes out.

/// What the messages that are held may take, in bytes, while they are about as large as those
/// before them.
const BUDGET: usize = 8 * 1024 * 1024;
/// What is held at first, and at least: so many of the largest events (256 KiB) fill the budget. So
/// a process that was killed because large messages took its memory begins with few of them.
const LEAST: u16 = 32;
/// Messages between two decisions, and those that the average looks back on.
const PACE: u64 = 32;
const WEIGHT: usize = 8;

/// The number of messages that may be held.
#[derive(Debug)]
pub(super) struct Window {
    limit: u16,
    size: u16,
    /// Moving average of the messages' sizes, in bytes.
    average: usize,
    noted: u64,
}

impl Window {
    /// Begins small; `limit` is never exceeded.
    pub(super) fn new(limit: u16) -> Self {
        Self {
            limit,
            size: limit.min(LEAST),
            average: BUDGET / usize::from(LEAST),
            noted: 0,
        }
    }

    /// The part that never changes.
    pub(super) fn least(&self) -> u16 {
        self.limit.min(LEAST)
    }

    /// The part that comes and goes.
    pub(super) fn more(&self) -> u16 {
        self.size - self.least()
    }

    /// Takes a message's size into account. The window changes when it would double, halve, or
    /// reach its limit: each change costs two messages to the broker and back.
    pub(super) fn note(&mut self, bytes: usize) {
        self.average = self.average - self.average / WEIGHT + bytes / WEIGHT;
        self.noted += 1;
        if !self.noted.is_multiple_of(PACE) {
            return;
        }
        let fitting = u16::try_from(BUDGET / self.average.max(1)).unwrap_or(u16::MAX);
        let fitting = fitting.clamp(self.least(), self.limit);
        let doubles = fitting >= self.size.saturating_mul(2) || fitting == self.limit;
        if doubles || fitting <= self.size / 2 {
            self.size = fitting;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sizes of the window, each once, while messages of these kibibytes come.
    fn sizes(limit: u16, kibibytes: impl IntoIterator<Item = usize>) -> Vec<u16> {
        let mut window = Window::new(limit);
        let mut sizes = vec![window.least() + window.more()];
        for size in kibibytes {
            window.note(size * 1024);
            sizes.push(window.least() + window.more());
        }
        sizes.dedup();
        sizes
    }

    #[test]
    fn small_messages_open_it_before_the_first_ones_are_settled() {
        assert_eq!(sizes(1000, [1; 32]), [32, 1000]);
        assert_eq!(sizes(1000, [1; 31]), [32]);
        assert_eq!(sizes(u16::MAX, vec![0; 6400]).last(), Some(&u16::MAX));
    }

    #[test]
    fn large_messages_keep_it_small_or_make_it_so() {
        assert_eq!(sizes(1000, [256; 1000]), [32]);
        let small_then_large = [1; 640].into_iter().chain([256; 640]);
        let size = *sizes(1000, small_then_large).last().unwrap();
        assert!(size < 64, "{size}");
    }

    #[test]
    fn what_lies_between_fills_the_budget() {
        let size = *sizes(1000, [50; 1000]).last().unwrap();
        assert!((120..=170).contains(&size), "{size}");
    }

    #[test]
    fn a_mixture_makes_few_changes() {
        let mixture = (0..100_000).map(|n| if n % 10 == 0 { 100 } else { 10 });
        let changes = sizes(1000, mixture);
        assert!(changes.len() < 10, "{changes:?}");
    }

    #[test]
    fn a_limit_below_the_least_is_kept() {
        assert_eq!(sizes(1, [1; 200]), [1]);
        assert_eq!(sizes(30, [1; 200]), [30]);
    }
}
