//! One Parquet file: its footer, then its usable columns.
//!
//! Memory is bounded by bytes, as for CSV: a small file may hold any amount of text. Text is read
//! as views into its pages, so that a value that a dictionary repeats is in memory once; the sizes
//! of pages decide how many rows are read at once; and rows become a batch of a few megabytes at a
//! time.

use std::collections::HashMap;
use std::fs::File;
use std::ops::Range;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch, StringViewArray, new_null_array};
use arrow_schema::{DataType, Field, Schema, TimeUnit};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::basic::{Compression, Type as PhysicalType};
use parquet::errors::ParquetError;
use parquet::file::metadata::ColumnChunkMetaData;

use super::assemble::{self, Columns};
use super::batch::{BATCH_BYTES, BATCH_ROWS, Batch, LONGEST_CELL, Place};
use super::convert::{self, Faults};
use super::error::TargetGroupError;
use super::parquet_pages;
use super::schema::{Given, Unified};
use super::{header, types};

/// A larger page is refused: the reader takes it whole. Writers end a page after about a megabyte,
/// or after one value.
const LARGEST_PAGE: u64 = 64 * 1024 * 1024;
/// Pages of smaller column chunks are not checked.
const SMALL_CHUNK: i64 = 1024 * 1024;
/// About this many bytes are read at once.
const READ_BYTES: u64 = 16 * 1024 * 1024;

/// The footer of a Parquet file.
#[derive(Debug)]
pub(super) struct ParquetFile {
    metadata: ArrowReaderMetadata,
    names: Vec<String>,
}

impl ParquetFile {
    /// Reads the footer.
    pub(super) fn open(file: &File) -> Result<Self, TargetGroupError> {
        let metadata = load(file).map_err(|error| {
            TargetGroupError::new("the Parquet file can't be read: it is damaged or was cut short")
                .hint("copy or write it again")
                .caused_by(error)
        })?;
        let names = header::names(metadata.schema().fields().iter().map(|field| field.name().clone()))?;
        Ok(Self { metadata, names })
    }

    pub(super) fn columns(&self) -> Vec<(String, Given)> {
        let given = |field: &Arc<Field>| match types::usable(field.data_type()) {
            Some(usable) => Given::Typed(usable),
            None => Given::Unusable(field.data_type().clone()),
        };
        self.names.iter().cloned().zip(self.metadata.schema().fields().iter().map(given)).collect()
    }

    /// The fields of the target group's columns.
    fn sources(&self, unified: &Unified) -> Vec<Option<usize>> {
        let usable =
            |index: &usize| types::usable(self.metadata.schema().field(*index).data_type()).is_some();
        let positions: HashMap<&str, usize> =
            self.names.iter().enumerate().map(|(index, name)| (name.as_str(), index)).collect();
        let position = |name: &String| positions.get(name.as_str()).copied().filter(usable);
        unified.schema.fields().iter().map(|field| position(field.name())).collect()
    }

    /// Fails if a column of the target group uses a compression that can't be read.
    pub(super) fn check_compression(&self, unified: &Unified) -> Result<(), TargetGroupError> {
        let sources = self.sources(unified);
        let parquet_schema = self.metadata.parquet_schema();
        for group in self.metadata.metadata().row_groups() {
            for (leaf, chunk) in group.columns().iter().enumerate() {
                let root = parquet_schema.get_column_root_idx(leaf);
                let refused = matches!(chunk.compression(), Compression::BROTLI(_) | Compression::LZO);
                if refused && sources.contains(&Some(root)) {
                    let name = &self.names[root];
                    return Err(TargetGroupError::new(format!(
                        "column `{name}` is compressed with {}, which can't be read",
                        chunk.compression()
                    ))
                    .at_column(name)
                    .hint("write it with zstd or snappy"));
                }
            }
        }
        Ok(())
    }

