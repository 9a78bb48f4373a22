//! A progress bar or spinner on standard error; on anything but a terminal, nothing.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Shows how far long work has come; gone when dropped.
#[derive(Debug)]
pub struct Progress(ProgressBar);

impl Progress {
    pub(super) fn new(visible: bool, total: Option<u64>, what: &str) -> Self {
        if !visible {
            return Self(ProgressBar::hidden());
        }
        let template = match total {
            Some(_) => "{msg} [{bar:30}] {human_pos}/{human_len} ({per_sec}, {eta} left)",
            None => "{spinner} {msg} {elapsed}",
        };
        let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_message(what.to_owned());
        bar.enable_steady_tick(Duration::from_millis(100));
        Self(bar)
    }

    /// `n` more are done.
    pub fn add(&self, n: u64) {
        self.0.inc(n);
    }

    /// `n` are done in all.
    pub fn set(&self, n: u64) {
        self.0.set_position(n);
    }

    /// What is being done now.
    pub fn say(&self, what: impl Into<String>) {
        self.0.set_message(what.into());
    }

    /// Writes to a stream while the bar steps aside.
    pub fn aside<T>(&self, write: impl FnOnce() -> T) -> T {
        self.0.suspend(write)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
