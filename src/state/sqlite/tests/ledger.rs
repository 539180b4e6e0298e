use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use rusqlite::ErrorCode;

use crate::campaign::Capacity;
use crate::kit::store::StoreError;
use crate::mail::Timestamp;
use crate::pacing::{
    Account, BootId, Clock, Holder, Ledger, LedgerError, Reading, Request, Reservation, Uptime, Usage,
};
use crate::state::sqlite::file;
use crate::state::sqlite::ledger::{SqliteAccount, SqliteLedger};

/// A state database, and the time.
struct Desk {
    folder: tempfile::TempDir,
    clock: Clock,
    now: i64,
}

const BEGIN: i64 = 1_780_000_000_000_000;

impl Desk {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), clock: Clock::simulated(reading(0)), now: 0 }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("state.db")
    }

    fn ledger(&self, durable: bool) -> SqliteLedger {
        SqliteLedger { path: self.path(), clock: self.clock.clone(), durable }
    }

    fn try_open(&self, process: &str) -> Result<SqliteAccount, StoreError> {
        SqliteAccount::open(&self.ledger(false), Holder::new("news", process), (&Capacity::default()).into())
    }

    fn open(&self, process: &str) -> SqliteAccount {
        self.try_open(process).unwrap()
    }

    fn ask(&self, account: &mut SqliteAccount, want: u64) -> Result<Reservation, LedgerError> {
        self.clock.set(reading(self.now));
        let from = reading(self.now).now;
        let line_start = from - Duration::from_secs(3_600);
        account.reserve(&Request {
            want,
            at_least: 1,
            from,
            over: Duration::ZERO,
            line_start,
            unused: vec![],
        })
    }

    fn try_usage(&self) -> Result<Vec<Usage>, LedgerError> {
        self.clock.set(reading(self.now));
        self.ledger(false).usage()
    }

    fn usage(&self) -> Usage {
        self.try_usage().unwrap().remove(0)
    }
}

/// The clocks of a machine that has been up for a day.
fn reading(micros: i64) -> Reading {
    let wall = Timestamp(BEGIN + micros);
    Reading { now: wall, wall, boot: BootId(9), uptime: Uptime(77_000_000_000 + micros) }
}

#[test]
fn blocks_older_than_two_hours_are_deleted() {
    let mut desk = Desk::new();
    let mut account = desk.open("1");
    for minute in 0..150 {
        desk.now = minute * 60_000_000;
        desk.ask(&mut account, 10).unwrap();
    }
    let rows: i64 =
        account.db.query_row("SELECT count(*) FROM capacity_block", [], |row| row.get(0)).unwrap();
    assert!((120..=123).contains(&rows), "{rows}");
}

#[test]
fn a_look_at_the_usage_creates_no_file() {
    let desk = Desk::new();
    assert!(desk.try_usage().unwrap().is_empty());
    assert!(!desk.path().exists());
}

/// The error and its hint, both of which name something.
fn check_error(error: &LedgerError, named: &str) {
    let text = chain(error);
    assert!(text.contains(named) && text.contains("state.db"), "{text}");
    assert!(error.hint().is_some(), "{text}");
}

fn chain(error: &dyn std::error::Error) -> String {
    let cause = error.source().map(|cause| format!(": {}", chain(cause)));
    format!("{error}{}", cause.unwrap_or_default())
}

#[test]
fn what_is_no_state_database_is_refused_and_left_alone() {
    let desk = Desk::new();
    let content = b"\x89PNG\r\n\x1a\n and so on".repeat(200);
    fs::write(desk.path(), &content).unwrap();
    check_error(&desk.try_open("1").unwrap_err().into(), "not a state database");
    check_error(&desk.try_usage().unwrap_err(), "not a state database");
    assert_eq!(fs::read(desk.path()).unwrap(), content);

    fs::write(desk.path(), b"").unwrap();
    check_error(&desk.try_usage().unwrap_err(), "empty");
    assert_eq!(fs::read(desk.path()).unwrap(), b"");
}

