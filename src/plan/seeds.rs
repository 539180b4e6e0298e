//! The last rows of a plan: copies of its first row, for addresses of the sender's own.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{
    ArrayRef, RecordBatch, StringArray, StructArray, UInt32Array, UInt64Array, new_null_array,
};
use arrow_schema::{ArrowError, DataType};
use arrow_select::take::take_record_batch;

use super::layout::column;
use crate::mail::Address;

/// What the results call the file of these rows.
pub const SOURCE: &str = "[seed]";

/// The rows for seed addresses.
#[derive(Debug)]
pub struct Seeds {
    addresses: Vec<Address>,
    /// The index of their file: one behind those of the target group.
    file: u32,
    /// The column with the address, which templates may print.
    email: String,
    /// The first row of the plan.
    first: Option<RecordBatch>,
}

impl Seeds {
    /// Copies for `addresses`, behind the rows of `files` files. `email` is the column with the
    /// recipient's address.
    pub fn new(addresses: Vec<Address>, files: usize, email: &str) -> Self {
        let file = u32::try_from(files).expect("a target group has fewer than 2^32 files");
        Self { addresses, file, email: email.to_owned(), first: None }
    }

    /// Sees the rows of the plan, in their order.
    pub(super) fn see(&mut self, rows: &RecordBatch) -> Result<(), ArrowError> {
        if self.first.is_none() && rows.num_rows() > 0 && !self.addresses.is_empty() {
            // A slice would keep the whole batch.
            self.first = Some(take_record_batch(rows, &UInt32Array::from(vec![0]))?);
        }
        Ok(())
    }

    /// The copies; none where the plan has no rows.
    pub(super) fn rows(&self) -> Result<Option<RecordBatch>, ArrowError> {
        let Some(first) = &self.first else { return Ok(None) };
        let count = self.addresses.len();
        let copies = take_record_batch(first, &UInt32Array::from(vec![0; count]))?;
        let addresses: ArrayRef =
            Arc::new(self.addresses.iter().map(|address| Some(address.to_string())).collect::<StringArray>());
        let mut columns = copies.columns().to_vec();
        columns[column::FILE] = Arc::new(UInt32Array::from_value(self.file, count));
        columns[column::ROW] = Arc::new(UInt64Array::from_iter_values(1..=count as u64));
        columns[column::ADDRESS] = Arc::clone(&addresses);
        for nobody in [column::EMAIL, column::ID, column::NAME] {
            columns[nobody] = new_null_array(&DataType::Utf8, count);
        }
        let of_row = copies.column(column::COLUMNS).as_struct();
        let cells = std::iter::zip(of_row.fields(), of_row.columns()).map(|(field, cells)| {
            let is_email = *field.name() == self.email && *field.data_type() == DataType::Utf8;
            if is_email { Arc::clone(&addresses) } else { Arc::clone(cells) }
        });
        let cells = cells.collect();
        columns[column::COLUMNS] =
            Arc::new(StructArray::try_new_with_length(of_row.fields().clone(), cells, None, count)?);
        RecordBatch::try_new(copies.schema(), columns).map(Some)
    }
}
