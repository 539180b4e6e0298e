//! `mailrun results`: the result files once more, from plan and journal.

use super::args::{self, Common};
use super::diagnostic::Diagnostic;
use super::exit::Exit;
use super::{paths, summary};
use crate::run;
use crate::run_dir::{Manifest, RunDir, RunDirError, State};

pub fn run(common: &Common, args: &args::Results) -> Result<Exit, Diagnostic> {
    let dir = resolve(common, &args.run)?;
    let manifest = Manifest::read(&dir.manifest())?;
    // Only a run that nobody works on may have its state put right.
    let lock = match dir.lock() {
        Ok(lock) => Some(lock),
        Err(RunDirError::Locked { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    let running = lock.is_none();
    let why = match &manifest.state {
        State::Interrupted { reason } => format!("the run ended before its turn: {reason}"),
        State::Planned | State::Running | State::Finished if running => "the run goes on".to_owned(),
        State::Planned => "the run has not begun".to_owned(),
        State::Running => "the run was cut off before its turn".to_owned(),
        State::Finished => String::new(),
    };
    let results = run::write_results(&dir, &manifest, running, &why)?;
    summary::print(&dir, &manifest, &results, args.json)?;
    Ok(Exit::Ok)
}

/// The run that a user means.
pub fn resolve(common: &Common, text: &str) -> Result<RunDir, Diagnostic> {
    let mut missed = None;
    let path = std::path::Path::new(text);
    if path.is_file() {
        // A campaign file: its latest run.
        let campaign = crate::campaign::Campaign::load(path)?;
        return Ok(RunDir::resolve(&paths::runs_of(common, &campaign), &campaign.identity.id)?);
    }
    for runs in paths::known_runs(common)? {
        match RunDir::resolve(&runs, text) {
            Ok(dir) => return Ok(dir),
            Err(error @ RunDirError::NotFound { .. }) => missed = Some(error),
            Err(error) => return Err(error.into()),
        }
    }
    // A run directory given by its path is found without any list.
    match RunDir::resolve(path, text) {
        Ok(dir) => Ok(dir),
        Err(error) => Err(missed.unwrap_or(error).into()),
    }
}
