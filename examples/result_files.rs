//! Writes result files of a made-up run, as large as is asked for: `scripts/search-speed` measures
//! searches with them.
//!
//! ```sh
//! cargo run --release --example result_files -- FOLDER CAMPAIGN RUN ROWS
//! ```

use std::env;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::process::exit;

use mailrun::campaign::Durability;
use mailrun::compose::message_id::tag;
use mailrun::journal::{ConnectionInfo, Intent, Outcome, RunKey, Verdict, Writer};
use mailrun::mail::{Disposition, EnhancedStatus, Reply, Timestamp};
use mailrun::pacing::Clock;
use mailrun::results::{InputRow, Known, Options, Results, ScreeningOutcome};
use mailrun::run_dir::RunDir;
use mailrun::state;

/// Messages under way at once.
const AT_ONCE: u32 = 256;
/// Addresses of a domain.
const OF_DOMAIN: u32 = 16_667;

fn main() {
    let args: Vec<String> = env::args().skip(1).collect();
    let [folder, campaign, run, rows] = args.as_slice() else {
        eprintln!("give FOLDER CAMPAIGN RUN ROWS");
        exit(2);
    };
    let rows: u32 = rows.parse().expect("ROWS is a number");
    let ids = Ids { run: run.clone(), tag: tag(campaign, run), from: Timestamp::wall() };
    let made = tempfile::tempdir().expect("a folder can be made");
    let at = RunDir::at(made.path().join("run"));
    std::fs::create_dir(at.path()).expect("a folder can be made");
    let state = state::open(&made.path().join("state.db"), Clock::system());
    let key = RunKey { run_id: run.clone(), plan_rows: rows, plan_hash: "none".into(), has_passwords: false };
    let journal = state.create_journal(&at, &key, Durability::ProcessCrash).expect("it can be made");
    let writer = Writer::spawn(journal, |_| (), |_| (), |error| panic!("{error}")).expect("it starts");
    let connection = writer.register_connection(ConnectionInfo {
        remote_host: "relay.example.net".into(),
        remote_ip: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        local_ip: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        tls: None,
        opened_at: ids.from,
    });
    for first in (0..rows).step_by(AT_ONCE as usize) {
        let under_way = first..(first + AT_ONCE).min(rows);
        writer.intend(under_way.clone().map(|row| (ids.intent(row, connection), ())).collect());
        under_way.for_each(|row| writer.record(ids.outcome(row, connection)));
    }
    writer.close().expect("the disk has room");
    let reader = state.read_journal(&at).expect("it was just written");
    let states = reader.states().expect("it was just written");
    let known = Known { states: &states, details: reader.details() };
    let mut results =
        Results::create(Path::new(folder), known, Options::default()).expect("the folder can be made");
    for index in 0..rows {
        let domain = format!("post{}.example", index / OF_DOMAIN);
        let (email, id) = (format!("ann.evans{index}@{domain}"), index.to_string());
        let row = InputRow {
            file: "list.csv",
            row: u64::from(index) + 1,
            email: Some(&email),
            domain: Some(&domain),
            id: Some(&id),
            screening: ScreeningOutcome::Planned { index },
        };
        results.push(&row).expect("the disk has room");
    }
    results.finish().expect("the disk has room");
}

/// What the messages of the run have in common.
struct Ids {
    run: String,
    tag: String,
    from: Timestamp,
}

impl Ids {
    fn message_id(&self, row: u32) -> String {
        format!("{}.{row}.{}@mail.example.com", self.run, self.tag)
    }

    /// 2,000 messages a second.
    fn at(&self, row: u32) -> Timestamp {
        Timestamp(self.from.0 + i64::from(row) * 500)
    }

    fn intent(&self, row: u32, connection: u32) -> Intent {
        let message_id = self.message_id(row);
        Intent { row, attempt: 1, at: self.at(row), connection, message_id, is_copy: false }
    }

    fn outcome(&self, row: u32, connection: u32) -> Outcome {
        let at = self.at(row);
        let reply = Reply {
            code: 250,
            enhanced: EnhancedStatus::split("2.0.0 x").map(|(enhanced, _)| enhanced),
            text: format!("Ok: queued as 4bJ5Zk{row:08x}"),
        };
        Outcome {
            connection: Some(connection),
            first_attempt_at: Some(at),
            last_attempt_at: Some(at),
            reply: Some(reply),
            latency_us: Some(230),
            bytes: Some(10_240),
            message_id: Some(self.message_id(row)),
            ..Outcome::new(row, 1, Verdict::Final(Disposition::Accepted), at)
        }
    }
}
