//! State in memory: the same behaviour without a disk.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use super::backend::State;
use crate::campaign::Durability;
use crate::edition::{Editions, MemoryEditions};
use crate::feedback::reputation::{MemoryReadings, Readings};
use crate::feedback::{DomainReports, FeedbackLog, MemoryDomainReports, MemoryFeedback};
use crate::journal::{Journal, JournalError, JournalRead, MemoryJournal, Reader, RunKey};
use crate::kit::store::StoreError;
use crate::pacing::{Clock, DailyCaps, Ledger, MemoryCaps, MemoryLedger};
use crate::run_dir::RunDir;
use crate::suppression::{MemoryList, Suppressions};

/// Starts empty; clones share it.
#[derive(Debug, Clone)]
pub(super) struct Memory {
    suppressions: MemoryList,
    feedback: MemoryFeedback,
    domain_reports: MemoryDomainReports,
    readings: MemoryReadings,
    ledger: MemoryLedger,
    caps: MemoryCaps,
    editions: MemoryEditions,
    journals: Arc<Mutex<HashMap<PathBuf, MemoryJournal>>>,
}

impl Memory {
    /// Nothing is suppressed and nothing is spent.
    pub(super) fn new(clock: Clock) -> Self {
        let suppressions = MemoryList::default();
        let feedback = MemoryFeedback::new(suppressions.clone());
        Self {
            domain_reports: MemoryDomainReports::new(feedback.clone()),
            readings: MemoryReadings::new(feedback.clone()),
            feedback,
            suppressions,
            ledger: MemoryLedger::new(clock),
            caps: MemoryCaps::default(),
            editions: MemoryEditions::default(),
            journals: Arc::default(),
        }
    }
}

impl Memory {
    /// The journal of a run, or an error with the name of the one that is missing.
    fn journal(&self, run: &RunDir) -> Result<MemoryJournal, StoreError> {
        let journals = self.journals.lock().unwrap_or_else(PoisonError::into_inner);
        let found = journals.get(run.path()).cloned();
        found.ok_or_else(|| StoreError::Missing(MemoryJournal::store_of(&run.name())))
    }
}

impl State for Memory {
    fn suppressions(&self) -> Result<Arc<dyn Suppressions>, StoreError> {
        Ok(Arc::new(self.suppressions.clone()))
    }

    fn ledger(&self) -> Box<dyn Ledger> {
        Box::new(self.ledger.clone())
    }

    fn daily_caps(&self) -> Result<Box<dyn DailyCaps>, StoreError> {
        Ok(Box::new(self.caps.clone()))
    }

    fn editions(&self) -> Result<Arc<dyn Editions>, StoreError> {
        Ok(Arc::new(self.editions.clone()))
    }

    fn feedback(&self) -> Result<Arc<dyn FeedbackLog>, StoreError> {
        Ok(Arc::new(self.feedback.clone()))
    }

    fn domain_reports(&self) -> Result<Arc<dyn DomainReports>, StoreError> {
        Ok(Arc::new(self.domain_reports.clone()))
    }

    fn readings(&self) -> Result<Arc<dyn Readings>, StoreError> {
        Ok(Arc::new(self.readings.clone()))
    }

    fn has_journal(&self, run: &RunDir) -> bool {
        self.journal(run).is_ok()
    }

    fn create_journal(&self, run: &RunDir, key: &RunKey, _: Durability) -> Result<Journal, JournalError> {
        let journal = MemoryJournal::new(key);
        let mut journals = self.journals.lock().unwrap_or_else(PoisonError::into_inner);
        if journals.contains_key(run.path()) {
            return Err(StoreError::Exists(journal.store().clone()).into());
        }
        journals.insert(run.path().to_owned(), journal.clone());
        drop(journals);
        Journal::new(Box::new(journal), key)
    }

    fn open_journal(&self, run: &RunDir, key: &RunKey, _: Durability) -> Result<Journal, JournalError> {
        Journal::new(Box::new(self.journal(run)?), key)
    }

    fn read_journal(&self, run: &RunDir) -> Result<Reader, StoreError> {
        Ok(Reader::new(Box::new(self.journal(run)?)))
    }
}
