//! What templates need of a row.

use std::collections::BTreeSet;

use super::error::Place;

/// Names that are not columns.
pub(crate) const BUILT_IN: [&str; 2] = ["unsubscribe_url", "message_id"];

/// What templates need of a row.
#[derive(Debug, Default)]
pub(crate) struct Uses {
    /// Columns that must have a value, with the places that print them.
    pub printed: BTreeSet<(String, Place)>,
    /// Columns that are only looked at, with their places.
    pub tested: BTreeSet<(String, Place)>,
    /// Built-in names, with their places.
    pub built_in: BTreeSet<(String, Place)>,
    /// The whole row is looked at: its columns can't be told.
    pub dynamic: bool,
}

impl Uses {
    /// True when every row gets the same text.
    pub(crate) fn is_nothing(&self) -> bool {
        self.printed.is_empty() && self.tested.is_empty() && self.built_in.is_empty() && !self.dynamic
    }

    pub(crate) fn extend(&mut self, other: Self) {
        self.printed.extend(other.printed);
        self.tested.extend(other.tested);
        self.built_in.extend(other.built_in);
        self.dynamic |= other.dynamic;
    }
}
