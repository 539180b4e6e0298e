//! The ledger in `state.db`, shared by all processes of this machine.
//!
//! Each process keeps the account's book in memory and, inside a write transaction, reads what others have added to it since
//! its last look; so a reservation costs one short transaction with one fsync, however much the hour holds. The file lives
//! on a local disk: SQLite's WAL is no good across machines.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params, params_from_iter};

use super::book::{Book, Claim};
use super::row;
use super::{BlockId, Holder, Ledger, LedgerError, Request, Reservation};
use crate::campaign::Capacity;
use crate::pacing::agreement::{Terms, micros};
use crate::pacing::clock::{Reading, Uptime};
use crate::suppression::open_state;

/// The format of the ledger's tables.
const FORMAT: i64 = 1;
/// Blocks are kept for so long: twice what the limits need, for a look back.
const KEPT: Duration = Duration::from_secs(7_200);
/// How often old blocks are deleted.
const PRUNE_EVERY: Duration = Duration::from_secs(120);

/// One process's access to its account in `state.db`.
#[derive(Debug)]
pub struct SqliteLedger {
    db: Connection,
    path: PathBuf,
    file: Option<FileId>,
    holder: Holder,
    terms: Terms,
    book: Book,
    /// The account's count of changes up to which the book is complete.
    seen: i64,
    pruned_at: Option<Uptime>,
}

impl SqliteLedger {
    /// `holder`'s access to the account that `capacity` names, in the state database at `path`, which is made where there
    /// is none.
    pub fn open(path: &Path, holder: Holder, capacity: &Capacity) -> Result<Self, LedgerError> {
        Ok(Self {
            db: open(path)?,
            path: path.to_owned(),
            file: FileId::of(path),
            holder,
            terms: capacity.into(),
            book: Book::default(),
            seen: 0,
            pruned_at: None,
        })
    }
}

impl Ledger for SqliteLedger {
    fn reserve(&mut self, at: Reading, request: &Request) -> Result<Reservation, LedgerError> {
        if FileId::of(&self.path) != self.file {
            return Err(LedgerError::Replaced { path: self.path.clone() });
        }
        let sqlite = |source| LedgerError::sqlite(&self.path, "reserve capacity", source);
        let account = self.terms.account.as_str();
        let transaction =
            self.db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(sqlite)?;

        let changes = changes(&transaction, account).map_err(sqlite)?;
        if changes < self.seen {
            return Err(LedgerError::Replaced { path: self.path.clone() });
        }
        read_into(&mut self.book, &transaction, account, self.seen, at)
            .map_err(|error| unreadable(&self.path, error))?;
        self.seen = changes;
        let change = changes + 1;

        let mut written = 0;
        for unused in &request.unused {
            // True whether or not it gets written: these tokens were never granted to a message.
            self.book.give_back(unused.block, unused.used);
            let used = i64::try_from(unused.used).unwrap_or(i64::MAX);
            let give_back = "UPDATE capacity_block SET count = ?1, change = ?2 WHERE id = ?3 AND count > ?1";
            let mut give_back = transaction.prepare_cached(give_back).map_err(sqlite)?;
            written += give_back.execute(params![used, change, key(unused.block)]).map_err(sqlite)?;
        }

        let claim = Claim::new(&self.holder, &self.terms, at, request);
        let decision = self.book.decide(&claim);
        let mut entry = decision.entry(BlockId(0), &claim);
        if let Some(entry) = &mut entry {
            let mut insert = transaction.prepare_cached(row::INSERT).map_err(sqlite)?;
            let start: [Box<dyn rusqlite::ToSql>; 2] = [Box::new(account.to_owned()), Box::new(change)];
            let values = params_from_iter(start.into_iter().chain(row::values(entry, &at)));
            let id = insert.insert(values).map_err(sqlite)?;
            entry.id = BlockId(u64::try_from(id).expect("SQLite counts its row ids from 1"));
            written += 1;
        }
        let prune = self.pruned_at.is_none_or(|pruned| at.uptime.since(pruned) >= micros(PRUNE_EVERY));
        if written > 0 {
            if prune {
                delete_old(&transaction, account, at).map_err(sqlite)?;
            }
            set_changes(&transaction, account, change).map_err(sqlite)?;
            transaction.commit().map_err(sqlite)?;
            self.seen = change;
            if prune {
                self.pruned_at = Some(at.uptime);
            }
        }
        let id = entry.as_ref().map_or(BlockId(0), |entry| entry.id);
        if let Some(entry) = entry {
            self.book.record(entry);
        }
        Ok(decision.reservation(id, at))
    }
}

