//! The suppression list as tables of the state database.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{
    Connection, OptionalExtension, Row, Statement, ToSql, Transaction, TransactionBehavior, params,
};

use super::error::{self, STATE};
use super::file;
use super::tables::Versioned;
use crate::kit::store::{Store, StoreError};
use crate::mail::{Domain, ListId, Timestamp};
use crate::suppression::{
    Added, AddressKey, Change, Entry, EntryId, Filter, ImportCounts, NewEntry, Reason, Scope, Suppressions,
};

/// The format of the tables below.
const FORMAT: i64 = 2;

/// `list_id` is null for an entry for all mail. `key` is the address as the list compares it and,
/// where there is a list, its id after a blank (`Scope::place`): so one index finds both.
/// Times are microseconds since 1970, `lifetime` is in microseconds; both are null for a permanent
/// entry. `change` is the change number of the transaction that added the entry or renewed it last;
/// `suppression_meta` holds the last one.
const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS suppression (
        id       INTEGER PRIMARY KEY AUTOINCREMENT,
        key      TEXT NOT NULL UNIQUE,
        email    TEXT NOT NULL,
        reason   TEXT NOT NULL,
        source   TEXT NOT NULL,
        added    INTEGER NOT NULL,
        lifetime INTEGER,
        expires  INTEGER,
        change   INTEGER NOT NULL,
        list_id  TEXT
    );
    CREATE INDEX IF NOT EXISTS suppression_change ON suppression (change);
    CREATE TABLE IF NOT EXISTS suppression_meta (
        one     INTEGER PRIMARY KEY CHECK (one = 1),
        version INTEGER NOT NULL,
        change  INTEGER NOT NULL
    );
";

/// What format 1 lacks: all its entries are for all mail. No row is written again, and programs
/// that know format 1 only refuse the list from now on.
const COMPLETE: &[(i64, &str)] = &[(2, "ALTER TABLE suppression ADD COLUMN list_id TEXT")];

/// The tables above, opened by whoever needs them.
pub(super) const TABLES: Versioned = Versioned {
    part: "the suppression list",
    action: "open the suppression list in",
    meta: "suppression_meta",
    format: FORMAT,
    schema: SCHEMA,
    first: "INSERT OR IGNORE INTO suppression_meta VALUES (1, ?1, 0)",
    complete: COMPLETE,
};

/// Rows written in one transaction. The capacity ledger of a running send waits for it: a few tens
/// of milliseconds.
pub(super) const ROWS_PER_TRANSACTION: usize = 5_000;

/// The list in one state database. Its users share one connection.
#[derive(Debug)]
pub(super) struct SqliteList {
    db: Mutex<Connection>,
    store: Store,
}

impl SqliteList {
    /// Opens the list in the state database at `path`; creates the database where there is none.
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let mut db = file::open(path)?;
        let store = error::store(&STATE, path);
        TABLES.prepare(&mut db, &store)?;
        Ok(Self { db: Mutex::new(db), store })
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        // A panic in between rolls its transaction back.
        self.db.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What turns SQLite's errors into the store's.
    fn failed(&self, action: &'static str) -> impl Fn(rusqlite::Error) -> StoreError {
        move |error| error::sqlite(&self.store, action, error)
    }
}

impl Suppressions for SqliteList {
    fn import(
        &self,
        entries: &mut dyn Iterator<Item = NewEntry>,
        now: Timestamp,
    ) -> Result<ImportCounts, StoreError> {
        let failed = self.failed("add entries to");
        let mut counts = ImportCounts::default();
        let mut entries = entries.peekable();
        while entries.peek().is_some() {
            let db = &mut *self.lock();
            let transaction = begin(db).map_err(&failed)?;
            let mut upsert = Upsert::new(&transaction).map_err(&failed)?;
            for entry in entries.by_ref().take(ROWS_PER_TRANSACTION) {
                counts.count(upsert.add(&entry, now).map_err(&failed)?);
            }
            drop(upsert);
            transaction.commit().map_err(&failed)?;
        }
        Ok(counts)
    }

