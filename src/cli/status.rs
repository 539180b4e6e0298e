//! `mailrun status`: where a run stands, also from another terminal while it goes on.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::args::{self, Common};
use super::diagnostic::Diagnostic;
use super::exit::Exit;
use super::text::{count, duration, table};
use super::{out, recipient, results};
use crate::journal::{Reader, State as RowState};
use crate::kit::file::Draft;
use crate::mail::{Disposition, Timestamp};
use crate::run::Snapshot;
use crate::run_dir::{Manifest, RunDir, State};

/// The file in the run directory that the running process replaces every second.
const FILE: &str = "status.json";

/// What the running process tells.
#[derive(Debug, Serialize, Deserialize)]
struct Told {
    at: String,
    slot: String,
    process: u32,
    snapshot: Snapshot,
}

/// Writes [`FILE`] now and then. It is only for people: a failure is no reason to stop.
pub struct Writer {
    path: PathBuf,
    every: Duration,
    last: Option<Instant>,
}

impl Writer {
    pub fn new(dir: &RunDir, every: Duration) -> Self {
        Self { path: dir.path().join(FILE), every, last: None }
    }

    pub fn write(&mut self, snapshot: &Snapshot) {
        if self.last.is_some_and(|last| last.elapsed() < self.every) {
            return;
        }
        self.last = Some(Instant::now());
        let now = Timestamp::wall();
        let told = Told {
            at: now.to_string(),
            slot: now.slot().to_string(),
            process: std::process::id(),
            snapshot: snapshot.clone(),
        };
        let text = serde_json::to_string(&told).expect("numbers and texts are always JSON");
        // Written often, and worthless after a restart: not synced.
        let written = Draft::create(&self.path).and_then(|mut draft| {
            draft.write_all(text.as_bytes())?;
            draft.publish_unsynced()
        });
        if let Err(error) = written {
            tracing::debug!("the status file can't be written: {error}");
        }
    }
}

pub fn run(common: &Common, args: &args::Status) -> Result<Exit, Diagnostic> {
    let dir = results::resolve(common, &args.run)?;
    let manifest = Manifest::read(&dir.manifest())?;
    let named =
        args.return_path.as_ref().map(|path| recipient::of_return_path(common, &dir, &manifest, path));
    if let Some(address) = named.transpose()?.as_ref().or(args.recipient.as_ref()) {
        return recipient::run(&dir, &manifest, address, args.json);
    }
    let running = dir.is_running()?;
    let told: Option<Told> = running
        .then(|| fs::read_to_string(dir.path().join(FILE)).ok())
        .flatten()
        .and_then(|text| serde_json::from_str(&text).ok());
    let counts = counts(&dir, &manifest, running)?;
    if args.json {
        let value = json!({
            "run": dir.name(), "running": running, "state": manifest.state, "created": manifest.created.to_string(),
            "started": manifest.started.map(|at| at.to_string()),
            "finished": manifest.finished.map(|at| at.to_string()),
            "planned": manifest.screening.accepted, "rows": manifest.screening.rows,
            "counts": counts.iter().map(|(word, rows)| (word.clone(), json!(rows))).collect::<serde_json::Map<_, _>>(),
            "now": told,
        });
        out(&format!("{value:#}\n"))?;
        return Ok(Exit::Ok);
    }
    let mut text = format!("{}  {}\n\n", dir.name(), describe(&manifest, running));
    text.push_str(&table(
        &counts.iter().map(|(word, rows)| vec![word.clone(), count(*rows)]).collect::<Vec<_>>(),
    ));
    if let Some(told) = told {
        let snapshot = &told.snapshot;
        text.push_str(&format!("\n  rate      {:.1}/s, slot {}\n", snapshot.per_second, told.slot));
        if let Some(left) = snapshot.time_left {
            text.push_str(&format!("  finish    {} ({})\n", Timestamp::wall() + left, duration(left)));
        }
        text.push_str("\n  lanes\n");
        let lanes: Vec<Vec<String>> = snapshot
            .lanes
            .iter()
            .map(|lane| {
                vec![
                    format!("  {}", lane.site),
                    count(lane.waiting),
                    "waiting".into(),
                    count(lane.connections),
                    "connections".into(),
                    lane.state.clone(),
                ]
            })
            .collect();
        text.push_str(&table(&lanes));
    }
    out(&text)?;
    Ok(Exit::Ok)
}

fn describe(manifest: &Manifest, running: bool) -> String {
    match &manifest.state {
        State::Planned | State::Running | State::Interrupted { .. } if running => "running".into(),
        State::Planned => "planned, nothing sent".into(),
        State::Running => "cut off; the same command resumes".into(),
        State::Interrupted { reason } => format!("interrupted: {reason}; the same command resumes"),
        State::Finished => {
            format!("finished{}", manifest.finished.map_or(String::new(), |at| format!(" at {at}")))
        }
    }
}

/// Rows per word, from the journal.
fn counts(dir: &RunDir, manifest: &Manifest, running: bool) -> Result<Vec<(String, u64)>, Diagnostic> {
    let screening = &manifest.screening;
    let mut counts = vec![
        (Disposition::Invalid.to_string(), screening.invalid),
        (Disposition::Duplicate.to_string(), screening.duplicate),
        (Disposition::Suppressed.to_string(), screening.suppressed),
    ];
    let mut add = |word: String, rows: u64| match counts.iter_mut().find(|(other, _)| *other == word) {
        Some((_, sum)) => *sum += rows,
        None => counts.push((word, rows)),
    };
    add("waiting".into(), screening.not_attempted);
    if dir.journal().exists() {
        let states = Reader::open(&dir.journal())?.states()?;
        for (_, state) in states.iter() {
            match state {
                RowState::Untouched => add("waiting".into(), 1),
                RowState::Pending => add("to retry".into(), 1),
                RowState::Final(disposition) => add(disposition.to_string(), 1),
                RowState::Open if running => add("under way".into(), 1),
                RowState::Open | RowState::Unknown => add(Disposition::InDoubt.to_string(), 1),
            }
        }
    } else {
        add("waiting".into(), screening.accepted);
    }
    counts.retain(|(_, rows)| *rows > 0);
    Ok(counts)
}
