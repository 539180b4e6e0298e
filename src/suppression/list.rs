//! The table itself: add, remove, list, import, expire.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use super::entry::{AddressKey, Entry, EntryId, NewEntry, Reason};
use super::{Checker, SuppressionError, Watch, open_state};
use crate::mail::{Address, Domain, Timestamp};

/// The format of the tables below.
const FORMAT: i64 = 1;

/// Times are microseconds since 1970, `lifetime` is in microseconds; both are null for a permanent entry. `change` is
/// the number of the transaction that added the entry, or added it again: it grows, so that [`Watch`] can ask for what
/// is new.
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
        change   INTEGER NOT NULL
    );
    CREATE INDEX IF NOT EXISTS suppression_change ON suppression (change);
    CREATE TABLE IF NOT EXISTS suppression_meta (
        one     INTEGER PRIMARY KEY CHECK (one = 1),
        version INTEGER NOT NULL,
        change  INTEGER NOT NULL
    );
";

/// Rows written in one transaction: the capacity ledger of a run that goes on waits for it, a few tens of milliseconds.
const ROWS_PER_TRANSACTION: usize = 5_000;
/// Entries read at once by [`SuppressionList::entries`].
const PAGE: usize = 1_000;

/// The suppression list, open for changes.
#[derive(Debug)]
pub struct SuppressionList {
    db: Connection,
    path: PathBuf,
}

/// What became of an entry that was added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Added {
    /// The address was not on the list.
    New,
    /// It was, with a term: the entry has the new reason and source, and the later end of the two.
    Renewed,
    /// It was, for ever: nothing changed.
    Kept,
}

/// What became of the entries of an import.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ImportCounts {
    /// As [`Added::New`].
    pub new: u64,
    /// As [`Added::Renewed`].
    pub renewed: u64,
    /// As [`Added::Kept`].
    pub kept: u64,
}

/// Which entries to list; the default is all.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only those with this reason.
    pub reason: Option<Reason>,
    /// Only those from this source.
    pub source: Option<String>,
    /// Only addresses of this domain.
    pub domain: Option<Domain>,
    /// Only those that block mail at this moment.
    pub live_at: Option<Timestamp>,
}

impl SuppressionList {
    /// Opens the list in the state database at `state_db`; makes the database where there is none.
    pub fn open(state_db: &Path) -> Result<Self, SuppressionError> {
        let mut db = open_state(state_db)?;
        prepare(&mut db, state_db)?;
        Ok(Self { db, path: state_db.to_owned() })
    }

    /// The state database.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Adds an entry, or renews the one there is. A permanent entry stays as it is; a timed one never ends earlier
    /// than it would have.
    pub fn add(&mut self, entry: &NewEntry, now: Timestamp) -> Result<Added, SuppressionError> {
        let path = &self.path;
        let sqlite = |source| SuppressionError::sqlite(path, "add an entry", source);
        let transaction = begin(&mut self.db).map_err(sqlite)?;
        let added = Upsert::new(&transaction).and_then(|mut upsert| upsert.add(entry, now)).map_err(sqlite)?;
        transaction.commit().map_err(sqlite)?;
        Ok(added)
    }

    /// Adds many entries, some thousands a transaction. After an error those of finished transactions stay; adding
    /// them again changes nothing for the worse.
    pub fn import(
        &mut self,
        entries: impl IntoIterator<Item = NewEntry>,
        now: Timestamp,
    ) -> Result<ImportCounts, SuppressionError> {
        let path = &self.path;
        let sqlite = |source| SuppressionError::sqlite(path, "import entries", source);
        let mut counts = ImportCounts::default();
        let mut entries = entries.into_iter().peekable();
        while entries.peek().is_some() {
            let transaction = begin(&mut self.db).map_err(sqlite)?;
            let mut upsert = Upsert::new(&transaction).map_err(sqlite)?;
            for entry in entries.by_ref().take(ROWS_PER_TRANSACTION) {
                match upsert.add(&entry, now).map_err(sqlite)? {
                    Added::New => counts.new += 1,
                    Added::Renewed => counts.renewed += 1,
                    Added::Kept => counts.kept += 1,
                }
            }
            drop(upsert);
            transaction.commit().map_err(sqlite)?;
        }
        Ok(counts)
    }

