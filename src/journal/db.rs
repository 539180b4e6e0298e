//! The file: made whole or not at all, checked before it is trusted.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension, params};

use super::error::JournalError;
use super::record::ConnectionInfo;
use crate::campaign::Durability;

/// SQLite's `application_id` of a journal: "mrjl".
const APPLICATION_ID: i32 = 0x6d72_6a6c;
/// The newest format that is known here (SQLite's `user_version`).
pub(super) const FORMAT: u32 = 1;
/// How long a commit waits for a lock; readers never hold one that a writer needs, so this is for tools only.
const BUSY: Duration = Duration::from_secs(5);
/// Pages in the WAL before it is copied into the file: seldom enough to cost nothing, 16 MiB at most.
const CHECKPOINT_PAGES: u32 = 4_096;

pub(super) const SCHEMA: &str = "
    CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE journal_group (seq INTEGER PRIMARY KEY, checksum INTEGER NOT NULL, records BLOB NOT NULL);
    CREATE TABLE connection (number INTEGER PRIMARY KEY, remote_host TEXT NOT NULL, remote_ip TEXT, local_ip TEXT,
                             tls TEXT, opened_at INTEGER NOT NULL);
";

/// Which run a journal belongs to: one that differs in any of these is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunKey {
    /// The run's id.
    pub run_id: String,
    /// The number of rows in the plan.
    pub plan_rows: u32,
    /// The plan's hash, as text.
    pub plan_hash: String,
}

/// A journal held for writing. The caller holds the run directory's lock.
#[derive(Debug)]
pub struct Journal {
    pub(super) db: Connection,
    pub(super) path: PathBuf,
    pub(super) next_group: u64,
    pub(super) next_connection: u32,
    pub(super) key: RunKey,
    forgets: bool,
}

impl Journal {
    /// A journal that keeps nothing, to measure what one costs. Nothing else may use it: it breaks the second invariant.
    #[doc(hidden)]
    pub fn forgetful(key: &RunKey) -> Result<Self, JournalError> {
        let path = Path::new(":memory:");
        let db = Connection::open_in_memory().map_err(|error| JournalError::sqlite(path, "open", error))?;
        Ok(Self {
            db,
            path: path.to_owned(),
            next_group: 1,
            next_connection: 1,
            key: key.clone(),
            forgets: true,
        })
    }

    /// Makes an empty journal. After a crash in here there is none.
    pub fn create(path: &Path, key: &RunKey, durability: Durability) -> Result<Self, JournalError> {
        if path.exists() {
            return Err(JournalError::Exists(path.to_owned()));
        }
        let unfinished = path.with_extension("db.new");
        match fs::remove_file(&unfinished) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(JournalError::io(path, "create", error));
            }
            Ok(()) | Err(_) => {}
        }
        initialise(&unfinished, key).map_err(|error| JournalError::sqlite(path, "create", error))?;
        let io = |error| JournalError::io(path, "create", error);
        File::open(&unfinished).and_then(|file| file.sync_all()).map_err(io)?;
        fs::rename(&unfinished, path).map_err(io)?;
        sync_folder(path).map_err(io)?;
        Self::open(path, key, durability)
    }

    /// Opens the journal of a run that has begun. Refuses a foreign one, a newer one and a damaged one.
    pub fn open(path: &Path, key: &RunKey, durability: Durability) -> Result<Self, JournalError> {
        if !path.exists() {
            return Err(JournalError::Missing(path.to_owned()));
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(path, flags)
            .map_err(|error| JournalError::sqlite(path, "open", error))?;
        let found = identify(&db, path)?;
        compare(path, &found, key)?;
        let (next_group, next_connection) = prepare_for_writing(&db, durability)
            .map_err(|error| JournalError::sqlite(path, "open", error))?;
        Ok(Self { db, path: path.to_owned(), next_group, next_connection, key: found, forgets: false })
    }

    /// The journal's file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn initialise(path: &Path, key: &RunKey) -> rusqlite::Result<()> {
    let db = Connection::open(path)?;
    // Without a sync for each statement: the caller syncs the file whole, before it gets its name.
    db.pragma_update(None, "synchronous", "OFF")?;
    // Kept in the file's header, so that opening has nothing left to change.
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.pragma_update(None, "application_id", APPLICATION_ID)?;
    db.pragma_update(None, "user_version", FORMAT)?;
    db.execute_batch(SCHEMA)?;
    let mut insert = db.prepare("INSERT INTO meta VALUES (?1, ?2)")?;
    insert.execute(("run_id", &key.run_id))?;
    insert.execute(("plan_rows", key.plan_rows.to_string()))?;
    insert.execute(("plan_hash", &key.plan_hash))?;
    Ok(())
}

/// A new name in a directory survives a loss of power once the directory is synced.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

