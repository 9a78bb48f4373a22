//! `signpost completions`: completion scripts of shells.

use clap::Args;
use clap_complete::Shell;

use crate::error::Result;
use crate::output::Output;

/// Completion of commands and options with the tab key.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    signpost completions bash > /etc/bash_completion.d/signpost\n  \
    signpost completions zsh > ~/.zfunc/_signpost\n  \
    signpost completions fish > ~/.config/fish/completions/signpost.fish")]
pub struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    /// Runs it.
    pub fn run(self, out: &mut Output) -> Result<()> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut crate::grammar(), "signpost", &mut script);
        out.bytes(&script)
    }
}
