//! `screened.arrow`: the rows that are not sent to, with their reason and place, in input order.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use arrow_array::builder::{StringBuilder, UInt32Builder, UInt64Builder};
use arrow_array::cast::AsArray;
use arrow_array::types::{UInt32Type, UInt64Type};
use arrow_array::{Array, ArrayRef, RecordBatch, StringArray, StructArray, UInt64Array, new_empty_array};
use arrow_schema::{DataType, Field, Fields, Schema, SchemaRef};
use arrow_select::concat::concat;

use super::error::PlanError;
use super::sealed::{BATCH_BYTES, FileFacts, SealedFile, SealedWriter, bytes_of};
use crate::mail::Disposition;
use crate::screen::Screened;
use crate::target_group::Place;

/// The kind of file in its seal.
pub(super) const KIND: &str = "screened";
/// Rows in one batch of the file.
const BATCH_ROWS: usize = 8_192;

/// The places of columns; the target group's are there where there are any.
pub(super) const EMAIL: usize = 3;
pub(super) const ID: usize = 4;
pub(super) const DETAIL: usize = 6;
pub(super) const CELLS: usize = 7;

fn schema(cells: &Fields) -> SchemaRef {
    let mut fields = vec![
        Field::new("file", DataType::UInt32, false),
        Field::new("row", DataType::UInt64, false),
        Field::new("line", DataType::UInt64, true),
        Field::new("email", DataType::Utf8, true),
        Field::new("id", DataType::Utf8, true),
        Field::new("disposition", DataType::Utf8, false),
        Field::new("detail", DataType::Utf8, false),
    ];
    if !cells.is_empty() {
        fields.push(Field::new("columns", DataType::Struct(cells.clone()), false));
    }
    Arc::new(Schema::new(fields))
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
    /// What the pending rows keep of the target group's columns.
    cells: Vec<ArrayRef>,
    pending: usize,
    pending_bytes: usize,
    last: Option<(usize, u64)>,
}

impl<W: Write> ScreenedWriter<W> {
    /// `cells` are the target group's columns that the rows keep.
    pub(super) fn new(writer: W, path: &Path, cells: Fields) -> Result<Self, PlanError> {
        let schema = schema(&cells);
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
            cells: Vec::new(),
            pending: 0,
            pending_bytes: 0,
            last: None,
        })
    }

    /// `cells` has a row for each of `rows`, where the file keeps any.
    pub(super) fn write(&mut self, rows: &[Screened], cells: Option<&StructArray>) -> Result<(), PlanError> {
        let mut start = 0;
        while start < rows.len() {
            let many = (BATCH_ROWS - self.pending).min(rows.len() - start);
            self.append(&rows[start..start + many]);
            let cells = cells.map(|cells| Arc::new(cells.slice(start, many)) as ArrayRef);
            self.pending_bytes += cells.as_ref().map_or(0, bytes_of);
            self.cells.extend(cells);
            start += many;
            if self.pending == BATCH_ROWS || self.pending_bytes >= BATCH_BYTES {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn append(&mut self, rows: &[Screened]) {
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
        }
    }

    fn flush(&mut self) -> Result<(), PlanError> {
        self.pending = 0;
        self.pending_bytes = 0;
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(self.file.finish()),
            Arc::new(self.row.finish()),
            Arc::new(self.line.finish()),
            Arc::new(self.email.finish()),
            Arc::new(self.id.finish()),
            Arc::new(self.disposition.finish()),
            Arc::new(self.detail.finish()),
        ];
        let cells = std::mem::take(&mut self.cells);
        if let Some(field) = self.schema.fields().get(CELLS) {
            let parts: Vec<&dyn Array> = cells.iter().map(|part| &**part).collect();
            columns.push(match parts.as_slice() {
                [] => new_empty_array(field.data_type()),
                parts => concat(parts).map_err(PlanError::writing(&self.path))?,
            });
        }
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
        if file.schema.fields() != schema(&cells_of(&file.schema)).fields() {
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

/// The target group's columns that a file with this schema keeps.
fn cells_of(schema: &Schema) -> Fields {
    match schema.fields().get(CELLS).map(|field| field.data_type()) {
        Some(DataType::Struct(cells)) => cells.clone(),
        Some(_) | None => Fields::empty(),
    }
}

/// What the rows of a file keep of the target group's columns, in the order of [`ScreenedRows`].
#[derive(Debug)]
pub struct ScreenedCells {
    file: SealedFile,
    next_batch: usize,
    batch: Option<(StructArray, usize)>,
}

impl ScreenedCells {
    /// Opens the file at `path`, as [`ScreenedRows::open`] does.
    pub fn open(path: &Path) -> Result<Self, PlanError> {
        let ScreenedRows { file, .. } = ScreenedRows::open(path)?;
        Ok(Self { file, next_batch: 0, batch: None })
    }

    /// The columns of the next row, and its place in them; nothing where the file keeps none.
    pub fn next_row(&mut self) -> Result<Option<(&StructArray, usize)>, PlanError> {
        if cells_of(&self.file.schema).is_empty() {
            return Ok(None);
        }
        let is_done = self.batch.as_ref().is_none_or(|(cells, next)| *next == cells.len());
        if is_done && self.next_batch < self.file.batches() {
            let records = self.file.batch(self.next_batch)?;
            self.batch = Some((records.column(CELLS).as_struct().clone(), 0));
            self.next_batch += 1;
        }
        let Some((cells, next)) = &mut self.batch else { return Ok(None) };
        if *next == cells.len() {
            return Ok(None);
        }
        *next += 1;
        Ok(Some((cells, *next - 1)))
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
