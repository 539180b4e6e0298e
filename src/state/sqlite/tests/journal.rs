//! Journals as files: formats, permissions, full disks and damage of every kind.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use tempfile::TempDir;

use crate::campaign::Durability;
use crate::journal::testing::{accepted, at, intent, record_of, run_of, spawn};
use crate::journal::{
    Group, Journal, JournalError, JournalStore, Outcome, Reader, RowState, RunKey, States, Verdict,
};
use crate::kit::store::{Cause, StoreError};
use crate::mail::Disposition;
use crate::state::sqlite::journal::SqliteJournal;

/// A folder with a journal for a plan of so many rows.
pub(super) struct Dir {
    pub folder: TempDir,
    pub key: RunKey,
}

impl Dir {
    pub(super) fn new(rows: u32) -> Self {
        Self { folder: tempfile::tempdir().unwrap(), key: run_of(rows) }
    }

    pub(super) fn path(&self) -> PathBuf {
        self.folder.path().join("journal.db")
    }

    pub(super) fn create_store(&self) -> SqliteJournal {
        SqliteJournal::create(&self.path(), &self.key, Durability::ProcessCrash).unwrap()
    }

    pub(super) fn journal(&self, store: SqliteJournal) -> Journal {
        Journal::new(Box::new(store), &self.key).unwrap()
    }

    pub(super) fn create(&self) -> Journal {
        self.journal(self.create_store())
    }

    pub(super) fn open(&self) -> Result<Journal, JournalError> {
        Journal::new(Box::new(SqliteJournal::open(&self.path(), Durability::PowerLoss)?), &self.key)
    }

    pub(super) fn read(&self) -> Result<Reader, StoreError> {
        Ok(Reader::new(Box::new(SqliteJournal::read(&self.path())?)))
    }

    pub(super) fn states(&self) -> States {
        self.read().unwrap().states().unwrap()
    }

    /// Another program's view of the file.
    fn raw(&self) -> Connection {
        Connection::open(self.path()).unwrap()
    }
}

pub(super) fn wal(path: &Path) -> PathBuf {
    path.with_extension("db-wal")
}

/// Root may write everywhere: then the test has nothing to say.
fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|data| std::os::unix::fs::MetadataExt::uid(&data) == 0)
}

/// A journal whose WAL was copied into the file, with an outcome for each row.
fn written(rows: u32) -> Dir {
    let dir = Dir::new(rows);
    let run = spawn(dir.create());
    for chunk in (0..rows).collect::<Vec<_>>().chunks(100) {
        run.writer.intend(chunk.iter().map(|&row| (intent(row, 1, 0), row)).collect());
        chunk.iter().for_each(|&row| run.writer.record(accepted(row, 1, 0)));
        run.writer.flush().unwrap();
    }
    drop(run.writer.close().unwrap());
    dir
}

/// Lets no page be added to the file any more, as a full disk does.
fn fill_the_disk(store: &SqliteJournal) {
    let pages: i64 = store.db.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
    store.db.pragma_update(None, "max_page_count", pages).unwrap();
}

#[test]
fn what_a_crash_left_of_a_half_made_journal_is_created_again() {
    let dir = Dir::new(1);
    fs::write(dir.folder.path().join("journal.db.new"), b"half").unwrap();
    dir.create();
    assert_eq!(dir.states().state(0), RowState::Untouched);
}

#[test]
fn files_that_are_no_journal_of_ours_say_what_they_are() {
    let dir = Dir::new(1);
    let refused = |expected: &str| {
        let text = dir.open().unwrap_err().to_string();
        assert!(text.contains(expected), "{text}");
        let text = dir.read().unwrap_err().to_string();
        assert!(text.contains(expected), "{text}");
    };
    refused("no journal at");
    fs::write(dir.path(), b"").unwrap();
    refused("is not a journal: it is empty");
    fs::write(dir.path(), vec![b'x'; 8_192]).unwrap();
    refused("file is not a database");
    fs::remove_file(dir.path()).unwrap();
    dir.raw().execute_batch("CREATE TABLE t (x)").unwrap();
    refused("it is another program's database");
}

#[test]
fn a_newer_format_names_both_versions() {
    let dir = Dir::new(1);
    dir.create_store().db.pragma_update(None, "user_version", 7).unwrap();
    let error = dir.open().unwrap_err();
    assert!(matches!(error, JournalError::Store(StoreError::Newer { found: 7, known: 1, .. })), "{error}");
    assert_eq!(error.hint(), Some("use the mailrun that wrote it, or a newer one"));
}

