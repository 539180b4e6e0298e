//! The capacity ledger as tables of the state database, shared by all processes of this machine.
//!
//! Each process keeps the account's book in memory and, inside a write transaction, reads what
//! others have added since its last look. So a reservation costs one short transaction with one
//! fsync, however much the hour holds. The file must be on a local disk: SQLite's WAL does not work
//! across machines. The time is this machine's.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use super::error::{self, STATE};
use super::{block, file};
use crate::kit::store::{Store, StoreError};
use crate::pacing::{
    Account, Agreement, BlockId, Book, Claim, Clock, Holder, Ledger, LedgerError, Reading, Request,
    Reservation, Terms, Uptime, Usage, micros, of_book,
};

/// The format of the ledger's tables.
const FORMAT: i64 = 1;
/// How long blocks are kept: twice what the limits need, to look back.
const KEPT: Duration = Duration::from_secs(7_200);
/// How often old blocks are deleted.
const PRUNE_EVERY: Duration = Duration::from_secs(120);

/// The accounts in one state database.
#[derive(Debug, Clone)]
pub(super) struct SqliteLedger {
    pub path: PathBuf,
    pub clock: Clock,
    /// Reservations outlast a loss of power. Only tests, which lose none, do without.
    pub durable: bool,
}

impl Ledger for SqliteLedger {
    fn join(&self, holder: Holder, terms: Terms) -> Result<Box<dyn Account>, LedgerError> {
        Ok(Box::new(SqliteAccount::open(self, holder, terms)?))
    }

    fn set_limits(&self, account: &str, limits: Agreement) -> Result<u64, LedgerError> {
        if !self.path.exists() {
            return Ok(0);
        }
        let store = error::store(&STATE, &self.path);
        let sqlite = |error| error::sqlite(&store, "change the limits in", error);
        let mut db = open(&self.path)?;
        let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(sqlite)?;
        let change = changes(&transaction, account).map_err(sqlite)? + 1;
        let number = |limit: u64| i64::try_from(limit).unwrap_or(i64::MAX);
        let values = params![account, change, number(limits.per_hour), number(limits.per_slot)];
        let changed = transaction.execute(block::SET_LIMITS, values).map_err(sqlite)?;
        if changed > 0 {
            set_changes(&transaction, account, change).map_err(sqlite)?;
            transaction.commit().map_err(sqlite)?;
        }
        Ok(changed as u64)
    }

    /// None where there is no file.
    fn usage(&self) -> Result<Vec<Usage>, LedgerError> {
        if !self.path.exists() {
            return Ok(Vec::new());
        }
        let at = self.clock.reading();
        let store = error::store(&STATE, &self.path);
        let db = open(&self.path)?;
        let read = || -> rusqlite::Result<Vec<Usage>> {
            let mut select = db.prepare("SELECT account FROM capacity_account ORDER BY account")?;
            let accounts: Vec<String> =
                select.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
            let mut found = Vec::new();
            for account in accounts {
                let mut book = Book::default();
                read_into(&mut book, &db, &account, -1, at)?;
                found.extend(of_book(account, &book, at));
            }
            Ok(found)
        };
        Ok(read().map_err(|error| unreadable(&store, error))?)
    }
}

/// One process's access to its account in the state database.
#[derive(Debug)]
pub(super) struct SqliteAccount {
    pub db: Connection,
    clock: Clock,
    path: PathBuf,
    store: Store,
    file: Option<FileId>,
    holder: Holder,
    terms: Terms,
    book: Book,
    /// The account's count of changes up to which the book is complete.
    seen: i64,
    pruned_at: Option<Uptime>,
}

impl SqliteAccount {
    /// `holder`'s access to the account that `terms` name; creates the database where there is
    /// none.
    pub(super) fn open(ledger: &SqliteLedger, holder: Holder, terms: Terms) -> Result<Self, StoreError> {
        let path = &ledger.path;
        let store = error::store(&STATE, path);
        let db = open(path)?;
        if !ledger.durable {
            db.pragma_update(None, "synchronous", "OFF")
                .map_err(|error| error::sqlite(&store, "open", error))?;
        }
        Ok(Self {
            db,
            clock: ledger.clock.clone(),
            path: path.clone(),
            store,
            file: FileId::of(path),
            holder,
            terms,
            book: Book::default(),
            seen: 0,
            pruned_at: None,
        })
    }
}

