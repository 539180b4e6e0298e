//! What can go wrong with a journal, and what to do about it.

use crate::kit::store::{Store, StoreError};

/// A journal that can't be used, or not any more.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Its store can't be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It is the journal of another run.
    #[error("{store} belongs to another plan: it has {field} `{found}`, this run has `{expected}`")]
    OtherPlan {
        /// Which journal.
        store: Store,
        /// What differs.
        field: &'static str,
        /// As in the journal.
        found: String,
        /// As in the run.
        expected: String,
    },
    /// Another process has written to it since it was opened.
    #[error("another process has written to {0}: this one has lost its turn")]
    Fenced(Store),
    /// The writer's thread can't be started.
    #[error("can't start the writer of {store}")]
    NoThread {
        /// Which journal.
        store: Store,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The writer's thread is gone.
    #[error("the writer of {0} has ended")]
    Ended(Store),
}

impl JournalError {
    /// What to do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Store(error) => error.hint(),
            Self::OtherPlan { .. } => {
                Some("`plan.arrow` and `journal.db` must be those of one run directory")
            }
            Self::Fenced(_) => Some("let the other process finish; it sends the rest"),
            Self::NoThread { .. } | Self::Ended(_) => None,
        }
    }

    /// Parts of the journal can't be read.
    pub(super) fn damaged(store: &Store, detail: String) -> Self {
        StoreError::Damaged { store: store.clone(), detail }.into()
    }
}
