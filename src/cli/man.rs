//! `mailrun man`: the manual pages, one a command, for packages.

use std::fs;
use std::path::PathBuf;

use super::diagnostic::Diagnostic;
use super::exit::Exit;

/// `mailrun man`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Folder
    dir: PathBuf,
}

/// Writes `mailrun.1`, `mailrun-send.1` and so on to a folder, which is created if it is missing.
pub(super) fn run(args: &Args, command: clap::Command) -> Result<Exit, Diagnostic> {
    let dir = &args.dir;
    let failed = |error| Diagnostic::of("can't write the manual pages", &error).at(dir.display());
    fs::create_dir_all(dir).map_err(failed)?;
    clap_mangen::generate_to(command, dir).map_err(failed)?;
    Ok(Exit::Ok)
}
