//! A mail that came back: what it says, and whom it concerns.

use std::path::Path;

use crate::compose::return_path::PathToken;
use crate::feedback::import::{Item, begin_of};
use crate::feedback::reputation::Reading;
use crate::feedback::{Effect, Feedback, Found, Reader, Recipient, Source, Traces, content_hash};
use crate::mail::Address;

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
    /// A provider's event, in a file that somebody vouches for: not made up by who writes mails.
    pub is_vouched: bool,
    /// It names a run that can't be read, or may be about one: it is not kept, so that it can be
    /// read again.
    pub is_left_out: bool,
    /// What it says of who sends, where it is about that.
    pub reading: Option<Reading>,
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
            is_vouched: false,
            is_left_out: false,
            reading: None,
            effects: Vec::new(),
            feedback,
            traces,
        }
    }

    /// What a file of a provider holds at a line; none where that is nothing to keep.
    pub(super) fn of_item(reader: &Reader, path: &Path, line: u64, item: Item) -> Option<Self> {
        let hash = item.hash()?;
        let (feedback, traces, reading) = match item {
            Item::Notice(notice) => (reader.read_notice(&notice), notice.traces(), None),
            Item::Reading(reading) => {
                let traces = Traces { date: Some(begin_of(&reading)), ..Traces::default() };
                (Feedback::of_reading(&reading), traces, Some(reading))
            }
            Item::Skipped => return None,
        };
        Some(Self {
            source: Source { path: path.to_owned(), number: Some(line) },
            hash,
            is_cut: false,
            recipients: vec![None; feedback.events.len()],
            is_vouched: true,
            is_left_out: false,
            reading,
            effects: Vec::new(),
            feedback,
            traces,
        })
    }

    /// Reads a mail that was delivered to `recipient`: its token says more than the header does,
    /// and the same content for another recipient is another mail.
    pub(crate) fn delivered(reader: &Reader, recipient: &str, content: &[u8]) -> Self {
        let source = Source { path: recipient.into(), number: None };
        let mut mail = Self::read(reader, &source, Found { bytes: content, is_cut: false });
        mail.hash = content_hash(format!("{}\n{}", recipient.to_lowercase(), mail.hash).as_bytes());
        if let Some(token) = Address::parse(recipient).ok().and_then(|address| PathToken::of(&address)) {
            mail.traces.envelope = vec![token];
        }
        mail
    }
}
