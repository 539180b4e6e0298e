//! A Parquet file with any columns, published when complete: for lists other than results.

use std::fs::File;
use std::io;
use std::path::Path;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use crate::campaign::FileMode;
use crate::kit::file::Draft;

/// A file that is being written.
pub struct TableWriter {
    writer: ArrowWriter<File>,
    draft: Draft,
}

impl TableWriter {
    /// Starts the file at `path`.
    pub fn create(path: &Path, schema: SchemaRef) -> Result<Self, ParquetError> {
        let compression = Compression::ZSTD(ZstdLevel::default());
        let properties = WriterProperties::builder().set_compression(compression).build();
        let draft = Draft::create(path)?;
        let writer = ArrowWriter::try_new(draft.handle()?, schema, Some(properties))?;
        Ok(Self { writer, draft })
    }

    /// Adds rows.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), ParquetError> {
        self.writer.write(batch)
    }

    /// Lets others read the file, as `mode` says.
    pub fn share(&self, mode: FileMode) -> io::Result<()> {
        self.draft.share(mode.bits())
    }

    /// Publishes the file.
    pub fn finish(self) -> Result<(), ParquetError> {
        self.writer.close()?;
        Ok(self.draft.publish()?)
    }
}