#[test]
fn a_finished_journal_can_be_read_where_nothing_can_be_written() {
    let dir = Dir::new(2);
    let run = spawn(dir.create());
    run.writer.record(accepted(0, 1, 0));
    drop(run.writer.close().unwrap());
    assert!(!wal(&dir.path()).exists(), "a journal that was closed needs no other file");
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o400)).unwrap();
    fs::set_permissions(dir.folder.path(), fs::Permissions::from_mode(0o500)).unwrap();
    assert_eq!(dir.states().state(0), RowState::Final(Disposition::Accepted));
    if is_root() {
        eprintln!("writing to a read-only journal is not tried: root may");
    } else {
        let error = dir.open().unwrap_err();
        assert!(
            matches!(error, JournalError::Store(StoreError::Failed { cause: Cause::Denied, .. })),
            "{error:?}"
        );
    }
    fs::set_permissions(dir.folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn a_directory_that_is_not_there_can_not_get_a_journal() {
    let dir = Dir::new(2);
    let path = dir.folder.path().join("gone").join("journal.db");
    let error = SqliteJournal::create(&path, &dir.key, Durability::PowerLoss).unwrap_err();
    assert!(error.to_string().starts_with("can't create journal"), "{error}");
}

#[test]
fn of_a_truncated_journal_the_rest_is_known_and_it_is_not_resumed() {
    let dir = written(3_000);
    let length = fs::metadata(dir.path()).unwrap().len();
    OpenOptions::new().write(true).open(dir.path()).unwrap().set_len(length / 2).unwrap();
    let states = dir.states();
    assert!(states.damage.is_some());
    let count = |state: RowState| states.iter().filter(|(_, other)| *other == state).count();
    let known = count(RowState::Final(Disposition::Accepted));
    assert!(known > 0, "what comes before the damage is known");
    assert_eq!(known + count(RowState::Unknown), 3_000);
    let journal = dir.open();
    let error = journal.and_then(|journal| journal.states().map(|_| ())).unwrap_err();
    assert!(matches!(error, JournalError::Store(StoreError::Damaged { .. })), "{error:?}");
    assert!(error.hint().unwrap().contains("mailrun results RUN"));
}

#[test]
fn a_spoiled_byte_costs_one_group_only() {
    let dir = written(3_000);
    let mut bytes = fs::read(dir.path()).unwrap();
    // A page that SQLite has split still has its old copy of what moved away: each copy is spoiled.
    let reply = b"queued as 00000000";
    let copies: Vec<usize> = (0..bytes.len()).filter(|&at| bytes[at..].starts_with(reply)).collect();
    assert!(!copies.is_empty());
    copies.iter().for_each(|&at| bytes[at] ^= 1);
    fs::write(dir.path(), bytes).unwrap();
    let states = dir.states();
    assert!(states.damage.as_ref().unwrap().why.contains("checksum"), "{:?}", states.damage);
    let known = states.iter().filter(|(_, state)| *state == RowState::Final(Disposition::Accepted)).count();
    assert!((2_700..3_000).contains(&known), "{known}");
}

#[test]
fn a_missing_group_is_damage() {
    let dir = written(1_000);
    dir.raw().execute("DELETE FROM journal_group WHERE seq = 3", []).unwrap();
    assert_eq!(dir.states().damage.unwrap().why, "group 3 is missing");
}

#[test]
fn a_record_of_a_row_that_the_plan_does_not_have_is_damage() {
    let dir = written(1_000);
    dir.raw().execute("UPDATE meta SET value = '500' WHERE key = 'plan_rows'", []).unwrap();
    let why = dir.states().damage.unwrap().why;
    assert!(why.contains("no record of a known form"), "{why}");
}

#[test]
fn what_is_known_of_a_damaged_file_can_be_read_wherever_it_is_damaged() {
    const ROWS: u32 = 1_500;
    let dir = Dir::new(ROWS);
    let mut store = dir.create_store();
    store.db.pragma_update(None, "synchronous", "OFF").unwrap();
    for row in 0..ROWS {
        // A group each, so that the table has pages that only lead to others.
        let records = record_of(&accepted(row, 1, 1));
        store.commit(&[], Some(Group::new(u64::from(row) + 1, &records))).unwrap();
    }
    store.db.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    drop(store);
    let whole = fs::read(dir.path()).unwrap();
    let mut known = 0;
    for place in (0..whole.len() - 64).step_by(1_024) {
        let mut spoiled = whole.clone();
        spoiled[place..place + 64].fill(0xa5);
        fs::write(dir.path(), &spoiled).unwrap();
        let Ok(reader) = dir.read() else { continue };
        let Ok(states) = reader.states() else { continue };
        let mut details = reader.details();
        for (row, state) in states.iter() {
            if let RowState::Final(_) = state {
                let outcome = details.outcome(&states, row);
                assert!(
                    matches!(&outcome, Ok(Some(found)) if found.row == row),
                    "damaged at {place}: row {row}: {outcome:?}"
                );
                known += 1;
            }
        }
    }
    assert!(known > ROWS, "{known} outcomes were read from damaged files");
}

#[test]
fn on_a_full_disk_nothing_is_passed_on_and_what_is_known_is_kept() {
    let dir = Dir::new(3_000);
    let store = dir.create_store();
    fill_the_disk(&store);
    let run = spawn(dir.journal(store));
    run.writer.intend(vec![(intent(0, 1, 0), 0)]);
    assert_eq!(run.durable.recv().unwrap(), 0, "the first record fits on the table's own page");
    run.writer.intend((1..3_000).map(|row| (intent(row, 1, 0), row)).collect());
    let error = run.errors.recv().unwrap();
    assert!(matches!(error, JournalError::Store(StoreError::Full { .. })), "{error:?}");
    assert_eq!(error.hint(), Some("free some space, then run the same command again"));
    assert!(run.writer.flush().is_err());
    assert!(run.writer.has_failed());
    // What a failed commit holds is not passed on, and neither is anything after it.
    run.writer.intend(vec![(intent(1, 1, 0), 1)]);
    run.writer.record(accepted(0, 1, 1));
    // As the dispatcher does with those that come back: true of an intent that was written, and of
    // one that was not.
    run.writer.record(Outcome::new(1, 1, Verdict::Withdrawn, at(1)));
    let _ = run.writer.close();
    assert_eq!(run.durable.iter().count(), 0);
    assert!(run.given_up.iter().eq((1..3_000).chain([1])), "all of them come back");
    // The record of the outcome may have had room or not; an intent that was not passed on never
    // did.
    let states = dir.states();
    assert!(matches!(states.state(0), RowState::Open | RowState::Final(Disposition::Accepted)));
    assert!((1..3_000).all(|row| states.state(row) == RowState::Untouched));
}
