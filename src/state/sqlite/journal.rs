//! The journal of a run: a file of its own, created whole or not at all, checked before it is
//! trusted.
//!
//! SQLite in WAL mode gives atomic commits, the syncs and concurrent readers. A group is one line
//! of `journal_group`.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension, params};

use super::error::{self, JOURNAL};
use crate::campaign::Durability;
use crate::journal::{ConnectionInfo, Group, JournalRead, JournalStore, RunKey};
use crate::kit::file::PRIVATE;
use crate::kit::store::{Cause, Store, StoreError};
use crate::mail::Timestamp;

/// SQLite's `application_id` of a journal: `mrjl`.
const APPLICATION_ID: i32 = 0x6d72_6a6c;
/// The newest format that is known here (SQLite's `user_version`).
const FORMAT: i64 = 1;
/// The key of `meta` that runs with passwords have.
const PASSWORDS: &str = "has_passwords";
/// How long a commit waits for a lock. Readers never hold one that a writer needs, so this is for
/// tools only.
const BUSY: Duration = Duration::from_secs(5);
/// Pages in the WAL before it is copied into the file: seldom enough to cost nothing, 16 MiB at
/// most.
const CHECKPOINT_PAGES: u32 = 4_096;

const SCHEMA: &str = "
    CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE journal_group (seq INTEGER PRIMARY KEY, checksum INTEGER NOT NULL, records BLOB NOT NULL);
    CREATE TABLE connection (number INTEGER PRIMARY KEY, remote_host TEXT NOT NULL, remote_ip TEXT, local_ip TEXT,
                             tls TEXT, opened_at INTEGER NOT NULL);
";

/// A journal's file, open.
#[derive(Debug)]
pub(super) struct SqliteJournal {
    pub db: Connection,
    store: Store,
    run: RunKey,
    /// Set when the file as a whole is not sound and can be read all the same.
    damage: Option<String>,
}

impl SqliteJournal {
    /// Creates an empty journal at `path`. After a crash in here there is none.
    pub(super) fn create(path: &Path, run: &RunKey, durability: Durability) -> Result<Self, StoreError> {
        let store = error::store(&JOURNAL, path);
        if path.exists() {
            return Err(StoreError::Exists(store));
        }
        let unfinished = path.with_extension("db.new");
        create_empty(&unfinished).map_err(|error| error::io(&store, "create", error))?;
        initialise(&unfinished, run).map_err(|error| error::sqlite(&store, "create", error))?;
        publish(&unfinished, path).map_err(|error| error::io(&store, "create", error))?;
        Self::open(path, durability)
    }

    /// Opens the journal at `path` for writing.
    pub(super) fn open(path: &Path, durability: Durability) -> Result<Self, StoreError> {
        let store = error::store(&JOURNAL, path);
        if !path.exists() {
            return Err(StoreError::Missing(store));
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let open = |path: &Path| Connection::open_with_flags(path, flags);
        let (db, run) = open_with(path, &store, open)?;
        let damage = damage_of(&db);
        prepare_for_writing(&db, durability).map_err(|error| error::sqlite(&store, "open", error))?;
        Ok(Self { db, store, run, damage })
    }

    /// Opens the journal at `path` for reading, also while another process writes to it.
    pub(super) fn read(path: &Path) -> Result<Self, StoreError> {
        let store = error::store(&JOURNAL, path);
        if !path.exists() {
            return Err(StoreError::Missing(store));
        }
        let opened = match open_with(path, &store, open_read_only) {
            // In a directory that can't be written to, SQLite can't create the index of the WAL.
            // Where there is no WAL, nothing writes, and the file is complete.
            Err(StoreError::Failed { cause: Cause::Denied | Cause::Other, .. }) if !wal_of(path).exists() => {
                open_with(path, &store, open_immutable)
            }
            opened => opened,
        };
        match opened {
            Ok((db, run)) => Ok(Self { damage: damage_of(&db), db, store, run }),
            Err(StoreError::Damaged { detail, .. }) => match open_with(path, &store, open_truncated) {
                Ok((db, run)) => Ok(Self { db, store, run, damage: Some(detail) }),
                Err(_) => Err(StoreError::Damaged { store, detail }),
            },
            Err(error) => Err(error),
        }
    }

    fn failed(&self, action: &'static str) -> impl Fn(rusqlite::Error) -> StoreError {
        move |error| error::sqlite(&self.store, action, error)
    }
}

impl JournalRead for SqliteJournal {
    fn store(&self) -> &Store {
        &self.store
    }

    fn run(&self) -> &RunKey {
        &self.run
    }

    fn damage(&self) -> Option<&str> {
        self.damage.as_deref()
    }

