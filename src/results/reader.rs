//! Reads result files back, all columns or some.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch};
use arrow_cast::{can_cast_types, cast};
use arrow_schema::{DataType, SchemaRef};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use super::batch::BATCH_ROWS;
use super::columns::{Column, RUN_KEY, ResultRow, SCHEMA_VERSION, VERSION_KEY};
use super::error::ResultsError;
use super::parts::part_number;

/// The result files of one run.
#[derive(Debug)]
pub struct ResultFiles {
    files: Vec<PathBuf>,
    run_id: String,
}

impl ResultFiles {
    /// Opens and checks the result files in `folder`.
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

    /// How many there are.
    pub fn count(&self) -> u32 {
        u32::try_from(self.files.len()).unwrap_or(u32::MAX)
    }

    /// The files in their order.
    pub(super) fn paths(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(PathBuf::as_path)
    }

    /// The run that they belong to.
    pub fn run_id(&self) -> &str {
        &self.run_id
    }

    /// The columns, those that are passed through too.
    pub fn schema(&self) -> Result<SchemaRef, ResultsError> {
        Ok(check(&self.files[0])?.0.schema().clone())
    }

    /// All rows in input order, with all columns.
    pub fn batches(&self) -> impl Iterator<Item = Result<RecordBatch, ResultsError>> + '_ {
        self.files.iter().flat_map(|path| {
            let failed = |source| ResultsError::NotResults { path: path.clone(), source };
            let opened = check(path)
                .and_then(|(builder, _)| builder.with_batch_size(BATCH_ROWS).build().map_err(failed));
            let (error, batches) = match opened {
                Ok(batches) => (None, Some(batches)),
                Err(error) => (Some(Err(error)), None),
            };
            let batches = batches.into_iter().flatten();
            error.into_iter().chain(batches.map(move |batch| batch.map_err(|error| failed(error.into()))))
        })
    }

    /// All rows in input order, with only these `columns`: other fields are empty. (Without its
    /// column, `disposition` is `not_attempted`.)
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
pub(super) fn check(path: &Path) -> Result<(Builder, String), ResultsError> {
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
            // Ids have the type of the target group.
            Ok(field)
                if column == Column::RecipientId && can_cast_types(field.data_type(), &DataType::Utf8) => {}
            Ok(field) => {
                let (name, found) = (column.name(), field.data_type());
                return Err(columns(&format!("column `{name}` is {found}, not {}", expected.data_type())));
            }
            Err(_) if column.storage().is_late => {}
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

pub(super) fn rows(
    batch: &RecordBatch,
    path: &Path,
) -> impl Iterator<Item = Result<ResultRow<'static>, ResultsError>> + use<> {
    let path = path.to_owned();
    let array = |column: &Column| {
        let array = batch.column_by_name(column.name())?;
        let is_text = *array.data_type() == DataType::Utf8;
        Some(if *column != Column::RecipientId || is_text {
            Arc::clone(array)
        } else {
            cast(array, &DataType::Utf8).expect("`check` has seen that ids can be read as texts")
        })
    };
    let arrays: Vec<Option<ArrayRef>> = Column::ALL.iter().map(array).collect();
    (0..batch.num_rows()).map(move |at| {
        ResultRow::read(&arrays, at).map_err(|(column, text)| ResultsError::Columns {
            path: path.clone(),
            why: format!("column `{}` holds `{text}`", column.name()),
        })
    })
}
