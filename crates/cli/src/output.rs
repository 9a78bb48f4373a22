//! What people and programs see: data on standard output, talk on standard error.
//!
//! Every command writes through [`Output`], so that tests can catch it, colours appear on
//! terminals only, and text from servers, tenants and receivers can never steer a terminal.

mod json;
mod progress;
mod table;
mod text;

use std::io::{self, IsTerminal as _, Write};
use std::sync::{Arc, Mutex, PoisonError};

use crate::config::Environment;
use crate::error::Result;

pub use json::{pretty, pretty_or_text};
pub use progress::Progress;
pub use table::{Cell, Column, Table, Tone};
pub use text::{clean, clean_lines, rough, shorten, time, time_ms};

/// Where a command writes.
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent switches of one output"
)]
pub struct Output {
    stdout: Box<dyn Write + Send + Sync>,
    stderr: Box<dyn Write + Send + Sync>,
    json: bool,
    quiet: bool,
    color: bool,
    progress: bool,
    width: Option<u16>,
}

impl Output {
    /// The process's own streams. Colours where standard output is a terminal and `NO_COLOR` is
    /// not set (<https://no-color.org>).
    pub fn of_process(env: &Environment) -> Self {
        let is_terminal = io::stdout().is_terminal();
        Self {
            stdout: Box::new(io::stdout()),
            stderr: Box::new(io::stderr()),
            json: false,
            quiet: false,
            color: is_terminal && env.get("NO_COLOR").is_none(),
            progress: io::stderr().is_terminal(),
            width: is_terminal.then(table::terminal_width).flatten(),
        }
    }

    /// An output that keeps everything, for tests: no colour, no terminal.
    pub fn captured() -> (Self, Captured) {
        let captured = Captured::default();
        let output = Self {
            stdout: Box::new(Sink(Arc::clone(&captured.stdout))),
            stderr: Box::new(Sink(Arc::clone(&captured.stderr))),
            json: false,
            quiet: false,
            color: false,
            progress: false,
            width: None,
        };
        (output, captured)
    }

    /// The same as if it were a terminal of this many columns, with colours.
    #[must_use]
    pub fn as_terminal(mut self, width: u16) -> Self {
        self.width = Some(width);
        self.color = true;
        self
    }

    /// What the flags `--json` and `--quiet` ask for.
    pub fn set_modes(&mut self, json: bool, quiet: bool) {
        self.json = json;
        self.quiet = quiet;
    }

    /// Whether a program reads: one JSON document, or one a line where things keep coming.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// Whether colours may be used on standard output.
    pub fn has_color(&self) -> bool {
        self.color
    }

    /// How wide the terminal is, if it is one.
    pub fn width(&self) -> Option<u16> {
        self.width
    }

    /// One line (or several) of data for a person.
    pub fn line(&mut self, text: impl AsRef<str>) -> Result<()> {
        writeln!(self.stdout, "{}", text.as_ref())?;
        self.stdout.flush()?;
        Ok(())
    }

    /// Bytes as they are: completions, saved requests.
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<()> {
        self.stdout.write_all(bytes)?;
        self.stdout.flush()?;
        Ok(())
    }

    /// One JSON document, indented; numbers and key order stay as they are.
    pub fn json(&mut self, raw: &[u8]) -> Result<()> {
        self.line(pretty(&String::from_utf8_lossy(raw)))
    }

    /// One JSON document on one line, where more will follow.
    pub fn json_line(&mut self, value: &impl serde::Serialize) -> Result<()> {
        let text = serde_json::to_string(value).map_err(anyhow::Error::from)?;
        self.line(text)
    }

    /// A table, fitted to the terminal. Columns that had no room are named on standard error.
    pub fn table(&mut self, table: Table) -> Result<()> {
        let (text, hidden) = table.render(self.width, self.color);
        self.line(text)?;
        if !hidden.is_empty() {
            let hidden = hidden.join(", ");
            self.talk(format!(
                "(no room for: {hidden}; a wider terminal or --json shows all)"
            ))?;
        }
        Ok(())
    }

    /// Something said to a person; not data, and left out with `--quiet`.
    pub fn talk(&mut self, text: impl AsRef<str>) -> Result<()> {
        if !self.quiet {
            writeln!(self.stderr, "{}", text.as_ref())?;
        }
        Ok(())
    }

    /// Something that must be said, even with `--quiet`.
    pub fn complain(&mut self, text: impl AsRef<str>) -> Result<()> {
        writeln!(self.stderr, "{}", text.as_ref())?;
        Ok(())
    }

    /// Text in a colour, where colours may be used.
    pub fn paint(&self, tone: Tone, text: &str) -> String {
        if self.color {
            tone.paint(text)
        } else {
            text.to_owned()
        }
    }

    /// A progress bar on standard error, where that is a terminal; `None` for a spinner.
    pub fn progress(&self, total: Option<u64>, what: &str) -> Progress {
        Progress::new(self.progress && !self.quiet, total, what)
    }
}

/// What a captured [`Output`] got.
#[derive(Debug, Clone, Default)]
pub struct Captured {
    stdout: Arc<Mutex<Vec<u8>>>,
    stderr: Arc<Mutex<Vec<u8>>>,
}

impl Captured {
    /// Standard output so far.
    pub fn stdout(&self) -> String {
        read(&self.stdout)
    }

    /// Standard error so far.
    pub fn stderr(&self) -> String {
        read(&self.stderr)
    }
}

fn read(bytes: &Mutex<Vec<u8>>) -> String {
    let bytes = bytes.lock().unwrap_or_else(PoisonError::into_inner);
    String::from_utf8_lossy(&bytes).into_owned()
}

struct Sink(Arc<Mutex<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