    fn groups_after(
        &self,
        number: u64,
        most: u64,
        each: &mut dyn FnMut(Group<'_>),
    ) -> Result<(), StoreError> {
        let mut read = || -> rusqlite::Result<()> {
            let mut select = self.db.prepare_cached(
                "SELECT seq, checksum, records FROM journal_group WHERE seq > ?1 ORDER BY seq LIMIT ?2",
            )?;
            let mut groups = select.query([number.cast_signed(), i64::try_from(most).unwrap_or(i64::MAX)])?;
            while let Some(line) = groups.next()? {
                each(Group {
                    number: line.get::<_, i64>(0)?.cast_unsigned(),
                    checksum: line.get(1)?,
                    // What is no blob is damage, which the checksum shows.
                    records: line.get_ref(2)?.as_blob().unwrap_or_default(),
                });
            }
            Ok(())
        };
        read().map_err(self.failed("read"))
    }

    fn group(&self, number: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let read = |query| {
            let mut select = self.db.prepare_cached(query)?;
            select.query_row([number.cast_signed()], |line| line.get(0)).optional()
        };
        let found = match read("SELECT records FROM journal_group WHERE seq = ?1") {
            // In a damaged file the search by number may miss it, and looking through all of them
            // finds it.
            Ok(None) => read("SELECT records FROM journal_group WHERE +seq = ?1"),
            other => other,
        };
        found.map_err(self.failed("read"))
    }

    fn connection(&self, number: u32) -> Result<Option<ConnectionInfo>, StoreError> {
        let read = || -> rusqlite::Result<Option<ConnectionInfo>> {
            let mut select = self.db.prepare_cached(
                "SELECT remote_host, remote_ip, local_ip, tls, opened_at FROM connection WHERE number = ?1",
            )?;
            let ip = |text: Option<String>| text.and_then(|text| text.parse().ok());
            let info = select.query_row([number], |line| {
                Ok(ConnectionInfo {
                    remote_host: line.get(0)?,
                    remote_ip: ip(line.get(1)?),
                    local_ip: ip(line.get(2)?),
                    tls: line.get(3)?,
                    opened_at: Timestamp(line.get(4)?),
                })
            });
            info.optional()
        };
        read().map_err(self.failed("read"))
    }
}

impl JournalStore for SqliteJournal {
    fn last_numbers(&self) -> Result<(u64, u32), StoreError> {
        let last = |select| self.db.query_row(select, [], |row| row.get::<_, i64>(0));
        let groups = last("SELECT coalesce(max(seq), 0) FROM journal_group");
        let connections = last("SELECT coalesce(max(number), 0) FROM connection");
        let (group, connection) = groups
            .and_then(|group| connections.map(|connection| (group, connection)))
            .map_err(self.failed("open"))?;
        Ok((u64::try_from(group).unwrap_or(0), u32::try_from(connection).unwrap_or(u32::MAX)))
    }

