//! Records of files whose columns have types, Parquet and Arrow, as batches of the target group.
//!
//! Text comes as views into what was read, so that a value that a dictionary repeats is in memory
//! once, and rows become a batch of a few megabytes at a time.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch, StringViewArray, new_null_array};
use arrow_schema::{ArrowError, DataType, Field, Schema};

use super::assemble::{self, Columns};
use super::batch::{BATCH_BYTES, BATCH_ROWS, Batch, LONGEST_CELL, Place};
use super::convert::{self, Faults};
use super::error::TargetGroupError;
use super::schema::{Given, Unified};
use super::types;

/// The columns of a file with such a schema, called `names`.
pub(super) fn columns(schema: &Schema, names: &[String]) -> Vec<(String, Given)> {
    let given = |field: &Arc<Field>| match types::usable_column(field.data_type()) {
        Some(usable) => Given::Typed(usable),
        None => Given::Unusable(field.data_type().clone()),
    };
    names.iter().cloned().zip(schema.fields().iter().map(given)).collect()
}

/// The field of the file for each column of the target group.
pub(super) fn sources(schema: &Schema, names: &[String], unified: &Unified) -> Vec<Option<usize>> {
    let usable = |index: &usize| types::usable_column(schema.field(*index).data_type()).is_some();
    let positions: HashMap<&str, usize> =
        names.iter().enumerate().map(|(index, name)| (name.as_str(), index)).collect();
    let position = |name: &String| positions.get(name.as_str()).copied().filter(usable);
    unified.schema.fields().iter().map(|field| position(field.name())).collect()
}

/// Fields of a file, in its order, and which of them each column of the target group comes from.
pub(super) fn projected(sources: &[Option<usize>]) -> (Vec<usize>, Arc<[Option<usize>]>) {
    let mut roots: Vec<usize> = sources.iter().flatten().copied().collect();
    roots.sort_unstable();
    let place = |root: usize| roots.binary_search(&root).expect("every source is projected");
    let sources = sources.iter().map(|source| source.map(place)).collect();
    (roots, sources)
}

/// Text as views into its pages, in lists and structs too.
pub(super) fn viewed(field: &Arc<Field>) -> Arc<Field> {
    let data_type = match field.data_type() {
        DataType::Utf8 | DataType::LargeUtf8 => DataType::Utf8View,
        // The values of a dictionary are in memory once as views, too.
        DataType::Dictionary(_, values) if values.is_string() => DataType::Utf8View,
        DataType::List(item) => DataType::List(viewed(item)),
        DataType::LargeList(item) => DataType::LargeList(viewed(item)),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(viewed).collect()),
        DataType::Map(entries, sorted) => DataType::Map(viewed(entries), *sorted),
        _ => return Arc::clone(field),
    };
    Arc::new(field.as_ref().clone().with_data_type(data_type))
}

/// What reads the records of one file.
type Records = Box<dyn Iterator<Item = Result<RecordBatch, ArrowError>> + Send>;

/// The rows of one file.
pub(super) struct TypedReader<'a> {
    records: Records,
    number: usize,
    unified: &'a Unified,
    /// The projected field of each column of the target group.
    sources: Arc<[Option<usize>]>,
    row: u64,
    /// Records that were read and not yet returned.
    rest: Option<RecordBatch>,
}

/// Records of a file, in its own columns.
pub(super) struct RawTyped<'a> {
    records: RecordBatch,
    number: usize,
    unified: &'a Unified,
    sources: Arc<[Option<usize>]>,
    first_row: u64,
}

impl<'a> TypedReader<'a> {
    /// Reads `records`, which hold the fields that `sources` count; `number` is the file's place in
    /// the target group.
    pub(super) fn new(
        records: Records,
        number: usize,
        unified: &'a Unified,
        sources: Arc<[Option<usize>]>,
    ) -> Self {
        Self { records, number, unified, sources, row: 0, rest: None }
    }

