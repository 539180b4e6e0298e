//! Columns from the names of folders, as Hive writes them: `country=de/part-0.parquet`.

use arrow_array::{ArrayRef, RecordBatch, StringArray, new_null_array};
use percent_encoding::percent_decode_str;

use super::batch::Batch;
use super::convert::{self, Faults};
use super::error::TargetGroupError;
use super::schema::{FileColumns, Given, Unified};

/// How Hive writes a null.
const NULL: &str = "__HIVE_DEFAULT_PARTITION__";

/// The columns that the folders of one file give all its rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Partition(Vec<(String, Option<String>)>);

impl Partition {
    /// Those of a file, by its name as it is shown; the file's own name gives none.
    pub(super) fn of(shown: &str) -> Result<Self, TargetGroupError> {
        let mut columns: Vec<(String, Option<String>)> = Vec::new();
        let folders = shown.rsplit_once('/').map_or("", |(folders, _)| folders);
        for (key, value) in folders.split('/').filter_map(|folder| folder.split_once('=')) {
            let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().trim().to_owned();
            let key = decoded(key);
            if key.is_empty() {
                continue;
            }
            if columns.iter().any(|(other, _)| *other == key) {
                return Err(TargetGroupError::new(format!("two folders give the column `{key}`"))
                    .at_column(&key)
                    .hint("rename one of them"));
            }
            columns.push((key, (value != NULL).then(|| decoded(value))));
        }
        Ok(Self(columns))
    }

    /// The columns with their values.
    pub fn columns(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_deref()))
    }

    /// Adds the columns to those of the file itself.
    pub(super) fn add_to(&self, file: &mut FileColumns) -> Result<(), TargetGroupError> {
        for (key, value) in self.columns() {
            if file.columns.iter().any(|(own, _)| own == key) {
                let folder = format!("{key}={}", value.unwrap_or(NULL));
                return Err(TargetGroupError::new(format!(
                    "column `{key}` is in the file, and the folder `{folder}` gives it too"
                ))
                .at_column(key)
                .hint("rename the folder, or leave the column out of the file"));
            }
            file.columns.push((key.to_owned(), Given::Text));
        }
        Ok(())
    }

    /// Fails if a value is none of its column's type.
    pub(super) fn check(&self, unified: &Unified) -> Result<(), TargetGroupError> {
        for (index, key, value) in self.in_schema(unified) {
            let mut faults = Faults::new();
            column(unified, index, value, 1, &mut faults)?;
            if let Some(reason) = faults.remove(&0) {
                return Err(TargetGroupError::new(format!("a folder's {reason}"))
                    .at_column(key)
                    .hint("rename the folder, or give the column another type in [target-group.types]"));
            }
        }
        Ok(())
    }

    /// Sets the columns in the rows of the file.
    pub(super) fn fill(&self, batch: &mut Batch, unified: &Unified) -> Result<(), TargetGroupError> {
        if self.0.is_empty() {
            return Ok(());
        }
        let mut arrays = batch.records.columns().to_vec();
        for (index, _, value) in self.in_schema(unified) {
            arrays[index] = column(unified, index, value, batch.records.num_rows(), &mut Faults::new())?;
        }
        if !arrays.is_empty() {
            batch.records = RecordBatch::try_new(batch.records.schema(), arrays)
                .expect("the columns have the types of the schema and the length of the batch");
        }
        if let Some((_, _, id)) = self.in_schema(unified).find(|(index, ..)| unified.id == Some(*index)) {
            batch.unreadable.iter_mut().for_each(|row| row.id = id.map(str::to_owned));
        }
        Ok(())
    }

    /// Those of the columns that the target group keeps: index, name and value.
    fn in_schema<'a>(
        &'a self,
        unified: &'a Unified,
    ) -> impl Iterator<Item = (usize, &'a str, Option<&'a str>)> {
        self.columns().filter_map(|(key, value)| Some((unified.schema.index_of(key).ok()?, key, value)))
    }
}

/// A column of `rows` times `value`.
fn column(
    unified: &Unified,
    index: usize,
    value: Option<&str>,
    rows: usize,
    faults: &mut Faults,
) -> Result<ArrayRef, TargetGroupError> {
    let field = unified.schema.field(index);
    let Some(value) = value.filter(|value| !value.is_empty()) else {
        return Ok(new_null_array(field.data_type(), rows));
    };
    let text = StringArray::from_iter_values(std::iter::repeat_n(value, rows));
    let column: ArrayRef = convert::parse(text, unified, field, faults).map_err(|error| {
        TargetGroupError::new(format!("column `{}` can't be read", field.name())).caused_by(error)
    })?;
    convert::refuse_controls(&column, field.name(), faults);
    Ok(column)
}
