//! `screened.arrow`: the rows that are not sent to, with their reason and place, in input order.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use arrow_array::builder::{StringBuilder, UInt32Builder, UInt64Builder};
use arrow_array::cast::AsArray;
use arrow_array::types::{UInt32Type, UInt64Type};
use arrow_array::{Array, ArrayRef, RecordBatch, StringArray, UInt64Array};
use arrow_schema::{DataType, Field, Schema, SchemaRef};

use super::error::PlanError;
use super::sealed::{FileFacts, SealedFile, SealedWriter};
use crate::mail::Disposition;
use crate::screen::Screened;
use crate::target_group::Place;

/// The kind of file in its seal.
const KIND: &str = "screened";
/// Rows in one batch of the file.
const BATCH_ROWS: usize = 8_192;

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("file", DataType::UInt32, false),
        Field::new("row", DataType::UInt64, false),
        Field::new("line", DataType::UInt64, true),
        Field::new("email", DataType::Utf8, true),
        Field::new("id", DataType::Utf8, true),
        Field::new("disposition", DataType::Utf8, false),
        Field::new("detail", DataType::Utf8, false),
    ]))
}

/// Writes the rows as they come.
pub(super) struct ScreenedWriter<W: Write> {
    sealed: SealedWriter<W>,
    path: std::path::PathBuf,
    schema: SchemaRef,
    file: UInt32Builder,
    row: UInt64Builder,
    line: UInt64Builder,
    email: StringBuilder,
    id: StringBuilder,
    disposition: StringBuilder,
    detail: StringBuilder,
    pending: usize,
    last: Option<(usize, u64)>,
}

impl<W: Write> ScreenedWriter<W> {
    pub(super) fn new(writer: W, path: &Path) -> Result<Self, PlanError> {
        let schema = schema();
        Ok(Self {
            sealed: SealedWriter::new(writer, path, KIND, &schema)?,
            path: path.to_owned(),
            schema,
            file: UInt32Builder::new(),
            row: UInt64Builder::new(),
            line: UInt64Builder::new(),
            email: StringBuilder::new(),
            id: StringBuilder::new(),
            disposition: StringBuilder::new(),
            detail: StringBuilder::new(),
            pending: 0,
            last: None,
        })
    }

    pub(super) fn write(&mut self, rows: &[Screened]) -> Result<(), PlanError> {
        for row in rows {
            let place = (row.file, row.place.row);
            assert!(self.last.is_none_or(|last| last < place), "rows come in the order of the input");
            self.last = Some(place);
            self.file
                .append_value(u32::try_from(row.file).expect("a target group has fewer than 2^32 files"));
            self.row.append_value(row.place.row);
            self.line.append_option(row.place.line);
            self.email.append_option(row.email.as_deref());
            self.id.append_option(row.id.as_deref());
            self.disposition.append_value(row.disposition.as_str());
            self.detail.append_value(&row.detail);
            self.pending += 1;
            if self.pending == BATCH_ROWS {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), PlanError> {
        self.pending = 0;
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.file.finish()),
            Arc::new(self.row.finish()),
            Arc::new(self.line.finish()),
            Arc::new(self.email.finish()),
            Arc::new(self.id.finish()),
            Arc::new(self.disposition.finish()),
            Arc::new(self.detail.finish()),
        ];
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns)
            .map_err(PlanError::writing(&self.path))?;
        self.sealed.write(&batch)
    }

    pub(super) fn finish(mut self) -> Result<(W, FileFacts), PlanError> {
        self.flush()?;
        self.sealed.finish()
    }
}

impl<W: Write> std::fmt::Debug for ScreenedWriter<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ScreenedWriter").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Reads the rows back in input order. Ends after the first error.
#[derive(Debug)]
pub struct ScreenedRows {
    file: SealedFile,
    next_batch: usize,
    batch: Option<ScreenedBatch>,
}

#[derive(Debug)]
struct ScreenedBatch {
    records: RecordBatch,
    next: usize,
}

impl ScreenedRows {
    /// Opens the file at `path` and checks all of it: a truncated or altered file is an error.
    pub fn open(path: &Path) -> Result<Self, PlanError> {
        let file = SealedFile::open(path, KIND)?;
        if file.schema.fields() != schema().fields() {
            return Err(PlanError::damaged(path, "its columns are not those of screened rows"));
        }
        Ok(Self { file, next_batch: 0, batch: None })
    }

    /// The number of rows in the file.
    pub fn len(&self) -> u64 {
        self.file.facts.rows
    }

    /// Whether every row of the input was accepted.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn next_row(&mut self) -> Result<Option<Screened>, PlanError> {
        loop {
            if let Some(batch) = &mut self.batch
                && batch.next < batch.records.num_rows()
            {
                batch.next += 1;
                return read(&batch.records, batch.next - 1, &self.file.path).map(Some);
            }
            if self.next_batch == self.file.batches() {
                return Ok(None);
            }
            self.batch = Some(ScreenedBatch { records: self.file.batch(self.next_batch)?, next: 0 });
            self.next_batch += 1;
        }
    }
}

impl Iterator for ScreenedRows {
    type Item = Result<Screened, PlanError>;

    fn next(&mut self) -> Option<Self::Item> {
        let row = self.next_row();
        if row.is_err() {
            self.next_batch = self.file.batches();
            self.batch = None;
        }
        row.transpose()
    }
}

fn read(records: &RecordBatch, at: usize, path: &Path) -> Result<Screened, PlanError> {
    let text = |column: usize| {
        let column: &StringArray = records.column(column).as_string();
        column.is_valid(at).then(|| column.value(at))
    };
    let line: &UInt64Array = records.column(2).as_primitive();
    let disposition = text(5).unwrap_or_default();
    let disposition: Disposition =
        disposition.parse().map_err(|error| PlanError::damaged(path, format!("{error}")))?;
    Ok(Screened {
        file: records.column(0).as_primitive::<UInt32Type>().value(at) as usize,
        place: Place {
            row: records.column(1).as_primitive::<UInt64Type>().value(at),
            line: line.is_valid(at).then(|| line.value(at)),
        },
        email: text(3).map(str::to_owned),
        id: text(4).map(str::to_owned),
        disposition,
        detail: text(6).unwrap_or_default().to_owned(),
    })
}
