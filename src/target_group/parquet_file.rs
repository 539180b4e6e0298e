//! One Parquet file: its footer, then its usable columns.
//!
//! Memory is bounded by bytes, as for CSV: a small file may hold any amount of text. Text is read
//! as views into its pages, so that a value that a dictionary repeats is in memory once; the sizes
//! of pages decide how many rows are read at once; and rows become a batch of a few megabytes at a
//! time.

use std::collections::HashSet;
use std::fs::File;
use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, TimeUnit};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use parquet::basic::{Compression, Type as PhysicalType};
use parquet::errors::ParquetError;
use parquet::file::metadata::ColumnChunkMetaData;

use super::batch::BATCH_ROWS;
use super::error::TargetGroupError;
use super::schema::{Given, Unified};
use super::typed::{self, TypedReader};
use super::{header, parquet_pages};

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
        typed::columns(self.metadata.schema(), &self.names)
    }

    /// The fields of the target group's columns.
    fn sources(&self, unified: &Unified) -> Vec<Option<usize>> {
        typed::sources(self.metadata.schema(), &self.names, unified)
    }

    /// Fails if a column of the target group uses a compression that can't be read.
    pub(super) fn check_compression(&self, unified: &Unified) -> Result<(), TargetGroupError> {
        let sources: HashSet<usize> = self.sources(unified).into_iter().flatten().collect();
        let parquet_schema = self.metadata.parquet_schema();
        for group in self.metadata.metadata().row_groups() {
            for (leaf, chunk) in group.columns().iter().enumerate() {
                let root = parquet_schema.get_column_root_idx(leaf);
                let refused = matches!(chunk.compression(), Compression::BROTLI(_) | Compression::LZO);
                if refused && sources.contains(&root) {
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
    ) -> Result<TypedReader<'a>, ParquetError> {
        let (roots, sources) = typed::projected(&self.sources(unified));
        let mask = ProjectionMask::roots(self.metadata.parquet_schema(), roots.iter().copied());
        let rows = self.rows_at_once(&file, &roots);
        // Projected columns come in file order.
        let batches = ParquetRecordBatchReaderBuilder::new_with_metadata(file, self.metadata.clone())
            .with_projection(mask)
            .with_batch_size(rows)
            .build()?;
        Ok(TypedReader::new(Box::new(batches), number, unified, sources))
    }

    /// Fails if a page of the target group's columns is too large to read.
    pub(super) fn check_pages(&self, file: &File, unified: &Unified) -> Result<(), TargetGroupError> {
        let (roots, _) = typed::projected(&self.sources(unified));
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

    /// The column chunks of these columns, in ascending order, that are no small ones.
    fn large_chunks<'a>(&'a self, roots: &'a [usize]) -> impl Iterator<Item = LargeChunk<'a>> {
        let parquet_schema = self.metadata.parquet_schema();
        let mut before = 1;
        self.metadata.metadata().row_groups().iter().flat_map(move |group| {
            let first_row = before;
            before += u64::try_from(group.num_rows()).unwrap_or(0);
            group.columns().iter().enumerate().filter_map(move |(leaf, metadata)| {
                let root = parquet_schema.get_column_root_idx(leaf);
                let is_large =
                    metadata.uncompressed_size() > SMALL_CHUNK && roots.binary_search(&root).is_ok();
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
    // A file may have a hundred thousand columns: they are looked up, not searched.
    let int96: HashSet<&str> = (parquet_schema.root_schema().get_fields().iter())
        .filter(|field| field.is_primitive() && field.get_physical_type() == PhysicalType::INT96)
        .map(|field| field.name())
        .collect();
    let read_as = |field: &Arc<Field>| match field.data_type() {
        // Nanoseconds reach from 1677 to 2262 only, and INT96 goes further.
        DataType::Timestamp(TimeUnit::Nanosecond, zone) if int96.contains(field.name().as_str()) => {
            let data_type = DataType::Timestamp(TimeUnit::Microsecond, zone.clone());
            Arc::new(field.as_ref().clone().with_data_type(data_type))
        }
        _ => typed::viewed(field),
    };
    let fields: Vec<Arc<Field>> = metadata.schema().fields().iter().map(read_as).collect();
    if fields.as_slice() == metadata.schema().fields().as_ref() {
        return Ok(metadata);
    }
    let schema = Arc::new(Schema::new_with_metadata(fields, metadata.schema().metadata().clone()));
    ArrowReaderMetadata::try_new(metadata.metadata().clone(), ArrowReaderOptions::new().with_schema(schema))
}
