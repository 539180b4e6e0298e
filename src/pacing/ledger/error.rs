//! What can be wrong with the ledger.

/// The ledger grants nothing, because it can't be kept.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// Nothing more will come from it.
    #[error("the capacity ledger has stopped")]
    Stopped,
}