    /// Takes an address off the list. True when it was on it.
    pub fn remove(&mut self, address: &Address) -> Result<bool, SuppressionError> {
        self.db
            .execute("DELETE FROM suppression WHERE key = ?1", [AddressKey::from(address).as_str()])
            .map(|rows| rows > 0)
            .map_err(|source| SuppressionError::sqlite(&self.path, "remove an entry", source))
    }

    /// The entry of an address, whether it still blocks mail or not.
    pub fn get(&self, address: &Address) -> Result<Option<Entry>, SuppressionError> {
        find(&self.db, AddressKey::from(address).as_str())
            .map_err(|source| SuppressionError::sqlite(&self.path, "look up an address", source))
    }

    /// The entries, in the order of their addresses, read in pages.
    pub fn entries(&self, filter: Filter) -> Entries<'_> {
        Entries { list: self, filter, page: Vec::new().into_iter(), after: String::new(), done: false }
    }

    /// How many entries block mail at `now`.
    pub fn live(&self, now: Timestamp) -> Result<u64, SuppressionError> {
        self.db
            .query_row(
                "SELECT count(*) FROM suppression WHERE expires IS NULL OR expires > ?1",
                [now.0],
                |row| row.get::<_, i64>(0),
            )
            .map(i64::cast_unsigned)
            .map_err(|source| SuppressionError::sqlite(&self.path, "count the entries", source))
    }

    /// Starts the time of these entries again, as an attempt on each has been blocked: they end a lifetime from `now`
    /// on. Permanent entries and those that have ended meanwhile stay as they are. Returns how many were changed.
    pub fn restart_time(&mut self, entries: &[EntryId], now: Timestamp) -> Result<u64, SuppressionError> {
        let path = &self.path;
        let sqlite = |source| SuppressionError::sqlite(path, "start the time of entries again", source);
        let mut changed = 0;
        for entries in entries.chunks(ROWS_PER_TRANSACTION) {
            let transaction = begin(&mut self.db).map_err(sqlite)?;
            let mut update = transaction
                .prepare_cached(
                    "UPDATE suppression SET expires = max(expires, ?2 + lifetime) WHERE id = ?1 AND expires > ?2",
                )
                .map_err(sqlite)?;
            for entry in entries {
                changed += update.execute(params![entry.0, now.0]).map_err(sqlite)? as u64;
            }
            drop(update);
            transaction.commit().map_err(sqlite)?;
        }
        Ok(changed)
    }

    /// Takes the entries off that had ended by `before`. Returns how many.
    pub fn purge(&mut self, before: Timestamp) -> Result<u64, SuppressionError> {
        let mut gone = 0;
        loop {
            // In portions, as a transaction of millions of rows would hold up every run of this user.
            let rows = self
                .db
                .execute(
                    "DELETE FROM suppression WHERE id IN (SELECT id FROM suppression WHERE expires <= ?1 LIMIT ?2)",
                    params![before.0, ROWS_PER_TRANSACTION as i64],
                )
                .map_err(|source| SuppressionError::sqlite(&self.path, "purge entries", source))?;
            gone += rows as u64;
            if rows < ROWS_PER_TRANSACTION {
                return Ok(gone);
            }
        }
    }

    /// A look-up of many addresses, as the list stands at `now`.
    pub fn checker(&self, now: Timestamp) -> Result<Checker, SuppressionError> {
        Checker::open(&self.path, now)
    }

    /// A look-up for a run that goes on, of what was added after `change` (see [`Checker::change`]; 0 is all).
    pub fn watch(&self, change: u64) -> Result<Watch, SuppressionError> {
        Watch::open(&self.path, change)
    }
}

/// The columns that [`Entry::read`] takes.
pub(super) const COLUMNS: &str = "id, key, email, reason, source, added, lifetime, expires";

/// The entry with this key.
pub(super) fn find(db: &Connection, key: &str) -> rusqlite::Result<Option<Entry>> {
    db.prepare_cached(
        "SELECT id, key, email, reason, source, added, lifetime, expires FROM suppression WHERE key = ?1",
    )?
    .query_row([key], Entry::read)
    .optional()
}

