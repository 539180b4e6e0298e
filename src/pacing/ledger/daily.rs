//! What local addresses have carried of a day's cap (a warm-up), in `state.db`.
//!
//! A process takes its share before it sends and gives back what it did not use; a process that died has spent it. So a
//! cap is never exceeded, by however many processes.

use std::path::{Path, PathBuf};

use chrono::NaiveDate;
use rusqlite::{Connection, TransactionBehavior, params};

use super::LedgerError;
use super::sqlite::open;

/// Days are kept for so long, for a look back.
const KEPT_DAYS: i64 = 60;

/// Access to the caps in one `state.db`.
#[derive(Debug)]
pub struct DailyCaps {
    db: Connection,
    path: PathBuf,
}

impl DailyCaps {
    /// The caps in the state database at `path`, which is made where there is none.
    pub fn open(path: &Path) -> Result<Self, LedgerError> {
        let db = open(path)?;
        db.execute_batch(
            "CREATE TABLE IF NOT EXISTS daily_cap (\n  source TEXT NOT NULL,\n  day TEXT NOT NULL,\n  used INTEGER NOT NULL,\n  \
             PRIMARY KEY (source, day)\n) STRICT, WITHOUT ROWID",
        )
        .map_err(|source| LedgerError::sqlite(path, "make the table of daily caps", source))?;
        Ok(Self { db, path: path.to_owned() })
    }

    /// Takes up to `wanted` messages of what `source` has left of `cap` on `day`; how many were taken.
    pub fn take(&mut self, source: &str, day: NaiveDate, cap: u64, wanted: u64) -> Result<u64, LedgerError> {
        self.change(source, day, |used| cap.saturating_sub(used).min(wanted).cast_signed())
    }

    /// Gives back what was taken and not used.
    pub fn give_back(&mut self, source: &str, day: NaiveDate, unused: u64) -> Result<(), LedgerError> {
        self.change(source, day, |used| -(unused.min(used).cast_signed())).map(drop)
    }

    fn change(&mut self, source: &str, day: NaiveDate, by: impl Fn(u64) -> i64) -> Result<u64, LedgerError> {
        let sqlite = |error| LedgerError::sqlite(&self.path, "keep a daily cap", error);
        let day_text = day.to_string();
        let transaction =
            self.db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(sqlite)?;
        let used = transaction
            .query_row(
                "SELECT coalesce(sum(used), 0) FROM daily_cap WHERE source = ?1 AND day = ?2",
                params![source, day_text],
                |row| row.get::<_, i64>(0),
            )
            .map_err(sqlite)?;
        let change = by(used.max(0).cast_unsigned());
        transaction
            .execute(
                "INSERT OR REPLACE INTO daily_cap VALUES (?1, ?2, ?3)",
                params![source, day_text, used + change],
            )
            .map_err(sqlite)?;
        let oldest = day - chrono::Days::new(KEPT_DAYS.cast_unsigned());
        transaction
            .execute("DELETE FROM daily_cap WHERE day < ?1", params![oldest.to_string()])
            .map_err(sqlite)?;
        transaction.commit().map_err(sqlite)?;
        Ok(change.unsigned_abs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cap_is_shared_and_what_is_given_back_is_there_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.db");
        let day = |day| NaiveDate::from_ymd_opt(2026, 11, day).unwrap();
        let (mut one, mut other) = (DailyCaps::open(&path).unwrap(), DailyCaps::open(&path).unwrap());
        assert_eq!(one.take("192.0.2.1", day(1), 500, 400).unwrap(), 400);
        assert_eq!(other.take("192.0.2.1", day(1), 500, 400).unwrap(), 100);
        assert_eq!(one.take("192.0.2.1", day(1), 500, 1).unwrap(), 0);
        assert_eq!(one.take("192.0.2.2", day(1), 500, 1).unwrap(), 1, "each address has its own");
        one.give_back("192.0.2.1", day(1), 30).unwrap();
        assert_eq!(other.take("192.0.2.1", day(1), 500, 400).unwrap(), 30);
        assert_eq!(other.take("192.0.2.1", day(2), 1_000, 5_000).unwrap(), 1_000, "a new day, a new cap");
    }
}
