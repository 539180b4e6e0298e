//! The runs of real mail and their recipients as tables of the state database.

use std::ffi::OsStr;
use std::hash::{BuildHasher, RandomState};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, OptionalExtension, Row, ToSql, TransactionBehavior, params};

use super::error::{self, STATE};
use super::file;
use crate::edition::{Claim, Claimed, Edition, Editions, PastRun, Recipient, RunMark, decide};
use crate::kit::store::{Store, StoreError};
use crate::mail::Timestamp;

/// The format of the tables below.
const FORMAT: i64 = 1;

/// `recipients` are 16 bytes each, sorted over all parts of a run. `at` is microseconds since 1970.
const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS edition_meta (
        one      INTEGER PRIMARY KEY CHECK (one = 1),
        version  INTEGER NOT NULL,
        state_id TEXT NOT NULL
    );
    CREATE TABLE IF NOT EXISTS edition_run (
        id       INTEGER PRIMARY KEY AUTOINCREMENT,
        mark     TEXT NOT NULL UNIQUE,
        campaign TEXT NOT NULL,
        edition  TEXT NOT NULL,
        run_id   TEXT NOT NULL,
        dir      TEXT NOT NULL,
        letter   TEXT NOT NULL,
        at       INTEGER NOT NULL,
        is_open  INTEGER NOT NULL
    );
    CREATE INDEX IF NOT EXISTS edition_run_edition ON edition_run (campaign, edition);
    CREATE TABLE IF NOT EXISTS edition_recipients (
        run        INTEGER NOT NULL,
        part       INTEGER NOT NULL,
        recipients BLOB NOT NULL,
        PRIMARY KEY (run, part)
    );
";

const COLUMNS: &str = "mark, campaign, edition, run_id, dir, letter, at, is_open";

/// Recipients in one part: a megabyte.
const PART: usize = 65_536;

/// The editions in one state database.
#[derive(Debug)]
pub(super) struct SqliteEditions {
    db: Mutex<Connection>,
    store: Store,
}

impl SqliteEditions {
    /// Opens the editions in the state database at `path`; creates the database where there is
    /// none.
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let mut db = file::open(path)?;
        let store = error::store(&STATE, path);
        let failed = |error| error::sqlite(&store, "create the tables of editions in", error);
        // All tables for one sync; where they exist, for none.
        let tables = db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        tables.execute_batch(SCHEMA).map_err(failed)?;
        let random = RandomState::new();
        let state_id = format!("{:016x}{:016x}", random.hash_one(0), RandomState::new().hash_one(1));
        let insert = "INSERT OR IGNORE INTO edition_meta VALUES (1, ?1, ?2)";
        tables.execute(insert, params![FORMAT, state_id]).map_err(failed)?;
        tables.commit().map_err(failed)?;
        let version = db.query_row("SELECT version FROM edition_meta", [], |row| row.get::<_, i64>(0));
        let found = version.map_err(failed)?;
        if found > FORMAT {
            return Err(StoreError::Newer { store, part: "the table of editions", found, known: FORMAT });
        }
        Ok(Self { db: Mutex::new(db), store })
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        // A panic in between rolls its transaction back.
        self.db.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read<T>(&self, read: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        read(&self.lock()).map_err(|error| error::sqlite(&self.store, "read editions from", error))
    }

    fn write<T>(&self, write: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        let in_transaction = |db: &mut Connection| {
            let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let written = write(&transaction)?;
            transaction.commit()?;
            Ok(written)
        };
        in_transaction(&mut self.lock())
            .map_err(|error| error::sqlite(&self.store, "keep an edition in", error))
    }
}

impl Editions for SqliteEditions {
    fn state_id(&self) -> Result<String, StoreError> {
        self.read(|db| db.query_row("SELECT state_id FROM edition_meta", [], |row| row.get(0)))
    }

    fn runs(&self, edition: &Edition) -> Result<Vec<PastRun>, StoreError> {
        self.read(|db| select(db, "campaign = ?1 AND edition = ?2", &[&edition.campaign, &edition.name]))
    }

    fn run(&self, mark: &RunMark) -> Result<Option<PastRun>, StoreError> {
        Ok(self.read(|db| select(db, "mark = ?1", &[&mark.0]))?.pop())
    }

    fn recipients(&self, mark: &RunMark) -> Result<Vec<Recipient>, StoreError> {
        self.read(|db| held(db, mark))
    }

