//! Some consecutive records of a file, and where each is.

use arrow_array::RecordBatch;

/// The most rows in a batch.
pub const BATCH_ROWS: usize = 8192;
/// A batch ends early when it has this many bytes of text.
pub(super) const BATCH_BYTES: usize = 4 * 1024 * 1024;
/// A cell with more bytes makes its row unreadable.
pub(super) const LONGEST_CELL: usize = 4 * 1024 * 1024;

/// The place of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The record's number in its file, from 1, a header line not counted.
    pub row: u64,
    /// The line the record starts on, from 1; CSV only.
    pub line: Option<u64>,
}

/// A record that can't be read. Reading continues after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// Its place.
    pub place: Place,
    /// The address as given, if it could be read.
    pub email: Option<String>,
    /// The recipient's id, if it could be read.
    pub id: Option<String>,
    /// Why, a lowercase fragment.
    pub reason: String,
}

/// Some consecutive records of one file.
#[derive(Debug, Clone)]
pub struct Batch {
    /// Which file: an index into the target group's files.
    pub file: usize,
    /// The readable records, in the columns of the target group.
    pub records: RecordBatch,
    /// The place of each of `records`.
    pub places: Vec<Place>,
    /// The unreadable records, in the order of the file.
    pub unreadable: Vec<Unreadable>,
    /// Records with a quoted field that seems to hold other rows.
    pub stray: Vec<Place>,
}
