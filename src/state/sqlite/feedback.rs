//! The log of what came back as tables of the state database, beside the suppression list: both
//! change in one transaction.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, Row, ToSql, Transaction, TransactionBehavior, params};
use serde_json::{Value, json};

use super::error::{self, STATE};
use super::file;
use super::suppressions::{self, Upsert};
use super::tables::Versioned;
use crate::feedback::log::{self, FeedbackLog, Import, Logged, Record, Tables, Undo, Undone};
use crate::feedback::{Action, By, Effect, Kind, Machine, Policy};
use crate::kit::store::{Store, StoreError};
use crate::mail::{Address, ListId, Timestamp};
use crate::suppression::{Added, AddressKey, Entry, EntryId, NewEntry, Reason, Scope};

/// The format of the tables below.
const FORMAT: i64 = 3;

/// Times are microseconds since 1970. `key` is the address as the suppression list compares it.
/// `before` is the entry of the list that a record changed: empty where there was none. `list_id`
/// is the list whose mail the record's entry is for; null for all mail.
const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS feedback_meta (
        one     INTEGER PRIMARY KEY CHECK (one = 1),
        version INTEGER NOT NULL
    );
    CREATE TABLE IF NOT EXISTS feedback_import (
        id     INTEGER PRIMARY KEY AUTOINCREMENT,
        at     INTEGER NOT NULL,
        source TEXT NOT NULL
    );
    CREATE TABLE IF NOT EXISTS feedback (
        id         INTEGER PRIMARY KEY AUTOINCREMENT,
        import     INTEGER NOT NULL,
        read_at    INTEGER NOT NULL,
        mail       TEXT NOT NULL,
        event      INTEGER NOT NULL,
        message_id TEXT,
        at         INTEGER NOT NULL,
        kind       TEXT NOT NULL,
        class      TEXT,
        status     TEXT,
        hard       INTEGER NOT NULL,
        named      TEXT,
        text       TEXT,
        key        TEXT,
        address    TEXT,
        campaign   TEXT,
        run        TEXT,
        row        INTEGER,
        found_by   TEXT,
        trusted    INTEGER NOT NULL,
        action     TEXT NOT NULL,
        effect     TEXT NOT NULL,
        undone_at  INTEGER,
        undone_by  INTEGER,
        before     TEXT,
        list_id    TEXT,
        machine    TEXT,
        UNIQUE (mail, event)
    );
    CREATE INDEX IF NOT EXISTS feedback_key ON feedback (key);
    CREATE INDEX IF NOT EXISTS feedback_message_id ON feedback (message_id);
    CREATE INDEX IF NOT EXISTS feedback_run ON feedback (run);
    CREATE INDEX IF NOT EXISTS feedback_import_of ON feedback (import);
";

/// What earlier formats lack. All entries that records of format 1 made are for all mail.
const COMPLETE: &[(i64, &str)] = &[
    (2, "ALTER TABLE feedback ADD COLUMN list_id TEXT"),
    (3, "ALTER TABLE feedback ADD COLUMN machine TEXT"),
];

/// The tables above, opened by whoever needs them.
pub(super) const TABLES: Versioned = Versioned {
    part: "the log of feedback",
    action: "create the tables of feedback in",
    meta: "feedback_meta",
    format: FORMAT,
    schema: SCHEMA,
    first: "INSERT OR IGNORE INTO feedback_meta VALUES (1, ?1)",
    complete: COMPLETE,
};

/// Records that concern an address or may name it.
const MAY_NAME: &str =
    "key = ?1 OR instr(lower(coalesce(named, '') || ' ' || coalesce(text, '')), ?1) > 0 ORDER BY id";

/// Records but opens and clicks, of which there are many.
const NO_VISIT: &str = "kind NOT IN ('open', 'click')";

/// What [`logged`] takes.
const COLUMNS: &str = "id, import, read_at, mail, event, message_id, at, kind, class, status, hard, named, text, \
                       address, campaign, run, row, found_by, trusted, action, effect, undone_at, undone_by, before, list_id, machine";

/// The log in one state database. Its users share one connection.
#[derive(Debug)]
pub(super) struct SqliteFeedback {
    db: Mutex<Connection>,
    store: Store,
}

