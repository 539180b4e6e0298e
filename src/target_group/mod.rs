//! CSV and Parquet to record batches, with the place of every row kept.
//!
//! [`open`] finds the files, tells from their content what they are, and gives them one schema; whatever is wrong with
//! a file as a whole is found there. [`TargetGroup::batches`] then reads them in constant memory. A row that can't be
//! read is reported with its reason, and the others go on; nothing is guessed, and nothing is left out unseen.

mod assemble;
mod content;
mod convert;
mod csv_file;
mod delimiter;
mod encoding;
mod error;
mod files;
mod header;
mod parquet_file;
mod parquet_pages;
mod records;
mod schema;
mod types;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::io::{self, Seek, SeekFrom};

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

pub use error::TargetGroupError;
pub use files::{FileKind, SourceFile};

use crate::campaign;
use csv_file::{CsvFile, CsvReader, RawCsv};
use files::Found;
use parquet_file::{ParquetFile, ParquetReader, RawParquet};
use schema::{FileColumns, Unified};

/// A batch holds so many rows at most.
pub const BATCH_ROWS: usize = 8192;
/// A batch ends early when it holds as much text.
const BATCH_BYTES: usize = 4 * 1024 * 1024;
/// A cell with more bytes makes its row unreadable.
const LONGEST_CELL: usize = 4 * 1024 * 1024;

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

/// The files with the recipients, found fit to be read.
#[derive(Debug)]
pub struct TargetGroup {
    files: Vec<SourceFile>,
    /// How each of `files` is written.
    layouts: Vec<Layout>,
    unified: Unified,
}

#[derive(Debug)]
enum Layout {
    Csv(CsvFile),
    Parquet(ParquetFile),
}

/// Finds the files, opens them as far as their headers and footers, and gives them one schema.
pub fn open(spec: &campaign::TargetGroupSource) -> Result<TargetGroup, TargetGroupError> {
    let mut files = Vec::new();
    let mut layouts = Vec::new();
    let mut columns = Vec::new();
    for found in files::find(spec)? {
        let shown = found.shown.clone();
        let layout = look_into(&found, spec).map_err(|error| error.in_file(&shown))?;
        let (kind, given) = match &layout {
            Layout::Csv(csv) => (FileKind::Csv, csv.columns()),
            Layout::Parquet(parquet) => (FileKind::Parquet, parquet.columns()),
        };
        files.push(found.into_source(kind));
        layouts.push(layout);
        columns.push(FileColumns { shown, columns: given });
    }
    let unified = schema::unify(spec, &columns)?;
    for (file, layout) in files.iter().zip(&layouts) {
        if let Layout::Parquet(parquet) = layout {
            let checked = parquet
                .check_compression(&unified)
                .and_then(|()| parquet.check_pages(&file.open()?, &unified));
            checked.map_err(|error| error.in_file(&file.shown))?;
        }
    }
    Ok(TargetGroup { files, layouts, unified })
}

fn look_into(found: &Found, spec: &campaign::TargetGroupSource) -> Result<Layout, TargetGroupError> {
    let cant_read = |error: io::Error| files::unreadable(&found.shown, error);
    let mut file = found.file.try_clone().map_err(cant_read)?;
    let head = encoding::head(&mut file).map_err(cant_read)?;
    let mut tail = [0; 4];
    file.seek(SeekFrom::Start(found.bytes().saturating_sub(4))).map_err(cant_read)?;
    let tail_bytes = encoding::read_full(&mut file, &mut tail).map_err(cant_read)?;
    Ok(match content::detect(&found.path, found.bytes(), &head, &tail[..tail_bytes], spec.encoding)? {
        FileKind::Csv => Layout::Csv(CsvFile::open(file, found.bytes(), &head, spec)?),
        FileKind::Parquet => Layout::Parquet(ParquetFile::open(&file)?),
    })
}

impl TargetGroup {
    /// The files in the order in which they are read.
    pub fn files(&self) -> &[SourceFile] {
        &self.files
    }

    /// Leaves out the columns that have no part in screening and are not in `wanted`: nothing is read of them.
    pub fn keep_columns(&mut self, wanted: &BTreeSet<String>) {
        self.unified.keep(wanted);
    }

    /// The columns of all files, their names trimmed; each may be null.
    ///
    /// The address, the id and the name are `Utf8`. Other columns have the type that the campaign file declares, else
    /// that of the Parquet files, else `Utf8`; of arrow's types there are `Boolean`, integers, floats, decimals,
    /// `Date32`, `Time32`, `Time64`, `Timestamp`, `Utf8`, and `List` and `Struct` of these.
    pub fn schema(&self) -> SchemaRef {
        self.unified.schema.clone()
    }

