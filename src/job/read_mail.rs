//! A mail that came back: what it says, and whom it concerns.

use crate::feedback::{Effect, Feedback, Found, Reader, Recipient, Source, Traces, content_hash};

/// See the module.
pub(crate) struct ReadMail {
    /// Where it is.
    pub source: Source,
    /// Of its content.
    pub hash: String,
    /// It is longer than what was read.
    pub is_cut: bool,
    /// What it says.
    pub feedback: Feedback,
    /// What of our own mail is in it.
    pub traces: Traces,
    /// Whom each of its events concerns, in their order.
    pub recipients: Vec<Option<Recipient>>,
    /// What each of its events did, in their order; empty while nothing was done.
    pub effects: Vec<Effect>,
}

impl ReadMail {
    /// Reads a mail.
    pub(crate) fn read(reader: &Reader, source: &Source, mail: Found<'_>) -> Self {
        let (feedback, traces) = (reader.read(mail.bytes), Traces::read(mail.bytes));
        Self {
            source: source.clone(),
            hash: content_hash(mail.bytes),
            is_cut: mail.is_cut,
            recipients: vec![None; feedback.events.len()],
            effects: Vec::new(),
            feedback,
            traces,
        }
    }
}
