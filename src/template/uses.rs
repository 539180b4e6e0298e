//! What templates need of a row.

use std::collections::BTreeSet;

use super::error::Place;

/// The recipient's own unsubscribe link, where `unsubscribe.https` is set.
pub(crate) const UNSUBSCRIBE_URL: &str = "unsubscribe_url";
/// The `Message-ID` without its angle brackets.
pub(crate) const MESSAGE_ID: &str = "message_id";
/// The names that are not columns.
pub(crate) const BUILT_IN: [&str; 2] = [UNSUBSCRIBE_URL, MESSAGE_ID];

/// The names that templates use, with the places where they do.
#[derive(Debug, Clone, Default)]
pub(crate) struct Uses {
    /// Columns that are printed: without a value, a strict template fails its row.
    pub printed: BTreeSet<(String, Place)>,
    /// Columns that are only tested.
    pub tested: BTreeSet<(String, Place)>,
    /// Built-in names.
    pub built_in: BTreeSet<(String, Place)>,
    /// A template uses the row as a whole, so its columns can't be listed.
    pub whole_row: bool,
}

impl Uses {
    /// True when every row gets the same text.
    pub(crate) fn is_nothing(&self) -> bool {
        self.printed.is_empty() && self.tested.is_empty() && self.built_in.is_empty() && !self.whole_row
    }

    /// Adds what another template uses.
    pub(crate) fn extend(&mut self, other: &Self) {
        self.printed.extend(other.printed.iter().cloned());
        self.tested.extend(other.tested.iter().cloned());
        self.built_in.extend(other.built_in.iter().cloned());
        self.whole_row |= other.whole_row;
    }
}
