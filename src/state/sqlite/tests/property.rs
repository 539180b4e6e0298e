//! Journals of random histories, and files that are cut off or spoiled at random places.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};

use proptest::prelude::*;

use super::journal::{Dir, wal};
use crate::journal::testing::{accepted, at, intent, retry, spawn};
use crate::journal::{Outcome, RowState, Verdict};
use crate::mail::Disposition;

const ROWS: u32 = 40;

/// How many files each test makes; `MAILRUN_FUZZ_FILES` asks for more.
fn files() -> u32 {
    std::env::var("MAILRUN_FUZZ_FILES")
        .map_or(64, |files| files.parse::<u32>().expect("a whole number").max(64))
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Intend,
    Accept,
    Bounce,
    Retry,
    Withdraw,
    Flush,
}

fn steps() -> impl Strategy<Value = Vec<(u32, Step)>> {
    let step = prop_oneof![
        6 => Just(Step::Intend),
        4 => Just(Step::Accept),
        1 => Just(Step::Bounce),
        3 => Just(Step::Retry),
        1 => Just(Step::Withdraw),
        1 => Just(Step::Flush),
    ];
    proptest::collection::vec((0..ROWS, step), 0..300)
}

/// What a row's records amount to, the simple way.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Model {
    last: RowState,
    open: bool,
    attempt: u16,
}

impl Model {
    const NEW: Self = Self { last: RowState::Untouched, open: false, attempt: 0 };

    fn state(self) -> RowState {
        if self.open { RowState::Open } else { self.last }
    }

    /// The row after a step, or `None` where a run would not do that.
    fn after(self, step: Step) -> Option<Self> {
        match (step, self.open, self.last) {
            (Step::Intend, false, RowState::Untouched | RowState::Pending) => {
                Some(Self { open: true, attempt: self.attempt + 1, ..self })
            }
            (Step::Accept, true, _) => {
                Some(Self { last: RowState::Final(Disposition::Accepted), open: false, ..self })
            }
            (Step::Bounce, true, _) => {
                Some(Self { last: RowState::Final(Disposition::Bounced), open: false, ..self })
            }
            (Step::Retry, true, _) => Some(Self { last: RowState::Pending, open: false, ..self }),
            (Step::Withdraw, true, _) => Some(Self { open: false, attempt: self.attempt - 1, ..self }),
            (Step::Flush, ..) => Some(self),
            _ => None,
        }
    }
}

/// Writes the steps that make sense. The model of every row, and all states that a row was ever in.
fn write(dir: &Dir, steps: &[(u32, Step)]) -> (BTreeMap<u32, Model>, BTreeMap<u32, Vec<RowState>>) {
    let run = spawn(dir.create());
    let mut rows: BTreeMap<u32, Model> = (0..ROWS).map(|row| (row, Model::NEW)).collect();
    let mut seen: BTreeMap<u32, Vec<RowState>> =
        (0..ROWS).map(|row| (row, vec![RowState::Untouched])).collect();
    for (second, &(row, step)) in (0..).zip(steps) {
        let Some(next) = rows[&row].after(step) else { continue };
        let attempt = rows[&row].attempt;
        let outcome = |verdict| Outcome { ..Outcome::new(row, attempt, verdict, at(second)) };
        match step {
            Step::Intend => run.writer.intend(vec![(intent(row, next.attempt, second), row)]),
            Step::Accept => run.writer.record(accepted(row, attempt, second)),
            Step::Bounce => run.writer.record(outcome(Verdict::Final(Disposition::Bounced))),
            Step::Retry => run.writer.record(retry(row, attempt, second)),
            Step::Withdraw => run.writer.record(outcome(Verdict::Withdrawn)),
            Step::Flush => run.writer.flush().unwrap(),
        }
        rows.insert(row, next);
        seen.get_mut(&row).unwrap().push(next.state());
    }
    drop(run.writer.close().unwrap());
    (rows, seen)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: files(), ..ProptestConfig::default() })]

    #[test]
    fn an_intact_journal_gives_back_every_state(steps in steps()) {
        let dir = Dir::new(ROWS);
        let (rows, _) = write(&dir, &steps);
        let journal = dir.open().unwrap();
        let states = journal.states().unwrap();
        let mut details = journal.details();
        for (row, model) in rows {
            prop_assert_eq!(states.state(row), model.state());
            let outcome = details.outcome(&states, row).unwrap();
            prop_assert_eq!(outcome.is_some(), model.last != RowState::Untouched);
            if let Some(outcome) = outcome {
                prop_assert_eq!(outcome.row, row);
                let says = match outcome.verdict {
                    Verdict::Final(disposition) => RowState::Final(disposition),
                    Verdict::Retry { .. } | Verdict::Withdrawn | Verdict::Copy { .. } => RowState::Pending,
                };
                prop_assert_eq!(says, model.last);
            }
            prop_assert_eq!(details.open_intent(&states, row).unwrap().is_some(), model.open);
        }
    }

    /// A row never gets an outcome that was not written for it, and none is called untouched that
    /// was sent.
    #[test]
    fn a_truncated_file_never_tells_a_lie(steps in steps(), cut in 0.0..1.0_f64) {
        let dir = Dir::new(ROWS);
        let (rows, seen) = write(&dir, &steps);
        let length = fs::metadata(dir.path()).unwrap().len();
        let keep = (length as f64 * cut) as u64;
        OpenOptions::new().write(true).open(dir.path()).unwrap().set_len(keep).unwrap();
        check_spoiled(&dir, &rows, &seen)?;
    }

    #[test]
    fn a_spoiled_byte_never_tells_a_lie(steps in steps(), place in 0.0..1.0_f64, bit in 0..8_u32) {
        let dir = Dir::new(ROWS);
        let (rows, seen) = write(&dir, &steps);
        let mut bytes = fs::read(dir.path()).unwrap();
        let at = (bytes.len() as f64 * place) as usize;
        bytes[at] ^= 1 << bit;
        fs::write(dir.path(), bytes).unwrap();
        check_spoiled(&dir, &rows, &seen)?;
    }

    /// A WAL that ends early is a journal of an earlier moment.
    #[test]
    fn a_torn_wal_is_an_earlier_moment(steps in steps(), cut in 0.0..1.0_f64) {
        let dir = Dir::new(ROWS);
        let run = spawn(dir.create());
        let mut written = Vec::new();
        for (second, &(row, _)) in (0..).zip(&steps) {
            run.writer.record(accepted(row, 1, second));
            written.push(row);
            run.writer.flush().unwrap();
        }
        // A copy is what a loss of power leaves: the writer did not close the file.
        let copy = Dir::new(ROWS);
        fs::copy(dir.path(), copy.path()).unwrap();
        let log = fs::read(wal(&dir.path())).unwrap();
        fs::write(wal(&copy.path()), &log[..(log.len() as f64 * cut) as usize]).unwrap();
        let states = copy.states();
        prop_assert_eq!(&states.damage, &None);
        let known: Vec<u32> =
            states.iter().filter(|(_, state)| *state != RowState::Untouched).map(|(row, _)| row).collect();
        let is_a_prefix = (0..=written.len()).any(|end| {
            let mut rows = written[..end].to_vec();
            rows.sort_unstable();
            rows.dedup();
            rows == known
        });
        prop_assert!(is_a_prefix, "{:?} of {:?}", known, written);
    }
}

