//! Rows in, accepted rows and reasons out.
//!
//! The rules, in order: an unreadable row or a bad address is `invalid`, an address that an earlier
//! row had is `duplicate`, one on the suppression list is `suppressed`, and rows beyond a limit are
//! `not_attempted`. Every row of a batch is returned once, accepted or screened.
//!
//! Two steps, so that the first can run in parallel: [`Parser::parse`] is a pure function of one
//! batch, and [`Screener::accept`] takes the parsed batches in input order. Nothing here reads
//! files or sends.

mod error;
mod parse;
mod screener;
#[cfg(test)]
pub(crate) mod testing;

pub use error::ScreenError;
pub use parse::{Columns, Parsed, Parser};
pub use screener::{Accepted, Counts, Limits, Screened, ScreenedBatch, Screener, Stray};
