//! What can go wrong with a store of state, whatever its engine.
//!
//! The traits in front of state (the suppression list, the capacity ledger, the journal) name this
//! error: it says what failed and what to do. The engine's own error travels along as a boxed
//! source.

use std::error::Error;
use std::fmt;

/// The error of an engine, whichever it is.
pub type Source = Box<dyn Error + Send + Sync>;

/// A kind of store: what it is called, and what to do when something is wrong with it.
#[derive(Debug, PartialEq, Eq)]
pub struct StoreKind {
    /// A noun, such as `journal`.
    pub name: &'static str,
    /// What to do when it is missing.
    pub if_missing: Option<&'static str>,
    /// What to do when something else is in its place.
    pub if_foreign: Option<&'static str>,
    /// What to do when it is damaged.
    pub if_damaged: Option<&'static str>,
    /// What to do when it has been replaced while it was in use.
    pub if_replaced: Option<&'static str>,
    /// What to do when it can't be read or written for want of permission.
    pub if_denied: Option<&'static str>,
}

/// One store. Shown as its kind and place, such as "journal `runs/news/4f2a/journal.db`".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    /// What it is.
    pub kind: &'static StoreKind,
    /// Where it is: a path, or the address of a database without its password.
    pub place: String,
}

impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} `{}`", self.kind.name, self.place)
    }
}

/// A store can't be used, or not now.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is none.
    #[error("no {} at `{}`", .0.kind.name, .0.place)]
    Missing(Store),
    /// There is one where a new one should be created.
    #[error("{0} already exists")]
    Exists(Store),
    /// Something else is in its place.
    #[error("`{}` is not a {}: {found}", store.place, store.kind.name)]
    Foreign {
        /// Which store.
        store: Store,
        /// What it is instead.
        found: String,
    },
    /// It, or a part of it, has a newer format than this program knows.
    #[error("{store} has format {found} of {part}, and this mailrun knows up to {known}")]
    Newer {
        /// Which store.
        store: Store,
        /// The part with the newer format, such as `the suppression list`.
        part: &'static str,
        /// The format found.
        found: i64,
        /// The newest format known here.
        known: i64,
    },
    /// Parts of it can't be read, or can't be true.
    #[error("{store} is damaged: {detail}")]
    Damaged {
        /// Which store.
        store: Store,
        /// What was found, and where.
        detail: String,
    },
    /// Another one has taken the place of the one in use.
    #[error("{0} has been replaced or removed while it was in use")]
    Replaced(Store),
    /// No space is left for it. What was tried has not happened.
    #[error("no space left for {store}")]
    Full {
        /// Which store.
        store: Store,
        /// The engine's error.
        #[source]
        source: Source,
    },
    /// The engine failed.
    #[error("can't {action} {store}")]
    Failed {
        /// What was tried, such as `add an entry to`.
        action: &'static str,
        /// Which store.
        store: Store,
        /// Why, as far as it matters here.
        cause: Cause,
        /// The engine's error.
        #[source]
        source: Source,
    },
}

/// Why an engine failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// Another process holds it.
    Busy,
    /// It must not be read or written.
    Denied,
    /// Any other reason.
    Other,
}

impl StoreError {
    /// What to do, where there is something.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Missing(store) => store.kind.if_missing,
            Self::Exists(_) => None,
            Self::Foreign { store, .. } => store.kind.if_foreign,
            Self::Newer { .. } => Some("use the mailrun that wrote it, or a newer one"),
            Self::Damaged { store, .. } => store.kind.if_damaged,
            Self::Replaced(store) => store.kind.if_replaced,
            Self::Full { .. } => Some("free some space, then run the same command again"),
            Self::Failed { cause, store, .. } => match cause {
                Cause::Busy => Some("another process holds it: try again later"),
                Cause::Denied => store.kind.if_denied,
                Cause::Other => None,
            },
        }
    }
}