impl Account for SqliteAccount {
    fn reserve(&mut self, request: &Request) -> Result<Reservation, LedgerError> {
        let at = self.clock.reading();
        if FileId::of(&self.path) != self.file {
            return Err(StoreError::Replaced(self.store.clone()).into());
        }
        let sqlite = |error| error::sqlite(&self.store, "reserve capacity in", error);
        let account = self.terms.account.as_str();
        let transaction =
            self.db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(sqlite)?;

        let changes = changes(&transaction, account).map_err(sqlite)?;
        if changes < self.seen {
            return Err(StoreError::Replaced(self.store.clone()).into());
        }
        read_into(&mut self.book, &transaction, account, self.seen, at)
            .map_err(|error| unreadable(&self.store, error))?;
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
        let mut record = decision.record(BlockId(0), &claim);
        if let Some(record) = &mut record {
            let id = block::insert(&transaction, account, change, record, &at).map_err(sqlite)?;
            record.id = BlockId(u64::try_from(id).expect("SQLite counts its row ids from 1"));
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
        let id = record.as_ref().map_or(BlockId(0), |record| record.id);
        if let Some(record) = record {
            self.book.enter(record);
        }
        Ok(decision.reservation(id, at))
    }
}

/// Opens the state database at `path` and creates the ledger's tables where there are none.
fn open(path: &Path) -> Result<Connection, StoreError> {
    let mut db = file::open(path)?;
    let store = error::store(&STATE, path);
    let sqlite = |error| error::sqlite(&store, "open the capacity ledger in", error);
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(sqlite)?;
    transaction
        .execute_batch("CREATE TABLE IF NOT EXISTS capacity_format (format INTEGER NOT NULL) STRICT")
        .map_err(sqlite)?;
    let format = transaction
        .query_row("SELECT max(format) FROM capacity_format", [], |row| row.get::<_, Option<i64>>(0))
        .map_err(sqlite)?;
    match format {
        None => {
            transaction.execute_batch(block::TABLE).map_err(sqlite)?;
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
        Some(FORMAT) => {
            let is_whole: bool =
                transaction.query_row(block::IS_WHOLE, [], |row| row.get(0)).map_err(sqlite)?;
            if !is_whole {
                transaction.execute_batch(block::COMPLETE).map_err(sqlite)?;
            }
            transaction.commit().map_err(sqlite)?;
        }
        Some(found) if found > FORMAT => {
            return Err(StoreError::Newer { store, part: "the capacity ledger", found, known: FORMAT });
        }
        Some(found) => {
            let detail = format!("the capacity ledger never had a format {found}");
            return Err(StoreError::Damaged { store, detail });
        }
    }
    Ok(db)
}

/// Adds to `book` what has changed in `account` since its change number `seen`.
fn read_into(
    book: &mut Book,
    db: &Connection,
    account: &str,
    seen: i64,
    at: Reading,
) -> rusqlite::Result<()> {
    let mut select = db.prepare_cached(block::SELECT)?;
    let mut rows = select.query(params![account, seen])?;
    while let Some(row) = rows.next()? {
        book.enter_foreign(block::read(row, &at)?, at.uptime);
    }
    Ok(())
}

/// A row that can't be understood is damage, whatever SQLite calls it.
fn unreadable(store: &Store, error: rusqlite::Error) -> StoreError {
    use rusqlite::Error::{FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType};
    match &error {
        FromSqlConversionFailure(..) | IntegralValueOutOfRange(..) | InvalidColumnType(..) => {
            StoreError::Damaged { store: store.clone(), detail: format!("in the capacity ledger, {error}") }
        }
        _ => error::sqlite(store, "read the capacity ledger in", error),
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
    transaction.execute(block::PRUNE, values)?;
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