    fn remove(&self, key: &AddressKey, scope: &Scope) -> Result<bool, StoreError> {
        let failed = self.failed("remove an entry from");
        let db = &mut *self.lock();
        let transaction = begin(db).map_err(&failed)?;
        let delete = "DELETE FROM suppression WHERE key = ?1";
        let rows = transaction.execute(delete, [&*scope.place(key.as_str())]).map_err(&failed)?;
        if rows > 0 {
            count_change(&transaction).map_err(&failed)?;
        }
        transaction.commit().map_err(&failed)?;
        Ok(rows > 0)
    }

    fn get(&self, key: &str, scope: &Scope) -> Result<Option<Entry>, StoreError> {
        get(&self.lock(), key, scope).map_err(self.failed("look up an address in"))
    }

    fn of_address(&self, key: &str) -> Result<Vec<Entry>, StoreError> {
        let read = |db: &Connection| -> rusqlite::Result<Vec<Entry>> {
            // What follows a key in its places is a blank: the character before `!`.
            let mut select = db.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM suppression WHERE key >= ?1 AND key < ?1 || '!' ORDER BY key"
            ))?;
            select.query_map([key], entry)?.collect()
        };
        read(&self.lock()).map_err(self.failed("look up an address in"))
    }

    fn page(&self, filter: &Filter, after: &str, most: usize) -> Result<Vec<Entry>, StoreError> {
        let read = |db: &Connection| -> rusqlite::Result<Vec<Entry>> {
            let Filter { reason, source, domain, scope, live_at } = filter;
            let mut select = db.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM suppression
                 WHERE key > ?1
                   AND (?2 IS NULL OR reason = ?2)
                   AND (?3 IS NULL OR source = ?3)
                   AND (?4 IS NULL OR substr({ADDRESS}, instr(key, '@') + 1) = ?4)
                   AND (?5 IS NULL OR expires IS NULL OR expires > ?5)
                   AND (?6 IS NULL OR coalesce(list_id, '') = ?6)
                 ORDER BY key LIMIT ?7"
            ))?;
            let values = params![
                after,
                reason.as_ref().map(Reason::as_str),
                source,
                domain.as_ref().map(Domain::as_str),
                live_at.map(|moment| moment.0),
                scope.as_ref().map(Scope::as_str),
                i64::try_from(most).unwrap_or(i64::MAX),
            ];
            select.query_map(values, entry)?.collect()
        };
        read(&self.lock()).map_err(self.failed("list the entries of"))
    }

    fn count_live(&self, now: Timestamp) -> Result<u64, StoreError> {
        let count = "SELECT count(*) FROM suppression WHERE expires IS NULL OR expires > ?1";
        number(&self.lock(), count, params![now.0]).map_err(self.failed("count the entries of"))
    }

    fn restart_time(&self, entries: &[EntryId], now: Timestamp) -> Result<u64, StoreError> {
        let failed = self.failed("restart the time of entries of");
        let mut restarted = 0;
        for entries in entries.chunks(ROWS_PER_TRANSACTION) {
            let db = &mut *self.lock();
            let transaction = begin(db).map_err(&failed)?;
            let mut update = transaction
                .prepare_cached(
                    "UPDATE suppression SET expires = max(expires, ?2 + lifetime) WHERE id = ?1 AND expires > ?2",
                )
                .map_err(&failed)?;
            for entry in entries {
                restarted += update.execute(params![entry.0.cast_signed(), now.0]).map_err(&failed)? as u64;
            }
            drop(update);
            transaction.commit().map_err(&failed)?;
        }
        Ok(restarted)
    }

    fn purge(&self, before: Timestamp) -> Result<u64, StoreError> {
        let failed = self.failed("remove ended entries from");
        let mut gone = 0;
        loop {
            // In portions: a transaction of millions of rows would hold up every run of this user.
            let db = &mut *self.lock();
            let transaction = begin(db).map_err(&failed)?;
            let delete = "DELETE FROM suppression
                          WHERE id IN (SELECT id FROM suppression WHERE expires <= ?1 LIMIT ?2)";
            let rows = transaction
                .execute(delete, params![before.0, ROWS_PER_TRANSACTION as i64])
                .map_err(&failed)?;
            if rows > 0 {
                count_change(&transaction).map_err(&failed)?;
            }
            transaction.commit().map_err(&failed)?;
            gone += rows as u64;
            if rows < ROWS_PER_TRANSACTION {
                return Ok(gone);
            }
        }
    }

    fn live_keys(
        &self,
        list: Option<&ListId>,
        now: Timestamp,
        each: &mut dyn FnMut(&str),
    ) -> Result<u64, StoreError> {
        let mut read = |db: &Connection| -> rusqlite::Result<u64> {
            let transaction = db.unchecked_transaction()?;
            let change = last_change(&transaction)?;
            let mut select = transaction.prepare_cached(&format!(
                "SELECT key FROM suppression WHERE {FOR_MAIL_OF_2} AND (expires IS NULL OR expires > ?1)"
            ))?;
            let mut rows = select.query(params![now.0, list.map(ListId::as_str)])?;
            while let Some(row) = rows.next()? {
                each(address(row.get_ref(0)?.as_str()?));
            }
            Ok(change)
        };
        read(&self.lock()).map_err(self.failed("read"))
    }

    fn changes(
        &self,
        list: Option<&ListId>,
        seen: u64,
        each: &mut dyn FnMut(Change<'_>),
    ) -> Result<u64, StoreError> {
        let mut read = |db: &Connection| -> rusqlite::Result<u64> {
            let transaction = db.unchecked_transaction()?;
            let last = last_change(&transaction)?;
            if last <= seen {
                return Ok(last);
            }
            let mut select = transaction.prepare_cached(&format!(
                "SELECT key, reason, source, expires, list_id FROM suppression
                 WHERE change > ?1 AND {FOR_MAIL_OF_2} ORDER BY change"
            ))?;
            let mut rows = select.query(params![seen.cast_signed(), list.map(ListId::as_str)])?;
            while let Some(row) = rows.next()? {
                each(Change {
                    key: address(row.get_ref(0)?.as_str()?),
                    is_of_list: row.get_ref(4)?.as_str_or_null()?.is_some(),
                    reason: row.get_ref(1)?.as_str()?,
                    source: row.get_ref(2)?.as_str()?,
                    expires: row.get::<_, Option<i64>>(3)?.map(Timestamp),
                });
            }
            Ok(last)
        };
        read(&self.lock()).map_err(self.failed("read"))
    }

    fn count_changes(&self, list: Option<&ListId>, since: u64) -> Result<u64, StoreError> {
        let count = format!("SELECT count(*) FROM suppression WHERE change > ?1 AND {FOR_MAIL_OF_2}");
        number(&self.lock(), &count, params![since.cast_signed(), list.map(ListId::as_str)])
            .map_err(self.failed("count the entries of"))
    }
}

