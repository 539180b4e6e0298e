//! How far a running process is: a file in the run directory that it replaces every second, for
//! `status`.

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::kit::file::Draft;
use crate::pacing::Clock;
use crate::run::Snapshot;
use crate::run_dir::RunDir;

/// The file in the run directory.
const FILE: &str = "status.json";
/// How often it is replaced.
const EVERY: Duration = Duration::from_secs(1);

/// How far a running process is.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Live {
    /// When this was written.
    pub at: String,
    /// The slot then.
    pub slot: String,
    /// The id of the process.
    pub process: u32,
    /// How far it is.
    #[serde(flatten)]
    pub snapshot: Snapshot,
}

impl Live {
    /// What the process that is sending the run in `dir` wrote last.
    pub(crate) fn read(dir: &RunDir) -> Option<Self> {
        let text = fs::read_to_string(dir.path().join(FILE)).ok()?;
        serde_json::from_str(&text).ok()
    }
}

/// Replaces the file now and then. It is only for people: a failure is no reason to stop.
pub(super) struct LiveFile {
    path: PathBuf,
    clock: Clock,
    last: Option<Instant>,
}

impl LiveFile {
    /// The file of a run.
    pub(super) fn of(dir: &RunDir, clock: Clock) -> Self {
        Self { path: dir.path().join(FILE), clock, last: None }
    }

    /// Replaces it with `snapshot`, if the last one is old enough.
    pub(super) fn write(&mut self, snapshot: &Snapshot) {
        if self.last.is_some_and(|last| last.elapsed() < EVERY) {
            return;
        }
        self.last = Some(Instant::now());
        let now = self.clock.wall();
        let live = Live {
            at: now.to_string(),
            slot: now.slot().to_string(),
            process: std::process::id(),
            snapshot: snapshot.clone(),
        };
        let text = serde_json::to_vec(&live).expect("numbers and texts are always JSON");
        if let Err(error) = self.replace(&text) {
            tracing::debug!("the status file can't be written: {error}");
        }
    }

    fn replace(&self, text: &[u8]) -> io::Result<()> {
        let mut draft = Draft::create(&self.path)?;
        draft.write_all(text)?;
        draft.publish_unsynced()
    }
}
