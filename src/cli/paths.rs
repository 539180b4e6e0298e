//! Where state and runs are.
//!
//! A campaign's runs stand beside its campaign file, so that the same campaign always finds its unfinished run, from
//! whatever folder cron starts it. The state directory remembers those places, for commands that name a run by its id.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::args::Common;
use super::diagnostic::Diagnostic;
use crate::campaign::Campaign;
use crate::state::{self, State};

/// The list of run folders seen, in the state directory.
const PLACES: &str = "runs.txt";

/// The state directory: `--state`, `MAILRUN_STATE`, or `mailrun` in the user's state folder (XDG base directories).
pub fn state_dir(common: &Common) -> Result<PathBuf, Diagnostic> {
    let dir = match &common.state {
        Some(dir) => dir.clone(),
        None => default_state_dir().ok_or_else(|| {
            Diagnostic::new(
                "neither HOME nor XDG_STATE_HOME is set, so there is no place for the state directory",
            )
            .hint("name one with `--state DIR` or MAILRUN_STATE")
        })?,
    };
    fs::create_dir_all(&dir).map_err(|error| {
        Diagnostic::new(format!("can't make the state directory: {error}"))
            .at(dir.display())
            .hint("choose another with `--state DIR` or MAILRUN_STATE")
    })?;
    Ok(dir)
}

fn default_state_dir() -> Option<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")))?;
    Some(base.join("mailrun"))
}

/// The state that all campaigns of this user share.
pub fn state(common: &Common) -> Result<Arc<dyn State>, Diagnostic> {
    Ok(state::open(&state_dir(common)?.join("state.db")))
}

/// Where this campaign's runs are: `--runs`, or `runs` beside the campaign file.
pub fn runs_of(common: &Common, campaign: &Campaign) -> PathBuf {
    common.runs.clone().unwrap_or_else(|| campaign.folder().join("runs"))
}

/// Remembers a folder with runs.
pub fn remember_runs(common: &Common, runs: &Path) -> Result<(), Diagnostic> {
    let list = state_dir(common)?.join(PLACES);
    let runs = std::path::absolute(runs).unwrap_or_else(|_| runs.to_owned());
    let known = fs::read_to_string(&list).unwrap_or_default();
    if known.lines().any(|line| Path::new(line) == runs) {
        return Ok(());
    }
    let append = || fs::OpenOptions::new().create(true).append(true).open(&list);
    append().and_then(|mut file| writeln!(file, "{}", runs.display())).map_err(|error| {
        Diagnostic::new(format!("can't note where the runs are: {error}")).at(list.display())
    })
}

/// The folders in which a run may be found by its id: `--runs`, else `runs` here and those remembered.
pub fn known_runs(common: &Common) -> Result<Vec<PathBuf>, Diagnostic> {
    if let Some(runs) = &common.runs {
        return Ok(vec![runs.clone()]);
    }
    let known = fs::read_to_string(state_dir(common)?.join(PLACES)).unwrap_or_default();
    let mut places = vec![PathBuf::from("runs")];
    places.extend(known.lines().map(PathBuf::from));
    places.retain(|place| place.is_dir());
    Ok(places)
}
