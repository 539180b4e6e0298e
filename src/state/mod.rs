//! The state that campaigns share, and the backends that keep it: the suppression list, the
//! capacity ledger, the daily caps of local addresses, and the journals of runs.
//!
//! Everything else asks for a trait ([`State`], and what it hands out); which backend answers is
//! decided here, once, by [`open`]. `contract` is one suite of behaviour that every backend passes.

mod backend;
#[cfg(test)]
mod contract;
mod memory;
mod sqlite;

use std::path::Path;
use std::sync::Arc;

pub use backend::State;

use crate::pacing::Clock;

/// The state in the database file at `path`, which is created when it is first written to.
pub fn open(path: &Path) -> Arc<dyn State> {
    Arc::new(sqlite::StateFile::new(path, Clock::system()))
}

/// State that starts empty, is seen by those who hold a clone of it, and ends with the process.
pub fn in_memory() -> Arc<dyn State> {
    Arc::new(memory::Memory::new(Clock::system()))
}
