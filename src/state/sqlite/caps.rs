//! The daily caps of local addresses as a table of the state database.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use chrono::NaiveDate;
use rusqlite::{Connection, TransactionBehavior, params};

use super::error::{self, STATE};
use super::file;
use crate::kit::store::{Store, StoreError};
use crate::pacing::DailyCaps;

/// How many days are kept, to look back.
const KEPT_DAYS: u64 = 60;

/// The caps in one state database.
#[derive(Debug)]
pub(super) struct SqliteCaps {
    db: Mutex<Connection>,
    store: Store,
}

impl SqliteCaps {
    /// Opens the caps in the state database at `path`; creates the database where there is none.
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let db = file::open(path)?;
        let store = error::store(&STATE, path);
        db.execute_batch(
            "CREATE TABLE IF NOT EXISTS daily_cap (\n  source TEXT NOT NULL,\n  day TEXT NOT NULL,\n  used INTEGER NOT NULL,\n  \
             PRIMARY KEY (source, day)\n) STRICT, WITHOUT ROWID",
        )
        .map_err(|error| error::sqlite(&store, "create the table of daily caps in", error))?;
        Ok(Self { db: Mutex::new(db), store })
    }

    /// Changes what `source` has used on `day` by what `by` makes of it. Returns by how much.
    fn change(&self, source: &str, day: NaiveDate, by: impl Fn(u64) -> i64) -> Result<u64, StoreError> {
        let change = |db: &mut Connection| -> rusqlite::Result<u64> {
            let day_text = day.to_string();
            let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let used = used(&transaction, source, day)?;
            let change = by(used);
            transaction.execute(
                "INSERT OR REPLACE INTO daily_cap VALUES (?1, ?2, ?3)",
                params![source, day_text, used.cast_signed() + change],
            )?;
            let oldest = day - chrono::Days::new(KEPT_DAYS);
            transaction.execute("DELETE FROM daily_cap WHERE day < ?1", [oldest.to_string()])?;
            transaction.commit()?;
            Ok(change.unsigned_abs())
        };
        // A panic in between has rolled its transaction back.
        let mut db = self.db.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut db).map_err(|error| error::sqlite(&self.store, "keep a daily cap in", error))
    }
}

/// How many messages of `source` are taken on `day`.
fn used(db: &Connection, source: &str, day: NaiveDate) -> rusqlite::Result<u64> {
    let used: i64 = db.query_row(
        "SELECT coalesce(sum(used), 0) FROM daily_cap WHERE source = ?1 AND day = ?2",
        params![source, day.to_string()],
        |row| row.get(0),
    )?;
    Ok(used.max(0).cast_unsigned())
}

impl DailyCaps for SqliteCaps {
    fn take(&self, source: &str, day: NaiveDate, cap: u64, wanted: u64) -> Result<u64, StoreError> {
        self.change(source, day, |used| cap.saturating_sub(used).min(wanted).cast_signed())
    }

    fn used(&self, source: &str, day: NaiveDate) -> Result<u64, StoreError> {
        let db = self.db.lock().unwrap_or_else(PoisonError::into_inner);
        used(&db, source, day).map_err(|error| error::sqlite(&self.store, "read a daily cap in", error))
    }

    fn give_back(&self, source: &str, day: NaiveDate, unused: u64) -> Result<(), StoreError> {
        self.change(source, day, |used| -(unused.min(used).cast_signed())).map(drop)
    }
}
