//! `duress completions`: scripts that complete commands and options in a shell.

use clap::Args;
use clap_complete::Shell;

use super::error::CommandError;
use super::session::Session;
use crate::exit::{self, Exit};

/// Print a script that completes commands in your shell
///
/// For bash: `duress completions bash > ~/.local/share/bash-completion/completions/duress`.
#[derive(Args, Debug)]
pub(super) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub(super) fn execute(self, session: &mut Session) -> Result<Exit, CommandError> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut super::command(), "duress", &mut script);
        session.write(&script)?;
        Ok(exit::OK)
    }
}
