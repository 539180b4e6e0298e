//! The state that campaigns share, and the backends that keep it: the suppression list, the
//! capacity ledger, the daily caps of local addresses, and the journals of runs.
//!
//! Everything else asks for a trait ([`State`], and what it hands out); which backend answers is
//! decided here, once, by [`open`]. `contract` is one suite of behaviour that every backend passes.

mod backend;
#[cfg(test)]
mod contract;
mod files;
mod memory;
mod memory_runs;
mod sqlite;

use std::io;
use std::path::Path;
use std::sync::Arc;

pub use backend::State;

use crate::kit::store::StoreError;
use crate::pacing::Clock;
use crate::run_dir::{RunDir, RunStore, StoredRun};

/// The state in the database file at `path`, which is created when it is first written to. Capacity
/// is counted on `clock`.
pub fn open(path: &Path, clock: Clock) -> Arc<dyn State> {
    Arc::new(sqlite::StateFile::new(path, clock))
}

/// A copy of a state, to be thrown away: what would happen is done to it.
#[derive(Debug)]
pub struct StateCopy {
    state: Arc<dyn State>,
    _folder: tempfile::TempDir,
}

impl StateCopy {
    /// The copied state.
    pub fn state(&self) -> &dyn State {
        &*self.state
    }
}

/// A copy of the state in the database file at `path`; empty where there is none.
///
/// # Errors
/// Those of reading it, and of a place for temporary files.
pub fn copy(path: &Path, clock: Clock) -> Result<StateCopy, StoreError> {
    let folder = sqlite::copy(path)?;
    Ok(StateCopy { state: open(&folder.path().join("state.db"), clock), _folder: folder })
}

/// State that starts empty, is seen by those who hold a clone of it, and ends with the process.
pub fn in_memory() -> Arc<dyn State> {
    Arc::new(memory::Memory::new(Clock::system()))
}

/// The runs in `folder`, which need not exist.
pub fn runs(folder: &Path) -> Arc<dyn RunStore> {
    Arc::new(files::FileRuns::new(folder.to_owned()))
}

/// The run whose directory is `path`, if that is one.
pub fn run_at(path: &Path) -> Option<StoredRun> {
    let run = RunDir::at(path.canonicalize().unwrap_or_else(|_| path.to_owned()));
    let folder = run.path().ancestors().nth(2).unwrap_or(Path::new("."));
    run.manifest().is_file().then(|| StoredRun::new(runs(folder), run.clone()))
}

/// Runs that start empty, are seen by those who hold a clone, and end with the process. Their plans
/// and results are files in a temporary folder.
///
/// # Errors
/// Those of the file system, when there is no place for temporary files.
pub fn runs_in_memory() -> io::Result<Arc<dyn RunStore>> {
    Ok(Arc::new(memory_runs::MemoryRuns::new()?))
}
