use std::time::Duration;

use rusqlite::ErrorCode;

use super::super::{Unused, Usage, usage};
use super::*;
use crate::mail::Timestamp;
use crate::pacing::clock::BootId;

impl SqliteLedger {
    /// Doesn't wait for the disk: a test loses no power.
    pub(in crate::pacing) fn open_for_tests(path: &Path, holder: Holder, capacity: &Capacity) -> Self {
        let ledger = Self::open(path, holder, capacity).unwrap();
        ledger.db.pragma_update(None, "synchronous", "OFF").unwrap();
        ledger
    }
}

/// A state database, and the time.
struct Desk {
    folder: tempfile::TempDir,
    now: i64,
}

const BEGIN: i64 = 1_780_000_000_000_000;

impl Desk {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), now: 0 }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("state.db")
    }

    fn open(&self, process: &str) -> SqliteLedger {
        SqliteLedger::open_for_tests(&self.path(), Holder::new("news", process), &Capacity::default())
    }

    fn reading(&self) -> Reading {
        let wall = Timestamp(BEGIN + self.now);
        Reading { now: wall, wall, boot: BootId(9), uptime: Uptime(77_000_000_000 + self.now) }
    }

    fn request(&self, want: u64) -> Request {
        let from = self.reading().now;
        Request {
            want,
            from,
            over: Duration::ZERO,
            line_start: from - Duration::from_secs(3_600),
            unused: vec![],
        }
    }

    fn ask(&self, ledger: &mut SqliteLedger, want: u64) -> Result<Reservation, LedgerError> {
        ledger.reserve(self.reading(), &self.request(want))
    }

    fn usage(&self) -> Usage {
        usage(&self.path(), self.reading()).unwrap().remove(0)
    }
}

#[test]
fn what_is_granted_is_on_record_for_every_process_and_after_a_restart() {
    let mut desk = Desk::new();
    let (mut first, mut second) = (desk.open("1"), desk.open("2"));
    let block = desk.ask(&mut first, 10).unwrap().block.unwrap();
    assert_eq!(block.count, 10);
    let reservation = desk.ask(&mut second, 1_000).unwrap();
    // The bucket of 0.7 s at 15,625 in 303 s holds 37: 10 of them are taken.
    assert_eq!(reservation.block.unwrap().count, 27);
    assert!(reservation.shared);
    drop((first, second));
    assert_eq!(desk.usage().hour_used, 37);
    let mut third = desk.open("3");
    assert!(desk.ask(&mut third, 1_000).unwrap().block.is_none());
    desk.now += 600_000;
    assert_eq!(desk.ask(&mut third, 1_000).unwrap().block.unwrap().count, 31);
}

#[test]
fn what_is_given_back_is_seen_by_the_others() {
    let desk = Desk::new();
    let (mut first, mut second) = (desk.open("1"), desk.open("2"));
    let block = desk.ask(&mut first, 37).unwrap().block.unwrap();
    assert!(desk.ask(&mut second, 5).unwrap().block.is_none());
    let mut request = desk.request(0);
    request.unused = vec![Unused { block: block.id, used: 30 }];
    assert!(first.reserve(desk.reading(), &request).unwrap().block.is_none());
    assert_eq!(desk.usage().hour_used, 30);
    assert_eq!(desk.ask(&mut second, 5).unwrap().block.unwrap().count, 5);
    // Told twice, as after a failure that was none: it is no more than before.
    first.reserve(desk.reading(), &request).unwrap();
    assert_eq!(desk.usage().hour_used, 35);
}