/// Each page counts its entries in bytes 3 and 4 of its header
/// (<https://www.sqlite.org/fileformat.html>, section 1.6): with a smaller count the last group is
/// not there.
#[test]
fn a_page_that_miscounts_its_entries_never_tells_a_lie() {
    const PAGE: usize = 4_096;
    let dir = Dir::new(ROWS);
    let (rows, seen) = write(&dir, &[(0, Step::Intend)]);
    let whole = fs::read(dir.path()).unwrap();
    assert!(whole.len() >= 3 * PAGE && whole.len().is_multiple_of(PAGE), "{} bytes", whole.len());
    for page in (0..whole.len()).step_by(PAGE) {
        let header = if page == 0 { 100 } else { page };
        for (byte, bit) in (header + 3..=header + 4).flat_map(|byte| (0..8).map(move |bit| (byte, bit))) {
            let mut spoiled = whole.clone();
            spoiled[byte] ^= 1 << bit;
            fs::write(dir.path(), spoiled).unwrap();
            check_spoiled(&dir, &rows, &seen).unwrap();
        }
    }
}

/// The declaration of the table is a text in the file: `seq` is the number of the group only while
/// it is an `INTEGER PRIMARY KEY`.
#[test]
fn a_spoiled_declaration_never_tells_a_lie() {
    let dir = Dir::new(ROWS);
    let (rows, seen) = write(&dir, &[(0, Step::Intend)]);
    let whole = fs::read(dir.path()).unwrap();
    let declaration = b"journal_group (seq INTEGER PRIMARY KEY";
    let at = whole.windows(declaration.len()).position(|bytes| bytes == declaration).unwrap();
    for (byte, bit) in (at..at + declaration.len()).flat_map(|byte| (0..8).map(move |bit| (byte, bit))) {
        let mut spoiled = whole.clone();
        spoiled[byte] ^= 1 << bit;
        fs::write(dir.path(), spoiled).unwrap();
        check_spoiled(&dir, &rows, &seen).unwrap();
    }
}

fn check_spoiled(
    dir: &Dir,
    rows: &BTreeMap<u32, Model>,
    seen: &BTreeMap<u32, Vec<RowState>>,
) -> Result<(), TestCaseError> {
    let Ok(reader) = dir.read() else { return Ok(()) };
    let Ok(states) = reader.states() else { return Ok(()) };
    let mut details = reader.details();
    for (row, state) in states.iter() {
        match state {
            // Not damaged as far as this row goes: then it is what it was.
            RowState::Untouched | RowState::Pending | RowState::Open => {
                prop_assert_eq!(state, rows[&row].state())
            }
            RowState::Final(_) => prop_assert!(seen[&row].contains(&state), "row {}: {:?}", row, state),
            RowState::Unknown => prop_assert!(states.damage.is_some()),
        }
        let _ = details.outcome(&states, row);
    }
    let _ = reader.attempts(0..1);
    if states.damage.is_some() {
        let resumed = dir.open().and_then(|journal| journal.states().map(|_| ()));
        prop_assert!(resumed.is_err());
    }
    Ok(())
}
