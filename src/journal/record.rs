//! The records of the journal. The byte format is in the comments of [`Intent`] and [`Outcome`].
//!
//! A record is its length (varint) and its bytes. Varints are LEB128; moments are a zigzag varint
//! of microseconds since 1970; a text is its length (varint) and UTF-8; each optional field has a
//! bit in the record's flags.

use std::net::IpAddr;

use crate::mail::{Class, Disposition, Reply, Timestamp};

/// "The message of this row is about to be handed to this connection."
///
/// Bytes: `1`, or `3` for a copy that only the archive gets; row, attempt, at, connection, message
/// id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intent {
    /// The plan row.
    pub row: u32,
    /// The number of this transmission of the row, from 1. A withdrawn one gives its number back.
    pub attempt: u16,
    /// When it was granted.
    pub at: Timestamp,
    /// The connection's number, from
    /// [`Writer::register_connection`](super::Writer::register_connection).
    pub connection: u32,
    /// The `Message-ID`: what to look for at the next hop if this stays in doubt.
    pub message_id: String,
    /// The archive's copy of a message that its recipient has: a kill leaves no row in doubt, and
    /// the copy is sent again.
    pub is_copy: bool,
}

/// What became of a row: of its last intent, or without an intent.
///
/// An outcome is complete: the last one of a row, with its connection, is all that the result row
/// needs. The exception is a row that was given up without another attempt: a final outcome that
/// gives no reason at all, so that those of the last attempt hold.
///
/// Bytes: `2`, flags (varint: which optional fields follow), row, attempt, at, verdict, then the
/// optional fields that are present, in the order below. A reply is its code, its enhanced status
/// (class, and when that is not 0 two varints) and its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The plan row.
    pub row: u32,
    /// Transmissions so far, this one included; 0 when nothing was ever handed to a connection.
    pub attempt: u16,
    /// What it means for the row.
    pub verdict: Verdict,
    /// When it was known.
    pub at: Timestamp,
    /// The connection of this attempt.
    pub connection: Option<u32>,
    /// When the row's first attempt started: `give-up-after` counts from here.
    pub first_attempt_at: Option<Timestamp>,
    /// When this attempt (or, without one, the row's last) started.
    pub last_attempt_at: Option<Timestamp>,
    /// Why, from the reply or the lack of one.
    pub class: Option<Class>,
    /// The reply that decided it.
    pub reply: Option<Reply>,
    /// From the start of the transaction to its last reply, in microseconds.
    pub latency_us: Option<u64>,
    /// The message's size on the wire, without dot-stuffing.
    pub bytes: Option<u32>,
    /// The `Message-ID`, without angle brackets.
    pub message_id: Option<String>,
    /// The reason, where no reply gives it.
    pub detail: Option<String>,
    /// The reply about the archive's copy.
    pub archive: Option<Reply>,
    /// The archive's copy was refused for now and is sent again, as the copy of this row: another
    /// one's if they shared the message.
    pub copied_by: Option<u32>,
}

/// What an outcome means for its row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The end of the row.
    Final(Disposition),
    /// To be tried again, not before `at`.
    Retry {
        /// The earliest moment of the next attempt.
        at: Timestamp,
    },
    /// Nothing of the message was sent: the row is as it was before the intent.
    Withdrawn,
    /// Says nothing of the row, but what became of the archive's copy: `archive` or `detail`.
    Copy {
        /// It is not tried again.
        ended: bool,
    },
}

/// What all messages of one connection share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionInfo {
    /// The next hop's name, as connected to.
    pub remote_host: String,
    /// Its address.
    pub remote_ip: Option<IpAddr>,
    /// The address that it was connected from.
    pub local_ip: Option<IpAddr>,
    /// Protocol and cipher suite; `None` in clear.
    pub tls: Option<String>,
    /// When it was opened.
    pub opened_at: Timestamp,
}

impl Outcome {
    /// An outcome with nothing but its verdict.
    pub fn new(row: u32, attempt: u16, verdict: Verdict, at: Timestamp) -> Self {
        Self {
            row,
            attempt,
            verdict,
            at,
            connection: None,
            first_attempt_at: None,
            last_attempt_at: None,
            class: None,
            reply: None,
            latency_us: None,
            bytes: None,
            message_id: None,
            detail: None,
            archive: None,
            copied_by: None,
        }
    }

    /// True when it gives no reason: those of the outcome before hold.
    pub(super) fn is_bare(&self) -> bool {
        self.class.is_none() && self.reply.is_none() && self.detail.is_none() && self.connection.is_none()
    }
}
