//! What a provider's event says, in whatever form it came.

use crate::mail::{Class, EnhancedStatus, Timestamp};

use super::event::Kind;

/// A longer text of an event is cut.
pub(super) const TEXT_CHARS: usize = 2_000;

/// An event of a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// What read it.
    pub(super) reader: &'static str,
    /// What is the same when the provider sends the event again.
    pub(super) key: String,
    /// When it happened.
    pub(super) at: Option<Timestamp>,
    /// `Feedback-Type` of a complaint, in lower case.
    pub(super) feedback_type: Option<String>,
    /// `Message-ID` of the mail, without angle brackets.
    pub(super) original_message_id: Option<String>,
    /// What of the mail's own header the event holds.
    pub(super) header: String,
    /// One for each recipient.
    pub(super) recipients: Vec<Told>,
}

/// What an event says of one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) kind: Kind,
    pub(super) address: String,
    pub(super) status: Option<EnhancedStatus>,
    /// The reply of the receiver, or the provider's words.
    pub(super) words: String,
    /// Whether a later attempt would fail too, as the provider sees it.
    pub(super) permanent: Option<bool>,
    /// The class that the provider names, where the words say nothing.
    pub(super) class: Option<Class>,
}

impl Told {
    /// A recipient of whom nothing else is said.
    pub(super) fn new(kind: Kind, address: &str) -> Self {
        let address = address.to_owned();
        Self { kind, address, status: None, words: String::new(), permanent: None, class: None }
    }
}
