//! `mailrun completions`: for shells.

use clap_complete::Shell;

use super::diagnostic::Diagnostic;
use super::exit::Exit;
use super::output::out_bytes;

/// `mailrun completions`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Shell
    shell: Shell,
}

pub(super) fn run(args: &Args, mut command: clap::Command) -> Result<Exit, Diagnostic> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "mailrun", &mut script);
    out_bytes(&script)?;
    Ok(Exit::Ok)
}
