//! Journals that are nearly right: the records of a group, and the groups of a journal (in memory).

use std::cell::RefCell;

use super::super::codec::{Record, Records, put_intent, put_outcome};
use super::*;
use crate::fuzzing::fuzz;
use crate::kit::store::{Store, StoreError};

const ROWS: u32 = 64;

fn group(records: &[Record]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for record in records {
        match record {
            Record::Intent(intent) => put_intent(&mut bytes, intent),
            Record::Outcome(outcome) => put_outcome(&mut bytes, outcome),
        }
    }
    bytes
}

/// Groups as a run writes them.
fn groups() -> [Vec<u8>; 3] {
    let full =
        Outcome { detail: Some("held by hand".into()), first_attempt_at: Some(at(0)), ..retry(3, 2, 9) };
    [
        group(&[
            Record::Intent(intent(0, 1, 0)),
            Record::Intent(intent(1, 1, 0)),
            Record::Outcome(accepted(0, 1, 1)),
            Record::Outcome(retry(1, 1, 1)),
        ]),
        group(&[
            Record::Intent(intent(1, 2, 40)),
            Record::Intent(intent(2, 1, 40)),
            Record::Outcome(Outcome::new(2, 1, Verdict::Withdrawn, at(41))),
            Record::Outcome(Outcome::new(5, 0, Verdict::Final(Disposition::Suppressed), at(41))),
            Record::Outcome(full),
        ]),
        group(&[Record::Outcome(accepted(1, 2, 42)), Record::Intent(intent(4, 1, 43))]),
    ]
}

#[test]
fn the_records_of_a_group_are_read_or_refused() {
    fuzz("journal: records of a group", &groups(), |bytes| {
        let mut read = Vec::new();
        for raw in Records::new(bytes) {
            let Ok(raw) = raw else { return };
            let (head, record) = (raw.head(), raw.record());
            let Ok(record) = record else { continue };
            let head = head.expect("what can be read whole has a head that can be read");
            match &record {
                Record::Intent(intent) => assert_eq!((head.row, head.verdict), (intent.row, None)),
                Record::Outcome(outcome) => {
                    assert_eq!((head.row, head.verdict), (outcome.row, Some(outcome.verdict)));
                }
            }
            read.push(record);
        }
        // Only texts beyond the limit are not written as they were read: no writer has written
        // them.
        let written = group(&read);
        let again: Vec<Record> = Records::new(&written).map(|raw| raw.unwrap().record().unwrap()).collect();
        if written.len() < 2_000 {
            assert_eq!(again, read);
        }
    });
}

/// A journal of three groups, the second of which can be replaced.
#[derive(Debug)]
struct Fuzzed {
    run: RunKey,
    store: Store,
    /// Each with its checksum.
    groups: RefCell<Vec<(i64, Vec<u8>)>>,
}

impl Fuzzed {
    fn new() -> Self {
        let run = run_of(ROWS);
        let store = MemoryJournal::new(&run).store().clone();
        let groups =
            (1..).zip(groups()).map(|(number, records)| (Group::new(number, &records).checksum, records));
        Self { run, store, groups: RefCell::new(groups.collect()) }
    }

    /// The states, every detail of every row looked at.
    fn states(&self) -> States {
        let mut states = States::empty(self.run.clone());
        states.catch_up(self);
        let mut details = Details::new(self);
        for row in 0..8 {
            let outcome = details.outcome(&states, row);
            if let Ok(Some(outcome)) = outcome {
                assert_eq!(outcome.row, row);
            }
            let _ = details.open_intent(&states, row);
        }
        states
    }
}

impl JournalRead for Fuzzed {
    fn store(&self) -> &Store {
        &self.store
    }

    fn run(&self) -> &RunKey {
        &self.run
    }

    fn groups_after(
        &self,
        number: u64,
        most: u64,
        each: &mut dyn FnMut(Group<'_>),
    ) -> Result<(), StoreError> {
        let groups = self.groups.borrow();
        let after = (1..).zip(&*groups).filter(|(other, _)| *other > number);
        for (other, (checksum, records)) in after.take(usize::try_from(most).unwrap_or(usize::MAX)) {
            each(Group { number: other, checksum: *checksum, records });
        }
        Ok(())
    }

    fn group(&self, number: u64) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.groups.borrow().get(number as usize - 1).map(|(_, records)| records.clone()))
    }

    fn connection(&self, _: u32) -> Result<Option<ConnectionInfo>, StoreError> {
        Ok(None)
    }
}

#[test]
fn a_group_that_was_changed_is_damage_and_the_others_are_known() {
    let fuzzed = Fuzzed::new();
    let whole = fuzzed.states();
    assert_eq!(whole.damage, None);
    let accepted = RowState::Final(Disposition::Accepted);
    let (checksum, sound) = fuzzed.groups.borrow()[1].clone();
    fuzz("journal: groups with their checksums", std::slice::from_ref(&sound), |bytes| {
        // Spoiled on the disk: never taken for what it was not.
        fuzzed.groups.borrow_mut()[1] = (checksum, bytes.to_vec());
        let states = fuzzed.states();
        assert_eq!(states.damage.is_none(), *bytes == *sound);
        for (row, state) in states.iter() {
            if states.damage.is_none() {
                assert_eq!(state, whole.state(row));
            } else {
                assert!(matches!(state, RowState::Final(_) | RowState::Unknown), "row {row} is {state:?}");
            }
        }
        assert_eq!((states.state(0), states.state(1)), (accepted, accepted));
        // Written so by a broken program: read or refused.
        fuzzed.groups.borrow_mut()[1].0 = Group::new(2, bytes).checksum;
        fuzzed.states();
    });
}
