//! What only real processes show: several at once on one state, and kills at any moment.
//!
//! The test binary runs itself again for [`child`]. A child reports each thing it was promised on a
//! line of its own; the parent kills it after so many lines, reads what it had still written, and
//! holds the store to all of it. Memory has no other processes: what threads and dropped handles
//! show there, the suite for all backends tests.

use std::io::{BufRead, BufReader, Lines};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::Duration;

use chrono::NaiveDate;

use crate::campaign::{Capacity, Durability, Pace};
use crate::journal::testing::{accepted, at, intent, run_of};
use crate::journal::{InDoubt, Journal, RowState, Writer};
use crate::mail::{Disposition, Timestamp};
use crate::pacing::{Clock, Holder, Request};
use crate::run_dir::RunDir;
use crate::state;
use crate::suppression::testing::{NOW, entry};
use crate::suppression::{Entries, Filter, Scope, Term};

/// What a child does, its number and where: `role number folder`.
const ORDER: &str = "MAILRUN_CONTRACT_CHILD";
/// What a promise begins with on a child's standard error.
const PROMISED: &str = "promised ";
const ROWS: u32 = 20_000;
const CAP: u64 = 60;

/// A child, and the promises that it has not been heard of yet.
struct Killed {
    child: Child,
    lines: Lines<BufReader<ChildStderr>>,
}

impl Killed {
    fn start(role: &str, number: u32, folder: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "state::contract::processes::child", "--nocapture"])
            .env(ORDER, format!("{role} {number} {}", folder.display()))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        Self { child, lines }
    }

    /// The next promise; `None` once the child has ended.
    fn next(&mut self) -> Option<u64> {
        for line in self.lines.by_ref() {
            let line = line.unwrap();
            match line.strip_prefix(PROMISED) {
                // A kill may cut the last line.
                Some(number) => return number.parse().ok(),
                None => assert!(!line.contains("panicked"), "{line}"),
            }
        }
        None
    }

    /// The next promises, so many.
    fn promises(&mut self, count: usize) -> Vec<u64> {
        (0..count).map(|_| self.next().expect("the child goes on until it is killed")).collect()
    }

    /// Kills the child (SIGKILL); what it had promised besides.
    fn kill(mut self) -> Vec<u64> {
        self.child.kill().unwrap();
        self.rest()
    }

    /// All that it promises until its end.
    fn rest(mut self) -> Vec<u64> {
        let rest = std::iter::from_fn(|| self.next()).collect();
        self.child.wait().unwrap();
        rest
    }
}

fn promise(number: impl std::fmt::Display) {
    eprintln!("{PROMISED}{number}");
}

/// Runs in a process of its own, and otherwise does nothing.
#[test]
fn child() {
    let Ok(order) = std::env::var(ORDER) else { return };
    let mut words = order.splitn(3, ' ');
    let mut next = || words.next().expect("an order has three words");
    let (role, number, folder) = (next(), next().parse().unwrap(), PathBuf::from(next()));
    match role {
        "suppressions" => add_entries(number, &folder),
        "ledger" => reserve(number, &folder),
        "caps" => take(&folder),
        "journal" => write_rows(number, &folder),
        other => panic!("there is no role `{other}`"),
    }
}

fn state_in(folder: &Path) -> std::sync::Arc<dyn state::State> {
    state::open(&folder.join("state.db"), Clock::system())
}

fn email(number: u32, n: u64) -> String {
    format!("{number}-{n}@many.example")
}

fn add_entries(number: u32, folder: &Path) {
    let list = state_in(folder).suppressions().unwrap();
    for n in 0.. {
        list.add(entry(&email(number, n), "unsubscribe", Term::Default), NOW).unwrap();
        promise(n);
    }
}

#[test]
fn killed_while_they_add_entries_none_that_was_promised_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let mut promised = 0;
    for round in 0..3_u32 {
        let numbers = round * 3..round * 3 + 3;
        let children: Vec<Killed> =
            numbers.clone().map(|number| Killed::start("suppressions", number, folder.path())).collect();
        for (number, mut child) in numbers.zip(children) {
            let mut added = child.promises(3 + round as usize * 2);
            added.extend(child.kill());
            let list = state_in(folder.path()).suppressions().unwrap();
            for n in &added {
                assert!(
                    list.get(&email(number, *n), &Scope::All).unwrap().is_some(),
                    "{}",
                    email(number, *n)
                );
            }
            promised += added.len() as u64;
        }
    }
    let list = state_in(folder.path()).suppressions().unwrap();
    let count = list.count_live(NOW).unwrap();
    // Each of the nine may have added one that it could no longer report.
    assert!((promised..=promised + 9).contains(&count), "{count} on the list, {promised} promised");
    assert_eq!(list.count_changes(None, 0).unwrap(), count);
    assert_eq!(Entries::new(&*list, Filter::default()).map(Result::unwrap).count() as u64, count);
}