    /// The index of the column with the address.
    pub fn email_column(&self) -> usize {
        self.unified.email
    }

    /// The index of the column that identifies the recipient.
    pub fn id_column(&self) -> Option<usize> {
        self.unified.id
    }

    /// The index of the column with the display name.
    pub fn name_column(&self) -> Option<usize> {
        self.unified.name
    }

    /// What the user should know: columns that are left out.
    pub fn warnings(&self) -> &[String] {
        &self.unified.warnings
    }

    /// Reads the files, one after the other, from their start. Every record of a file is in a batch once, by its row
    /// number, either readable or not. An error ends the reading; one at the end of a file may say that the file
    /// changed meanwhile.
    pub fn batches(&self) -> Batches<'_> {
        Batches { raw: self.raw_batches(), ended: false }
    }

    /// The same batches in the same order, each to be [read](RawBatch::read) on whatever thread.
    pub fn raw_batches(&self) -> RawBatches<'_> {
        RawBatches { group: self, file: 0, reader: None, ended: false }
    }

    fn read(&self, number: usize) -> Result<Reader<'_>, TargetGroupError> {
        let file = self.files[number].open()?;
        let cant_read = |source: Box<dyn std::error::Error + Send + Sync>| {
            TargetGroupError::new("can't read the file").caused_by(source)
        };
        match &self.layouts[number] {
            Layout::Csv(csv) => {
                let reader =
                    csv.read(file, number, &self.unified).map_err(|error| cant_read(error.into()))?;
                Ok(Reader::Csv(Box::new(reader)))
            }
            Layout::Parquet(parquet) => {
                let reader =
                    parquet.read(file, number, &self.unified).map_err(|error| cant_read(error.into()))?;
                Ok(Reader::Parquet(Box::new(reader)))
            }
        }
    }
}

/// The rows of a target group, file by file.
pub struct Batches<'a> {
    raw: RawBatches<'a>,
    ended: bool,
}

impl Iterator for Batches<'_> {
    type Item = Result<Batch, TargetGroupError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let batch = self.raw.next()?.and_then(RawBatch::read);
        self.ended = batch.is_err();
        Some(batch)
    }
}

/// The records of a target group, file by file, before anything is made of them.
pub struct RawBatches<'a> {
    group: &'a TargetGroup,
    /// The file that is read, or comes next.
    file: usize,
    reader: Option<Reader<'a>>,
    ended: bool,
}

enum Reader<'a> {
    Csv(Box<CsvReader<'a>>),
    Parquet(Box<ParquetReader<'a>>),
}

/// Some consecutive records of one file as they came out of it. What takes time is still to be done.
pub struct RawBatch<'a> {
    shown: &'a str,
    records: RawRecords<'a>,
}

enum RawRecords<'a> {
    Csv(RawCsv<'a>),
    Parquet(RawParquet<'a>),
}

impl RawBatch<'_> {
    /// Checks the records and brings them into the columns of the target group.
    pub fn read(self) -> Result<Batch, TargetGroupError> {
        let batch = match self.records {
            RawRecords::Csv(csv) => csv.read(),
            RawRecords::Parquet(parquet) => parquet.read(),
        };
        batch.map_err(|error| error.in_file(self.shown))
    }
}

impl<'a> RawBatches<'a> {
    fn advance(&mut self) -> Result<Option<RawRecords<'a>>, TargetGroupError> {
        while self.file < self.group.files.len() {
            if self.reader.is_none() {
                self.reader = Some(self.group.read(self.file)?);
            }
            let records = match &mut self.reader {
                Some(Reader::Csv(csv)) => csv.next()?.map(RawRecords::Csv),
                Some(Reader::Parquet(parquet)) => parquet.next()?.map(RawRecords::Parquet),
                None => None,
            };
            if records.is_some() {
                return Ok(records);
            }
            self.group.files[self.file].check_unchanged()?;
            self.reader = None;
            self.file += 1;
        }
        Ok(None)
    }
}

impl<'a> Iterator for RawBatches<'a> {
    type Item = Result<RawBatch<'a>, TargetGroupError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let shown = self.group.files.get(self.file).map_or("", |file| file.shown.as_str());
        let records = self.advance().map_err(|error| error.in_file(shown));
        self.ended = !matches!(records, Ok(Some(_)));
        let shown = self.group.files.get(self.file).map_or("", |file| file.shown.as_str());
        Some(records.transpose()?.map(|records| RawBatch { shown, records }))
    }
}