/// The entries for all mail, and those for that of the list `?2`, if there is one.
const FOR_MAIL_OF_2: &str = "(list_id IS NULL OR list_id = ?2)";

/// The key of an entry's address.
const ADDRESS: &str = "substr(key, 1, length(key) - coalesce(length(list_id) + 1, 0))";

/// What [`entry`] takes.
const COLUMNS: &str = "id, key, email, reason, source, added, lifetime, expires, list_id";

/// The key of the address in a place.
fn address(place: &str) -> &str {
    place.split_once(' ').map_or(place, |(address, _)| address)
}

/// The entry in a row of [`COLUMNS`].
fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    let Ok(reason) = row.get_ref(3)?.as_str()?.parse();
    let lifetime: Option<i64> = row.get(6)?;
    Ok(Entry {
        id: EntryId(row.get::<_, i64>(0)?.cast_unsigned()),
        key: AddressKey::from_store(address(row.get_ref(1)?.as_str()?).to_owned()),
        scope: Scope::of_word(row.get_ref(8)?.as_str_or_null()?.unwrap_or_default()),
        email: row.get(2)?,
        reason,
        source: row.get(4)?,
        added: Timestamp(row.get(5)?),
        lifetime: lifetime.map(|micros| Duration::from_micros(u64::try_from(micros).unwrap_or(0))),
        expires: row.get::<_, Option<i64>>(7)?.map(Timestamp),
    })
}

/// The entry of the address with this key for this mail.
pub(super) fn get(db: &Connection, key: &str, scope: &Scope) -> rusqlite::Result<Option<Entry>> {
    db.prepare_cached(&format!("SELECT {COLUMNS} FROM suppression WHERE key = ?1"))?
        .query_row([&*scope.place(key)], entry)
        .optional()
}

