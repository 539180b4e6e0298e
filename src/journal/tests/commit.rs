//! What the journal makes of commits that fail.

use std::sync::{Arc, Mutex};

use super::*;
use crate::kit::store::{Cause, Store, StoreError};

/// A journal in memory. The next commits end as planned.
#[derive(Debug, Clone)]
struct Planned {
    journal: MemoryJournal,
    ends: Arc<Mutex<Vec<End>>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// An error, and nothing is written.
    Fails,
    /// An error, and it is written all the same.
    FailsWritten,
    /// The same, and for once nothing can be read.
    FailsWrittenUnseen,
}

impl JournalRead for Planned {
    fn store(&self) -> &Store {
        self.journal.store()
    }

    fn run(&self) -> &RunKey {
        self.journal.run()
    }

    fn groups_after(
        &self,
        number: u64,
        most: u64,
        each: &mut dyn FnMut(Group<'_>),
    ) -> Result<(), StoreError> {
        self.journal.groups_after(number, most, each)
    }

    fn group(&self, number: u64) -> Result<Option<Vec<u8>>, StoreError> {
        self.journal.group(number)
    }

    fn connection(&self, number: u32) -> Result<Option<ConnectionInfo>, StoreError> {
        self.journal.connection(number)
    }
}

impl Planned {
    fn broken(&self) -> StoreError {
        let (store, source) = (self.store().clone(), "broken".into());
        StoreError::Failed { action: "write to", store, cause: Cause::Other, source }
    }
}

impl JournalStore for Planned {
    fn last_numbers(&self) -> Result<(u64, u32), StoreError> {
        if self.ends.lock().unwrap().last() == Some(&End::FailsWrittenUnseen) {
            self.ends.lock().unwrap().pop();
            return Err(self.broken());
        }
        self.journal.last_numbers()
    }

    fn commit(
        &mut self,
        connections: &[(u32, ConnectionInfo)],
        group: Option<Group<'_>>,
    ) -> Result<(), StoreError> {
        let end = self.ends.lock().unwrap().last().copied();
        match end {
            None => return self.journal.commit(connections, group),
            Some(End::Fails) => {}
            Some(End::FailsWritten | End::FailsWrittenUnseen) => self.journal.commit(connections, group)?,
        }
        if end != Some(End::FailsWrittenUnseen) {
            self.ends.lock().unwrap().pop();
        }
        Err(self.broken())
    }
}

fn records(row: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    super::super::codec::put_outcome(&mut bytes, &accepted(row, 1, 0));
    bytes
}

/// The rows of the groups, in order: each group must be there once.
fn rows(journal: &MemoryJournal) -> Vec<u32> {
    let states = Reader::new(Box::new(journal.clone())).states().unwrap();
    assert_eq!(states.damage, None);
    let mut rows = Vec::new();
    journal
        .groups_after(0, u64::MAX, &mut |group| {
            let raw = super::super::codec::Records::new(group.records).next().unwrap().unwrap();
            rows.push(raw.head().unwrap().row);
        })
        .unwrap();
    rows
}

fn check(ends: &[End], expected: &[u32]) {
    let run = run_of(10);
    let memory = MemoryJournal::new(&run);
    let store = Planned { journal: memory.clone(), ends: Arc::default() };
    let mut journal = Journal::new(Box::new(store.clone()), &run).unwrap();
    // The next is taken from the back.
    *store.ends.lock().unwrap() = ends.iter().rev().copied().collect();
    for row in 0..3 {
        // Tried again until it is written, each time with other records, as the writer does.
        let mut attempt = row * 3;
        while let Err(error) = journal.commit(&[], &records(attempt)) {
            assert!(matches!(error, JournalError::Store(_)), "{error}");
            attempt += 1;
        }
    }
    assert_eq!(rows(&memory), expected, "{ends:?}");
}

#[test]
fn a_commit_that_failed_is_followed_by_the_next_number_only_when_it_was_written() {
    check(&[], &[0, 3, 6]);
    check(&[End::Fails], &[1, 3, 6]);
    check(&[End::FailsWritten], &[0, 1, 3, 6]);
    check(&[End::FailsWritten, End::Fails], &[0, 2, 3, 6]);
    check(&[End::FailsWrittenUnseen], &[0, 2, 3, 6]);
}

#[test]
fn a_group_of_another_process_ends_the_turn_for_good() {
    let run = run_of(10);
    let memory = MemoryJournal::new(&run);
    let mut one = Journal::new(Box::new(memory.clone()), &run).unwrap();
    one.commit(&[], &records(0)).unwrap();
    let mut other = Journal::new(Box::new(memory.clone()), &run).unwrap();
    other.commit(&[], &records(1)).unwrap();
    for _ in 0..2 {
        let error = one.commit(&[], &records(2)).unwrap_err();
        assert!(matches!(error, JournalError::Fenced(_)), "{error}");
        assert!(error.hint().is_some());
    }
    other.commit(&[], &records(3)).unwrap();
    assert_eq!(rows(&memory), [0, 1, 3]);
}
