//! State in files: one SQLite database that all campaigns of a user share, and one journal a run.
//!
//! The only place that knows SQLite.

mod block;
mod caps;
mod domain_reports;
mod editions;
mod error;
mod feedback;
mod file;
mod journal;
mod ledger;
mod readings;
mod suppressions;
mod tables;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::backend::State;
use crate::campaign::Durability;
use crate::edition::Editions;
use crate::feedback::reputation::Readings;
use crate::feedback::{DomainReports, FeedbackLog};
use crate::journal::{Journal, JournalError, Reader, RunKey};
use crate::kit::store::StoreError;
use crate::pacing::{Clock, DailyCaps, Ledger};
use crate::run_dir::RunDir;
use crate::suppression::Suppressions;

pub(super) use file::copy;
use journal::SqliteJournal;

/// `state.db`: SQLite in WAL mode. Each part that is asked for opens a connection of its own.
#[derive(Debug, Clone)]
pub(super) struct StateFile {
    path: PathBuf,
    clock: Clock,
}

impl StateFile {
    /// The file at `path`; nothing is opened or created yet.
    pub(super) fn new(path: &Path, clock: Clock) -> Self {
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

    fn editions(&self) -> Result<Arc<dyn Editions>, StoreError> {
        Ok(Arc::new(editions::SqliteEditions::open(&self.path)?))
    }

    fn feedback(&self) -> Result<Arc<dyn FeedbackLog>, StoreError> {
        Ok(Arc::new(feedback::SqliteFeedback::open(&self.path)?))
    }

    fn domain_reports(&self) -> Result<Arc<dyn DomainReports>, StoreError> {
        Ok(Arc::new(domain_reports::SqliteDomainReports::open(&self.path)?))
    }

    fn readings(&self) -> Result<Arc<dyn Readings>, StoreError> {
        Ok(Arc::new(readings::SqliteReadings::open(&self.path)?))
    }

    fn has_journal(&self, run: &RunDir) -> bool {
        run.journal().exists()
    }

    fn create_journal(
        &self,
        run: &RunDir,
        key: &RunKey,
        durability: Durability,
    ) -> Result<Journal, JournalError> {
        Journal::new(Box::new(SqliteJournal::create(&run.journal(), key, durability)?), key)
    }

    fn open_journal(
        &self,
        run: &RunDir,
        key: &RunKey,
        durability: Durability,
    ) -> Result<Journal, JournalError> {
        Journal::new(Box::new(SqliteJournal::open(&run.journal(), durability)?), key)
    }

    fn read_journal(&self, run: &RunDir) -> Result<Reader, StoreError> {
        Ok(Reader::new(Box::new(SqliteJournal::read(&run.journal())?)))
    }
}
