//! Records to bytes and back. Reading never panics: bytes that are no record are an error with
//! their place.

use std::str;

use super::record::{Intent, Outcome, Verdict};
use crate::mail::{Class, Disposition, EnhancedStatus, Reply, Timestamp};

/// The first byte of a record.
const INTENT: u8 = 1;
const OUTCOME: u8 = 2;
const INTENT_OF_COPY: u8 = 3;

/// The longest text that is kept of a reply or a detail, in bytes: some servers answer with a page
/// of help.
pub(super) const LONGEST_TEXT: usize = 2_000;

/// Bits of an outcome's flags.
mod has {
    pub(super) const CONNECTION: u64 = 1;
    pub(super) const FIRST: u64 = 1 << 1;
    pub(super) const LAST: u64 = 1 << 2;
    pub(super) const CLASS: u64 = 1 << 3;
    pub(super) const REPLY: u64 = 1 << 4;
    pub(super) const LATENCY: u64 = 1 << 5;
    pub(super) const BYTES: u64 = 1 << 6;
    pub(super) const MESSAGE_ID: u64 = 1 << 7;
    pub(super) const DETAIL: u64 = 1 << 8;
    pub(super) const ARCHIVE: u64 = 1 << 9;
    pub(super) const COPIED_BY: u64 = 1 << 10;
}

/// A group holds something that is not a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no record of a known form at byte {at} of a group")]
pub(super) struct BadRecord {
    /// Offset in the group.
    pub at: usize,
}

/// One record of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// A message is about to be handed over.
    Intent(Intent),
    /// What became of a row.
    Outcome(Outcome),
}

/// The part of every record that can be read without the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub row: u32,
    /// `None` for an intent.
    pub verdict: Option<Verdict>,
    pub attempt: u16,
    /// An intent or an outcome of the archive's copy alone.
    pub is_copy: bool,
    /// The outcome says who carries the archive's copy.
    pub names_copy: bool,
}

pub(super) fn put_intent(out: &mut Vec<u8>, intent: &Intent) {
    framed(out, |out| {
        out.push(if intent.is_copy { INTENT_OF_COPY } else { INTENT });
        varint(out, intent.row.into());
        varint(out, intent.attempt.into());
        moment(out, intent.at);
        varint(out, intent.connection.into());
        text(out, &intent.message_id);
    });
}

pub(super) fn put_outcome(out: &mut Vec<u8>, outcome: &Outcome) {
    let flag = |there: bool, bit: u64| if there { bit } else { 0 };
    let flags = flag(outcome.connection.is_some(), has::CONNECTION)
        | flag(outcome.first_attempt_at.is_some(), has::FIRST)
        | flag(outcome.last_attempt_at.is_some(), has::LAST)
        | flag(outcome.class.is_some(), has::CLASS)
        | flag(outcome.reply.is_some(), has::REPLY)
        | flag(outcome.latency_us.is_some(), has::LATENCY)
        | flag(outcome.bytes.is_some(), has::BYTES)
        | flag(outcome.message_id.is_some(), has::MESSAGE_ID)
        | flag(outcome.detail.is_some(), has::DETAIL)
        | flag(outcome.archive.is_some(), has::ARCHIVE)
        | flag(outcome.copied_by.is_some(), has::COPIED_BY);
    framed(out, |out| {
        out.push(OUTCOME);
        varint(out, flags);
        varint(out, outcome.row.into());
        varint(out, outcome.attempt.into());
        moment(out, outcome.at);
        match outcome.verdict {
            Verdict::Final(disposition) => out.push(disposition_number(disposition)),
            Verdict::Retry { at } => {
                out.push(VERDICT_RETRY);
                moment(out, at);
            }
            Verdict::Withdrawn => out.push(VERDICT_WITHDRAWN),
            Verdict::Copy { ended: false } => out.push(VERDICT_COPY_LATER),
            Verdict::Copy { ended: true } => out.push(VERDICT_COPY_ENDED),
        }
        if let Some(connection) = outcome.connection {
            varint(out, connection.into());
        }
        for at in [outcome.first_attempt_at, outcome.last_attempt_at].into_iter().flatten() {
            moment(out, at);
        }
        if let Some(class) = outcome.class {
            out.push(class_number(class));
        }
        if let Some(reply) = &outcome.reply {
            put_reply(out, reply);
        }
        for number in [outcome.latency_us, outcome.bytes.map(u64::from)].into_iter().flatten() {
            varint(out, number);
        }
        for words in [&outcome.message_id, &outcome.detail].into_iter().flatten() {
            text(out, words);
        }
        if let Some(reply) = &outcome.archive {
            put_reply(out, reply);
        }
        if let Some(row) = outcome.copied_by {
            varint(out, row.into());
        }
    });
}

