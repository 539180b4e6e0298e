//! Reads result files back, all columns or some.

use std::borrow::Cow;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{ArrowPrimitiveType, TimestampMicrosecondType};
use arrow_array::{
    Array, ArrayRef, GenericListArray, Int16Array, PrimitiveArray, RecordBatch, StringArray, UInt16Array,
    UInt32Array, UInt64Array,
};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use super::batch::BATCH_ROWS;
use super::error::ResultsError;
use super::parts::part_number;
use super::row::{Fate, InputRow, ResultRow};
use super::schema::{Column, RUN_KEY, SCHEMA_VERSION, VERSION_KEY};
use crate::mail::{Disposition, Timestamp};

/// The result files of one run.
#[derive(Debug)]
pub struct ResultFiles {
    files: Vec<PathBuf>,
    run_id: String,
}

impl ResultFiles {
    /// The result files in `folder`, checked to be ours.
    pub fn open(folder: &Path) -> Result<Self, ResultsError> {
        let missing = || ResultsError::Missing(folder.to_owned());
        let mut numbered = Vec::new();
        for entry in fs::read_dir(folder).map_err(|_| missing())? {
            let path = entry.map_err(|error| ResultsError::io("read", folder, error))?.path();
            if let Some(number) = path.file_name().and_then(|name| part_number(name.to_str()?)) {
                numbered.push((number, path));
            }
        }
        numbered.sort();
        let files: Vec<PathBuf> = numbered.into_iter().map(|(_, path)| path).collect();
        let run_id = check(files.first().ok_or_else(missing)?)?.1;
        for file in &files[1..] {
            check(file)?;
        }
        Ok(Self { files, run_id })
    }

    /// The run that they belong to.
    pub fn run_id(&self) -> &str {
        &self.run_id
    }

    /// All rows in the order of the input, with `columns` only: the fields of the others are empty.
    /// (`disposition` without its column is `not_attempted`.)
    pub fn rows<'a>(
        &'a self,
        columns: &'a [Column],
    ) -> impl Iterator<Item = Result<ResultRow<'static>, ResultsError>> + 'a {
        self.files.iter().flat_map(move |path| {
            let (failed, batches) = match batches(path, columns) {
                Ok(batches) => (None, Some(batches)),
                Err(error) => (Some(Err(error)), None),
            };
            failed.into_iter().chain(batches.into_iter().flatten().flat_map(move |batch| {
                let (failed, rows) = match batch {
                    Ok(batch) => (None, Some(rows(&batch, path))),
                    Err(source) => (
                        Some(Err(ResultsError::NotResults { path: path.clone(), source: source.into() })),
                        None,
                    ),
                };
                failed.into_iter().chain(rows.into_iter().flatten())
            }))
        })
    }
}

type Builder = ParquetRecordBatchReaderBuilder<File>;

/// A file that is Parquet, has our schema and a version that is known; and its run's id.
fn check(path: &Path) -> Result<(Builder, String), ResultsError> {
    let file = File::open(path).map_err(|error| ResultsError::io("read", path, error))?;
    let builder = Builder::try_new(file)
        .map_err(|source| ResultsError::NotResults { path: path.to_owned(), source })?;
    let metadata = |key: &str| {
        let pairs = builder.metadata().file_metadata().key_value_metadata()?;
        pairs.iter().find(|pair| pair.key == key)?.value.clone()
    };
    let columns = |why: &str| ResultsError::Columns { path: path.to_owned(), why: why.to_owned() };
    let found = metadata(VERSION_KEY).ok_or_else(|| columns("its metadata has no `mailrun.schema`"))?;
    if found.parse::<u32>().ok().is_none_or(|version| version > SCHEMA_VERSION) {
        return Err(ResultsError::Newer { path: path.to_owned(), found, known: SCHEMA_VERSION });
    }
    let run_id = metadata(RUN_KEY).unwrap_or_default();
    for column in Column::ALL {
        let expected = column.field();
        match builder.schema().field_with_name(column.name()) {
            Ok(field) if field.data_type() == expected.data_type() => {}
            Ok(field) => {
                let (name, found) = (column.name(), field.data_type());
                return Err(columns(&format!("column `{name}` is {found}, not {}", expected.data_type())));
            }
            Err(_) if column.is_late() => {}
            Err(_) => return Err(columns(&format!("column `{}` is missing", column.name()))),
        }
    }
    Ok((builder, run_id))
}

fn batches(path: &Path, columns: &[Column]) -> Result<ParquetRecordBatchReader, ResultsError> {
    let (builder, _) = check(path)?;
    let schema = builder.schema();
    let roots: Vec<usize> = columns.iter().filter_map(|column| schema.index_of(column.name()).ok()).collect();
    let mask = ProjectionMask::roots(builder.parquet_schema(), roots);
    builder
        .with_projection(mask)
        .with_batch_size(BATCH_ROWS)
        .build()
        .map_err(|source| ResultsError::NotResults { path: path.to_owned(), source })
}