    /// Its rows; `file` is the one that was opened, `number` its place in the target group.
    pub(super) fn read<'a>(
        &self,
        file: File,
        number: usize,
        unified: &'a Unified,
    ) -> Result<ParquetReader<'a>, ParquetError> {
        let sources = self.sources(unified);
        let mut roots: Vec<usize> = sources.iter().flatten().copied().collect();
        roots.sort_unstable();
        let mask = ProjectionMask::roots(self.metadata.parquet_schema(), roots.iter().copied());
        let rows = self.rows_at_once(&file, &roots);
        let batches = ParquetRecordBatchReaderBuilder::new_with_metadata(file, self.metadata.clone())
            .with_projection(mask)
            .with_batch_size(rows)
            .build()?;
        // Projected columns come in file order.
        let projected = |root: usize| roots.binary_search(&root).expect("every source is projected");
        let sources = sources.into_iter().map(|source| source.map(projected)).collect();
        Ok(ParquetReader { batches, number, unified, sources, row: 0, rest: None })
    }

    /// Fails if a page of the target group's columns is too large to read.
    pub(super) fn check_pages(&self, file: &File, unified: &Unified) -> Result<(), TargetGroupError> {
        let sources = self.sources(unified);
        let roots: Vec<usize> = sources.iter().flatten().copied().collect();
        for chunk in self.large_chunks(&roots) {
            // Pages that can't be read here are reported when their rows are read.
            let Ok(pages) = parquet_pages::pages(file, chunk.metadata) else { continue };
            let mut row = chunk.first_row;
            for page in pages {
                if page.bytes > LARGEST_PAGE {
                    let name = &self.names[chunk.root];
                    let place = if page.is_dictionary {
                        format!("the dictionary of the rows from {row} on")
                    } else {
                        format!("the page of the rows from about {row} on")
                    };
                    return Err(TargetGroupError::new(format!(
                        "column `{name}`: {place} takes {} MB, more than the {} MB that are read at once",
                        page.bytes / 1_000_000,
                        LARGEST_PAGE / 1_000_000
                    ))
                    .at_column(name)
                    .hint("no mail needs a value of this size: leave it out, or write the file with smaller pages"));
                }
                row += if page.is_dictionary { 0 } else { page.values };
            }
        }
        Ok(())
    }

    /// How many rows are read at once, so that they take about [`READ_BYTES`].
    fn rows_at_once(&self, file: &File, roots: &[usize]) -> usize {
        let mut most_a_row = 1;
        for chunk in self.large_chunks(roots) {
            let Ok(pages) = parquet_pages::pages(file, chunk.metadata) else { continue };
            let data = pages.iter().filter(|page| !page.is_dictionary && page.values > 0);
            most_a_row = data.map(|page| page.bytes / page.values).max().unwrap_or(0).max(most_a_row);
        }
        usize::try_from(READ_BYTES / most_a_row).unwrap_or(BATCH_ROWS).clamp(1, BATCH_ROWS)
    }

    /// The column chunks of these columns that are no small ones.
    fn large_chunks<'a>(&'a self, roots: &'a [usize]) -> impl Iterator<Item = LargeChunk<'a>> {
        let parquet_schema = self.metadata.parquet_schema();
        let mut before = 1;
        self.metadata.metadata().row_groups().iter().flat_map(move |group| {
            let first_row = before;
            before += u64::try_from(group.num_rows()).unwrap_or(0);
            group.columns().iter().enumerate().filter_map(move |(leaf, metadata)| {
                let root = parquet_schema.get_column_root_idx(leaf);
                let is_large = metadata.uncompressed_size() > SMALL_CHUNK && roots.contains(&root);
                is_large.then_some(LargeChunk { root, first_row, metadata })
            })
        })
    }
}

/// A column chunk that may hold large pages.
struct LargeChunk<'a> {
    /// Its column of the file.
    root: usize,
    /// Its first row, from 1.
    first_row: u64,
    metadata: &'a ColumnChunkMetaData,
}

fn load(file: &File) -> Result<ArrowReaderMetadata, ParquetError> {
    let metadata = ArrowReaderMetadata::load(file, ArrowReaderOptions::new())?;
    let parquet_schema = metadata.parquet_schema();
    let int96 = |name: &str| {
        parquet_schema.root_schema().get_fields().iter().any(|field| {
            field.is_primitive() && field.name() == name && field.get_physical_type() == PhysicalType::INT96
        })
    };
    let read_as = |field: &Arc<Field>| match field.data_type() {
        // Nanoseconds reach from 1677 to 2262 only, and INT96 goes further.
        DataType::Timestamp(TimeUnit::Nanosecond, zone) if int96(field.name()) => {
            let data_type = DataType::Timestamp(TimeUnit::Microsecond, zone.clone());
            Arc::new(field.as_ref().clone().with_data_type(data_type))
        }
        _ => viewed(field),
    };
    let fields: Vec<Arc<Field>> = metadata.schema().fields().iter().map(read_as).collect();
    if fields.as_slice() == metadata.schema().fields().as_ref() {
        return Ok(metadata);
    }
    let schema = Arc::new(Schema::new_with_metadata(fields, metadata.schema().metadata().clone()));
    ArrowReaderMetadata::try_new(metadata.metadata().clone(), ArrowReaderOptions::new().with_schema(schema))
}

/// Text as views into its pages, in lists and structs too.
fn viewed(field: &Arc<Field>) -> Arc<Field> {
    let data_type = match field.data_type() {
        DataType::Utf8 | DataType::LargeUtf8 => DataType::Utf8View,
        DataType::List(item) => DataType::List(viewed(item)),
        DataType::LargeList(item) => DataType::LargeList(viewed(item)),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(viewed).collect()),
        _ => return Arc::clone(field),
    };
    Arc::new(field.as_ref().clone().with_data_type(data_type))
}

/// The rows of one Parquet file.
pub(super) struct ParquetReader<'a> {
    batches: ParquetRecordBatchReader,
    number: usize,
    unified: &'a Unified,
    /// The projected column of each column of the target group.
    sources: Arc<[Option<usize>]>,
    row: u64,
    /// Records that were read and not yet returned.
    rest: Option<RecordBatch>,
}

/// Records of a Parquet file, in its own columns.
pub(super) struct RawParquet<'a> {
    records: RecordBatch,
    number: usize,
    unified: &'a Unified,
    sources: Arc<[Option<usize>]>,
    first_row: u64,
}

impl<'a> ParquetReader<'a> {
    /// The next rows; none at the end.
    pub(super) fn next(&mut self) -> Result<Option<RawParquet<'a>>, TargetGroupError> {
        let records = match self.rest.take() {
            Some(rest) => rest,
            None => match self.batches.next() {
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
        Ok(Some(RawParquet { records, number, unified, sources, first_row }))
    }
}

/// How many of these records make a batch: no more text than [`BATCH_BYTES`], but at least one.
fn rows_of_a_batch(records: &RecordBatch) -> usize {
    let columns = records.columns();
    // Usually all of it is small.
    if columns.iter().map(|column| text_bytes(column, 0..column.len())).sum::<usize>() <= BATCH_BYTES {
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

impl RawParquet<'_> {
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
