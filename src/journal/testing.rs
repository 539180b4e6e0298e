//! Records, and writers whose callbacks end in channels: for the tests of this module and of the
//! backends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};

use super::codec::Records;
use super::*;
use crate::kit::store::{Store, StoreError};
use crate::mail::{Class, Disposition, EnhancedStatus, Reply, Timestamp};

pub(crate) const GROUP_RECORDS: usize = super::writer::GROUP_RECORDS;

/// The run of a plan with so many rows.
pub(crate) fn run_of(plan_rows: u32) -> RunKey {
    RunKey { run_id: "spring-4f2a".into(), plan_rows, plan_hash: "c0ffee".into(), has_passwords: false }
}

/// A writer whose durable messages and errors come out of channels. A message is its row.
pub(crate) struct Written {
    pub writer: Writer<u32>,
    pub durable: Receiver<u32>,
    pub given_up: Receiver<u32>,
    pub errors: Receiver<JournalError>,
}

pub(crate) fn spawn(journal: Journal) -> Written {
    let (durable_in, durable) = channel();
    let (given_up_in, given_up) = channel();
    let (errors_in, errors) = channel();
    let writer = Writer::spawn(
        journal,
        move |intents| intents.into_iter().for_each(|(_, row)| durable_in.send(row).unwrap_or(())),
        move |intents| intents.into_iter().for_each(|(_, row)| given_up_in.send(row).unwrap_or(())),
        move |error| errors_in.send(error).unwrap_or(()),
    )
    .unwrap();
    Written { writer, durable, given_up, errors }
}

/// A journal in memory whose commits fail for want of space while `is_full` is set.
#[derive(Debug, Clone)]
pub(crate) struct FullDisk {
    pub journal: MemoryJournal,
    pub is_full: Arc<AtomicBool>,
}

impl JournalRead for FullDisk {
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

impl JournalStore for FullDisk {
    fn last_numbers(&self) -> Result<(u64, u32), StoreError> {
        self.journal.last_numbers()
    }

    fn commit(
        &mut self,
        connections: &[(u32, ConnectionInfo)],
        group: Option<Group<'_>>,
    ) -> Result<(), StoreError> {
        if self.is_full.load(Ordering::Relaxed) {
            return Err(StoreError::Full { store: self.store().clone(), source: "no room".into() });
        }
        self.journal.commit(connections, group)
    }
}

pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp(1_780_000_000_000_000 + second * 1_000_000)
}

pub(crate) fn intent(row: u32, attempt: u16, second: i64) -> Intent {
    Intent {
        row,
        attempt,
        at: at(second),
        connection: 1,
        message_id: format!("{row}.{attempt}@example.com"),
        is_copy: false,
    }
}

pub(crate) fn accepted(row: u32, attempt: u16, second: i64) -> Outcome {
    Outcome {
        connection: Some(1),
        first_attempt_at: Some(at(second)),
        last_attempt_at: Some(at(second)),
        reply: Some(Reply {
            code: 250,
            enhanced: Some(EnhancedStatus { class: 2, subject: 0, detail: 0 }),
            text: format!("Ok: queued as {row:08X}"),
        }),
        latency_us: Some(48_211),
        bytes: Some(10_240),
        message_id: Some(format!("{row}.{attempt}@example.com")),
        ..Outcome::new(row, attempt, Verdict::Final(Disposition::Accepted), at(second))
    }
}

pub(crate) fn retry(row: u32, attempt: u16, second: i64) -> Outcome {
    Outcome {
        class: Some(Class::Greylisted),
        last_attempt_at: Some(at(second)),
        ..Outcome::new(row, attempt, Verdict::Retry { at: at(second + 30) }, at(second))
    }
}

pub(crate) fn host(name: &str) -> ConnectionInfo {
    ConnectionInfo {
        remote_host: name.to_owned(),
        remote_ip: Some([192, 0, 2, 7].into()),
        local_ip: Some([127, 0, 0, 1].into()),
        tls: Some("TLSv1.3 TLS_AES_128_GCM_SHA256".to_owned()),
        opened_at: at(0),
    }
}

/// The number of records in each group of a journal.
pub(crate) fn group_sizes(journal: &Journal) -> Vec<usize> {
    let mut sizes = Vec::new();
    journal
        .store()
        .groups_after(0, u64::MAX, &mut |group| sizes.push(Records::new(group.records).count()))
        .unwrap();
    sizes
}

/// The bytes of a group with one outcome.
pub(crate) fn record_of(outcome: &Outcome) -> Vec<u8> {
    let mut bytes = Vec::new();
    super::codec::put_outcome(&mut bytes, outcome);
    bytes
}
