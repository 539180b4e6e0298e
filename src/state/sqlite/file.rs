//! The state database as a file: created whole or not at all, checked before it is used.
//!
//! Everything that keeps tables in `state.db` opens it here, creates its own tables with `IF NOT
//! EXISTS`, and keeps the version of its tables in a table of its own. Common to the file are its
//! `application_id` and `user_version`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::error::{self, STATE};
use crate::kit::file::create_private_folders;
use crate::kit::store::{Store, StoreError};

/// SQLite's `application_id` of a state database: `mrst`.
const APPLICATION_ID: i64 = 0x6d72_7374;
/// SQLite's `user_version`: the format of the file as a whole.
const FORMAT: i64 = 1;
/// How long a writer waits for another one. Nobody holds the file longer than a few thousand rows
/// take.
const BUSY: Duration = Duration::from_secs(30);

/// Opens the state database at `path`; creates it (and its directory) where there is none.
///
/// The connection is in WAL mode with `synchronous = FULL` and waits for locks. An existing file
/// that is no state database, an empty one included, is refused and left as it is.
pub(super) fn open(path: &Path) -> Result<Connection, StoreError> {
    let store = error::store(&STATE, path);
    match fs::metadata(path) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => create(path, &store)?,
        Err(error) => return Err(error::io(&store, "read", error)),
    }
    let sqlite = |error| error::sqlite(&store, "open", error);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags).map_err(sqlite)?;
    db.busy_timeout(BUSY).map_err(sqlite)?;
    // A statement that is kept is otherwise planned again whenever it gets other values.
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map_err(sqlite)?;
    identify(&db, path, &store)?;
    db.pragma_update(None, "synchronous", "FULL").map_err(sqlite)?;
    check_length(&db, path, &store)?;
    Ok(db)
}

/// A copy of the state database at `path`, as of one moment, as `state.db` in a temporary folder;
/// none in it where there is none.
pub(crate) fn copy(path: &Path) -> Result<tempfile::TempDir, StoreError> {
    let store = error::store(&STATE, path);
    let folder = tempfile::tempdir().map_err(|error| error::io(&store, "copy", error))?;
    if path.exists() {
        let to = folder.path().join("state.db");
        let sqlite = |error| error::sqlite(&store, "copy", error);
        let db = open(path)?;
        db.execute("VACUUM INTO ?1", [to.to_string_lossy()]).map_err(sqlite)?;
        let copy = Connection::open(&to).map_err(sqlite)?;
        // As each user of the file expects.
        copy.pragma_update(None, "journal_mode", "WAL").map_err(sqlite)?;
    }
    Ok(folder)
}

/// Creates the database under another name and then gives it its own in one step, so that nobody
/// ever sees half of it, and an empty file is always one that has lost its contents.
fn create(path: &Path, store: &Store) -> Result<(), StoreError> {
    let io = |error| error::io(store, "create", error);
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    create_private_folders(folder).map_err(io)?;
    // For its owner alone, as all that SQLite will put beside it.
    let unfinished = tempfile::Builder::new().prefix(".state.db.").tempfile_in(folder).map_err(io)?;
    let sqlite = |error| error::sqlite(store, "create", error);
    let db = Connection::open(unfinished.path()).map_err(sqlite)?;
    // Without a sync for each statement: the file is synced whole, before it gets its name.
    db.pragma_update(None, "synchronous", "OFF").map_err(sqlite)?;
    db.pragma_update(None, "application_id", APPLICATION_ID).map_err(sqlite)?;
    db.pragma_update(None, "user_version", FORMAT).map_err(sqlite)?;
    db.pragma_update(None, "journal_mode", "WAL").map_err(sqlite)?;
    db.close().map_err(|(_, error)| sqlite(error))?;
    unfinished.as_file().sync_all().map_err(io)?;
    match unfinished.persist_noclobber(path) {
        Ok(_) => {}
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        Err(error) => return Err(io(error.error)),
    }
    fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(io)
}

fn identify(db: &Connection, path: &Path, store: &Store) -> Result<(), StoreError> {
    let sqlite = |error| error::sqlite(store, "read", error);
    let pragma = |name: &str| db.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).map_err(sqlite);
    let id = pragma("application_id")?;
    if id != APPLICATION_ID {
        let store = store.clone();
        return Err(match fs::metadata(path) {
            Ok(data) if data.len() == 0 => StoreError::Damaged { store, detail: "it is empty".into() },
            _ => StoreError::Foreign {
                store,
                found: format!("another program's SQLite database (application id {id:#x})"),
            },
        });
    }
    let found = pragma("user_version")?;
    if found > FORMAT {
        return Err(StoreError::Newer { store: store.clone(), part: "the file", found, known: FORMAT });
    }
    Ok(())
}