impl SqliteFeedback {
    /// Opens the log in the state database at `path`; creates the database where there is none.
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let mut db = file::open(path)?;
        let store = error::store(&STATE, path);
        suppressions::TABLES.prepare(&mut db, &store)?;
        TABLES.prepare(&mut db, &store)?;
        Ok(Self { db: Mutex::new(db), store })
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        // A panic in between rolls its transaction back.
        self.db.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write<T>(
        &self,
        write: impl FnOnce(&mut Open<'_, '_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let failed = |error| error::sqlite(&self.store, "keep feedback in", error);
        let mut db = self.lock();
        let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        let written = write(&mut Open { db: &transaction, store: &self.store, upsert: None })?;
        transaction.commit().map_err(failed)?;
        Ok(written)
    }
}

impl FeedbackLog for SqliteFeedback {
    fn append(
        &self,
        import: &mut Import,
        records: &[Record],
        policy: &Policy,
        now: Timestamp,
    ) -> Result<Vec<Effect>, StoreError> {
        let mut begun = import.clone();
        let effects = self.write(|tables| log::append(tables, &mut begun, records, policy, now))?;
        *import = begun;
        Ok(effects)
    }

    fn undo(&self, what: &Undo, policy: &Policy, now: Timestamp) -> Result<Undone, StoreError> {
        self.write(|tables| log::undo(tables, what, policy, now))
    }

    fn page(&self, after: u64, most: usize) -> Result<Vec<Logged>, StoreError> {
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        select(&self.lock(), "id > ?1 ORDER BY id LIMIT ?2", params![after.cast_signed(), most])
            .map_err(|error| error::sqlite(&self.store, "read feedback from", error))
    }

    fn imports(&self) -> Result<BTreeMap<u64, String>, StoreError> {
        let db = self.lock();
        let imports = || -> rusqlite::Result<BTreeMap<u64, String>> {
            let mut select = db.prepare_cached("SELECT id, source FROM feedback_import")?;
            select.query_map([], |row| Ok((row.get::<_, i64>(0)?.cast_unsigned(), row.get(1)?)))?.collect()
        };
        imports().map_err(|error| error::sqlite(&self.store, "read feedback from", error))
    }

    fn of_address(&self, key: &str) -> Result<Vec<Logged>, StoreError> {
        select(&self.lock(), "key = ?1 ORDER BY id", params![key])
            .map_err(|error| error::sqlite(&self.store, "read feedback from", error))
    }

    fn of_run(&self, campaign: &str, run: &str, after: u64) -> Result<Vec<Logged>, StoreError> {
        select(
            &self.lock(),
            "run = ?1 AND campaign = ?2 AND id > ?3 ORDER BY id",
            params![run, campaign, after.cast_signed()],
        )
        .map_err(|error| error::sqlite(&self.store, "read feedback from", error))
    }

    fn page_of_run(
        &self,
        campaign: &str,
        run: &str,
        after: u64,
        most: usize,
    ) -> Result<Vec<Logged>, StoreError> {
        select(
            &self.lock(),
            "run = ?1 AND campaign = ?2 AND id > ?3 ORDER BY id LIMIT ?4",
            params![run, campaign, after.cast_signed(), i64::try_from(most).unwrap_or(i64::MAX)],
        )
        .map_err(|error| error::sqlite(&self.store, "read feedback from", error))
    }

    fn has_of_run(&self, campaign: &str, run: &str, after: u64) -> Result<bool, StoreError> {
        let db = self.lock();
        let has = || -> rusqlite::Result<bool> {
            let exists =
                "SELECT EXISTS (SELECT 1 FROM feedback WHERE run = ?1 AND campaign = ?2 AND id > ?3)";
            let mut exists = db.prepare_cached(exists)?;
            exists.query_row(params![run, campaign, after.cast_signed()], |row| row.get(0))
        };
        has().map_err(|error| error::sqlite(&self.store, "read feedback from", error))
    }

    fn replies_of_run(&self, campaign: &str, run: &str) -> Result<Vec<Logged>, StoreError> {
        let which = format!("run = ?1 AND campaign = ?2 AND {NO_VISIT} ORDER BY id");
        select(&self.lock(), &which, params![run, campaign])
            .map_err(|error| error::sqlite(&self.store, "read feedback from", error))
    }

    fn page_of_replies(&self, after: u64, most: usize) -> Result<Vec<Logged>, StoreError> {
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let which = format!("id > ?1 AND {NO_VISIT} ORDER BY id LIMIT ?2");
        select(&self.lock(), &which, params![after.cast_signed(), most])
            .map_err(|error| error::sqlite(&self.store, "read feedback from", error))
    }

    fn naming(&self, key: &AddressKey) -> Result<u64, StoreError> {
        let found = select(&self.lock(), MAY_NAME, params![key.as_str()]);
        let mut found = found.map_err(|error| error::sqlite(&self.store, "read feedback from", error))?;
        Ok(found.iter_mut().filter_map(|logged| log::forget(logged, key).then_some(())).count() as u64)
    }