    fn commit(
        &mut self,
        connections: &[(u32, ConnectionInfo)],
        group: Option<Group<'_>>,
    ) -> Result<(), StoreError> {
        let write = |db: &mut Connection| -> rusqlite::Result<()> {
            let transaction = db.transaction()?;
            if !connections.is_empty() {
                let mut insert = transaction
                    .prepare_cached("INSERT OR IGNORE INTO connection VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?;
                for (number, info) in connections {
                    insert.execute(params![
                        number,
                        info.remote_host,
                        info.remote_ip.map(|ip| ip.to_string()),
                        info.local_ip.map(|ip| ip.to_string()),
                        info.tls,
                        info.opened_at.0
                    ])?;
                }
            }
            if let Some(Group { number, checksum, records }) = group {
                transaction
                    .prepare_cached("INSERT INTO journal_group VALUES (?1, ?2, ?3)")?
                    .execute(params![number.cast_signed(), checksum, records])?;
            }
            transaction.commit()
        };
        write(&mut self.db).map_err(|error| error::sqlite(&self.store, "write to", error))
    }
}

/// Creates an empty file for its owner alone: SQLite gives its log and its index the same mode.
fn create_empty(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    fs::OpenOptions::new().write(true).create_new(true).mode(PRIVATE).open(path).map(drop)
}

fn initialise(path: &Path, run: &RunKey) -> rusqlite::Result<()> {
    let db = Connection::open(path)?;
    // Without a sync for each statement: the caller syncs the file whole, before it gets its name.
    db.pragma_update(None, "synchronous", "OFF")?;
    // Kept in the file's header, so that opening has nothing left to change.
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.pragma_update(None, "application_id", APPLICATION_ID)?;
    db.pragma_update(None, "user_version", FORMAT)?;
    db.execute_batch(SCHEMA)?;
    let mut insert = db.prepare("INSERT INTO meta VALUES (?1, ?2)")?;
    insert.execute(("run_id", &run.run_id))?;
    insert.execute(("plan_rows", run.plan_rows.to_string()))?;
    insert.execute(("plan_hash", &run.plan_hash))?;
    if run.has_passwords {
        insert.execute((PASSWORDS, "true"))?;
    }
    Ok(())
}

/// Syncs the file at `unfinished`, gives it its name, and syncs the directory: only then does the
/// name survive a loss of power.
fn publish(unfinished: &Path, path: &Path) -> io::Result<()> {
    File::open(unfinished)?.sync_all()?;
    fs::rename(unfinished, path)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

/// Opens the file with `open` and checks that it is a journal of a known format; the run that it
/// belongs to.
fn open_with(
    path: &Path,
    store: &Store,
    open: impl FnOnce(&Path) -> rusqlite::Result<Connection>,
) -> Result<(Connection, RunKey), StoreError> {
    let sqlite = |error| error::sqlite(store, "open", error);
    let db = open(path).map_err(sqlite)?;
    db.busy_timeout(BUSY).map_err(sqlite)?;
    let pragma = |name: &str| db.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).map_err(sqlite);
    if pragma("application_id")? != i64::from(APPLICATION_ID) {
        let empty = fs::metadata(path).is_ok_and(|data| data.len() == 0);
        let found = if empty { "it is empty" } else { "it is another program's database" };
        return Err(StoreError::Foreign { store: store.clone(), found: found.to_owned() });
    }
    let found = pragma("user_version")?;
    if found > FORMAT {
        return Err(StoreError::Newer { store: store.clone(), part: "the file", found, known: FORMAT });
    }
    let damaged = |detail| StoreError::Damaged { store: store.clone(), detail };
    let optional = |key: &'static str| {
        let value = "SELECT value FROM meta WHERE key = ?1";
        db.query_row(value, [key], |row| row.get::<_, String>(0)).optional().map_err(sqlite)
    };
    let meta = |key: &'static str| optional(key)?.ok_or_else(|| damaged(format!("`{key}` is missing")));
    let rows = meta("plan_rows")?;
    let plan_rows = rows.parse().map_err(|_| damaged(format!("`plan_rows` is `{rows}`")))?;
    // Journals of runs without passwords don't say so.
    let has_passwords = optional(PASSWORDS)?.is_some();
    let run = RunKey { run_id: meta("run_id")?, plan_rows, plan_hash: meta("plan_hash")?, has_passwords };
    Ok((db, run))
}

/// What is wrong with the file as a whole. Checksums and numbers of groups show nothing when a
/// page that miscounts its cells has lost the last group, or when a column that is declared in
/// another way hides all of them.
fn damage_of(db: &Connection) -> Option<String> {
    let check = || -> rusqlite::Result<Option<String>> {
        let pages: String = db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        let unnumbered = "SELECT count(*) - count(seq) FROM journal_group";
        let unnumbered: i64 = db.query_row(unnumbered, [], |row| row.get(0))?;
        Ok(match (pages.as_str(), unnumbered) {
            ("ok", 0) => None,
            ("ok", _) => Some("groups have no number".to_owned()),
            _ => Some(pages),
        })
    };
    check().unwrap_or_else(|error| Some(error.to_string()))
}

/// Sets the pragmas of a writer.
fn prepare_for_writing(db: &Connection, durability: Durability) -> rusqlite::Result<()> {
    db.pragma_update(None, "journal_mode", "WAL")?;
    // In WAL mode FULL syncs the log at every commit, NORMAL only when it is copied into the file.
    let synchronous = match durability {
        Durability::PowerLoss => "FULL",
        Durability::ProcessCrash => "NORMAL",
    };
    db.pragma_update(None, "synchronous", synchronous)?;
    db.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    // A read-only file or directory shows at the first write only: find out now, before anything is
    // sent.
    db.execute_batch("BEGIN IMMEDIATE; ROLLBACK;")
}

fn open_read_only(path: &Path) -> rusqlite::Result<Connection> {
    Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)
}

/// Opens a file that nothing writes to, without locks.
fn open_immutable(path: &Path) -> rusqlite::Result<Connection> {
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let name =
        percent_encoding::utf8_percent_encode(&path.to_string_lossy(), percent_encoding::NON_ALPHANUMERIC)
            .to_string();
    let flags =
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    Connection::open_with_flags(format!("file:{name}?immutable=1"), flags)
}

/// Opens a file that is shorter than its header says: SQLite reads what there is of it only in this
/// mode.
fn open_truncated(path: &Path) -> rusqlite::Result<Connection> {
    let db = open_read_only(path)?;
    db.pragma_update(None, "writable_schema", true)?;
    Ok(db)
}

fn wal_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_a_wal_is_read_without_locks_whatever_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let run = RunKey {
            run_id: "spring-4f2a".into(),
            plan_rows: 3,
            plan_hash: "c0ffee".into(),
            has_passwords: false,
        };
        let path = dir.path().join("journal.db");
        drop(SqliteJournal::create(&path, &run, Durability::ProcessCrash).unwrap());
        let folder = dir.path().join("50% off? #1");
        fs::create_dir(&folder).unwrap();
        let moved = folder.join("journal.db");
        fs::rename(path, &moved).unwrap();
        let (_, found) = open_with(&moved, &error::store(&JOURNAL, &moved), open_immutable).unwrap();
        assert_eq!(found, run);
    }
}