/// The run that the file says it belongs to, once it is known to be a journal of a known format.
pub(super) fn identify(db: &Connection, path: &Path) -> Result<RunKey, JournalError> {
    let sqlite = |error| JournalError::sqlite(path, "open", error);
    db.busy_timeout(BUSY).map_err(sqlite)?;
    let pragma = |name: &str| db.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).map_err(sqlite);
    if pragma("application_id")? != i64::from(APPLICATION_ID) {
        let empty = fs::metadata(path).is_ok_and(|data| data.len() == 0);
        let why = if empty { "it is empty" } else { "it is another program's database" };
        return Err(JournalError::NotAJournal { path: path.to_owned(), why: why.to_owned() });
    }
    let found = u32::try_from(pragma("user_version")?).unwrap_or(u32::MAX);
    if found > FORMAT {
        return Err(JournalError::Newer { path: path.to_owned(), found, known: FORMAT });
    }
    let meta = |key: &'static str| {
        db.query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| row.get::<_, String>(0))
            .optional()
            .map_err(sqlite)?
            .ok_or_else(|| JournalError::Damaged {
                path: path.to_owned(),
                why: format!("`{key}` is missing"),
            })
    };
    let rows = meta("plan_rows")?;
    let plan_rows = rows.parse().map_err(|_| JournalError::Damaged {
        path: path.to_owned(),
        why: format!("`plan_rows` is `{rows}`"),
    })?;
    Ok(RunKey { run_id: meta("run_id")?, plan_rows, plan_hash: meta("plan_hash")? })
}

/// An error that names what differs between the journal's run and ours.
pub(super) fn compare(path: &Path, found: &RunKey, expected: &RunKey) -> Result<(), JournalError> {
    let rows = |key: &RunKey| key.plan_rows.to_string();
    for (field, found, expected) in [
        ("run id", found.run_id.clone(), expected.run_id.clone()),
        ("plan rows", rows(found), rows(expected)),
        ("plan hash", found.plan_hash.clone(), expected.plan_hash.clone()),
    ] {
        if found != expected {
            return Err(JournalError::OtherPlan { path: path.to_owned(), field, found, expected });
        }
    }
    Ok(())
}

/// Sets the pragmas of a writer; returns the next numbers of a group and of a connection.
fn prepare_for_writing(db: &Connection, durability: Durability) -> rusqlite::Result<(u64, u32)> {
    db.pragma_update(None, "journal_mode", "WAL")?;
    // In WAL mode FULL syncs the log at every commit, NORMAL only when it is copied into the file.
    let synchronous = match durability {
        Durability::PowerLoss => "FULL",
        Durability::ProcessCrash => "NORMAL",
    };
    db.pragma_update(None, "synchronous", synchronous)?;
    db.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    let last_group = last_group(db)?;
    let last_connection: i64 =
        db.query_row("SELECT coalesce(max(number), 0) FROM connection", [], |row| row.get(0))?;
    // A read-only file or directory shows at the first write only: find out now, before anything is sent.
    db.execute_batch("BEGIN IMMEDIATE; ROLLBACK;")?;
    Ok((last_group + 1, u32::try_from(last_connection).unwrap_or(u32::MAX - 1) + 1))
}

fn last_group(db: &Connection) -> rusqlite::Result<u64> {
    db.query_row("SELECT coalesce(max(seq), 0) FROM journal_group", [], |row| row.get::<_, i64>(0))
        .map(|last| u64::try_from(last).unwrap_or(0))
}

impl Journal {
    /// Commits one group: its connections, then its records, in one transaction.
    pub(super) fn commit(
        &mut self,
        connections: &[(u32, ConnectionInfo)],
        records: &[u8],
    ) -> Result<(), JournalError> {
        if self.forgets {
            return Ok(());
        }
        let next = self.next_group;
        let wrote = (|| {
            let transaction = self.db.transaction()?;
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
            if !records.is_empty() {
                transaction
                    .prepare_cached("INSERT INTO journal_group VALUES (?1, ?2, ?3)")?
                    .execute(params![next as i64, checksum(next, records), records])?;
            }
            transaction.commit()
        })();
        if let Err(error) = wrote {
            // A commit that failed may have reached the disk all the same: the next one takes its number from there.
            if let Ok(last) = last_group(&self.db) {
                self.next_group = last + 1;
            }
            return Err(JournalError::sqlite(&self.path, "write to", error));
        }
        self.next_group += u64::from(!records.is_empty());
        Ok(())
    }
}

/// Over the group's number and its bytes: SQLite has no checksum of its own once the WAL is copied.
pub(super) fn checksum(group: u64, records: &[u8]) -> i64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&group.to_le_bytes()).update(records);
    let hash = *hasher.finalize().as_bytes();
    i64::from_le_bytes(hash[..8].try_into().expect("eight bytes of thirty-two"))
}