fn put_reply(out: &mut Vec<u8>, reply: &Reply) {
    varint(out, reply.code.into());
    let enhanced = reply.enhanced.unwrap_or(NO_STATUS);
    out.push(enhanced.class);
    if reply.enhanced.is_some() {
        varint(out, enhanced.subject.into());
        varint(out, enhanced.detail.into());
    }
    text(out, &reply.text);
}

const NO_STATUS: EnhancedStatus = EnhancedStatus { class: 0, subject: 0, detail: 0 };
const VERDICT_RETRY: u8 = 100;
const VERDICT_WITHDRAWN: u8 = 101;
const VERDICT_COPY_LATER: u8 = 102;
const VERDICT_COPY_ENDED: u8 = 103;

/// Numbers on disk: never changed, only added to.
const fn disposition_number(disposition: Disposition) -> u8 {
    match disposition {
        Disposition::Accepted => 0,
        Disposition::Bounced => 1,
        Disposition::Deferred => 2,
        Disposition::InDoubt => 3,
        Disposition::Suppressed => 4,
        Disposition::Duplicate => 5,
        Disposition::Invalid => 6,
        Disposition::RenderFailed => 7,
        Disposition::NotAttempted => 8,
        Disposition::AlreadySent => 9,
        Disposition::Capped => 10,
        Disposition::Infected => 11,
    }
}

/// Numbers on disk: never changed, only added to.
const fn class_number(class: Class) -> u8 {
    match class {
        Class::BadMailbox => 0,
        Class::BadDomain => 1,
        Class::MailboxFull => 2,
        Class::Policy => 3,
        Class::Spam => 4,
        Class::Blocklist => 5,
        Class::Authentication => 6,
        Class::RateLimited => 7,
        Class::TlsRequired => 8,
        Class::TooLarge => 9,
        Class::Greylisted => 10,
        Class::Unavailable => 11,
        Class::Protocol => 12,
        Class::Network => 13,
        Class::Routing => 14,
        Class::Other => 15,
    }
}

/// Writes a record with its length in front.
fn framed(out: &mut Vec<u8>, record: impl FnOnce(&mut Vec<u8>)) {
    // Nearly every record needs two bytes for its length; the rare others are moved once.
    let start = out.len();
    out.extend([0, 0]);
    record(out);
    let length = out.len() - start - 2;
    let mut prefix = Vec::new();
    if (0x80..0x4000).contains(&length) {
        out[start] = (length & 0x7f) as u8 | 0x80;
        out[start + 1] = (length >> 7) as u8;
    } else {
        varint(&mut prefix, length as u64);
        out.splice(start..start + 2, prefix);
    }
}

fn varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn moment(out: &mut Vec<u8>, at: Timestamp) {
    varint(out, ((at.0 << 1) ^ (at.0 >> 63)) as u64);
}

fn text(out: &mut Vec<u8>, words: &str) {
    let words = shortened(words);
    varint(out, words.len() as u64);
    out.extend_from_slice(words.as_bytes());
}

/// At most [`LONGEST_TEXT`] bytes, cut between characters.
fn shortened(words: &str) -> &str {
    &words[..words.floor_char_boundary(LONGEST_TEXT)]
}

/// Walks through the records of a group.
#[derive(Debug, Clone)]
pub(super) struct Records<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// The bytes of one record, and where they began.
#[derive(Debug, Clone, Copy)]
pub(super) struct Raw<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Records<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Raw<'a>, BadRecord>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.bytes.len() {
            return None;
        }
        let start = self.at;
        let mut input = Input { bytes: &self.bytes[start..] };
        let record = input.varint().and_then(|length| input.take(usize::try_from(length).ok()?));
        let Some(record) = record else {
            self.at = self.bytes.len();
            return Some(Err(BadRecord { at: start }));
        };
        self.at = self.bytes.len() - input.bytes.len();
        Some(Ok(Raw { bytes: record, at: start }))
    }
}

