//! Tables whose format has a number, created where they are missing.

use rusqlite::{Connection, OptionalExtension, TransactionBehavior};

use super::error;
use crate::kit::store::{Store, StoreError};

/// The tables of one part of the state.
#[derive(Debug)]
pub(super) struct Versioned {
    /// The part, as errors name it: `the suppression list`.
    pub part: &'static str,
    /// What fails if they can't be opened, without "can't": `open the suppression list in`.
    pub action: &'static str,
    /// The table with one row, whose `version` is the format.
    pub meta: &'static str,
    /// The format that this version writes.
    pub format: i64,
    /// Creates all tables that are missing.
    pub schema: &'static str,
    /// Creates the row of `meta` with the format `?1`, where it is missing.
    pub first: &'static str,
    /// What each later format adds to the tables: its number, and the statements.
    pub complete: &'static [(i64, &'static str)],
}

impl Versioned {
    /// Creates the tables where they are missing, completes those of an earlier format, and refuses
    /// those of a later one.
    pub(super) fn prepare(&self, db: &mut Connection, store: &Store) -> Result<(), StoreError> {
        let failed = |error| error::sqlite(store, self.action, error);
        // First without a write lock: existing tables can be opened while somebody writes.
        let mut found = self.version(db).map_err(failed)?;
        if found.is_none_or(|found| found < self.format) {
            self.create(db).map_err(failed)?;
            found = self.version(db).map_err(failed)?;
        }
        match found {
            Some(found) if found > self.format => {
                Err(StoreError::Newer { store: store.clone(), part: self.part, found, known: self.format })
            }
            Some(_) | None => Ok(()),
        }
    }

    fn create(&self, db: &mut Connection) -> rusqlite::Result<()> {
        let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // Another process may have been first.
        let earlier = self.version(&transaction)?;
        transaction.execute_batch(self.schema)?;
        transaction.execute(self.first, [self.format])?;
        if let Some(earlier) = earlier.filter(|earlier| *earlier < self.format) {
            for (_, complete) in self.complete.iter().filter(|(format, _)| *format > earlier) {
                transaction.execute_batch(complete)?;
            }
            transaction.execute(&format!("UPDATE {} SET version = ?1", self.meta), [self.format])?;
        }
        transaction.commit()
    }

    fn version(&self, db: &Connection) -> rusqlite::Result<Option<i64>> {
        if !db.table_exists(None, self.meta)? {
            return Ok(None);
        }
        db.query_row(&format!("SELECT version FROM {}", self.meta), [], |row| row.get(0)).optional()
    }
}
