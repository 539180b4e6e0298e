//! CSV and Parquet to record batches, with the place of every row kept.

use arrow::array::RecordBatch;

/// Where a row stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The record's number in its file, from 1, a header line not counted.
    pub row: u64,
    /// The line the record starts on, from 1; CSV only.
    pub line: Option<u64>,
}

/// A record that can't be read; the others go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// Where it stands.
    pub place: Place,
    /// The address as given, where that much could be read.
    pub email: Option<String>,
    /// The recipient's id, where that much could be read.
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
    /// Where each of `records` stands.
    pub places: Vec<Place>,
    /// The others, in the order of the file.
    pub unreadable: Vec<Unreadable>,
}
