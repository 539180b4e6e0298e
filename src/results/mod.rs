//! The result files: one Parquet row per input row, derived from plan and journal. They can be
//! written again at any time.
//!
//! [`Results`] takes the input rows in order, looks each up in the journal, and writes
//! `results/part-00000.parquet` and so on in constant memory; [`ResultFiles`] reads them back.
//! Files appear whole: a reader never sees part of one. The columns are those of [`Column`], then
//! those that the campaign passes through; DuckDB, pandas, pyarrow and Polars read them directly.
//!
//! This module never changes the journal and never decides the outcome of a row.

mod batch;
mod cell;
mod columns;
mod declare;
mod error;
mod find;
mod merge;
mod parts;
mod passed;
mod reader;
mod row;
mod summary;
mod table;

#[cfg(test)]
mod tests;

pub use columns::{Column, ResultRow, SCHEMA_VERSION};
pub use error::ResultsError;
pub use find::{Recipient, Sought};
pub use merge::{Known, Options, Results};
pub use reader::ResultFiles;
pub use row::{InputRow, ScreeningOutcome};
pub use summary::{Cause, DomainCount, FailedRow, Latency, Summary, VariantCount};
pub use table::TableWriter;