#[test]
fn usage_shows_the_slots_of_the_last_hour_and_who_used_them() {
    let mut desk = Desk::new();
    assert!(usage(&desk.path(), desk.reading()).unwrap().is_empty());
    let (mut first, mut second) = (desk.open("1"), desk.open("2"));
    for minute in 0..150 {
        desk.now = minute * 60_000_000;
        desk.ask(&mut first, 10).unwrap();
        desk.now += 5_000_000;
        desk.ask(&mut second, 2).unwrap();
    }
    let usage = desk.usage();
    assert_eq!((usage.account.as_str(), usage.in_force.per_slot), ("default", 15_625));
    // The block of an hour ago may have been sent until 2.5 s later.
    assert_eq!((usage.hour_used, usage.hour_free), (722, 149_278));
    assert_eq!((usage.slot_used, usage.slot_free), (62, 15_563));
    assert_eq!(usage.slots.len(), 13);
    assert!(usage.slots.iter().all(|slot| slot.start == slot.start.slot()));
    assert_eq!(usage.slots[12].start, desk.reading().wall.slot());
    let by = [(Holder::new("news", "1"), 50), (Holder::new("news", "2"), 10)];
    assert_eq!((usage.slots[5].used, usage.slots[5].by.as_slice()), (60, by.as_slice()));
    // What is older than two hours is gone.
    let rows: i64 = first.db.query_row("SELECT count(*) FROM capacity_block", [], |row| row.get(0)).unwrap();
    assert!((240..=246).contains(&rows), "{rows}");
}

#[test]
fn accounts_are_apart() {
    let desk = Desk::new();
    let mut first = desk.open("1");
    let capacity = Capacity { account: "other".into(), ..Capacity::default() };
    let mut second = SqliteLedger::open_for_tests(&desk.path(), Holder::new("news", "2"), &capacity);
    assert_eq!(desk.ask(&mut first, 37).unwrap().block.unwrap().count, 37);
    assert_eq!(desk.ask(&mut second, 37).unwrap().block.unwrap().count, 37);
    let used: Vec<_> = usage(&desk.path(), desk.reading()).unwrap();
    let used: Vec<_> = used.iter().map(|usage| (usage.account.as_str(), usage.hour_used)).collect();
    assert_eq!(used, [("default", 37), ("other", 37)]);
}

