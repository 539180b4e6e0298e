//! State in memory: the same behaviour without a disk.

use std::sync::Arc;

use super::backend::State;
use crate::kit::store::StoreError;
use crate::pacing::{Clock, DailyCaps, Ledger, MemoryCaps, MemoryLedger};
use crate::suppression::{MemoryList, Suppressions};

/// Starts empty; clones share it.
#[derive(Debug, Clone)]
pub(super) struct Memory {
    suppressions: MemoryList,
    ledger: MemoryLedger,
    caps: MemoryCaps,
}

impl Memory {
    /// Nothing is suppressed and nothing is spent.
    pub fn new(clock: Clock) -> Self {
        Self {
            suppressions: MemoryList::default(),
            ledger: MemoryLedger::new(clock),
            caps: MemoryCaps::default(),
        }
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
}
