//! The input and the output of a session: one [`Report`] for every [`Transaction`].

use crate::mail::{Envelope, Reply, SignedMessage, Timestamp};

use super::command::Command;
use super::error::SessionError;

/// One message for one or more recipients, ready to be sent (RFC 5321 §3.3).
#[derive(Debug, Clone)]
pub struct Transaction {
    /// The caller's number; comes back in the report.
    pub id: u64,
    /// Return path, recipients and archive address. What one recipient needs from the server
    /// (SMTPUTF8) is demanded for all.
    pub envelope: Envelope,
    /// The message, byte for byte.
    pub message: SignedMessage,
    /// MAIL is written before this time or not at all ([`NotStarted::Expired`]).
    pub valid_until: Option<Timestamp>,
}

/// The outcome of one transaction. Each transaction gets exactly one report, once the fate of its
/// last recipient is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The transaction's number.
    pub id: u64,
    /// The fate for each recipient, in their order; without the archive's copy.
    pub fates: Vec<Fate>,
    /// The reply that decided about the archive's copy: to its RCPT if that was refused, otherwise
    /// to DATA or the end of the message. `None` if there was no archive, or no reply decided.
    pub archive: Option<Reply>,
    /// When its first command was handed to the connection; equal to `finished_at` if none was.
    pub started_at: Timestamp,
    /// When its last fate was known.
    pub finished_at: Timestamp,
}

/// The outcome of a transaction for one of its recipients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// The server decided. 2xx to the end of the message: it accepted the message. 4xx or 5xx to
    /// any command: it did not.
    Replied {
        /// The reply that decided, unchanged.
        reply: Reply,
        /// The command it answers. A 552 to RCPT is transient (see [`Fate::is_transient`]).
        to: Command,
    },
    /// Not one byte of it was written: no attempt was made.
    NotStarted {
        /// Why.
        why: NotStarted,
    },
    /// The server can't have the complete message: safe to try again.
    Failed {
        /// What went wrong.
        error: SessionError,
    },
    /// The complete message was handed to the socket, or the server claims to have it, and no valid
    /// final reply came.
    InDoubt {
        /// What went wrong.
        error: SessionError,
    },
    /// The server does not offer what the message needs. Nothing was written.
    Unfit {
        /// What is missing.
        reason: Unfit,
    },
}

/// Why no byte of a transaction was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotStarted {
    /// `valid_until` had passed.
    #[error("not started in time")]
    Expired,
    /// The connection was lost before its turn.
    #[error("connection lost before its turn: {0}")]
    Lost(SessionError),
    /// The connection was closed in an orderly way before its turn: idle, or enough messages.
    #[error("connection closed before its turn")]
    Closed,
}

/// What a message needs and the server does not offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// Larger than the server's SIZE (RFC 1870).
    #[error("message of {bytes} bytes exceeds the server's limit of {limit} bytes")]
    SizeExceeded {
        /// The message's size.
        bytes: u64,
        /// The server's limit.
        limit: u64,
    },
    /// An address or a header field contains UTF-8 (RFC 6531).
    #[error("server does not offer SMTPUTF8")]
    NeedsSmtputf8,
    /// The message contains bytes above 127 (RFC 6152).
    #[error("server does not offer 8BITMIME")]
    NeedsEightBit,
    /// Every hop must use TLS (RFC 8689).
    #[error("server does not offer REQUIRETLS over TLS with a verified certificate")]
    NeedsRequireTls,
}

impl Transaction {
    /// Approximate bytes on the wire: the content, and a line for every recipient.
    pub(super) fn wire_bytes(&self) -> u64 {
        const RCPT_BYTES: usize = 64;
        (self.message.bytes + RCPT_BYTES * (self.envelope.recipients.len() - 1)) as u64
    }

    /// The report of a transaction of which nothing was written.
    pub(super) fn left(&self, fate: Fate, now: Timestamp) -> Report {
        let fates = vec![fate; self.envelope.recipients.len()];
        Report { id: self.id, fates, archive: None, started_at: now, finished_at: now }
    }
}

impl Fate {
    /// True when bytes of the transaction were written.
    pub fn was_begun(&self) -> bool {
        match self {
            Self::Replied { .. } | Self::Failed { .. } | Self::InDoubt { .. } => true,
            Self::NotStarted { .. } | Self::Unfit { .. } => false,
        }
    }

    /// True when the server accepted the message.
    pub fn is_accepted(&self) -> bool {
        matches!(self, Self::Replied { reply, to: Command::EndOfMessage } if reply.is_positive())
    }

    /// True for a refusal that the next attempt may not get: 4xx, and 552 to RCPT.
    pub fn is_transient(&self) -> bool {
        match self {
            // RFC 5321 §4.5.3.1.10: 552 to RCPT means 452, too many recipients.
            Self::Replied { reply, to } => {
                reply.is_transient() || (*to == Command::Rcpt && reply.code == 552)
            }
            Self::NotStarted { .. } | Self::Failed { .. } | Self::InDoubt { .. } | Self::Unfit { .. } => {
                false
            }
        }
    }
}