/// The number of the last transaction that added entries.
pub(super) fn last_change(db: &Connection) -> rusqlite::Result<u64> {
    let change: i64 = db.prepare_cached("SELECT change FROM suppression_meta")?.query_row([], |row| row.get(0))?;
    Ok(change.cast_unsigned())
}

/// Makes the tables where they are missing, and checks their format.
fn prepare(db: &mut Connection, path: &Path) -> Result<(), SuppressionError> {
    let sqlite = |source| SuppressionError::sqlite(path, "prepare the suppression list", source);
    let version = |db: &Connection| -> rusqlite::Result<Option<i64>> {
        if !db.table_exists(None, "suppression_meta")? {
            return Ok(None);
        }
        db.query_row("SELECT version FROM suppression_meta", [], |row| row.get(0)).optional()
    };
    // Looked at first without a write lock: a list that is there already can be opened while somebody writes.
    let mut found = version(db).map_err(sqlite)?;
    if found.is_none() {
        let transaction = begin(db).map_err(sqlite)?;
        transaction.execute_batch(SCHEMA).map_err(sqlite)?;
        transaction
            .execute("INSERT OR IGNORE INTO suppression_meta VALUES (1, ?1, 0)", [FORMAT])
            .map_err(sqlite)?;
        transaction.commit().map_err(sqlite)?;
        found = version(db).map_err(sqlite)?;
    }
    match found {
        Some(found) if found > FORMAT => Err(SuppressionError::Newer {
            path: path.to_owned(),
            part: "the suppression list",
            found,
            known: FORMAT,
        }),
        _ => Ok(()),
    }
}

/// A transaction that takes the write lock at its start, so that it can't fail half-way for want of it.
fn begin(db: &mut Connection) -> rusqlite::Result<Transaction<'_>> {
    db.transaction_with_behavior(TransactionBehavior::Immediate)
}

/// Adds entries within one transaction.
struct Upsert<'a> {
    insert: rusqlite::Statement<'a>,
    change: u64,
    largest_id: i64,
}

impl<'a> Upsert<'a> {
    fn new(transaction: &'a Transaction<'_>) -> rusqlite::Result<Self> {
        transaction.execute("UPDATE suppression_meta SET change = change + 1", [])?;
        let change = last_change(transaction)?;
        let largest_id =
            transaction.query_row("SELECT coalesce(max(id), 0) FROM suppression", [], |row| row.get(0))?;
        let insert = transaction.prepare(
            "INSERT INTO suppression (key, email, reason, source, added, lifetime, expires, change)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
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

    fn add(&mut self, entry: &NewEntry, now: Timestamp) -> rusqlite::Result<Added> {
        let lifetime = entry.lifetime().map(|lifetime| now + lifetime).map(|end| end.since(now));
        let key = AddressKey::from(&entry.address);
        let values = params![
            key.as_str(),
            entry.email,
            entry.reason.as_str(),
            entry.source,
            now.0,
            lifetime.map(micros),
            lifetime.map(|lifetime| (now + lifetime).0),
            self.change.cast_signed(),
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

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// The entries that fit a [`Filter`]. After an error there are no more.
#[derive(Debug)]
pub struct Entries<'a> {
    list: &'a SuppressionList,
    filter: Filter,
    page: std::vec::IntoIter<Entry>,
    after: String,
    done: bool,
}

impl Entries<'_> {
    fn next_page(&self) -> rusqlite::Result<Vec<Entry>> {
        let Filter { reason, source, domain, live_at } = &self.filter;
        let mut select = self.list.db.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM suppression
             WHERE key > ?1
               AND (?2 IS NULL OR reason = ?2)
               AND (?3 IS NULL OR source = ?3)
               AND (?4 IS NULL OR substr(key, instr(key, '@') + 1) = ?4)
               AND (?5 IS NULL OR expires IS NULL OR expires > ?5)
             ORDER BY key LIMIT ?6"
        ))?;
        let values = params![
            self.after,
            reason.as_ref().map(Reason::as_str),
            source,
            domain.as_ref().map(Domain::as_str),
            live_at.map(|moment| moment.0),
            PAGE as i64,
        ];
        select.query_map(values, Entry::read)?.collect()
    }
}

impl Iterator for Entries<'_> {
    type Item = Result<Entry, SuppressionError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.page.len() == 0 && !self.done {
            match self.next_page() {
                Ok(page) => {
                    self.done = page.len() < PAGE;
                    self.page = page.into_iter();
                }
                Err(source) => {
                    self.done = true;
                    return Some(Err(SuppressionError::sqlite(&self.list.path, "list the entries", source)));
                }
            }
        }
        let entry = self.page.next()?;
        entry.key.as_str().clone_into(&mut self.after);
        Some(Ok(entry))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::suppression::Term;

