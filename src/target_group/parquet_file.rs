//! One Parquet file: its footer, then its usable columns.

use std::fs::File;
use std::sync::Arc;

use arrow::array::{RecordBatch, new_null_array};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::basic::{Compression, Type as PhysicalType};
use parquet::errors::ParquetError;

use super::assemble::{self, Columns};
use super::convert::{self, Faults};
use super::error::TargetGroupError;
use super::schema::{Given, Unified};
use super::{BATCH_ROWS, Batch, Place, header, types};

/// The footer of a Parquet file.
#[derive(Debug)]
pub(super) struct ParquetFile {
    metadata: ArrowReaderMetadata,
    names: Vec<String>,
}

impl ParquetFile {
    /// Reads the footer.
    pub fn open(file: &File) -> Result<Self, TargetGroupError> {
        let metadata = load(file).map_err(|error| {
            TargetGroupError::new("the Parquet file can't be read: it is damaged or was cut short")
                .hint("copy or write it again")
                .caused_by(error)
        })?;
        let names = header::names(metadata.schema().fields().iter().map(|field| field.name().clone()))?;
        Ok(Self { metadata, names })
    }

    pub fn columns(&self) -> Vec<(String, Given)> {
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
        let position = |name: &String| self.names.iter().position(|other| other == name).filter(usable);
        unified.schema.fields().iter().map(|field| position(field.name())).collect()
    }

    /// An error when a column of the target group is compressed in a way that can't be read here.
    pub fn check_compression(&self, unified: &Unified) -> Result<(), TargetGroupError> {
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
    pub fn read<'a>(
        &self,
        file: File,
        number: usize,
        unified: &'a Unified,
    ) -> Result<ParquetReader<'a>, ParquetError> {
        let sources = self.sources(unified);
        let mut roots: Vec<usize> = sources.iter().flatten().copied().collect();
        roots.sort_unstable();
        let mask = ProjectionMask::roots(self.metadata.parquet_schema(), roots.iter().copied());
        let batches = ParquetRecordBatchReaderBuilder::new_with_metadata(file, self.metadata.clone())
            .with_projection(mask)
            .with_batch_size(BATCH_ROWS)
            .build()?;
        // The projected columns come in the order of the file.
        let projected = |root: usize| roots.binary_search(&root).expect("every source is projected");
        let sources = sources.into_iter().map(|source| source.map(projected)).collect();
        Ok(ParquetReader { batches, number, unified, sources, row: 0 })
    }
}

fn load(file: &File) -> Result<ArrowReaderMetadata, ParquetError> {
    let metadata = ArrowReaderMetadata::load(file, ArrowReaderOptions::new())?;
    let parquet_schema = metadata.parquet_schema();
    let int96 = |name: &str| {
        parquet_schema.root_schema().get_fields().iter().any(|field| {
            field.is_primitive() && field.name() == name && field.get_physical_type() == PhysicalType::INT96
        })
    };
    // Nanoseconds reach from 1677 to 2262 only, and INT96 goes further.
    let micros = |field: &Arc<Field>| match field.data_type() {
        DataType::Timestamp(TimeUnit::Nanosecond, zone) if int96(field.name()) => {
            let data_type = DataType::Timestamp(TimeUnit::Microsecond, zone.clone());
            Arc::new(field.as_ref().clone().with_data_type(data_type))
        }
        _ => field.clone(),
    };
    let fields: Vec<Arc<Field>> = metadata.schema().fields().iter().map(micros).collect();
    if fields.as_slice() == metadata.schema().fields().as_ref() {
        return Ok(metadata);
    }
    let schema = Arc::new(Schema::new_with_metadata(fields, metadata.schema().metadata().clone()));
    ArrowReaderMetadata::try_new(metadata.metadata().clone(), ArrowReaderOptions::new().with_schema(schema))
}

/// The rows of one Parquet file.
pub(super) struct ParquetReader<'a> {
    batches: ParquetRecordBatchReader,
    number: usize,
    unified: &'a Unified,
    /// The projected column of each column of the target group.
    sources: Arc<[Option<usize>]>,
    row: u64,
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
    pub fn next(&mut self) -> Result<Option<RawParquet<'a>>, TargetGroupError> {
        let Some(records) = self.batches.next() else { return Ok(None) };
        let records = records.map_err(|error| {
            TargetGroupError::new(format!("can't read on after row {}: the file is damaged", self.row))
                .hint("copy or write it again")
                .caused_by(error)
        })?;
        let first_row = self.row + 1;
        self.row += records.num_rows() as u64;
        let (number, unified, sources) = (self.number, self.unified, Arc::clone(&self.sources));
        Ok(Some(RawParquet { records, number, unified, sources, first_row }))
    }
}

impl RawParquet<'_> {
    /// Brings the columns into the types of the target group.
    pub fn read(self) -> Result<Batch, TargetGroupError> {
        let Self { records, number, unified, sources, first_row } = self;
        let rows = records.num_rows();
        let mut faults = Faults::new();
        let mut arrays = Vec::with_capacity(sources.len());
        for (field, source) in unified.schema.fields().iter().zip(sources.iter()) {
            arrays.push(match source {
                Some(source) => {
                    convert::cast(records.column(*source), field.data_type(), field.name(), &mut faults)
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
