//! A Parquet file of any columns, in its place when it is whole: for lists that are not results.

use std::fs::File;
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

/// A file that is being written beside its place.
pub struct TableWriter {
    writer: ArrowWriter<File>,
    unfinished: PathBuf,
    path: PathBuf,
}

impl TableWriter {
    /// Begins the file at `path`.
    pub fn create(path: &Path, schema: SchemaRef) -> Result<Self, ParquetError> {
        let mut unfinished = path.as_os_str().to_owned();
        unfinished.push(".new");
        let unfinished = PathBuf::from(unfinished);
        let compression = Compression::ZSTD(ZstdLevel::default());
        let properties = WriterProperties::builder().set_compression(compression).build();
        let writer = ArrowWriter::try_new(File::create(&unfinished)?, schema, Some(properties))?;
        Ok(Self { writer, unfinished, path: path.to_owned() })
    }

    /// Adds rows.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), ParquetError> {
        self.writer.write(batch)
    }

    /// Puts the file in its place.
    pub fn finish(self) -> Result<(), ParquetError> {
        self.writer.into_inner()?.sync_all()?;
        Ok(std::fs::rename(&self.unfinished, &self.path)?)
    }
}