    pub const DAY: Duration = Duration::from_secs(86_400);
    pub const NOW: Timestamp = Timestamp(1_780_000_000_000_000);

    pub fn list() -> (tempfile::TempDir, SuppressionList) {
        let folder = tempfile::tempdir().unwrap();
        let list = SuppressionList::open(&folder.path().join("state.db")).unwrap();
        (folder, list)
    }

    pub fn address(text: &str) -> Address {
        Address::parse(text).unwrap()
    }

    pub fn entry(email: &str, reason: &str, term: Term) -> NewEntry {
        let Ok(reason) = reason.parse();
        NewEntry { address: address(email), email: email.into(), reason, source: "test".into(), term }
    }

    fn emails(list: &SuppressionList, filter: Filter) -> Vec<String> {
        list.entries(filter).map(|entry| entry.unwrap().email).collect()
    }

    #[test]
    fn what_is_added_is_found_whatever_its_case_and_can_be_removed() {
        let (_folder, mut list) = list();
        assert_eq!(
            list.add(&entry("Bob@Example.com", "bad_mailbox", Term::Default), NOW).unwrap(),
            Added::New
        );
        let found = list.get(&address("bOB@example.COM")).unwrap().unwrap();
        assert_eq!((found.email.as_str(), found.key.as_str()), ("Bob@Example.com", "bob@example.com"));
        assert_eq!((found.reason.clone(), found.source.as_str()), (Reason::BadMailbox, "test"));
        assert_eq!((found.added, found.expires), (NOW, Some(NOW + 45 * DAY)));
        assert!(found.is_live(NOW + 44 * DAY) && !found.is_live(NOW + 45 * DAY));
        assert!(list.remove(&address("BOB@example.com")).unwrap());
        assert!(!list.remove(&address("bob@example.com")).unwrap());
        assert_eq!(list.get(&address("bob@example.com")).unwrap(), None);
    }

    #[test]
    fn adding_again_never_weakens() {
        let check = |first: (&str, Term), again: (&str, Term), added: Added, reason: &str, days: Option<u32>| {
            let (_folder, mut list) = list();
            list.add(&entry("a@b.example", first.0, first.1), NOW).unwrap();
            let later = NOW + DAY;
            assert_eq!(list.add(&entry("a@b.example", again.0, again.1), later).unwrap(), added);
            let found = list.get(&address("a@b.example")).unwrap().unwrap();
            assert_eq!((found.reason.as_str(), found.expires), (reason, days.map(|days| NOW + days * DAY)));
        };
        let timed = |days: u32| Term::For(days * DAY);
        check(("manual", timed(45)), ("bad_mailbox", timed(45)), Added::Renewed, "bad_mailbox", Some(46));
        check(("manual", timed(90)), ("bad_mailbox", timed(45)), Added::Renewed, "bad_mailbox", Some(90));
        check(("manual", timed(45)), ("unsubscribe", timed(1)), Added::Renewed, "unsubscribe", None);
        check(("complaint", Term::Default), ("manual", timed(45)), Added::Kept, "complaint", None);
        check(("manual", Term::Permanent), ("unsubscribe", Term::Default), Added::Kept, "manual", None);
    }