/// Opens the state database at `path` and makes the ledger's tables where there are none.
pub(super) fn open(path: &Path) -> Result<Connection, LedgerError> {
    let mut db = open_state(path)?;
    let sqlite = |source| LedgerError::sqlite(path, "open the capacity ledger", source);
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(sqlite)?;
    transaction
        .execute_batch("CREATE TABLE IF NOT EXISTS capacity_format (format INTEGER NOT NULL) STRICT")
        .map_err(sqlite)?;
    let format = transaction
        .query_row("SELECT max(format) FROM capacity_format", [], |row| row.get::<_, Option<i64>>(0))
        .map_err(sqlite)?;
    match format {
        None => {
            transaction.execute_batch(row::TABLE).map_err(sqlite)?;
            transaction
                .execute_batch(
                    "CREATE TABLE IF NOT EXISTS capacity_account (
                        account TEXT PRIMARY KEY, changes INTEGER NOT NULL
                    ) STRICT, WITHOUT ROWID",
                )
                .map_err(sqlite)?;
            transaction.execute("INSERT INTO capacity_format VALUES (?1)", [FORMAT]).map_err(sqlite)?;
            transaction.commit().map_err(sqlite)?;
        }
        Some(FORMAT) => drop(transaction),
        Some(found) if found > FORMAT => {
            return Err(LedgerError::Newer { path: path.to_owned(), found, known: FORMAT });
        }
        Some(found) => {
            let detail = format!("there was never a format {found}");
            return Err(LedgerError::Damaged { path: path.to_owned(), detail });
        }
    }
    Ok(db)
}

/// Adds to `book` what has changed in `account` since its change number `seen`.
pub(super) fn read_into(
    book: &mut Book,
    db: &Connection,
    account: &str,
    seen: i64,
    at: Reading,
) -> rusqlite::Result<()> {
    let mut select = db.prepare_cached(row::SELECT)?;
    let mut rows = select.query(params![account, seen])?;
    while let Some(row) = rows.next()? {
        book.record_foreign(row::entry(row, &at)?, at.uptime);
    }
    Ok(())
}

/// A row that can't be understood is damage, whatever SQLite calls it.
pub(super) fn unreadable(path: &Path, error: rusqlite::Error) -> LedgerError {
    use rusqlite::Error::{FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType};
    match &error {
        FromSqlConversionFailure(..) | IntegralValueOutOfRange(..) | InvalidColumnType(..) => {
            LedgerError::Damaged { path: path.to_owned(), detail: error.to_string() }
        }
        _ => LedgerError::sqlite(path, "read the capacity ledger", error),
    }
}

fn key(id: BlockId) -> i64 {
    i64::try_from(id.0).unwrap_or(i64::MAX)
}

fn changes(transaction: &Transaction, account: &str) -> rusqlite::Result<i64> {
    let mut select = transaction.prepare_cached("SELECT changes FROM capacity_account WHERE account = ?1")?;
    Ok(select.query_row([account], |row| row.get(0)).optional()?.unwrap_or(0))
}

fn set_changes(transaction: &Transaction, account: &str, changes: i64) -> rusqlite::Result<()> {
    let upsert = "INSERT INTO capacity_account VALUES (?1, ?2)
                  ON CONFLICT (account) DO UPDATE SET changes = excluded.changes";
    transaction.prepare_cached(upsert)?.execute(params![account, changes])?;
    Ok(())
}

fn delete_old(transaction: &Transaction, account: &str, at: Reading) -> rusqlite::Result<()> {
    let kept = i64::try_from(micros(KEPT)).unwrap_or(i64::MAX);
    let values = params![account, at.boot.to_string(), at.uptime.0, at.wall.0, kept];
    transaction.execute(row::PRUNE, values)?;
    Ok(())
}

/// Which file a path leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileId {
    device: u64,
    file: u64,
}

impl FileId {
    #[cfg(unix)]
    fn of(path: &Path) -> Option<Self> {
        use std::os::unix::fs::MetadataExt;
        let data = fs::metadata(path).ok()?;
        Some(Self { device: data.dev(), file: data.ino() })
    }

    #[cfg(not(unix))]
    fn of(path: &Path) -> Option<Self> {
        fs::metadata(path).ok().map(|_| Self { device: 0, file: 0 })
    }
}

#[cfg(test)]
#[path = "sqlite_tests.rs"]
mod tests;