    /// The next rows; none at the end.
    pub(super) fn next(&mut self) -> Result<Option<RawTyped<'a>>, TargetGroupError> {
        let records = match self.rest.take() {
            Some(rest) => rest,
            None => match self.records.next() {
                Some(records) => records.map_err(|error| {
                    TargetGroupError::new(format!(
                        "can't read on after row {}: the file is damaged",
                        self.row
                    ))
                    .hint("copy or write it again")
                    .caused_by(error)
                })?,
                None => return Ok(None),
            },
        };
        let rows = rows_of_a_batch(&records);
        if rows < records.num_rows() {
            self.rest = Some(records.slice(rows, records.num_rows() - rows));
        }
        let records = records.slice(0, rows);
        let first_row = self.row + 1;
        self.row += records.num_rows() as u64;
        let (number, unified, sources) = (self.number, self.unified, Arc::clone(&self.sources));
        Ok(Some(RawTyped { records, number, unified, sources, first_row }))
    }
}

/// How many of these records make a batch: no more than [`BATCH_ROWS`], with no more text than
/// [`BATCH_BYTES`], but at least one.
fn rows_of_a_batch(records: &RecordBatch) -> usize {
    let columns = records.columns();
    let records = records.slice(0, records.num_rows().min(BATCH_ROWS));
    // Usually all of it is small.
    if columns.iter().map(|column| text_bytes(column, 0..records.num_rows())).sum::<usize>() <= BATCH_BYTES {
        return records.num_rows();
    }
    let mut bytes = 0;
    for row in 0..records.num_rows() {
        bytes += columns.iter().map(|column| text_bytes(column, row..row + 1)).sum::<usize>();
        if bytes > BATCH_BYTES {
            return row.max(1);
        }
    }
    records.num_rows()
}

/// The bytes of text in these rows of a column, those of lists and structs included; a cell that is
/// too long counts as nothing, since its row is unreadable.
fn text_bytes(column: &ArrayRef, rows: Range<usize>) -> usize {
    match column.data_type() {
        DataType::Utf8View => {
            let lengths = column.as_string_view().views()[rows].iter().map(|view| *view as u32 as usize);
            lengths.filter(|length| *length <= LONGEST_CELL).sum()
        }
        DataType::List(_) => {
            let (list, offsets) = (column.as_list::<i32>(), column.as_list::<i32>().value_offsets());
            text_bytes(list.values(), offsets[rows.start] as usize..offsets[rows.end] as usize)
        }
        DataType::Map(..) => {
            let (map, offsets) = (column.as_map(), column.as_map().value_offsets());
            let range = offsets[rows.start] as usize..offsets[rows.end] as usize;
            map.entries().columns().iter().map(|field| text_bytes(field, range.clone())).sum()
        }
        DataType::Struct(_) => {
            column.as_struct().columns().iter().map(|field| text_bytes(field, rows.clone())).sum()
        }
        _ => 0,
    }
}

/// The values, without those that are too long: their rows are unreadable.
fn within_limit(column: &ArrayRef, name: &str, faults: &mut Faults) -> Option<ArrayRef> {
    let text = column.as_string_view_opt()?;
    let too_long = |view: &u128| *view as u32 as usize > LONGEST_CELL;
    if !text.views().iter().any(too_long) {
        return None;
    }
    for (index, _) in text.views().iter().enumerate().filter(|(_, view)| too_long(view)) {
        if text.is_valid(index) {
            faults.entry(index).or_insert_with(|| {
                let bytes = text.value(index).len();
                format!("column `{name}` holds {bytes} bytes, more than {LONGEST_CELL}")
            });
        }
    }
    let kept = text.iter().map(|value| value.filter(|value| value.len() <= LONGEST_CELL));
    Some(Arc::new(kept.collect::<StringViewArray>()))
}

impl RawTyped<'_> {
    /// Converts the columns to the types of the target group.
    pub(super) fn read(self) -> Result<Batch, TargetGroupError> {
        let Self { records, number, unified, sources, first_row } = self;
        let rows = records.num_rows();
        let mut faults = Faults::new();
        let mut arrays = Vec::with_capacity(sources.len());
        for (field, source) in unified.schema.fields().iter().zip(sources.iter()) {
            arrays.push(match source {
                Some(source) => {
                    let column = records.column(*source);
                    let short = within_limit(column, field.name(), &mut faults);
                    let column = short.as_ref().unwrap_or(column);
                    convert::cast(column, field.data_type(), field.name(), &mut faults)
                        .map_err(|error| assemble::failed(field.name(), error))?
                }
                None => new_null_array(field.data_type(), rows),
            });
        }
        let places = (first_row..first_row + rows as u64).map(|row| Place { row, line: None }).collect();
        let columns = Columns { arrays, places, faults, unreadable: Vec::new() };
        assemble::batch(unified, number, columns)
    }
}
