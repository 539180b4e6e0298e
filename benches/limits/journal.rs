//! Intents and outcomes made durable in groups, beside SQLite's bare insert of the same bytes in
//! the same groups.

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use criterion::{BatchSize, BenchmarkId, Criterion};
use mailrun::campaign::Durability;
use mailrun::journal::{ConnectionInfo, Intent, Outcome, RunKey, Verdict, Writer};
use mailrun::mail::{Disposition, EnhancedStatus, Reply};
use mailrun::run_dir::RunDir;
use mailrun::state::State;
use rusqlite::Connection;

use super::cpu::{CpuTime, elements};
use super::scene::{NOW, Scene};

const ROWS: u32 = 5_000;
/// Rows under way at once, as on 20 connections with a few each.
const AT_ONCE: u32 = 100;

pub(crate) fn journal(c: &mut Criterion<CpuTime>) {
    let mut bench = c.benchmark_group("journal");
    bench.throughput(elements(ROWS as usize)).sample_size(10);
    let what = "an intent and an outcome, process-crash";
    let scene = Scene::new();
    let state = scene.state();
    bench.bench_function(BenchmarkId::new("mailrun", what), |b| {
        b.iter_batched(
            || Files::new(&scene, "journal"),
            |files| {
                fill(&*state, &files.run(), ROWS);
                files
            },
            BatchSize::PerIteration,
        );
    });
    let sample = Files::new(&scene, "sample");
    fill(&*state, &sample.run(), ROWS);
    let groups = groups(&sample.file());
    bench.bench_function(BenchmarkId::new("limit: SQLite's insert of the same groups", what), |b| {
        b.iter_batched(
            || Files::new(&scene, "bare"),
            |files| {
                insert(&files.file(), &groups);
                files
            },
            BatchSize::PerIteration,
        );
    });
    bench.finish();
}

/// A run directory with a database, gone afterwards: what is left of it would count in the next
/// round's disk.
struct Files(PathBuf);

impl Files {
    fn new(scene: &Scene, name: &str) -> Self {
        let folder = scene.path(name);
        std::fs::create_dir(&folder).expect("the folder can be made");
        Self(folder)
    }

    fn run(&self) -> RunDir {
        RunDir::at(self.0.clone())
    }

    fn file(&self) -> PathBuf {
        self.run().journal()
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A journal of a run in which every message was accepted at once.
pub(crate) fn fill(state: &dyn State, run: &RunDir, rows: u32) {
    let key = RunKey {
        run_id: "bench".to_owned(),
        plan_rows: rows,
        plan_hash: "none".to_owned(),
        has_passwords: false,
    };
    let journal = state.create_journal(run, &key, Durability::ProcessCrash).expect("it can be made");
    let writer = Writer::spawn(journal, |_| (), |_| (), |error| panic!("{error}")).expect("it starts");
    let connection = writer.register_connection(ConnectionInfo {
        remote_host: "relay.example.net".to_owned(),
        remote_ip: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        local_ip: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        tls: None,
        opened_at: NOW,
    });
    for first in (0..rows).step_by(AT_ONCE as usize) {
        let under_way = first..(first + AT_ONCE).min(rows);
        writer.intend(under_way.clone().map(|row| (intent(row, connection), ())).collect());
        under_way.for_each(|row| writer.record(outcome(row, connection)));
    }
    writer.close().expect("the disk has room");
}

fn message_id(row: u32) -> String {
    format!("qtkw917txaak.{row}.5f2c@mail.example.com")
}

fn intent(row: u32, connection: u32) -> Intent {
    Intent { row, attempt: 1, at: NOW, connection, message_id: message_id(row), is_copy: false }
}

fn outcome(row: u32, connection: u32) -> Outcome {
    let reply = Reply {
        code: 250,
        enhanced: EnhancedStatus::split("2.0.0 x").map(|(enhanced, _)| enhanced),
        text: format!("Ok: queued as 4bJ5Zk{row:08x}"),
    };
    Outcome {
        connection: Some(connection),
        first_attempt_at: Some(NOW),
        last_attempt_at: Some(NOW),
        reply: Some(reply),
        latency_us: Some(230),
        bytes: Some(10_240),
        message_id: Some(message_id(row)),
        ..Outcome::new(row, 1, Verdict::Final(Disposition::Accepted), NOW)
    }
}

/// The groups of a journal, byte for byte.
fn groups(path: &Path) -> Vec<(i64, Vec<u8>)> {
    let db = Connection::open(path).expect("it was just written");
    let mut rows =
        db.prepare("SELECT checksum, records FROM journal_group ORDER BY seq").expect("it has groups");
    let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).expect("they can be read");
    rows.collect::<Result<_, _>>().expect("they can be read")
}

fn insert(path: &Path, groups: &[(i64, Vec<u8>)]) {
    let db = Connection::open(path).expect("it can be made");
    db.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 4096;
         CREATE TABLE journal_group (seq INTEGER PRIMARY KEY, checksum INTEGER NOT NULL, records BLOB NOT NULL);",
    )
    .expect("it is SQL");
    let mut insert =
        db.prepare("INSERT INTO journal_group (checksum, records) VALUES (?1, ?2)").expect("it is SQL");
    for (checksum, records) in groups {
        insert.execute(rusqlite::params![checksum, records]).expect("the disk has room");
    }
}
