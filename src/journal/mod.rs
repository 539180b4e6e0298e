//! Intents and outcomes: what a run was about to send and what became of it, in `journal.db`.
//!
//! An [`Intent`] is durable before the first byte of its message's content goes out; the [`Outcome`] follows. So
//! after a kill at any moment an intent without an outcome, and nothing else, is in doubt.
//!
//! - [`Journal`] is the file, held for writing; [`Writer`] the one thread that commits to it, in groups.
//! - [`Reader`] reads it from any process, also while the run goes on: first [`States`], eight bytes a row, then the
//!   details of the rows that are asked for.
//!
//! The file is SQLite in WAL mode, which gives atomic commits, the syncs and concurrent readers. A commit is one
//! line of the table `journal_group`: the group's number, a checksum, and its records one after the other (their
//! format stands in [`record`]). One line a group instead of one a record makes the cost of a record that of copying its
//! bytes. The strings that all messages of a connection share stand in the table `connection`.
//!
//! This module never decides what to send; it never changes or removes a record.

mod codec;
mod db;
mod error;
mod queue;
mod reader;
pub mod record;
mod resume;
mod states;
mod writer;

#[cfg(test)]
mod tests;

pub use db::{Journal, RunKey};
pub use error::JournalError;
pub use reader::{Attempt, Details, Reader};
pub use record::{ConnectionInfo, Intent, Outcome, Verdict};
pub use resume::{InDoubt, OpenIntent};
pub use states::{Damage, State, States};
pub use writer::Writer;

use std::path::Path;

/// The state of every row in the journal at `path`.
pub fn read(path: &Path) -> Result<States, JournalError> {
    Reader::open(path)?.states()
}