    fn forget(&self, key: &AddressKey) -> Result<(), StoreError> {
        let mut db = self.lock();
        forget(&mut db, key).map_err(|error| error::sqlite(&self.store, "remove a person from", error))
    }
}

fn forget(db: &mut Connection, key: &AddressKey) -> rusqlite::Result<()> {
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for mut logged in select(&transaction, MAY_NAME, params![key.as_str()])? {
        if !log::forget(&mut logged, key) {
            continue;
        }
        let (id, record) = (logged.id.cast_signed(), &logged.record);
        let update = "UPDATE feedback SET named = ?2, text = ?3 WHERE id = ?1";
        transaction.prepare_cached(update)?.execute(params![id, record.named, record.text])?;
        if record.address.is_none() {
            let update = "UPDATE feedback SET key = NULL, address = NULL, before = NULL WHERE id = ?1";
            transaction.prepare_cached(update)?.execute([id])?;
        }
    }
    transaction.commit()?;
    // Pages that are free or half full still hold what was on them, and so does the log.
    db.execute_batch("VACUUM")?;
    let is_busy: bool = db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    let busy = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY);
    if is_busy { Err(rusqlite::Error::SqliteFailure(busy, None)) } else { Ok(()) }
}

/// A transaction that is open.
struct Open<'a, 'db> {
    db: &'a Transaction<'db>,
    store: &'a Store,
    /// What adds entries to the list, once one was added: its statements are prepared once.
    upsert: Option<Upsert<'a>>,
}

impl Open<'_, '_> {
    fn done<T>(&self, result: rusqlite::Result<T>) -> Result<T, StoreError> {
        result.map_err(|error| error::sqlite(self.store, "keep feedback in", error))
    }

    fn change(&self, statement: &str, values: &[&dyn ToSql]) -> Result<usize, StoreError> {
        self.done(self.db.prepare_cached(statement).and_then(|mut statement| statement.execute(values)))
    }

    fn last_id(&self) -> u64 {
        self.db.last_insert_rowid().cast_unsigned()
    }
}

impl Tables for Open<'_, '_> {
    fn is_known(&mut self, mail: &str) -> Result<bool, StoreError> {
        let exists = "SELECT EXISTS (SELECT 1 FROM feedback WHERE mail = ?1)";
        self.done(
            self.db.prepare_cached(exists).and_then(|mut known| known.query_row([mail], |row| row.get(0))),
        )
    }

    fn add_import(&mut self, source: &str, now: Timestamp) -> Result<u64, StoreError> {
        self.change("INSERT INTO feedback_import (at, source) VALUES (?1, ?2)", params![now.0, source])?;
        Ok(self.last_id())
    }

    fn add_record(&mut self, import: u64, record: &Record, now: Timestamp) -> Result<u64, StoreError> {
        let key = record.address.as_ref().map(AddressKey::from);
        self.change(
            "INSERT INTO feedback (import, read_at, mail, event, message_id, at, kind, class, status, hard, named,
                 text, key, address, campaign, run, row, found_by, trusted, action, effect,
                 list_id, machine)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21,
                 ?22, ?23)",
            params![
                import.cast_signed(),
                now.0,
                record.mail,
                record.event,
                record.message_id,
                record.at.0,
                record.kind.as_str(),
                record.class.map(|class| class.as_str()),
                record.status,
                record.hard,
                record.named,
                record.text,
                key.as_ref().map(AddressKey::as_str),
                record.address.as_ref().map(ToString::to_string),
                record.campaign,
                record.run,
                record.row,
                record.by.map(By::as_str),
                record.trusted,
                record.action.as_str(),
                Effect::None.as_str(),
                record.scope.list().map(ListId::as_str),
                record.machine.map(Machine::as_str),
            ],
        )?;
        Ok(self.last_id())
    }

    fn note(&mut self, id: u64, effect: Effect, before: Option<&Option<Entry>>) -> Result<(), StoreError> {
        let before = before.map(|entry| entry.as_ref().map_or(String::new(), written));
        let update = "UPDATE feedback SET effect = ?2, before = ?3 WHERE id = ?1";
        self.change(update, params![id.cast_signed(), effect.as_str(), before]).map(drop)
    }

    fn set_undone(&mut self, id: u64, undone: Option<(Timestamp, u64)>) -> Result<(), StoreError> {
        let (at, by) = (undone.map(|(at, _)| at.0), undone.map(|(_, by)| by.cast_signed()));
        let update = "UPDATE feedback SET undone_at = ?2, undone_by = ?3 WHERE id = ?1";
        self.change(update, params![id.cast_signed(), at, by]).map(drop)
    }

    fn of_address(&mut self, key: &str) -> Result<Vec<Logged>, StoreError> {
        self.done(select(self.db, "key = ?1 ORDER BY id", params![key]))
    }

    fn asked(&mut self, what: &Undo) -> Result<Vec<Logged>, StoreError> {
        self.done(match what {
            Undo::Mail(name) => {
                let which = "substr(mail, 1, length(?1)) = ?1 OR message_id = ?1 ORDER BY id";
                select(self.db, which, params![name])
            }
            Undo::Import(number) => select(self.db, "import = ?1 ORDER BY id", params![number.cast_signed()]),
        })
    }

    fn entry(&mut self, key: &str, scope: &Scope) -> Result<Option<Entry>, StoreError> {
        self.done(suppressions::get(self.db, key, scope))
    }

    fn add_entry(&mut self, entry: &NewEntry, now: Timestamp) -> Result<Added, StoreError> {
        let mut upsert = match self.upsert.take() {
            Some(upsert) => upsert,
            None => self.done(Upsert::new(self.db))?,
        };
        let added = upsert.add(entry, now);
        self.upsert = Some(upsert);
        self.done(added)
    }

    fn put_entry(&mut self, key: &str, scope: &Scope, entry: Option<&Entry>) -> Result<(), StoreError> {
        self.done(suppressions::put(self.db, key, scope, entry))
    }
}

