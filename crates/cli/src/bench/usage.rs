//! What a span of time cost: CPU of each watched process, and its memory.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::figure::{Figure, Goal};
use super::processes::{CpuSnapshot, Watched, memory};

/// CPU time that is being measured.
#[derive(Debug)]
pub struct CpuMeter {
    watched: Vec<Watched>,
    before: CpuSnapshot,
    began: Instant,
}

/// CPU time of a span, by name.
#[derive(Debug, Clone)]
pub struct CpuUse {
    /// How long the span was.
    pub elapsed: Duration,
    by_name: BTreeMap<String, Duration>,
}

impl CpuMeter {
    /// Starts measuring.
    ///
    /// # Errors
    /// There is no `/proc`.
    pub fn start(watched: &[Watched]) -> Result<Self> {
        Ok(Self {
            watched: watched.to_vec(),
            before: CpuSnapshot::take()?,
            began: Instant::now(),
        })
    }

    /// Ends it.
    ///
    /// # Errors
    /// There is no `/proc`.
    pub fn stop(self) -> Result<CpuUse> {
        let (elapsed, after) = (self.began.elapsed(), CpuSnapshot::take()?);
        let mut by_name: BTreeMap<String, Duration> = BTreeMap::new();
        for Watched { name, pid } in &self.watched {
            let used = after
                .of_tree(*pid)
                .saturating_sub(self.before.of_tree(*pid));
            *by_name.entry(name.clone()).or_default() += used;
        }
        Ok(CpuUse { elapsed, by_name })
    }
}

impl CpuUse {
    /// CPU per unit of work, all watched processes together, with a goal; then each by itself.
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    pub fn figures(
        &self,
        prefix: &str,
        units: u64,
        goal: Option<f64>,
        floor: Option<f64>,
    ) -> Vec<Figure> {
        let per_unit = |used: Duration| used.as_secs_f64() * 1e6 / units.max(1) as f64;
        let total = Figure::new(format!("{prefix}.cpu"), per_unit(self.total()), "us").floor(floor);
        let total = match goal {
            Some(goal) => total.goal(Goal::AtMost(goal)),
            None => total,
        };
        let each = self
            .by_name
            .iter()
            .map(|(name, used)| Figure::new(format!("{prefix}.cpu.{name}"), per_unit(*used), "us"));
        std::iter::once(total).chain(each).collect()
    }

    /// CPU time of all of them.
    pub fn total(&self) -> Duration {
        self.by_name.values().sum()
    }
}

/// The memory of processes over time.
#[derive(Debug, Default)]
pub struct MemoryLog(BTreeMap<(String, u32), Vec<u64>>);

impl MemoryLog {
    /// Notes the memory of each now; one that has ended is passed over.
    pub fn note(&mut self, watched: &[Watched]) {
        for Watched { name, pid } in watched {
            if let Ok(bytes) = memory(*pid) {
                self.0.entry((name.clone(), *pid)).or_default().push(bytes);
            }
        }
    }

    /// The most that any process of this name had, in MB.
    pub fn peak(&self, name: &str) -> f64 {
        megabytes(self.of(name).flatten().copied().max().unwrap_or(0))
    }

    /// What the largest process of this name had when it was last noted, in MB.
    pub fn latest(&self, name: &str) -> f64 {
        megabytes(
            self.of(name)
                .filter_map(|values| values.last())
                .copied()
                .max()
                .unwrap_or(0),
        )
    }

    /// How much the process that grew most has grown from the first tenth of the time to the end.
    pub fn growth(&self, name: &str) -> f64 {
        let grown = self.of(name).map(|values| {
            let early = values[..values.len().div_ceil(10)]
                .iter()
                .max()
                .copied()
                .unwrap_or(0);
            values.last().copied().unwrap_or(0).saturating_sub(early)
        });
        megabytes(grown.max().unwrap_or(0))
    }

    fn of<'l>(&'l self, wanted: &'l str) -> impl Iterator<Item = &'l Vec<u64>> {
        self.0
            .iter()
            .filter(move |((name, _), _)| name == wanted)
            .map(|(_, values)| values)
    }
}

/// Bytes as MB (10^6).
#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
pub fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_judged_by_the_largest_process_of_a_name() {
        let mut log = MemoryLog::default();
        log.0.insert(
            ("dispatcher".to_owned(), 1),
            vec![10_000_000, 11_000_000, 12_000_000],
        );
        log.0.insert(
            ("dispatcher".to_owned(), 2),
            vec![9_000_000, 30_000_000, 9_500_000],
        );
        assert!((log.peak("dispatcher") - 30.0).abs() < 0.01);
        assert!((log.growth("dispatcher") - 2.0).abs() < 0.01);
        assert!(log.peak("ingest") < 0.01);
    }

    #[test]
    fn this_process_uses_cpu_time() {
        let own = Watched {
            name: "test".to_owned(),
            pid: std::process::id(),
        };
        let meter = CpuMeter::start(&[own]).unwrap();
        let began = Instant::now();
        while began.elapsed() < Duration::from_millis(60) {}
        let used = meter.stop().unwrap();
        assert!(used.total() >= Duration::from_millis(20), "{used:?}");
        assert_eq!(used.figures("x", 10, None, None)[1].name, "x.cpu.test");
    }
}
