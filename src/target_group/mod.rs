//! CSV and Parquet to record batches, with the place of every row kept.
//!
//! [`open`] finds the files, tells from their content what they are, and gives them one schema;
//! whatever is wrong with a file as a whole is found there. [`TargetGroup::batches`] then reads
//! them in constant memory. A row that can't be read is reported with its reason, and the others go
//! on; nothing is guessed, and nothing is left out unseen.

mod assemble;
mod batch;
mod batches;
mod content;
mod convert;
mod csv_file;
mod delimiter;
mod encoding;
mod error;
mod files;
mod group;
mod header;
mod parquet_file;
mod parquet_pages;
mod records;
mod schema;
mod types;

#[cfg(test)]
mod tests;

pub use batch::{BATCH_ROWS, Batch, Place, Unreadable};
pub use batches::{Batches, RawBatch, RawBatches};
pub use error::TargetGroupError;
pub use files::{FileKind, SourceFile};
pub use group::{TargetGroup, open};