fn select(db: &Connection, which: &str, values: &[&dyn ToSql]) -> rusqlite::Result<Vec<Logged>> {
    let mut select = db.prepare_cached(&format!("SELECT {COLUMNS} FROM feedback WHERE {which}"))?;
    select.query_map(values, logged)?.collect()
}

/// The record in a row of [`COLUMNS`].
fn logged(row: &Row<'_>) -> rusqlite::Result<Logged> {
    let word = |at: usize| row.get::<_, Option<String>>(at);
    let (kind, by) = (word(7)?.unwrap_or_default(), word(17)?);
    let effect = Effect::of_word(&word(20)?.unwrap_or_default());
    let action = match Action::of_word(&word(19)?.unwrap_or_default()) {
        Action::Nothing(_) => Action::Nothing(effect),
        action => action,
    };
    let undone_at: Option<i64> = row.get(21)?;
    Ok(Logged {
        id: row.get::<_, i64>(0)?.cast_unsigned(),
        import: row.get::<_, i64>(1)?.cast_unsigned(),
        read: Timestamp(row.get(2)?),
        record: Record {
            mail: row.get(3)?,
            event: row.get(4)?,
            message_id: word(5)?,
            at: Timestamp(row.get(6)?),
            kind: Kind::ALL.into_iter().find(|own| own.as_str() == kind).unwrap_or(Kind::Other),
            machine: word(25)?.and_then(|word| Machine::of_word(&word)),
            class: word(8)?.and_then(|class| class.parse().ok()),
            status: word(9)?,
            hard: row.get(10)?,
            named: word(11)?,
            text: word(12)?,
            address: word(13)?.and_then(|address| Address::parse(&address).ok()),
            campaign: word(14)?,
            run: word(15)?,
            row: row.get(16)?,
            by: by.and_then(|by| By::ALL.into_iter().find(|own| own.as_str() == by)),
            trusted: row.get(18)?,
            action,
            scope: Scope::of_word(row.get_ref(24)?.as_str_or_null()?.unwrap_or_default()),
        },
        effect,
        undone: undone_at.map(Timestamp).zip(row.get::<_, Option<i64>>(22)?.map(i64::cast_unsigned)),
        before: word(23)?.map(|before| read_entry(&before)),
    })
}

/// An entry as text.
fn written(entry: &Entry) -> String {
    json!({
        "key": entry.key.as_str(), "list_id": entry.scope.as_str(), "email": entry.email, "reason": entry.reason.as_str(), "source": entry.source,
        "added": entry.added.0, "lifetime": entry.lifetime.map(suppressions::micros),
        "expires": entry.expires.map(|at| at.0),
    })
    .to_string()
}

/// What [`written`] wrote; none where it is empty.
fn read_entry(text: &str) -> Option<Entry> {
    let value: Value = serde_json::from_str(text).ok()?;
    let word = |name: &str| value[name].as_str().map(str::to_owned);
    let reason: Reason = match word("reason")?.parse() {
        Ok(reason) => reason,
        Err(never) => match never {},
    };
    Some(Entry {
        id: EntryId(0),
        key: AddressKey::from_store(word("key")?),
        // Format 1 wrote none.
        scope: Scope::of_word(value["list_id"].as_str().unwrap_or_default()),
        email: word("email")?,
        reason,
        source: word("source")?,
        added: Timestamp(value["added"].as_i64()?),
        lifetime: value["lifetime"].as_u64().map(Duration::from_micros),
        expires: value["expires"].as_i64().map(Timestamp),
    })
}
