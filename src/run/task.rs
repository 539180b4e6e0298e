//! A row on its way through a run, and its message once it has one.

use super::ids::LaneId;
use crate::mail::{Envelope, SignedMessage, Timestamp};
use crate::run_dir::StopReason;

/// A row to be sent, and its attempts so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Task {
    /// The row of the plan.
    pub row: u32,
    /// Transmissions so far: the next one is `attempts + 1`.
    pub attempts: u16,
    /// The first transmission, if any.
    pub first_attempt_at: Option<Timestamp>,
    /// The last transmission, if any.
    pub last_attempt_at: Option<Timestamp>,
    /// How often it went out again before its schedule, at the rate that its site takes. The
    /// schedule does not count these.
    pub early: u8,
    /// Since when scanners gave no answer for it.
    pub unscanned_since: Option<Timestamp>,
    /// The recipient has the message, and only the archive's copy of it is to be sent. Then the
    /// attempts are those of the copy, and the first was the recipient's.
    pub is_copy: bool,
}

impl Task {
    /// A row that was never tried.
    pub fn fresh(row: u32) -> Self {
        Self {
            row,
            attempts: 0,
            first_attempt_at: None,
            last_attempt_at: None,
            early: 0,
            unscanned_since: None,
            is_copy: false,
        }
    }

    /// The archive's copy of a message that went to this row at `sent_at`.
    pub fn copy(row: u32, sent_at: Timestamp) -> Self {
        Self { first_attempt_at: Some(sent_at), is_copy: true, ..Self::fresh(row) }
    }
}

/// The result of composing and signing: one message for one or more rows, or the reason for none.
#[derive(Debug)]
pub struct Prepared {
    /// The rows that the message is for, in the order of its recipients.
    pub tasks: Vec<Task>,
    /// Their lane.
    pub lane: LaneId,
    /// When the message was composed.
    pub at: Timestamp,
    /// The message, or why there is none.
    pub message: Result<Composed, NotComposed>,
}

/// A message that is ready to leave.
#[derive(Debug, Clone)]
pub struct Composed {
    /// Return path and recipients.
    pub envelope: Envelope,
    /// Header and body, signed.
    pub message: SignedMessage,
}

/// Why a row has no message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotComposed {
    /// The templates could not be rendered.
    RenderFailed(String),
    /// The address came onto the suppression list after the plan was made.
    Suppressed(String),
    /// A scanner found something: what, and where.
    Infected(String),
    /// A scanner answered that it can't look at it, and would again.
    NotScannable(String),
    /// A scanner gave no answer.
    Unscanned(String),
    /// Something that all rows need failed: the run stops.
    Stop(StopReason),
}
