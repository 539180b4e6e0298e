//! Result rows to record batches.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use super::columns::{self, Builders, ResultRow};

/// Rows of one batch.
pub(super) const BATCH_ROWS: usize = 8_192;

/// A batch that is being filled.
pub(super) struct Batch {
    schema: SchemaRef,
    builders: Builders<'static>,
    rows: usize,
}

impl Batch {
    pub(super) fn new() -> Self {
        Self { schema: columns::schema(), builders: Builders::with_capacity(BATCH_ROWS), rows: 0 }
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    pub(super) fn push(&mut self, row: &ResultRow<'_>) {
        self.builders.append(row);
        self.rows += 1;
    }

    /// The rows so far; the batch is empty afterwards.
    pub(super) fn take(&mut self) -> RecordBatch {
        self.rows = 0;
        RecordBatch::try_new(Arc::clone(&self.schema), self.builders.finish())
            .expect("every column has its declared type and gets one value a row")
    }
}