/// SQLite reads pages beyond the end of a truncated file as zeros and notices late. While the WAL
/// is empty, the file must be as long as its header says.
fn check_length(db: &Connection, path: &Path, store: &Store) -> Result<(), StoreError> {
    let mut wal = path.as_os_str().to_owned();
    wal.push("-wal");
    let wal = PathBuf::from(wal);
    let wal_is_empty = || fs::metadata(&wal).map_or(true, |data| data.len() == 0);
    if !wal_is_empty() {
        return Ok(());
    }
    let sqlite = |error| error::sqlite(store, "read", error);
    let pragma = |name: &str| db.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).map_err(sqlite);
    let due = pragma("page_count")?.saturating_mul(pragma("page_size")?).cast_unsigned();
    let length = fs::metadata(path).map_or(0, |data| data.len());
    // Looked at again: a page that another process has just appended is counted, and still in its
    // WAL.
    if length < due && wal_is_empty() {
        let detail = format!("it ends after {length} of {due} bytes");
        return Err(StoreError::Damaged { store: store.clone(), detail });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(bytes: &[u8]) -> StoreError {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.db");
        fs::write(&path, bytes).unwrap();
        let error = open(&path).unwrap_err();
        assert_eq!(fs::read(&path).unwrap(), bytes, "the file was changed");
        assert!(error.hint().is_some(), "{error}");
        assert!(error.to_string().contains("state.db"), "{error}");
        error
    }

    #[test]
    fn it_is_made_once_and_opened_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/state.db");
        open(&path).unwrap().execute_batch("CREATE TABLE ledger (n INTEGER)").unwrap();
        let db = open(&path).unwrap();
        db.execute("INSERT INTO ledger VALUES (1)", []).unwrap();
        assert_eq!(
            db.pragma_query_value(None, "journal_mode", |row| row.get::<_, String>(0)).unwrap(),
            "wal"
        );
        let left: Vec<_> =
            fs::read_dir(path.parent().unwrap()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert!(left.iter().all(|name| !name.to_string_lossy().starts_with('.')), "{left:?}");
    }

    #[test]
    fn many_that_make_it_at_once_all_get_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.db");
        std::thread::scope(|scope| {
            for _ in 0..10 {
                scope.spawn(|| {
                    let db = open(&path).unwrap();
                    db.execute_batch("CREATE TABLE IF NOT EXISTS t (n)").unwrap();
                    db.execute("INSERT INTO t VALUES (1)", []).unwrap();
                });
            }
        });
        let rows = open(&path).unwrap().query_row("SELECT count(*) FROM t", [], |row| row.get(0));
        assert_eq!(rows, Ok(10));
    }

    #[test]
    fn what_is_not_a_state_database_is_refused_and_left_alone() {
        assert!(matches!(refused(b""), StoreError::Damaged { .. }));
        assert!(matches!(refused(&b"not a database at all ".repeat(100)), StoreError::Foreign { .. }));

        let folder = tempfile::tempdir().unwrap();
        let other = folder.path().join("other.db");
        Connection::open(&other).unwrap().execute_batch("CREATE TABLE t (n)").unwrap();
        assert!(matches!(refused(&fs::read(other).unwrap()), StoreError::Foreign { .. }));
    }

    #[test]
    fn a_newer_one_is_refused_with_both_formats() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.db");
        open(&path).unwrap().pragma_update(None, "user_version", 9).unwrap();
        let error = open(&path).unwrap_err();
        assert!(error.to_string().contains("format 9") && error.to_string().contains("up to 1"), "{error}");
    }

    #[test]
    fn a_cut_one_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.db");
        let db = open(&path).unwrap();
        db.execute_batch("CREATE TABLE t (text TEXT); INSERT INTO t VALUES (hex(zeroblob(50000)))").unwrap();
        db.close().unwrap();
        let length = fs::metadata(&path).unwrap().len();
        assert!(length > 50_000);
        fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(length - 10_000).unwrap();
        let error = open(&path).unwrap_err();
        assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("file"), "").unwrap();
        let error = open(&folder.path().join("file/state.db")).unwrap_err();
        assert!(matches!(error, StoreError::Failed { .. }), "{error}");
    }
}
