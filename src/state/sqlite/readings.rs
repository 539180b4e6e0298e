//! What providers say of who sends, as a table of the state database.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use chrono::NaiveDate;
use rusqlite::{Connection, Row, TransactionBehavior, params};

use super::error::{self, STATE};
use super::tables::Versioned;
use super::{feedback, file, suppressions};
use crate::feedback::reputation::{
    ComplaintRate, NewReading, Observer, Reading, Readings, Subject, Verdict, latest,
};
use crate::kit::store::{Store, StoreError};

/// The format of the tables below.
const FORMAT: i64 = 1;

/// `mail` is the hash that the log of feedback knows a reading by. `complaints` are in percent.
const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS reading_meta (
        one     INTEGER PRIMARY KEY CHECK (one = 1),
        version INTEGER NOT NULL
    );
    CREATE TABLE IF NOT EXISTS reading (
        id         INTEGER PRIMARY KEY AUTOINCREMENT,
        mail       TEXT NOT NULL UNIQUE,
        observer   TEXT NOT NULL,
        subject    TEXT NOT NULL,
        day        TEXT NOT NULL,
        messages   INTEGER,
        complaints REAL,
        is_less    INTEGER NOT NULL,
        verdict    TEXT,
        trap_hits  INTEGER
    );
    CREATE INDEX IF NOT EXISTS reading_day ON reading (day);
";

/// The tables above.
const TABLES: Versioned = Versioned {
    part: "the reputations",
    action: "create the tables of reputations in",
    meta: "reading_meta",
    format: FORMAT,
    schema: SCHEMA,
    first: "INSERT OR IGNORE INTO reading_meta VALUES (1, ?1)",
    complete: &[],
};

/// The readings in one state database. Their users share one connection.
#[derive(Debug)]
pub(super) struct SqliteReadings {
    db: Mutex<Connection>,
    store: Store,
}

impl SqliteReadings {
    /// Opens the readings in the state database at `path`; creates the database where there is
    /// none.
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let mut db = file::open(path)?;
        let store = error::store(&STATE, path);
        // The log of feedback knows what was taken back.
        suppressions::TABLES.prepare(&mut db, &store)?;
        feedback::TABLES.prepare(&mut db, &store)?;
        TABLES.prepare(&mut db, &store)?;
        Ok(Self { db: Mutex::new(db), store })
    }
}

impl Readings for SqliteReadings {
    fn keep(&self, readings: &[NewReading<'_>]) -> Result<(), StoreError> {
        let keep = |db: &mut Connection| -> rusqlite::Result<()> {
            let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let mut insert = transaction.prepare_cached(
                "INSERT OR IGNORE INTO reading
                     (mail, observer, subject, day, messages, complaints, is_less, verdict, trap_hits)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            )?;
            for NewReading { mail, reading } in readings {
                insert.execute(params![
                    mail,
                    reading.observer.as_str(),
                    reading.subject.to_string(),
                    reading.day.to_string(),
                    reading.messages.map(u64::cast_signed),
                    reading.complaints.map(|rate| rate.percent),
                    reading.complaints.is_some_and(|rate| rate.is_less),
                    reading.verdict.map(Verdict::as_str),
                    reading.trap_hits.map(u64::cast_signed),
                ])?;
            }
            drop(insert);
            transaction.commit()
        };
        // A panic in between has rolled its transaction back.
        let mut db = self.db.lock().unwrap_or_else(PoisonError::into_inner);
        keep(&mut db).map_err(|error| error::sqlite(&self.store, "keep reputations in", error))
    }

    fn since(&self, day: NaiveDate) -> Result<Vec<Reading>, StoreError> {
        let select = || -> rusqlite::Result<Vec<Reading>> {
            let db = self.db.lock().unwrap_or_else(PoisonError::into_inner);
            let mut select = db.prepare_cached(
                "SELECT observer, subject, day, messages, complaints, is_less, verdict, trap_hits FROM reading
                 WHERE day >= ?1 AND NOT EXISTS (
                     SELECT 1 FROM feedback WHERE feedback.mail = reading.mail AND feedback.undone_at IS NOT NULL)
                 ORDER BY id",
            )?;
            let found = select.query_map([day.to_string()], reading)?;
            // A row that a later version wrote in words that are not known is left out.
            Ok(latest(found.collect::<rusqlite::Result<Vec<_>>>()?.into_iter().flatten()))
        };
        select().map_err(|error| error::sqlite(&self.store, "read reputations from", error))
    }
}

fn reading(row: &Row<'_>) -> rusqlite::Result<Option<Reading>> {
    let text = |at: usize| row.get::<_, String>(at);
    let number = |at: usize| Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(at)?.map(i64::cast_unsigned));
    let observer = text(0)?;
    let (subject, day) = (text(1)?.parse::<Subject>(), text(2)?.parse::<NaiveDate>());
    let Some(observer) = Observer::ALL.into_iter().find(|own| own.as_str() == observer) else {
        return Ok(None);
    };
    let (Ok(subject), Ok(day)) = (subject, day) else { return Ok(None) };
    let is_less = row.get(5)?;
    let complaints = row.get::<_, Option<f64>>(4)?.map(|percent| ComplaintRate { percent, is_less });
    let verdict = row.get::<_, Option<String>>(6)?.and_then(|word| word.parse().ok());
    Ok(Some(Reading {
        observer,
        subject,
        day,
        messages: number(3)?,
        complaints,
        verdict,
        trap_hits: number(7)?,
    }))
}
