//! The result files: written under temporary names, synced, then published together.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression as Codec, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use super::columns::{Column, RUN_KEY, VERSION_KEY};
use super::error::ResultsError;
use crate::campaign::{Compression, FileMode};
use crate::kit::file::{self, Draft, Synced};

/// Compressed rows held in memory before they are written.
const ROW_GROUP_ROWS: usize = 100_000;
/// How often a bloom filter says that a row group may hold a text that it does not hold: each costs
/// the search some 100,000 rows of one column. A row takes 10 bits a filter.
const FALSE_POSITIVES: f64 = 0.01;
/// The suffixes of incomplete parts: the present one, and that of version 0.1.0.
const LEFT_OVER: [&str; 2] = [file::UNFINISHED, ".unfinished"];

/// The files of one set of results.
pub(super) struct Parts {
    folder: PathBuf,
    mode: FileMode,
    properties: WriterProperties,
    schema: SchemaRef,
    rows_per_part: u64,
    current: Option<Part>,
    /// Complete, but not yet published.
    finished: Vec<Synced>,
}

struct Part {
    writer: ArrowWriter<File>,
    draft: Draft,
    path: PathBuf,
    rows: u64,
}

pub(super) fn part_name(number: u32) -> String {
    format!("part-{number:05}.parquet")
}

/// The number of a result file, from its name.
pub(super) fn part_number(name: &str) -> Option<u32> {
    name.strip_prefix("part-")?.strip_suffix(".parquet")?.parse().ok()
}

impl Parts {
    pub(super) fn create(
        folder: &Path,
        compression: Compression,
        run_id: &str,
        schema: SchemaRef,
        version: u32,
        rows_per_part: u64,
    ) -> Result<Self, ResultsError> {
        file::create_private_folders(folder).map_err(|error| ResultsError::io("create", folder, error))?;
        let properties = properties(compression, run_id, version);
        Ok(Self {
            folder: folder.to_owned(),
            mode: FileMode::default(),
            properties,
            schema,
            rows_per_part,
            current: None,
            finished: Vec::new(),
        })
    }

    /// The same, readable by others too.
    pub(super) fn readable_by(self, mode: FileMode) -> Self {
        Self { mode, ..self }
    }

    /// Adds a batch, split where a part is full.
    pub(super) fn write(&mut self, mut batch: RecordBatch) -> Result<(), ResultsError> {
        while batch.num_rows() > 0 {
            let part = match &mut self.current {
                Some(part) => part,
                None => {
                    let part = self.open()?;
                    self.current.insert(part)
                }
            };
            let room = usize::try_from(self.rows_per_part - part.rows).unwrap_or(usize::MAX);
            let rows = batch.num_rows().min(room);
            part.writer
                .write(&batch.slice(0, rows))
                .map_err(|error| ResultsError::write(&part.path, error))?;
            part.rows += rows as u64;
            batch = batch.slice(rows, batch.num_rows() - rows);
            if part.rows == self.rows_per_part {
                self.finish_part()?;
            }
        }
        Ok(())
    }

    /// Publishes all parts. Without rows there is one part with only the columns.
    pub(super) fn finish(mut self) -> Result<u32, ResultsError> {
        if self.finished.is_empty() && self.current.is_none() {
            self.current = Some(self.open()?);
        }
        self.finish_part()?;
        let parts = self.finished.len() as u32;
        let failed = |error| ResultsError::io("write", &self.folder, error);
        file::publish_all(self.finished).map_err(failed)?;
        share_folders(&self.folder, self.mode).map_err(failed)?;
        remove_others(&self.folder, parts).map_err(failed)?;
        Ok(parts)
    }

    fn open(&self) -> Result<Part, ResultsError> {
        let path = self.folder.join(part_name(self.finished.len() as u32));
        let create = || {
            let draft = Draft::create(&path)?;
            draft.share(self.mode.bits())?;
            Ok((draft.handle()?, draft))
        };
        let (file, draft) = create().map_err(|error| ResultsError::io("create", &path, error))?;
        let writer = ArrowWriter::try_new(file, Arc::clone(&self.schema), Some(self.properties.clone()))
            .map_err(|error| ResultsError::write(&path, error))?;
        Ok(Part { writer, draft, path, rows: 0 })
    }

    fn finish_part(&mut self) -> Result<(), ResultsError> {
        let Some(Part { writer, draft, path, .. }) = self.current.take() else { return Ok(()) };
        writer.close().map_err(|error| ResultsError::write(&path, error))?;
        self.finished.push(draft.sync().map_err(|error| ResultsError::io("write", &path, error))?);
        Ok(())
    }
}

/// Lets those who can read the results reach them: through the run, its campaign and the folder of
/// the runs. What belongs to somebody else is for that one to share.
fn share_folders(folder: &Path, mode: FileMode) -> io::Result<()> {
    if mode == FileMode::default() {
        return Ok(());
    }
    for folder in folder.ancestors().take(4).filter(|folder| !folder.as_os_str().is_empty()) {
        match file::share_folder(folder, mode.bits()) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
            shared => shared?,
        }
    }
    Ok(())
}

/// Removes surplus parts of earlier results, and what a killed process left behind.
fn remove_others(folder: &Path, parts: u32) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let unfinished = LEFT_OVER.iter().any(|suffix| name.strip_suffix(suffix).is_some_and(is_part));
        if unfinished || part_number(&name).is_some_and(|number| number >= parts) {
            fs::remove_file(entry.path())?;
        }
    }
    file::sync_folder(folder)
}

fn is_part(name: &str) -> bool {
    part_number(name).is_some()
}

fn properties(compression: Compression, run_id: &str, version: u32) -> WriterProperties {
    let codec = match compression {
        Compression::Zstd => Codec::ZSTD(ZstdLevel::try_new(3).expect("3 is a level of zstd")),
        Compression::Snappy => Codec::SNAPPY,
        Compression::None => Codec::UNCOMPRESSED,
    };
    let metadata = vec![
        KeyValue::new(VERSION_KEY.to_owned(), version.to_string()),
        KeyValue::new(RUN_KEY.to_owned(), run_id.to_owned()),
    ];
    let properties = WriterProperties::builder()
        .set_compression(codec)
        .set_created_by(concat!("mailrun ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_key_value_metadata(Some(metadata))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_statistics_enabled(EnabledStatistics::Chunk);
    let properties = Column::ALL
        .into_iter()
        .filter(|column| column.storage().is_distinct)
        .fold(properties, |properties, column| properties.set_column_dictionary_enabled(path(column), false));
    let looked_up = Column::LOOKED_UP.into_iter().fold(properties, |properties, column| {
        properties
            .set_column_bloom_filter_fpp(path(column), FALSE_POSITIVES)
            .set_column_bloom_filter_max_ndv(path(column), ROW_GROUP_ROWS as u64)
    });
    looked_up.build()
}

/// The column's place in the Parquet schema: lists have their values two levels down.
fn path(column: Column) -> ColumnPath {
    let field = column.field();
    let below: &[&str] = if field.data_type().is_nested() { &["list", "item"] } else { &[] };
    ColumnPath::new(
        [field.name()].into_iter().cloned().chain(below.iter().map(|&part| part.to_owned())).collect(),
    )
}
