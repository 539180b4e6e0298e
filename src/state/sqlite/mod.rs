//! State in files: one SQLite database that all campaigns of a user share.
//!
//! The only place that knows SQLite.

mod block;
mod caps;
mod error;
mod file;
mod ledger;
mod suppressions;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::backend::State;
use crate::kit::store::StoreError;
use crate::pacing::{Clock, DailyCaps, Ledger};
use crate::suppression::Suppressions;

/// `state.db`: SQLite in WAL mode. Each part that is asked for opens a connection of its own.
#[derive(Debug, Clone)]
pub(super) struct StateFile {
    path: PathBuf,
    clock: Clock,
}

impl StateFile {
    /// The file at `path`; nothing is opened or created yet.
    pub fn new(path: &Path, clock: Clock) -> Self {
        Self { path: path.to_owned(), clock }
    }
}

impl State for StateFile {
    fn suppressions(&self) -> Result<Arc<dyn Suppressions>, StoreError> {
        Ok(Arc::new(suppressions::SqliteList::open(&self.path)?))
    }

    fn ledger(&self) -> Box<dyn Ledger> {
        let (path, clock) = (self.path.clone(), self.clock.clone());
        Box::new(ledger::SqliteLedger { path, clock, durable: true })
    }

    fn daily_caps(&self) -> Result<Box<dyn DailyCaps>, StoreError> {
        Ok(Box::new(caps::SqliteCaps::open(&self.path)?))
    }
}
