//! The journal from the outside: written, cut off, spoiled and read back.

mod codec;
mod file;
mod fuzz;
mod property;
pub(super) mod writer;

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};

use tempfile::TempDir;

use super::*;
use crate::campaign::Durability;
use crate::mail::{Class, Disposition, EnhancedStatus, Reply, Timestamp};

/// A run directory with a journal for a plan of `rows`.
pub(super) struct Dir {
    pub folder: TempDir,
    pub key: RunKey,
}

impl Dir {
    pub fn new(rows: u32) -> Self {
        let key = RunKey { run_id: "spring-4f2a".into(), plan_rows: rows, plan_hash: "c0ffee".into() };
        Self { folder: tempfile::tempdir().unwrap(), key }
    }

    pub fn path(&self) -> PathBuf {
        self.folder.path().join("journal.db")
    }

    pub fn create(&self) -> Journal {
        Journal::create(&self.path(), &self.key, Durability::ProcessCrash).unwrap()
    }

    pub fn open(&self) -> Result<Journal, JournalError> {
        Journal::open(&self.path(), &self.key, Durability::PowerLoss)
    }

    pub fn states(&self) -> States {
        read(&self.path()).unwrap()
    }

    /// The last outcome of a row, and its connection.
    pub fn outcome(&self, row: u32) -> Option<Outcome> {
        let reader = Reader::open(&self.path()).unwrap();
        let states = reader.states().unwrap();
        reader.details().outcome(&states, row).unwrap()
    }
}

/// A writer whose durable messages and errors come out of channels. A message is its row.
pub(super) struct Written {
    pub writer: Writer<u32>,
    pub durable: Receiver<u32>,
    pub given_up: Receiver<u32>,
    pub errors: Receiver<JournalError>,
}

pub(super) fn spawn(journal: Journal) -> Written {
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

pub(super) fn at(second: i64) -> Timestamp {
    Timestamp(1_780_000_000_000_000 + second * 1_000_000)
}

pub(super) fn intent(row: u32, attempt: u16, second: i64) -> Intent {
    Intent { row, attempt, at: at(second), connection: 1, message_id: format!("{row}.{attempt}@example.com") }
}

pub(super) fn accepted(row: u32, attempt: u16, second: i64) -> Outcome {
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

pub(super) fn retry(row: u32, attempt: u16, second: i64) -> Outcome {
    Outcome {
        class: Some(Class::Greylisted),
        last_attempt_at: Some(at(second)),
        ..Outcome::new(row, attempt, Verdict::Retry { at: at(second + 30) }, at(second))
    }
}

pub(super) fn host(name: &str) -> ConnectionInfo {
    ConnectionInfo {
        remote_host: name.to_owned(),
        remote_ip: Some([192, 0, 2, 7].into()),
        local_ip: Some([127, 0, 0, 1].into()),
        tls: Some("TLSv1.3 TLS_AES_128_GCM_SHA256".to_owned()),
        opened_at: at(0),
    }
}

pub(super) fn wal(path: &Path) -> PathBuf {
    path.with_extension("db-wal")
}