#[test]
fn threads_that_ask_at_the_same_moment_get_no_more_than_one_would() {
    let desk = Desk::new();
    let total: u64 = std::thread::scope(|scope| {
        let ask = |process: usize| {
            let mut ledger = desk.open(&process.to_string());
            (0..20)
                .filter_map(|_| desk.ask(&mut ledger, 1).unwrap().block)
                .map(|block| block.count)
                .sum::<u64>()
        };
        let threads: Vec<_> = (0..8).map(|process| scope.spawn(move || ask(process))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(total, 37);
}

/// The error and its hint, both of which name something.
fn check_told(error: &LedgerError, told: &str) {
    let chain = crate_chain(error);
    assert!(chain.contains(told) && chain.contains("state.db"), "{chain}");
    assert!(error.hint().is_some(), "{chain}");
}

fn crate_chain(error: &dyn std::error::Error) -> String {
    let cause = error.source().map(|cause| format!(": {}", crate_chain(cause)));
    format!("{error}{}", cause.unwrap_or_default())
}

#[test]
fn what_is_no_state_database_is_refused_and_left_alone() {
    let desk = Desk::new();
    let content = b"\x89PNG\r\n\x1a\n and so on".repeat(200);
    fs::write(desk.path(), &content).unwrap();
    let error = SqliteLedger::open(&desk.path(), Holder::new("news", "1"), &Capacity::default()).unwrap_err();
    check_told(&error, "not a mailrun state database");
    check_told(&usage(&desk.path(), desk.reading()).unwrap_err(), "not a mailrun state database");
    assert_eq!(fs::read(desk.path()).unwrap(), content);

    fs::write(desk.path(), b"").unwrap();
    check_told(&usage(&desk.path(), desk.reading()).unwrap_err(), "empty");
    assert_eq!(fs::read(desk.path()).unwrap(), b"");
}

#[test]
fn a_cut_or_overwritten_file_is_refused() {
    let mut desk = Desk::new();
    let mut ledger = desk.open("1");
    for _ in 0..300 {
        desk.now += 1_000_000;
        desk.ask(&mut ledger, 1).unwrap();
    }
    drop(ledger);
    let whole = fs::read(desk.path()).unwrap();
    assert!(whole.len() > 20_000);
    fs::write(desk.path(), &whole[..whole.len() - 6_000]).unwrap();
    check_told(&usage(&desk.path(), desk.reading()).unwrap_err(), "damaged");

    let mut scratched = whole;
    scratched[4_096..].fill(0xff);
    fs::write(desk.path(), &scratched).unwrap();
    let error = SqliteLedger::open(&desk.path(), Holder::new("news", "2"), &Capacity::default());
    check_told(&error.and_then(|mut ledger| desk.ask(&mut ledger, 1)).unwrap_err(), "damaged");
}

#[test]
fn rows_that_cannot_be_true_are_damage() {
    for change in
        ["pace = 'odd'", "boot = 'x'", "count = reserved + 1", "count = -1", "until_us = from_us - 1"]
    {
        let desk = Desk::new();
        let mut ledger = desk.open("1");
        desk.ask(&mut ledger, 1).unwrap();
        ledger.db.execute_batch(&format!("UPDATE capacity_block SET {change}")).unwrap();
        let mut other = desk.open("2");
        let error = desk.ask(&mut other, 1).unwrap_err();
        assert!(matches!(error, LedgerError::Damaged { .. }), "{change}: {error}");
        check_told(&error, "damaged");
    }
}

#[test]
fn a_newer_ledger_is_refused() {
    let desk = Desk::new();
    desk.open("1").db.execute_batch("UPDATE capacity_format SET format = 2").unwrap();
    check_told(&usage(&desk.path(), desk.reading()).unwrap_err(), "format 2");
}

#[test]
fn a_full_disk_grants_nothing_and_recovers() {
    let mut desk = Desk::new();
    let mut ledger = desk.open("1");
    let pages: i64 = ledger.db.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
    let limit = |ledger: &SqliteLedger, pages: i64| {
        ledger.db.execute_batch(&format!("PRAGMA max_page_count = {pages}")).unwrap();
    };
    limit(&ledger, pages);
    let mut granted = 0;
    let error = loop {
        desk.now += 1_000_000;
        match desk.ask(&mut ledger, 1) {
            Ok(reservation) => granted += reservation.block.map_or(0, |block| block.count),
            Err(error) => break error,
        }
        assert!(granted < 1_000, "the disk is never full");
    };
    let LedgerError::Sqlite { source, .. } = &error else { panic!("{error}") };
    assert_eq!(source.sqlite_error_code(), Some(ErrorCode::DiskFull));
    check_told(&error, "full");
    assert_eq!(desk.usage().hour_used, granted);
    limit(&ledger, 1_000_000);
    assert_eq!(desk.ask(&mut ledger, 1).unwrap().block.unwrap().count, 1);
    assert_eq!(desk.usage().hour_used, granted + 1);
}

#[test]
fn a_file_that_was_replaced_under_way_is_noticed() {
    let desk = Desk::new();
    let mut ledger = desk.open("1");
    desk.ask(&mut ledger, 1).unwrap();
    let (aside, other) = (desk.folder.path().join("aside.db"), Desk::new());
    fs::rename(desk.path(), &aside).unwrap();
    check_told(&desk.ask(&mut ledger, 1).unwrap_err(), "replaced or removed");
    other.open("2");
    fs::rename(other.path(), desk.path()).unwrap();
    check_told(&desk.ask(&mut ledger, 1).unwrap_err(), "replaced or removed");

    // Copied over in place: the file is the same one, and knows less.
    fs::rename(&aside, desk.path()).unwrap();
    desk.ask(&mut ledger, 1).unwrap();
    ledger.db.execute_batch("UPDATE capacity_account SET changes = 1").unwrap();
    check_told(&desk.ask(&mut ledger, 1).unwrap_err(), "replaced or removed");
}

#[test]
fn reservations_wait_for_the_disk() {
    let desk = Desk::new();
    let ledger = SqliteLedger::open(&desk.path(), Holder::new("news", "1"), &Capacity::default()).unwrap();
    let setting = |name| ledger.db.pragma_query_value(None, name, |row| row.get::<_, String>(0)).unwrap();
    assert_eq!(setting("journal_mode"), "wal");
    let full: i64 = ledger.db.pragma_query_value(None, "synchronous", |row| row.get(0)).unwrap();
    assert_eq!(full, 2);
}