/// The columns of a batch that were asked for.
struct Columns {
    rows: usize,
    path: PathBuf,
    columns: Vec<Option<ArrayRef>>,
}

fn rows(
    batch: &RecordBatch,
    path: &Path,
) -> impl Iterator<Item = Result<ResultRow<'static>, ResultsError>> + use<> {
    let columns = Columns {
        rows: batch.num_rows(),
        path: path.to_owned(),
        columns: Column::ALL.map(|column| batch.column_by_name(column.name()).map(Arc::clone)).to_vec(),
    };
    (0..columns.rows).map(move |at| columns.row(at))
}

impl Columns {
    fn array<T: Array + 'static>(&self, column: Column) -> Option<&T> {
        self.columns[column as usize].as_ref()?.as_any().downcast_ref()
    }

    fn text(&self, column: Column, at: usize) -> Option<Cow<'static, str>> {
        let array: &StringArray = self.array(column)?;
        array.is_valid(at).then(|| Cow::Owned(array.value(at).to_owned()))
    }

    fn number<T: ArrowPrimitiveType>(&self, column: Column, at: usize) -> Option<T::Native> {
        let array: &PrimitiveArray<T> = self.array(column)?;
        array.is_valid(at).then(|| array.value(at))
    }

    fn moment(&self, column: Column, at: usize) -> Option<Timestamp> {
        self.number::<TimestampMicrosecondType>(column, at).map(Timestamp)
    }

    /// A value that has a text of its own kind.
    fn parsed<T: std::str::FromStr>(&self, column: Column, at: usize) -> Result<Option<T>, ResultsError> {
        let Some(text) = self.array::<StringArray>(column).filter(|array| array.is_valid(at)) else {
            return Ok(None);
        };
        let text = text.value(at);
        text.parse().map(Some).map_err(|_| ResultsError::Columns {
            path: self.path.clone(),
            why: format!("column `{}` holds `{text}`", column.name()),
        })
    }

    fn moments(&self, column: Column, at: usize) -> Vec<Timestamp> {
        let Some(list) = self.array::<GenericListArray<i32>>(column) else { return Vec::new() };
        let values = list.value(at);
        values.as_primitive::<TimestampMicrosecondType>().values().iter().map(|&at| Timestamp(at)).collect()
    }

    fn row(&self, at: usize) -> Result<ResultRow<'static>, ResultsError> {
        let empty = InputRow {
            file: "",
            row: 0,
            email: None,
            domain: None,
            id: None,
            fate: Fate::Screened { disposition: Disposition::NotAttempted, detail: None },
        };
        let number =
            |column| self.array::<UInt64Array>(column).filter(|a| a.is_valid(at)).map(|a| a.value(at));
        let code = self.array::<Int16Array>(Column::SmtpCode).filter(|a| a.is_valid(at)).map(|a| a.value(at));
        Ok(ResultRow {
            row: number(Column::Row).unwrap_or(0),
            source_file: self.text(Column::SourceFile, at).unwrap_or_default(),
            recipient_id: self.text(Column::RecipientId, at),
            email: self.text(Column::Email, at),
            domain: self.text(Column::Domain, at),
            message_id: self.text(Column::MessageId, at),
            class: self.parsed(Column::Class, at)?,
            smtp_code: code.and_then(|code| u16::try_from(code).ok()),
            enhanced_status: self.parsed(Column::EnhancedStatus, at)?,
            reply: self.text(Column::Reply, at),
            remote_host: self.text(Column::RemoteHost, at),
            remote_ip: self.parsed(Column::RemoteIp, at)?,
            local_ip: self.parsed(Column::LocalIp, at)?,
            tls: self.text(Column::Tls, at),
            attempts: self.array::<UInt16Array>(Column::Attempts).map_or(0, |array| array.value(at)),
            first_attempt_at: self.moment(Column::FirstAttemptAt, at),
            last_attempt_at: self.moment(Column::LastAttemptAt, at),
            latency_us: number(Column::LatencyUs),
            bytes: self.array::<UInt32Array>(Column::Bytes).filter(|a| a.is_valid(at)).map(|a| a.value(at)),
            slot: self.moment(Column::Slot, at),
            detail: self.text(Column::Detail, at),
            attempts_at: self.moments(Column::AttemptsAt, at),
            archive: self.text(Column::Archive, at),
            ..ResultRow::new(
                &empty,
                self.parsed(Column::Disposition, at)?.unwrap_or(Disposition::NotAttempted),
            )
        })
    }
}
