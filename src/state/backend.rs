//! What a backend offers.

use std::fmt;
use std::sync::Arc;

use crate::campaign::Durability;
use crate::edition::Editions;
use crate::feedback::reputation::Readings;
use crate::feedback::{DomainReports, FeedbackLog};
use crate::journal::{Journal, JournalError, Reader, RunKey};
use crate::kit::store::StoreError;
use crate::pacing::{DailyCaps, Ledger};
use crate::run_dir::RunDir;
use crate::suppression::Suppressions;

/// The state that campaigns share.
pub trait State: fmt::Debug + Send + Sync {
    /// The suppression list.
    fn suppressions(&self) -> Result<Arc<dyn Suppressions>, StoreError>;

    /// The capacity accounts.
    fn ledger(&self) -> Box<dyn Ledger>;

    /// What local addresses have carried of their daily caps.
    fn daily_caps(&self) -> Result<Box<dyn DailyCaps>, StoreError>;

    /// Who got which edition.
    fn editions(&self) -> Result<Arc<dyn Editions>, StoreError>;

    /// What came back.
    fn feedback(&self) -> Result<Arc<dyn FeedbackLog>, StoreError>;

    /// The reports about domains that came.
    fn domain_reports(&self) -> Result<Arc<dyn DomainReports>, StoreError>;

    /// What providers say of who sends.
    fn readings(&self) -> Result<Arc<dyn Readings>, StoreError>;

    /// Whether the run has a journal.
    fn has_journal(&self, run: &RunDir) -> bool;

    /// Creates the journal of a run, empty. After a crash in here there is none.
    fn create_journal(
        &self,
        run: &RunDir,
        key: &RunKey,
        durability: Durability,
    ) -> Result<Journal, JournalError>;

    /// Opens the journal of a run for writing. Refuses a foreign one, a newer one and a damaged
    /// one.
    fn open_journal(
        &self,
        run: &RunDir,
        key: &RunKey,
        durability: Durability,
    ) -> Result<Journal, JournalError>;

    /// Opens the journal of a run for reading, also while another process writes to it.
    fn read_journal(&self, run: &RunDir) -> Result<Reader, StoreError>;
}
