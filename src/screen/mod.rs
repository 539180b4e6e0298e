//! Rows in, accepted rows and reasons out.
//!
//! The rules, in their order: an unreadable row or a bad address is `invalid`, an address that an earlier row had is
//! `duplicate`, one on the suppression list is `suppressed`, and what a limit leaves over is `not_attempted`. Every
//! row of a batch comes out once, accepted or screened.
//!
//! In two steps, so that the first may run in parallel: [`Parser::parse`] is a pure function of one batch,
//! [`Screener::accept`] takes the parsed batches in the order of the input. Nothing here reads files or sends.

mod parse;
mod screener;
#[cfg(test)]
pub(crate) mod testing;

pub use parse::{Columns, Parsed, Parser};
pub use screener::{Accepted, Counts, Limits, Screened, ScreenedBatch, Screener};

use crate::kit::store::StoreError;

/// Rows can't be screened at all.
#[derive(Debug, thiserror::Error)]
pub enum ScreenError {
    /// A column that is to be read as text can't be.
    #[error("column `{column}` holds {kind}, which can't be read as text")]
    NotText {
        /// Its name.
        column: String,
        /// Its type.
        kind: String,
    },
    /// The suppression list can't be read.
    #[error(transparent)]
    Suppression(#[from] StoreError),
    /// More rows than can be numbered.
    #[error("more than 4,294,967,294 rows")]
    TooManyRows,
    /// Arrow can't convert a column, although its type can be.
    #[error("can't read a column as text")]
    Arrow(#[from] arrow_schema::ArrowError),
}
