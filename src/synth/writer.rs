//! Rows of text to a CSV or Parquet file, in batches.

use std::fs::File;
use std::io::{self, BufWriter};
use std::path::Path;
use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::schema::types::ColumnPath;

use super::error::SynthError;
use crate::target_group::BATCH_ROWS;

/// Encoded rows held in memory before they are written.
const ROW_GROUP_ROWS: usize = 100_000;
/// How much is written to the file at once.
const BUFFER_BYTES: usize = 256 << 10;
/// Columns with nearly all values different: a Parquet dictionary of them would be wasted.
const DISTINCT: [&str; 3] = ["customer_id", "email", "token"];

/// Why a row can't be written; [`WriteError::at`] adds the path.
pub(super) enum WriteError {
    Io(io::Error),
    Parquet(ParquetError),
}

impl WriteError {
    pub(super) fn at(self, path: &Path) -> SynthError {
        let path = path.to_owned();
        match self {
            Self::Io(source) => SynthError::Io { path, source },
            Self::Parquet(source) => SynthError::Parquet { path, source },
        }
    }
}

impl From<io::Error> for WriteError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<csv::Error> for WriteError {
    fn from(error: csv::Error) -> Self {
        Self::Io(error.into())
    }
}

impl From<ParquetError> for WriteError {
    fn from(error: ParquetError) -> Self {
        Self::Parquet(error)
    }
}

/// The formats of lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListFormat {
    /// Comma-separated, UTF-8, with a header.
    Csv,
    /// Parquet, every column text.
    Parquet,
}

/// A list that is being written.
pub(super) enum ListWriter {
    Csv { rows: Box<csv::Writer<BufWriter<File>>> },
    Parquet { file: Box<ArrowWriter<File>>, schema: SchemaRef, columns: Vec<StringBuilder>, rows: usize },
}

impl ListWriter {
    pub(super) fn create(file: File, format: ListFormat, header: &[String]) -> Result<Self, WriteError> {
        match format {
            ListFormat::Csv => {
                let file = BufWriter::with_capacity(BUFFER_BYTES, file);
                let mut rows = Box::new(csv::Writer::from_writer(file));
                rows.write_record(header)?;
                Ok(Self::Csv { rows })
            }
            ListFormat::Parquet => {
                let fields: Vec<Field> =
                    header.iter().map(|name| Field::new(name, DataType::Utf8, false)).collect();
                let schema = Arc::new(Schema::new(fields));
                let properties = WriterProperties::builder()
                    .set_compression(Compression::SNAPPY)
                    .set_created_by(concat!("mailrun ", env!("CARGO_PKG_VERSION")).to_owned())
                    .set_max_row_group_row_count(Some(ROW_GROUP_ROWS));
                let properties = DISTINCT.into_iter().fold(properties, |properties, name| {
                    properties.set_column_dictionary_enabled(ColumnPath::from(name), false)
                });
                let file =
                    Box::new(ArrowWriter::try_new(file, Arc::clone(&schema), Some(properties.build()))?);
                let columns = header.iter().map(|_| StringBuilder::new()).collect();
                Ok(Self::Parquet { file, schema, columns, rows: 0 })
            }
        }
    }

    /// Adds a row with a cell for each column.
    pub(super) fn push(&mut self, cells: &[String]) -> Result<(), WriteError> {
        match self {
            Self::Csv { rows } => rows.write_record(cells)?,
            Self::Parquet { file, schema, columns, rows } => {
                for (column, cell) in columns.iter_mut().zip(cells) {
                    column.append_value(cell);
                }
                *rows += 1;
                if *rows == BATCH_ROWS {
                    *rows = 0;
                    file.write(&batch(schema, columns))?;
                }
            }
        }
        Ok(())
    }

    /// Writes the rest.
    pub(super) fn finish(self) -> Result<(), WriteError> {
        match self {
            Self::Csv { mut rows } => rows.flush()?,
            Self::Parquet { mut file, schema, mut columns, .. } => {
                file.write(&batch(&schema, &mut columns))?;
                file.close()?;
            }
        }
        Ok(())
    }
}

/// The rows so far; the columns are empty afterwards.
fn batch(schema: &SchemaRef, columns: &mut [StringBuilder]) -> RecordBatch {
    let arrays = columns.iter_mut().map(|column| Arc::new(column.finish()) as ArrayRef).collect();
    RecordBatch::try_new(Arc::clone(schema), arrays).expect("every column gets a text for each row")
}
