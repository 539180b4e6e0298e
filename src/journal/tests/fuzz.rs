//! Journals that are nearly right: the records of a group, and the groups of a file (in memory).

use rusqlite::Connection;

use super::super::codec::{Record, Records, put_intent, put_outcome};
use super::super::db::{SCHEMA, checksum};
use super::*;
use crate::fuzzing::fuzz;

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
        // Only texts beyond the limit are not written as they were read: no writer has written them.
        let written = group(&read);
        let again: Vec<Record> = Records::new(&written).map(|raw| raw.unwrap().record().unwrap()).collect();
        if written.len() < 2_000 {
            assert_eq!(again, read);
        }
    });
}

/// A journal in memory: the second of three groups has these records, with their checksum or with the right group's.
struct Fuzzed {
    db: Connection,
    key: RunKey,
    groups: [Vec<u8>; 3],
}

impl Fuzzed {
    fn new() -> Self {
        let db = Connection::open_in_memory().unwrap();
        db.execute_batch(SCHEMA).unwrap();
        let key = RunKey { run_id: "spring-4f2a".into(), plan_rows: ROWS, plan_hash: "c0ffee".into() };
        let fuzzed = Self { db, key, groups: groups() };
        for (number, records) in (1..).zip(&fuzzed.groups) {
            fuzzed.put(number, checksum(number, records), records);
        }
        fuzzed
    }

    fn put(&self, number: u64, checksum: i64, records: &[u8]) {
        let mut insert =
            self.db.prepare_cached("INSERT OR REPLACE INTO journal_group VALUES (?1, ?2, ?3)").unwrap();
        insert.execute((number as i64, checksum, records)).unwrap();
    }

    /// The states, every detail of every row looked at.
    fn states(&self) -> States {
        let mut states = States::empty(self.key.clone());
        states.catch_up(&self.db);
        let mut details = Details::new(&self.db, std::path::Path::new("journal.db"));
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

#[test]
fn a_group_that_was_changed_is_damage_and_the_others_are_known() {
    let fuzzed = Fuzzed::new();
    let whole = fuzzed.states();
    assert_eq!(whole.damage, None);
    let accepted = State::Final(Disposition::Accepted);
    fuzz("journal: groups with their checksums", &fuzzed.groups[1..2], |bytes| {
        // Spoiled on the disk: never taken for what it was not.
        fuzzed.put(2, checksum(2, &fuzzed.groups[1]), bytes);
        let states = fuzzed.states();
        assert_eq!(states.damage.is_none(), *bytes == *fuzzed.groups[1]);
        for (row, state) in states.iter() {
            if states.damage.is_none() {
                assert_eq!(state, whole.state(row));
            } else {
                assert!(matches!(state, State::Final(_) | State::Unknown), "row {row} is {state:?}");
            }
        }
        assert_eq!((states.state(0), states.state(1)), (accepted, accepted));
        // Written so by a broken program: read or refused.
        fuzzed.put(2, checksum(2, bytes), bytes);
        fuzzed.states();
        fuzzed.put(2, checksum(2, &fuzzed.groups[1]), &fuzzed.groups[1]);
    });
}