#[test]
fn a_cut_or_overwritten_file_is_refused() {
    let mut desk = Desk::new();
    let mut account = desk.open("1");
    for _ in 0..300 {
        desk.now += 1_000_000;
        desk.ask(&mut account, 1).unwrap();
    }
    drop(account);
    let whole = fs::read(desk.path()).unwrap();
    assert!(whole.len() > 20_000);
    fs::write(desk.path(), &whole[..whole.len() - 6_000]).unwrap();
    check_error(&desk.try_usage().unwrap_err(), "damaged");

    let mut scratched = whole;
    scratched[4_096..].fill(0xff);
    fs::write(desk.path(), &scratched).unwrap();
    let asked = desk.try_open("2").map_err(LedgerError::from);
    check_error(&asked.and_then(|mut account| desk.ask(&mut account, 1)).unwrap_err(), "damaged");
}

#[test]
fn rows_that_cannot_be_true_are_damage() {
    for change in
        ["pace = 'odd'", "boot = 'x'", "count = reserved + 1", "count = -1", "until_us = from_us - 1"]
    {
        let desk = Desk::new();
        let mut account = desk.open("1");
        desk.ask(&mut account, 1).unwrap();
        account.db.execute_batch(&format!("UPDATE capacity_block SET {change}")).unwrap();
        let mut other = desk.open("2");
        let error = desk.ask(&mut other, 1).unwrap_err();
        assert!(matches!(error, LedgerError::Store(StoreError::Damaged { .. })), "{change}: {error}");
        check_error(&error, "damaged");
    }
}

#[test]
fn a_newer_ledger_is_refused() {
    let desk = Desk::new();
    drop(desk.open("1"));
    file::open(&desk.path()).unwrap().execute_batch("UPDATE capacity_format SET format = 2").unwrap();
    check_error(&desk.try_usage().unwrap_err(), "format 2");
}

#[test]
fn a_full_disk_grants_nothing_and_recovers() {
    let mut desk = Desk::new();
    let mut account = desk.open("1");
    let pages: i64 = account.db.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
    let limit = |account: &SqliteAccount, pages: i64| {
        account.db.execute_batch(&format!("PRAGMA max_page_count = {pages}")).unwrap();
    };
    limit(&account, pages);
    let mut granted = 0;
    let error = loop {
        desk.now += 1_000_000;
        match desk.ask(&mut account, 1) {
            Ok(reservation) => granted += reservation.block.map_or(0, |block| block.count),
            Err(error) => break error,
        }
        assert!(granted < 1_000, "the disk is never full");
    };
    let LedgerError::Store(StoreError::Full { source, .. }) = &error else { panic!("{error}") };
    let source: &rusqlite::Error = source.downcast_ref().unwrap();
    assert_eq!(source.sqlite_error_code(), Some(ErrorCode::DiskFull));
    check_error(&error, "full");
    assert_eq!(desk.usage().hour_used, granted);
    limit(&account, 1_000_000);
    assert_eq!(desk.ask(&mut account, 1).unwrap().block.unwrap().count, 1);
    assert_eq!(desk.usage().hour_used, granted + 1);
}

#[test]
fn a_file_that_was_replaced_while_in_use_is_noticed() {
    let desk = Desk::new();
    let mut account = desk.open("1");
    desk.ask(&mut account, 1).unwrap();
    let (aside, other) = (desk.folder.path().join("aside.db"), Desk::new());
    fs::rename(desk.path(), &aside).unwrap();
    check_error(&desk.ask(&mut account, 1).unwrap_err(), "replaced or removed");
    other.open("2");
    fs::rename(other.path(), desk.path()).unwrap();
    check_error(&desk.ask(&mut account, 1).unwrap_err(), "replaced or removed");

    // Copied over in place: the file is the same one, and knows less.
    fs::rename(&aside, desk.path()).unwrap();
    desk.ask(&mut account, 1).unwrap();
    account.db.execute_batch("UPDATE capacity_account SET changes = 1").unwrap();
    check_error(&desk.ask(&mut account, 1).unwrap_err(), "replaced or removed");
}

#[test]
fn reservations_wait_for_the_disk() {
    let desk = Desk::new();
    let account =
        SqliteAccount::open(&desk.ledger(true), Holder::new("news", "1"), (&Capacity::default()).into())
            .unwrap();
    let setting = |name| account.db.pragma_query_value(None, name, |row| row.get::<_, String>(0)).unwrap();
    assert_eq!(setting("journal_mode"), "wal");
    let full: i64 = account.db.pragma_query_value(None, "synchronous", |row| row.get(0)).unwrap();
    assert_eq!(full, 2);
}
