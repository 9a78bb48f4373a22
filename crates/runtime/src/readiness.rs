//! Whether the process can do its work: named checks, asked by `/readyz`.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

struct Check {
    name: &'static str,
    ask: Box<dyn Fn() -> Result<(), String> + Send + Sync>,
    /// Whether the process is ready without it.
    is_note: bool,
}

/// The checks of one process; clones share them.
#[derive(Clone, Default)]
pub struct Readiness {
    checks: Arc<Mutex<Vec<Check>>>,
    /// Whether all checks have been added. The admin listener answers before that.
    is_complete: Arc<AtomicBool>,
}

impl std::fmt::Debug for Readiness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Readiness").finish_non_exhaustive()
    }
}

impl Readiness {
    /// No checks yet, and not ready.
    pub fn new() -> Self {
        Self::default()
    }

    /// Says that all checks have been added: from now on they alone decide.
    pub fn complete(&self) {
        self.is_complete.store(true, Ordering::Release);
    }

    /// Adds a check. It must answer at once, from memory; its error says what is missing.
    pub fn add<F>(&self, name: &'static str, check: F)
    where
        F: Fn() -> Result<(), String> + Send + Sync + 'static,
    {
        self.push(name, check, false);
    }

    /// Adds a check that is shown and decides nothing: the process does its main work without it.
    pub fn add_note<F>(&self, name: &'static str, check: F)
    where
        F: Fn() -> Result<(), String> + Send + Sync + 'static,
    {
        self.push(name, check, true);
    }

    fn push<F>(&self, name: &'static str, check: F, is_note: bool)
    where
        F: Fn() -> Result<(), String> + Send + Sync + 'static,
    {
        let ask = Box::new(check);
        let mut checks = self.checks.lock().unwrap_or_else(PoisonError::into_inner);
        checks.push(Check { name, ask, is_note });
    }

    /// What is not ready, by name, with the reason.
    pub fn problems(&self) -> Vec<(&'static str, String)> {
        let starting =
            (!self.is_complete.load(Ordering::Acquire)).then(|| ("process", "starting".to_owned()));
        self.failed(false).into_iter().chain(starting).collect()
    }

    /// What else is amiss, by name, with the reason.
    pub fn notes(&self) -> Vec<(&'static str, String)> {
        self.failed(true)
    }

    fn failed(&self, is_note: bool) -> Vec<(&'static str, String)> {
        let checks = self.checks.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = checks.iter().filter(|check| check.is_note == is_note);
        let failed = |check: &Check| Some((check.name, (check.ask)().err()?));
        asked.filter_map(failed).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_what_is_missing() {
        let readiness = Readiness::new();
        assert_eq!(readiness.problems(), [("process", "starting".to_owned())]);
        readiness.complete();
        readiness.add("database", || Ok(()));
        readiness.add("broker", || Err("not connected".to_owned()));
        assert_eq!(
            readiness.problems(),
            [("broker", "not connected".to_owned())]
        );
    }
}
