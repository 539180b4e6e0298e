//! Reads CSV, JSON lines, Parquet and batch SMTP into record batches and keeps the place of every
//! row.
//!
//! [`open`] finds the files, detects their format from their content, and unifies their columns; it
//! reports everything that is wrong with a file as a whole. [`TargetGroup::batches`] then reads
//! them in constant memory. An unreadable row is reported with its reason and reading continues:
//! nothing is guessed, and no row is dropped silently.

mod arrow_file;
mod assemble;
mod batch;
mod batches;
mod bsmtp;
mod content;
mod convert;
mod csv_file;
mod delimiter;
mod encoding;
mod error;
mod files;
mod group;
mod guess;
mod header;
mod json;
mod keep;
mod object;
mod parquet_file;
mod parquet_pages;
mod partition;
mod reading;
mod records;
mod schema;
mod source;
mod stored;
mod typed;
mod types;
mod utf7;

#[cfg(test)]
mod tests;

pub use batch::{BATCH_ROWS, Batch, Place, Unreadable};
pub use batches::{Batches, RawBatch, RawBatches};
pub use error::TargetGroupError;
pub use files::SourceFile;
pub(crate) use files::paths;
pub use group::{TargetGroup, open, open_with};
pub use object::{FetchedObject, ObjectVersion};
pub use partition::Partition;
pub use reading::{FileKind, Header, Known, LineEnds, Reading, TextReading};
pub use source::Packing;
pub use stored::StoredMessage;
