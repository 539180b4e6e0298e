//! What can be wrong with the ledger.

use crate::kit::store::StoreError;

/// The ledger grants nothing, because it can't be kept.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// Its store can't be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The ledger's thread has ended.
    #[error("the capacity ledger has stopped")]
    Stopped,
}

impl LedgerError {
    /// What to do, where there is something.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Store(error) => error.hint(),
            Self::Stopped => None,
        }
    }
}
