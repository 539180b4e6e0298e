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
use crate::edition::{
    Cap, Claim, Claimed, Edition, Editions, Mailed, PastRun, Recipient, RunMark, count_mails, decide,
};
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
        is_open  INTEGER NOT NULL,
        list_id  TEXT NOT NULL DEFAULT '',
        is_alarm INTEGER NOT NULL DEFAULT 0
    );
    CREATE INDEX IF NOT EXISTS edition_run_edition ON edition_run (campaign, edition);
    CREATE TABLE IF NOT EXISTS edition_recipients (
        run        INTEGER NOT NULL,
        part       INTEGER NOT NULL,
        recipients BLOB NOT NULL,
        PRIMARY KEY (run, part)
    );
";

/// Whether the table of runs has the columns of this version.
const IS_WHOLE: &str = "SELECT count(*) FROM pragma_table_info('edition_run') WHERE name = 'is_alarm'";

/// Adds what the first tables did not have; programs that don't know it go on working with them.
const COMPLETE: &str = "
    ALTER TABLE edition_run ADD COLUMN list_id TEXT NOT NULL DEFAULT '';
    ALTER TABLE edition_run ADD COLUMN is_alarm INTEGER NOT NULL DEFAULT 0;
";

const COLUMNS: &str = "mark, campaign, edition, run_id, dir, letter, at, is_open, list_id, is_alarm";

/// Recipients in one part: a megabyte.
const PART: usize = 65_536;

/// Recipients that are read at a time where many runs are read side by side.
const SLICE: usize = 8_192;

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
        let is_whole: bool = tables.query_row(IS_WHOLE, [], |row| row.get(0)).map_err(failed)?;
        if !is_whole {
            tables.execute_batch(COMPLETE).map_err(failed)?;
        }
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

    fn all_runs(&self) -> Result<Vec<PastRun>, StoreError> {
        self.read(|db| select(db, "1", &[]))
    }

    fn mailed(&self, cap: &Cap, except: &RunMark) -> Result<Vec<Mailed>, StoreError> {
        // In a transaction: a run may settle meanwhile.
        let in_transaction = |db: &mut Connection| {
            let transaction = db.transaction()?;
            mailed(&transaction, cap, except, |_, _| true)
        };
        in_transaction(&mut self.lock())
            .map_err(|error| error::sqlite(&self.store, "read editions from", error))
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
            let is_wanted = |one: &Recipient| claim.wanted.binary_search(one).is_ok();
            let stays = |run: &RunMark, one: &Recipient| Some(run) != claim.from || !is_wanted(one);
            let mailed = claim.cap.map(|cap| mailed(db, cap, mark, stays)).transpose()?;
            let mailed = mailed.unwrap_or_default();
            let (claimed, now) = decide(claim, (&own, is_open == Some(false)), &others, &mailed);
            if let Some(from) = claim.from {
                let before = held(db, from)?;
                let goes_over = |one: &Recipient| is_wanted(one) && claimed.grants(one);
                let kept: Vec<_> = before.iter().filter(|one| !goes_over(one)).copied().collect();
                if kept.len() < before.len() {
                    keep(db, from, &kept)?;
                }
            }
            put(db, claim.run, true)?;
            keep(db, mark, &now)?;
            Ok(claimed)
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
        list_id: row.get(8)?,
        is_alarm: row.get(9)?,
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
        held.extend(recipients(part.get_ref(0)?.as_blob()?));
    }
    Ok(held)
}

/// Who got how many of the mails that `cap` counts, of those recipients that `counts` says.
fn mailed(
    db: &Connection,
    cap: &Cap,
    except: &RunMark,
    counts: impl Fn(&RunMark, &Recipient) -> bool,
) -> rusqlite::Result<Vec<Mailed>> {
    let runs: Vec<_> = select(db, "1", &[])?
        .into_iter()
        .filter(|run| cap.counts(run) && run.mark != *except)
        .map(|run| run.mark)
        .collect();
    let counts = &counts;
    let recipients = |run| {
        let is_counted = move |one: &rusqlite::Result<Recipient>| match one {
            Ok(one) => counts(run, one),
            Err(_) => true,
        };
        Slices::of(db, run).filter(is_counted)
    };
    count_mails(runs.iter().map(recipients), cap.least())
}

/// The recipients of a run, sorted, of which few are in memory.
struct Slices<'a> {
    db: &'a Connection,
    run: &'a RunMark,
    /// The part and the slice of it that come next.
    next: (usize, usize),
    slice: std::vec::IntoIter<Recipient>,
}

impl<'a> Slices<'a> {
    fn of(db: &'a Connection, run: &'a RunMark) -> Self {
        Self { db, run, next: (0, 0), slice: Vec::new().into_iter() }
    }

    /// Reads the next slice; an empty one at the end.
    fn read(&mut self) -> rusqlite::Result<()> {
        let mut select = self.db.prepare_cached(
            "SELECT substr(recipients, ?3, ?4) FROM edition_recipients
             WHERE run = (SELECT id FROM edition_run WHERE mark = ?1) AND part = ?2",
        )?;
        let (part, slice) = self.next;
        // SQL counts bytes from 1.
        let (from, bytes) = (16 * slice * SLICE + 1, 16 * SLICE);
        let read = |row: &Row<'_>| Ok(recipients(row.get_ref(0)?.as_blob()?));
        let read = select.query_row(params![self.run.0, part as i64, from as i64, bytes as i64], read);
        self.slice = read.optional()?.unwrap_or_default().into_iter();
        self.next = if (slice + 1) * SLICE < PART { (part, slice + 1) } else { (part + 1, 0) };
        Ok(())
    }
}

impl Iterator for Slices<'_> {
    type Item = rusqlite::Result<Recipient>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.slice.len() == 0
            && let Err(error) = self.read()
        {
            return Some(Err(error));
        }
        self.slice.next().map(Ok)
    }
}

fn recipients(bytes: &[u8]) -> Vec<Recipient> {
    bytes.as_chunks::<16>().0.iter().map(|bytes| Recipient::from_bytes(*bytes)).collect()
}

fn put(db: &Connection, run: &PastRun, is_open: bool) -> rusqlite::Result<()> {
    let mut put = db.prepare_cached(&format!(
        "INSERT INTO edition_run ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
         ON CONFLICT (mark) DO UPDATE
         SET dir = ?5, letter = ?6, at = ?7, is_open = ?8, list_id = ?9, is_alarm = ?10"
    ))?;
    let PastRun { mark, edition, run_id, dir, list_id, is_alarm, letter, at, is_open: _ } = run;
    // A path that is no UTF-8 is kept as its bytes.
    let dir = dir.to_str().map_or_else(|| dir.as_os_str().as_bytes().into(), ValueRef::from);
    let dir = ToSqlOutput::Borrowed(dir);
    let Edition { campaign, name } = edition;
    put.execute(params![mark.0, campaign, name, run_id, dir, letter, at.0, is_open, list_id, is_alarm])?;
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