fn reserve(number: u32, folder: &Path) {
    // So much that the limits leave room for every single message.
    let capacity = Capacity { per_hour: 100_000_000, pace: Pace::Burst, ..Capacity::default() };
    let holder = Holder::new("news", &number.to_string());
    let mut account = state_in(folder).ledger().join(holder, (&capacity).into()).unwrap();
    loop {
        let now = Timestamp::now();
        let over = Duration::ZERO;
        let request = Request { want: 1, at_least: 1, from: now, over, line_start: now, unused: vec![] };
        if let Some(block) = account.reserve(&request).unwrap().block {
            promise(block.id.0);
        }
    }
}

#[test]
fn killed_while_they_reserve_all_that_was_granted_stays_spent() {
    let folder = tempfile::tempdir().unwrap();
    let mut granted = Vec::new();
    for round in 0..2_u32 {
        let numbers = round * 3..round * 3 + 3;
        let children: Vec<Killed> =
            numbers.map(|number| Killed::start("ledger", number, folder.path())).collect();
        for mut child in children {
            granted.extend(child.promises(4 + round as usize));
            granted.extend(child.kill());
        }
    }
    let promised = granted.len() as u64;
    granted.sort_unstable();
    granted.dedup();
    assert_eq!(granted.len() as u64, promised, "no block was granted twice");
    let usage = state_in(folder.path()).ledger().usage().unwrap().remove(0);
    let used = usage.hour_used;
    assert!((promised..=promised + 6).contains(&used), "{used} spent, {promised} promised");
}

fn day() -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 11, 1).unwrap()
}

fn take(folder: &Path) {
    let caps = state_in(folder).daily_caps().unwrap();
    while caps.take("192.0.2.1", day(), CAP, 1).unwrap() == 1 {
        promise(1);
    }
}

#[test]
fn killed_or_not_they_take_no_more_than_a_cap() {
    let folder = tempfile::tempdir().unwrap();
    let mut children: Vec<Killed> =
        (0..3).map(|number| Killed::start("caps", number, folder.path())).collect();
    // The first takes some, and is killed; the others take what is left.
    let mut first = children.remove(0);
    let mut taken = u64::from(first.next().is_some());
    taken += first.kill().len() as u64;
    taken += children.into_iter().map(|child| child.rest().len() as u64).sum::<u64>();
    assert!((CAP - 1..=CAP).contains(&taken), "{taken} of {CAP}");
    assert_eq!(state_in(folder.path()).daily_caps().unwrap().take("192.0.2.1", day(), CAP, 1).unwrap(), 0);
}

/// The journal in `folder`, created by the first process that comes.
fn journal(folder: &Path) -> Journal {
    let (state, run, key) = (state_in(folder), RunDir::at(folder.to_owned()), run_of(ROWS));
    if state.has_journal(&run) {
        state.open_journal(&run, &key, Durability::ProcessCrash).unwrap()
    } else {
        state.create_journal(&run, &key, Durability::ProcessCrash).unwrap()
    }
}

fn write_rows(first: u32, folder: &Path) {
    let writer: Writer<u32> = Writer::spawn(
        journal(folder),
        |intents| intents.into_iter().for_each(|(_, row)| promise(row)),
        |given_up| panic!("{given_up:?}"),
        |error| panic!("{error}"),
    )
    .unwrap();
    for row in first..ROWS {
        writer.intend(vec![(intent(row, 1, 0), row)]);
        if row % 3 == 0 {
            writer.record(accepted(row, 1, 1));
        }
        if row % 20 == 0 {
            writer.flush().unwrap();
        }
    }
    // The parent's kill must find the process at work.
    loop {
        std::thread::park();
    }
}

#[test]
fn killed_while_it_writes_no_intent_that_was_passed_on_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let mut passed_on: Vec<u32> = Vec::new();
    let mut first = 0;
    for round in 0..5 {
        let mut child = Killed::start("journal", first, folder.path());
        let mut rows = child.promises(1 + round * 40);
        rows.extend(child.kill());
        passed_on.extend(rows.iter().map(|row| u32::try_from(*row).unwrap()));

        let mut journal = journal(folder.path());
        let mut states = journal.states().expect("a kill damages nothing");
        for row in &passed_on {
            assert_ne!(states.state(*row), RowState::Untouched, "row {row} was passed on");
        }
        journal.resolve_open_intents(&mut states, at(100), InDoubt::Keep).unwrap();
        assert_eq!(states.open_intents(), 0);
        // The next process resumes after all that is known.
        let known = states.iter().filter(|(_, state)| *state != RowState::Untouched).map(|(row, _)| row);
        first = known.max().expect("something was written") + 1;
    }
    let state = state_in(folder.path());
    let states = state.read_journal(&RunDir::at(folder.path().to_owned())).unwrap().states().unwrap();
    assert_eq!(states.damage, None);
    for row in passed_on {
        let ended = [Disposition::Accepted, Disposition::InDoubt].map(RowState::Final);
        assert!(ended.contains(&states.state(row)), "row {row} is {:?}", states.state(row));
    }
}
