//! The result files: one Parquet row for every input row, derived from plan and journal, and
//! written again at any time.
//!
//! [`Results`] takes the input rows in their order, looks up what the journal says of each, and
//! writes `results/part-00000.parquet` and so on in constant memory; [`ResultFiles`] reads them
//! back. A file comes into its place whole: a reader never sees half of one. The columns are those
//! of [`Column`]; DuckDB, pandas, pyarrow and Polars open them as they are.
//!
//! This module never changes the journal, and never decides what becomes of a row.

mod batch;
mod cell;
mod columns;
mod declare;
mod error;
mod merge;
mod parts;
mod reader;
mod row;
mod summary;
mod table;

#[cfg(test)]
mod tests;

pub use columns::{Column, ResultRow, SCHEMA_VERSION};
pub use error::ResultsError;
pub use merge::{Known, Options, Results};
pub use reader::ResultFiles;
pub use row::{Fate, InputRow};
pub use summary::{DomainCount, Latency, Summary};
pub use table::TableWriter;