/// Makes the entry of the address with this key for this mail what is given; none removes it.
pub(super) fn put(
    transaction: &Transaction<'_>,
    key: &str,
    scope: &Scope,
    entry: Option<&Entry>,
) -> rusqlite::Result<()> {
    let place = scope.place(key);
    let Some(entry) = entry else {
        let removed = transaction.execute("DELETE FROM suppression WHERE key = ?1", [&*place])?;
        return if removed > 0 { count_change(transaction) } else { Ok(()) };
    };
    count_change(transaction)?;
    transaction
        .execute(
            "INSERT INTO suppression (key, email, reason, source, added, lifetime, expires, list_id, change)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, (SELECT change FROM suppression_meta))
             ON CONFLICT (key) DO UPDATE SET
                 email = excluded.email, reason = excluded.reason, source = excluded.source,
                 added = excluded.added, lifetime = excluded.lifetime, expires = excluded.expires,
                 change = excluded.change",
            params![
                place,
                entry.email,
                entry.reason.as_str(),
                entry.source,
                entry.added.0,
                entry.lifetime.map(micros),
                entry.expires.map(|at| at.0),
                scope.list().map(ListId::as_str),
            ],
        )
        .map(drop)
}

/// The one number that `select` gives for `values`.
fn number(db: &Connection, select: &str, values: &[&dyn ToSql]) -> rusqlite::Result<u64> {
    db.prepare_cached(select)?.query_row(values, |row| row.get::<_, i64>(0)).map(i64::cast_unsigned)
}

/// The last change number.
fn last_change(db: &Connection) -> rusqlite::Result<u64> {
    let change: i64 =
        db.prepare_cached("SELECT change FROM suppression_meta")?.query_row([], |row| row.get(0))?;
    Ok(change.cast_unsigned())
}

/// Takes the next change number.
fn count_change(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    transaction.execute("UPDATE suppression_meta SET change = change + 1", []).map(drop)
}

/// A transaction that takes the write lock at its start, so that it can't fail half-way for want of
/// it.
fn begin(db: &mut Connection) -> rusqlite::Result<Transaction<'_>> {
    db.transaction_with_behavior(TransactionBehavior::Immediate)
}

/// Adds entries within one transaction.
pub(super) struct Upsert<'a> {
    insert: Statement<'a>,
    change: u64,
    largest_id: i64,
}

impl<'a> Upsert<'a> {
    pub(super) fn new(transaction: &'a Transaction<'_>) -> rusqlite::Result<Self> {
        count_change(transaction)?;
        let change = last_change(transaction)?;
        let largest_id =
            transaction.query_row("SELECT coalesce(max(id), 0) FROM suppression", [], |row| row.get(0))?;
        let insert = transaction.prepare(
            "INSERT INTO suppression (key, email, reason, source, added, lifetime, expires, change, list_id)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
             ON CONFLICT (key) DO UPDATE SET
                 email = excluded.email, reason = excluded.reason, source = excluded.source,
                 added = excluded.added, change = excluded.change,
                 lifetime = CASE WHEN excluded.expires < suppression.expires
                            THEN suppression.lifetime ELSE excluded.lifetime END,
                 expires = max(excluded.expires, suppression.expires)
             WHERE suppression.expires IS NOT NULL
             RETURNING id",
        )?;
        Ok(Self { insert, change, largest_id })
    }

    pub(super) fn add(&mut self, entry: &NewEntry, now: Timestamp) -> rusqlite::Result<Added> {
        let lifetime = entry.lifetime().map(|lifetime| now + lifetime).map(|end| end.since(now));
        let key = AddressKey::from(&entry.address);
        let values = params![
            entry.scope.place(key.as_str()),
            entry.email,
            entry.reason.as_str(),
            entry.source,
            now.0,
            lifetime.map(micros),
            lifetime.map(|lifetime| (now + lifetime).0),
            self.change.cast_signed(),
            entry.scope.list().map(ListId::as_str),
        ];
        let id = self.insert.query_row(values, |row| row.get::<_, i64>(0)).optional()?;
        Ok(match id {
            None => Added::Kept,
            Some(id) if id > self.largest_id => {
                self.largest_id = id;
                Added::New
            }
            Some(_) => Added::Renewed,
        })
    }
}

pub(super) fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
