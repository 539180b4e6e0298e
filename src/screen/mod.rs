//! Rows in, accepted rows and reasons out.
//!
//! The rules, in their order: an unreadable row or a bad address is `invalid`, an address that an
//! earlier row had is `duplicate`, one on the suppression list is `suppressed`, and what a limit
//! leaves over is `not_attempted`. Every row of a batch comes out once, accepted or screened.
//!
//! In two steps, so that the first may run in parallel: [`Parser::parse`] is a pure function of one
//! batch, [`Screener::accept`] takes the parsed batches in the order of the input. Nothing here
//! reads files or sends.

mod error;
mod parse;
mod screener;
#[cfg(test)]
pub(crate) mod testing;

pub use error::ScreenError;
pub use parse::{Columns, Parsed, Parser};
pub use screener::{Accepted, Counts, Limits, Screened, ScreenedBatch, Screener};