    #[test]
    fn an_attempt_starts_the_time_again() {
        let (_folder, mut list) = list();
        let ids: Vec<EntryId> = [("timed", Term::For(10 * DAY)), ("for-ever", Term::Permanent)]
            .into_iter()
            .map(|(name, term)| {
                let email = format!("{name}@b.example");
                list.add(&entry(&email, "manual", term), NOW).unwrap();
                list.get(&address(&email)).unwrap().unwrap().id
            })
            .collect();
        let expires = |list: &SuppressionList, name: &str| {
            list.get(&address(&format!("{name}@b.example"))).unwrap().unwrap().expires
        };
        assert_eq!(list.restart_time(&ids, NOW + 4 * DAY).unwrap(), 1);
        assert_eq!(expires(&list, "timed"), Some(NOW + 14 * DAY));
        assert_eq!(expires(&list, "for-ever"), None);
        // A clock that went back does not shorten it, and an entry that has ended stays ended.
        list.restart_time(&ids, NOW).unwrap();
        assert_eq!(expires(&list, "timed"), Some(NOW + 14 * DAY));
        assert_eq!(list.restart_time(&ids, NOW + 14 * DAY).unwrap(), 0);
        assert_eq!(expires(&list, "timed"), Some(NOW + 14 * DAY));
    }

    #[test]
    fn entries_are_listed_in_pages_and_filtered() {
        let (_folder, mut list) = list();
        let many = (0..2_500).map(|n| entry(&format!("{n:04}@many.example"), "manual", Term::For(DAY)));
        let counts = list.import(many, NOW).unwrap();
        assert_eq!(counts, ImportCounts { new: 2_500, renewed: 0, kept: 0 });
        let others =
            [entry("x@one.example", "unsubscribe", Term::Default), entry("0007@many.example", "manual", Term::Default)];
        assert_eq!(list.import(others, NOW).unwrap(), ImportCounts { new: 1, renewed: 1, kept: 0 });

        let all = emails(&list, Filter::default());
        assert_eq!(all.len(), 2_501);
        assert!(all.is_sorted(), "not in the order of addresses");
        let by_reason = Filter { reason: Some(Reason::Unsubscribe), ..Filter::default() };
        assert_eq!(emails(&list, by_reason), ["x@one.example"]);
        let by_domain = Filter { domain: Some(Domain::parse("one.example").unwrap()), ..Filter::default() };
        assert_eq!(emails(&list, by_domain), ["x@one.example"]);
        let live = Filter { live_at: Some(NOW + 2 * DAY), ..Filter::default() };
        assert_eq!(emails(&list, live), ["0007@many.example", "x@one.example"]);
        assert_eq!(emails(&list, Filter { source: Some("other".into()), ..Filter::default() }).len(), 0);
        assert_eq!(list.live(NOW + 2 * DAY).unwrap(), 2);

        assert_eq!(list.purge(NOW + 2 * DAY).unwrap(), 2_499);
        assert_eq!(emails(&list, Filter::default()).len(), 2);
    }

    #[test]
    fn a_purge_of_more_than_one_portion_is_complete() {
        let (_folder, mut list) = list();
        let many = 2 * ROWS_PER_TRANSACTION + 1;
        list.import((0..many).map(|n| entry(&format!("{n}@many.example"), "manual", Term::For(DAY))), NOW)
            .unwrap();
        assert_eq!(list.purge(NOW + DAY).unwrap(), many as u64);
    }

    #[test]
    fn a_newer_list_is_refused_with_both_formats() {
        let (folder, list) = list();
        list.db.execute("UPDATE suppression_meta SET version = 7", []).unwrap();
        let error = SuppressionList::open(&folder.path().join("state.db")).unwrap_err();
        assert!(error.to_string().contains("format 7 of the suppression list"), "{error}");
    }

    #[test]
    fn a_damaged_page_is_an_error_that_names_the_file() {
        let (folder, mut list) = list();
        list.import((0..3_000).map(|n| entry(&format!("{n}@many.example"), "manual", Term::Default)), NOW)
            .unwrap();
        let path = folder.path().join("state.db");
        drop(list);
        let mut bytes = std::fs::read(&path).unwrap();
        assert!(bytes.len() > 100_000);
        bytes[20_000..].iter_mut().for_each(|byte| *byte = 0xa5);
        std::fs::write(&path, &bytes).unwrap();
        let error = SuppressionList::open(&path).and_then(|list| list.checker(NOW).map(drop)).unwrap_err();
        assert!(matches!(error, SuppressionError::Damaged { .. }), "{error:?}");
        assert!(error.to_string().contains("state.db") && error.hint().is_some());
    }
}