impl Raw<'_> {
    /// Row, attempt and verdict.
    pub(super) fn head(&self) -> Result<Head, BadRecord> {
        let mut input = Input { bytes: self.bytes };
        self.good(match input.byte() {
            Some(kind @ (INTENT | INTENT_OF_COPY)) => input.intent_head(kind == INTENT_OF_COPY),
            Some(OUTCOME) => input.outcome_head().map(|(head, ..)| head),
            _ => None,
        })
    }

    /// All of it.
    pub(super) fn record(&self) -> Result<Record, BadRecord> {
        let mut input = Input { bytes: self.bytes };
        let record = match input.byte() {
            Some(kind @ (INTENT | INTENT_OF_COPY)) => {
                input.intent(kind == INTENT_OF_COPY).map(Record::Intent)
            }
            Some(OUTCOME) => input.outcome().map(Record::Outcome),
            _ => None,
        };
        self.good(record.filter(|_| input.bytes.is_empty()))
    }

    /// Where the record (with its length) starts in the group.
    pub(super) fn start(&self) -> u32 {
        self.at as u32
    }

    /// The error that says this record is not valid here.
    pub(super) fn bad(&self) -> BadRecord {
        BadRecord { at: self.at }
    }

    fn good<T>(&self, read: Option<T>) -> Result<T, BadRecord> {
        read.ok_or_else(|| self.bad())
    }
}

/// The bytes that are left to read.
struct Input<'a> {
    bytes: &'a [u8],
}

impl<'a> Input<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (&first, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        Some(first)
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(length)?;
        self.bytes = rest;
        Some(taken)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    fn number<T: TryFrom<u64>>(&mut self) -> Option<T> {
        self.varint()?.try_into().ok()
    }

    fn moment(&mut self) -> Option<Timestamp> {
        let zigzag = self.varint()?;
        Some(Timestamp((zigzag >> 1) as i64 ^ -((zigzag & 1) as i64)))
    }

    fn text(&mut self) -> Option<String> {
        let length = self.number()?;
        str::from_utf8(self.take(length)?).ok().map(str::to_owned)
    }

    fn intent_head(&mut self, is_copy: bool) -> Option<Head> {
        let (row, attempt) = (self.number()?, self.number()?);
        Some(Head { row, attempt, verdict: None, is_copy, names_copy: false })
    }

    fn intent(&mut self, is_copy: bool) -> Option<Intent> {
        let head = self.intent_head(is_copy)?;
        Some(Intent {
            row: head.row,
            attempt: head.attempt,
            at: self.moment()?,
            connection: self.number()?,
            message_id: self.text()?,
            is_copy,
        })
    }

    fn outcome_head(&mut self) -> Option<(Head, u64, Timestamp, Verdict)> {
        let flags = self.varint()?;
        let (row, attempt, at) = (self.number()?, self.number()?, self.moment()?);
        let verdict = match self.byte()? {
            VERDICT_RETRY => Verdict::Retry { at: self.moment()? },
            VERDICT_WITHDRAWN => Verdict::Withdrawn,
            VERDICT_COPY_LATER => Verdict::Copy { ended: false },
            VERDICT_COPY_ENDED => Verdict::Copy { ended: true },
            number => {
                Verdict::Final(Disposition::ALL.into_iter().find(|d| disposition_number(*d) == number)?)
            }
        };
        let is_copy = matches!(verdict, Verdict::Copy { .. });
        let names_copy = flags & has::COPIED_BY != 0;
        Some((Head { row, attempt, verdict: Some(verdict), is_copy, names_copy }, flags, at, verdict))
    }

    fn outcome(&mut self) -> Option<Outcome> {
        let (head, flags, at, verdict) = self.outcome_head()?;
        let there = |bit: u64| flags & bit != 0;
        let mut outcome = Outcome::new(head.row, head.attempt, verdict, at);
        if there(has::CONNECTION) {
            outcome.connection = Some(self.number()?);
        }
        if there(has::FIRST) {
            outcome.first_attempt_at = Some(self.moment()?);
        }
        if there(has::LAST) {
            outcome.last_attempt_at = Some(self.moment()?);
        }
        if there(has::CLASS) {
            let number = self.byte()?;
            outcome.class = Some(Class::ALL.into_iter().find(|c| class_number(*c) == number)?);
        }
        if there(has::REPLY) {
            outcome.reply = Some(self.reply()?);
        }
        if there(has::LATENCY) {
            outcome.latency_us = Some(self.varint()?);
        }
        if there(has::BYTES) {
            outcome.bytes = Some(self.number()?);
        }
        if there(has::MESSAGE_ID) {
            outcome.message_id = Some(self.text()?);
        }
        if there(has::DETAIL) {
            outcome.detail = Some(self.text()?);
        }
        if there(has::ARCHIVE) {
            outcome.archive = Some(self.reply()?);
        }
        if there(has::COPIED_BY) {
            outcome.copied_by = Some(self.number()?);
        }
        Some(outcome)
    }

    fn reply(&mut self) -> Option<Reply> {
        let code = self.number()?;
        let enhanced = match self.byte()? {
            0 => None,
            class => Some(EnhancedStatus { class, subject: self.number()?, detail: self.number()? }),
        };
        Some(Reply { code, enhanced, text: self.text()? })
    }
}
