//! What one mail says, in whole.

use serde::Serialize;

use super::event::{Event, Kind};
use super::reports::Report;
use super::reputation::Reading;

/// What one mail says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Feedback {
    /// The kind of the mail: that of its events, the gravest first.
    pub kind: Kind,
    /// Which reader understood it, such as `delivery-status` or `text`.
    pub reader: &'static str,
    /// `Feedback-Type` of a complaint, in lower case (RFC 5965 §7.3).
    pub feedback_type: Option<String>,
    /// `Message-ID` of the mail that this is about, without `<>`.
    pub original_message_id: Option<String>,
    /// One for each recipient that the mail names, or a single one without an address; none for a
    /// report about a domain.
    pub events: Vec<Event>,
    /// The sums of a report about a domain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub report: Option<Report>,
}

impl Feedback {
    /// That a provider says something of who sends.
    pub fn of_reading(reading: &Reading) -> Self {
        Self {
            kind: Kind::Reputation,
            reader: reading.observer.as_str(),
            feedback_type: None,
            original_message_id: None,
            events: Vec::new(),
            report: None,
        }
    }
}
