//! Result rows to record batches.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, StructArray};
use arrow_cast::cast;
use arrow_schema::{DataType, Field, SchemaRef};

use super::columns::{self, Builders, Column, ResultRow};
use super::passed::Passed;

/// Rows of one batch.
pub(super) const BATCH_ROWS: usize = 8_192;

/// A batch that is being filled.
pub(super) struct Batch {
    schema: SchemaRef,
    builders: Builders<'static>,
    ids: DataType,
    passed: Passed,
    rows: usize,
}

impl Batch {
    /// `ids` is the type of the recipients' ids, `passed` are the columns that are passed through.
    pub(super) fn new(ids: DataType, passed: Vec<Field>) -> Self {
        let passed = Passed::new(passed);
        let schema = columns::schema(&ids, passed.fields());
        Self { schema, builders: Builders::with_capacity(BATCH_ROWS), ids, passed, rows: 0 }
    }

    pub(super) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    pub(super) fn push(&mut self, row: &ResultRow<'_>, cells: Option<(&StructArray, usize)>) {
        self.builders.append(row);
        self.passed.push(cells);
        self.rows += 1;
    }

    /// The rows so far; the batch is empty afterwards.
    pub(super) fn take(&mut self) -> RecordBatch {
        self.rows = 0;
        let mut columns = self.builders.finish();
        let ids: &mut ArrayRef = &mut columns[Column::RecipientId as usize];
        if self.ids != DataType::Utf8 {
            *ids = cast(&*ids, &self.ids).expect("texts can be read as every type that ids have");
        }
        columns.extend(self.passed.take());
        RecordBatch::try_new(Arc::clone(&self.schema), columns)
            .expect("every column has its declared type and gets one value a row")
    }
}
