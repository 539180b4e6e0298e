//! Hand-made batches and suppression lists for the tests of this module and the next.

use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef};

use super::Columns;
use crate::mail::{Address, Timestamp};
use crate::suppression::{Checker, MemoryList, NewEntry, Reason, Scope, Suppressions, Term};
use crate::target_group::{Batch, Place};

pub(crate) const NOW: Timestamp = Timestamp(1_780_000_000_000_000);

pub(crate) fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

/// `email`, `number` (an id) and `name`.
pub(crate) fn schema() -> SchemaRef {
    let field = |name: &str, kind| Field::new(name, kind, true);
    Arc::new(Schema::new(vec![
        field("email", DataType::Utf8),
        field("number", DataType::Int64),
        field("name", DataType::Utf8),
    ]))
}

pub(crate) fn columns() -> Columns {
    Columns { email: 0, id: Some(1), name: Some(2) }
}

/// A batch from row 1 on.
pub(crate) fn batch(file: usize, emails: &[&str]) -> Batch {
    batch_at(file, 1, emails)
}

/// A batch of these addresses; the id is 1,000 × file + row, the name is missing where the id is
/// odd.
pub(crate) fn batch_at(file: usize, first_row: u64, emails: &[&str]) -> Batch {
    let rows = || first_row..first_row + emails.len() as u64;
    let ids: Vec<i64> = rows().map(|row| (file as u64 * 1_000 + row) as i64).collect();
    let names = ids.iter().map(|id| (id % 2 == 0).then(|| format!("Name {id}")));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(emails.to_vec())),
        Arc::new(Int64Array::from(ids.clone())),
        Arc::new(names.collect::<StringArray>()),
    ];
    Batch {
        file,
        records: RecordBatch::try_new(schema(), columns).unwrap(),
        places: rows().map(|row| Place { row, line: Some(row + 1) }).collect(),
        unreadable: Vec::new(),
        stray: Vec::new(),
    }
}

/// A suppression list that holds these addresses for ever.
pub(crate) fn suppression(emails: &[&str]) -> Checker {
    let list = MemoryList::default();
    let mut entries = emails.iter().map(|email| NewEntry {
        address: address(email),
        scope: Scope::All,
        email: (*email).to_owned(),
        reason: Reason::Manual,
        source: "test".into(),
        term: Term::Permanent,
    });
    list.import(&mut entries, NOW).unwrap();
    Checker::open(Arc::new(list), None, NOW).unwrap()
}
