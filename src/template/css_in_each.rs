//! Styles that go into the elements of each message, and not once for all.

use std::time::Duration;

use super::error::Place;

/// Why styles are put into the elements of each message, and not once for all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CssInEach {
    /// The expression that keeps it from being done once, or the template.
    pub place: Place,
    /// A fragment: `{{x}}` is in a class or an id.
    pub why: String,
    /// About how long it takes for each message.
    pub takes: Duration,
}
