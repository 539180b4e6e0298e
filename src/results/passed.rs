//! Columns of the target group that result rows carry, with their types.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, StructArray, new_null_array};
use arrow_schema::{Field, FieldRef};
use arrow_select::interleave::interleave;

/// The columns of a batch that is being filled.
pub(super) struct Passed {
    fields: Vec<FieldRef>,
    /// Where this batch's values come from: for each source its columns, in the order of `fields`.
    /// The first source is one row of nulls.
    sources: Vec<Vec<ArrayRef>>,
    /// A column of the latest source, by which it is recognised.
    latest: Option<ArrayRef>,
    /// The source and the row in it of each row of this batch.
    picks: Vec<(usize, usize)>,
}

impl Passed {
    pub(super) fn new(fields: Vec<Field>) -> Self {
        let fields: Vec<FieldRef> = fields.into_iter().map(Arc::new).collect();
        let nulls = fields.iter().map(|field| new_null_array(field.data_type(), 1)).collect();
        Self { fields, sources: vec![nulls], latest: None, picks: Vec::new() }
    }

    pub(super) fn fields(&self) -> &[FieldRef] {
        &self.fields
    }

    /// Takes the values of the next row: row `at` of `cells`, or nothing.
    pub(super) fn push(&mut self, cells: Option<(&StructArray, usize)>) {
        if self.fields.is_empty() {
            return;
        }
        let pick = match cells.filter(|(cells, _)| cells.num_columns() > 0) {
            Some((cells, at)) => (self.source(cells), at),
            None => (0, 0),
        };
        self.picks.push(pick);
    }

    fn source(&mut self, cells: &StructArray) -> usize {
        let first = cells.column(0);
        if !self.latest.as_ref().is_some_and(|latest| Arc::ptr_eq(latest, first)) {
            let column = |field: &FieldRef| match cells.column_by_name(field.name()) {
                Some(column) if column.data_type() == field.data_type() => Arc::clone(column),
                // The plan was made before the campaign file named the column.
                Some(_) | None => new_null_array(field.data_type(), cells.len()),
            };
            self.sources.push(self.fields.iter().map(column).collect());
            self.latest = Some(Arc::clone(first));
        }
        self.sources.len() - 1
    }

    /// The columns so far; the batch is empty afterwards.
    pub(super) fn take(&mut self) -> Vec<ArrayRef> {
        let picks = std::mem::take(&mut self.picks);
        let columns = (0..self.fields.len()).map(|column| {
            let sources: Vec<&dyn Array> = self.sources.iter().map(|source| &*source[column]).collect();
            interleave(&sources, &picks).expect("the columns of all sources have the field's type")
        });
        let columns = columns.collect();
        self.sources.truncate(1);
        self.latest = None;
        columns
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::cast::AsArray;
    use arrow_array::types::Int64Type;
    use arrow_array::{Int64Array, StringArray};
    use arrow_schema::DataType;

    use super::*;

    fn cells(numbers: Vec<Option<i64>>) -> StructArray {
        let texts: ArrayRef = Arc::new(StringArray::from(vec!["x"; numbers.len()]));
        let numbers: ArrayRef = Arc::new(Int64Array::from(numbers));
        StructArray::from(vec![
            (Arc::new(Field::new("other", DataType::Utf8, true)), texts),
            (Arc::new(Field::new("points", DataType::Int64, true)), numbers),
        ])
    }

    #[test]
    fn rows_keep_their_values_and_types_whatever_they_come_from() {
        let fields =
            vec![Field::new("points", DataType::Int64, true), Field::new("later", DataType::Boolean, true)];
        let mut passed = Passed::new(fields);
        let (one, other) = (cells(vec![Some(1), None]), cells(vec![Some(7)]));
        for row in [Some((&one, 1)), None, Some((&one, 0)), Some((&other, 0)), Some((&one, 0))] {
            passed.push(row);
        }
        let columns = passed.take();
        let points: Vec<_> = columns[0].as_primitive::<Int64Type>().iter().collect();
        assert_eq!(points, [None, None, Some(1), Some(7), Some(1)]);
        assert_eq!((columns[1].len(), columns[1].null_count()), (5, 5), "the plan does not have it");
        passed.push(Some((&other, 0)));
        assert_eq!(passed.take()[0].as_primitive::<Int64Type>().value(0), 7);
    }
}
