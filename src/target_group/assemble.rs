//! Assembles a batch from its columns, without unreadable rows.

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions};
use arrow_schema::ArrowError;
use arrow_select::filter::filter_record_batch;

use super::batch::{Batch, Place, Unreadable};
use super::convert::{self, Faults};
use super::error::TargetGroupError;
use super::schema::Unified;

/// The parts of a batch.
pub(super) struct Columns {
    /// In the order of the schema.
    pub arrays: Vec<ArrayRef>,
    /// Of the rows in `arrays`.
    pub places: Vec<Place>,
    /// Rows of `arrays` that can't be used.
    pub faults: Faults,
    /// Unreadable rows that are not in `arrays`.
    pub unreadable: Vec<Unreadable>,
}

/// Assembles a batch.
pub(super) fn batch(unified: &Unified, file: usize, columns: Columns) -> Result<Batch, TargetGroupError> {
    let Columns { arrays, mut places, mut faults, mut unreadable } = columns;
    for (array, field) in arrays.iter().zip(unified.schema.fields()) {
        convert::refuse_controls(array, field.name(), &mut faults);
    }
    let options = RecordBatchOptions::new().with_row_count(Some(places.len()));
    let mut records =
        RecordBatch::try_new_with_options(unified.schema.clone(), arrays, &options).map_err(|error| {
            TargetGroupError::new("the columns of a batch do not fit together").caused_by(error)
        })?;
    if !faults.is_empty() {
        let keep: BooleanArray = (0..places.len()).map(|index| Some(!faults.contains_key(&index))).collect();
        for (index, reason) in faults {
            unreadable.push(Unreadable {
                place: places[index],
                email: text_at(&records, unified.email, index),
                id: unified.id.and_then(|id| text_at(&records, id, index)),
                reason,
            });
        }
        unreadable.sort_by_key(|row| row.place.row);
        records = filter_record_batch(&records, &keep).expect("the mask is as long as the batch");
        let mut kept = keep.values().iter();
        places.retain(|_| kept.next() == Some(true));
    }
    Ok(Batch { file, records, places, unreadable, stray: Vec::new() })
}

fn text_at(records: &RecordBatch, column: usize, row: usize) -> Option<String> {
    let text = records.column(column).as_string::<i32>();
    (!text.is_null(row)).then(|| text.value(row).to_owned())
}

/// A column can't be converted to its type.
pub(super) fn failed(name: &str, error: ArrowError) -> TargetGroupError {
    TargetGroupError::new(format!("column `{name}` can't be read")).at_column(name).caused_by(error)
}
