//! Whether the process can do its work: named checks, asked by `/readyz`.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

type Check = Box<dyn Fn() -> Result<(), String> + Send + Sync>;

/// The checks of one process; clones share them.
#[derive(Clone, Default)]
pub struct Readiness {
    checks: Arc<Mutex<Vec<(&'static str, Check)>>>,
    notes: Arc<Mutex<Vec<(&'static str, Check)>>>,
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
        let mut checks = self.checks.lock().unwrap_or_else(PoisonError::into_inner);
        checks.push((name, Box::new(check)));
    }

    /// Adds a check that is shown and decides nothing: the process does its main work without it.
    pub fn add_note<F>(&self, name: &'static str, check: F)
    where
        F: Fn() -> Result<(), String> + Send + Sync + 'static,
    {
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        notes.push((name, Box::new(check)));
    }

    /// What is not ready, by name, with the reason.
    pub fn problems(&self) -> Vec<(&'static str, String)> {
        let starting =
            (!self.is_complete.load(Ordering::Acquire)).then(|| ("process", "starting".to_owned()));
        failed(&self.checks).into_iter().chain(starting).collect()
    }

    /// What else is amiss, by name, with the reason.
    pub fn notes(&self) -> Vec<(&'static str, String)> {
        failed(&self.notes)
    }
}

fn failed(checks: &Mutex<Vec<(&'static str, Check)>>) -> Vec<(&'static str, String)> {
    let checks = checks.lock().unwrap_or_else(PoisonError::into_inner);
    let failed = |(name, check): &(&'static str, Check)| Some((*name, check().err()?));
    checks.iter().filter_map(failed).collect()
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