    fn claim(&self, claim: &Claim<'_>) -> Result<Claimed, StoreError> {
        self.write(|db| {
            let mark = &claim.run.mark;
            let is_open = "SELECT is_open FROM edition_run WHERE mark = ?1";
            let is_open = db.query_row(is_open, [&mark.0], |row| row.get::<_, bool>(0)).optional()?;
            let edition = &claim.run.edition;
            let runs = select(db, "campaign = ?1 AND edition = ?2", &[&edition.campaign, &edition.name])?;
            let others = runs.iter().map(|run| &run.mark);
            let others = others.filter(|other| *other != mark && Some(*other) != claim.from);
            let others = others.map(|other| held(db, other)).collect::<rusqlite::Result<Vec<_>>>()?;
            let own = held(db, mark)?;
            let (refused, now) = decide(claim, (&own, is_open == Some(false)), &others);
            if let Some(from) = claim.from {
                let before = held(db, from)?;
                let goes_over = |one: &Recipient| {
                    claim.wanted.binary_search(one).is_ok() && refused.binary_search(one).is_err()
                };
                let kept: Vec<_> = before.iter().filter(|one| !goes_over(one)).copied().collect();
                if kept.len() < before.len() {
                    keep(db, from, &kept)?;
                }
            }
            put(db, claim.run, true)?;
            keep(db, mark, &now)?;
            Ok(Claimed { refused })
        })
    }

    fn settle(&self, run: &PastRun, mailed: &[Recipient]) -> Result<(), StoreError> {
        self.write(|db| {
            put(db, run, false)?;
            keep(db, &run.mark, mailed)
        })
    }
}

fn select(db: &Connection, which: &str, values: &[&dyn ToSql]) -> rusqlite::Result<Vec<PastRun>> {
    let mut select =
        db.prepare_cached(&format!("SELECT {COLUMNS} FROM edition_run WHERE {which} ORDER BY id"))?;
    select.query_map(values, past_run)?.collect()
}

fn past_run(row: &Row<'_>) -> rusqlite::Result<PastRun> {
    Ok(PastRun {
        mark: RunMark(row.get(0)?),
        edition: Edition { campaign: row.get(1)?, name: row.get(2)? },
        run_id: row.get(3)?,
        dir: PathBuf::from(OsStr::from_bytes(row.get_ref(4)?.as_bytes()?)),
        letter: row.get(5)?,
        at: Timestamp(row.get(6)?),
        is_open: row.get(7)?,
    })
}

/// The recipients of a run, sorted.
fn held(db: &Connection, mark: &RunMark) -> rusqlite::Result<Vec<Recipient>> {
    let mut select = db.prepare_cached(
        "SELECT recipients FROM edition_recipients
         WHERE run = (SELECT id FROM edition_run WHERE mark = ?1) ORDER BY part",
    )?;
    let mut parts = select.query([&mark.0])?;
    let mut held = Vec::new();
    while let Some(part) = parts.next()? {
        let bytes = part.get_ref(0)?.as_blob()?;
        held.extend(bytes.as_chunks::<16>().0.iter().map(|bytes| Recipient::from_bytes(*bytes)));
    }
    Ok(held)
}

fn put(db: &Connection, run: &PastRun, is_open: bool) -> rusqlite::Result<()> {
    let mut put = db.prepare_cached(&format!(
        "INSERT INTO edition_run ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
         ON CONFLICT (mark) DO UPDATE SET dir = ?5, letter = ?6, at = ?7, is_open = ?8"
    ))?;
    let PastRun { mark, edition, run_id, dir, letter, at, is_open: _ } = run;
    // A path that is no UTF-8 is kept as its bytes.
    let dir = dir.to_str().map_or_else(|| dir.as_os_str().as_bytes().into(), ValueRef::from);
    let dir = ToSqlOutput::Borrowed(dir);
    put.execute(params![mark.0, edition.campaign, edition.name, run_id, dir, letter, at.0, is_open])?;
    Ok(())
}

/// Replaces the recipients of a run.
fn keep(db: &Connection, mark: &RunMark, recipients: &[Recipient]) -> rusqlite::Result<()> {
    let id = "SELECT id FROM edition_run WHERE mark = ?1";
    let Some(id) = db.query_row(id, [&mark.0], |row| row.get::<_, i64>(0)).optional()? else {
        return Ok(());
    };
    db.execute("DELETE FROM edition_recipients WHERE run = ?1", [id])?;
    let mut insert = db.prepare_cached("INSERT INTO edition_recipients VALUES (?1, ?2, ?3)")?;
    for (part, recipients) in recipients.chunks(PART).enumerate() {
        let bytes: Vec<u8> = recipients.iter().flat_map(|one| one.to_bytes()).collect();
        insert.execute(params![id, part as i64, bytes])?;
    }
    Ok(())
}
