//! `mailrun man`: the manual pages, one a command, for packages.

use std::fs;
use std::path::Path;

use super::diagnostic::Diagnostic;
use super::exit::Exit;

/// Writes `mailrun.1`, `mailrun-send.1` and so on into `dir`, which is created if it is missing.
pub fn run(dir: &Path) -> Result<Exit, Diagnostic> {
    let failed = |error| Diagnostic::of("can't write the manual pages", &error).at(dir.display());
    fs::create_dir_all(dir).map_err(failed)?;
    clap_mangen::generate_to(super::full_command(), dir).map_err(failed)?;
    Ok(Exit::Ok)
}
