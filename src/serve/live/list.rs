//! All runs, each in a line. What cannot change any longer is not read again.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use crate::job::{JobError, Live, Workspace};
use crate::mail::{Address, Disposition, Timestamp};
use crate::run_dir::{Manifest, RunState, StoredRun};

/// A run in a line.
#[derive(Debug, Clone)]
pub(super) struct Line {
    /// `campaign/run`.
    pub name: String,
    /// The campaign's id.
    pub campaign: String,
    /// Whom it is from.
    pub from: Address,
    /// The campaign file.
    pub file: PathBuf,
    /// When the run was created, and when its sending began.
    pub created: Timestamp,
    pub started: Option<Timestamp>,
    /// How it is, in a word or two.
    pub state: &'static str,
    /// Whether a process works on it.
    pub is_running: bool,
    /// Rows of the list.
    pub rows: u64,
    /// Rows by what became of them, as far as that is known without its journal.
    pub counts: Vec<(Disposition, u64)>,
    /// Outcomes a second, now.
    pub per_second: Option<f64>,
}

/// All runs, the latest first.
#[derive(Debug, Default)]
pub(super) struct List {
    /// The runs.
    pub lines: Vec<Line>,
}

/// A manifest as it was read: when its file was written, and how long it was.
type Stamp = (SystemTime, u64);

/// The lines that were read last.
#[derive(Debug, Default)]
pub(super) struct Lines {
    known: HashMap<PathBuf, (Stamp, Arc<Manifest>)>,
}

impl Lines {
    /// Reads what has changed.
    pub(super) fn read(&mut self, workspace: &Workspace) -> Result<List, JobError> {
        let mut known = HashMap::new();
        let mut lines = Vec::new();
        for run in workspace.stored_runs()? {
            let path = run.dir().path().to_owned();
            let Ok(written) = fs::metadata(run.dir().manifest()) else { continue };
            let stamp = (written.modified().unwrap_or(SystemTime::UNIX_EPOCH), written.len());
            let manifest = match self.known.remove(&path).filter(|(known, _)| *known == stamp) {
                Some((_, manifest)) => manifest,
                // One whose manifest can't be read is nobody's.
                None => match run.manifest() {
                    Ok(manifest) => Arc::new(manifest),
                    Err(_) => continue,
                },
            };
            lines.push(line(&run, &manifest)?);
            known.insert(path, (stamp, manifest));
        }
        self.known = known;
        lines.sort_by(|a, b| b.created.cmp(&a.created).then_with(|| a.name.cmp(&b.name)));
        Ok(List { lines })
    }
}

fn line(run: &StoredRun, manifest: &Manifest) -> Result<Line, JobError> {
    let is_over = manifest.state == RunState::Finished;
    let is_running = !is_over && run.is_leased()?;
    let live = if is_over { None } else { Live::read(run.dir()) };
    let counts = match (&live, manifest.outcomes.is_empty()) {
        (Some(live), _) if is_running => of_process(live),
        (_, false) => outcomes(manifest),
        (Some(live), true) => of_process(live),
        (None, true) => Vec::new(),
    };
    Ok(Line {
        name: run.dir().name(),
        campaign: manifest.campaign_id.clone(),
        from: manifest.campaign.sender.from.address.clone(),
        file: manifest.campaign_file.clone(),
        created: manifest.created,
        started: manifest.started,
        state: manifest.state_word(is_running),
        is_running,
        rows: manifest.screening.rows,
        counts,
        per_second: live.filter(|_| is_running).map(|live| live.snapshot.per_second),
    })
}

/// Rows by disposition, as the results have them.
pub(super) fn outcomes(manifest: &Manifest) -> Vec<(Disposition, u64)> {
    let rows = |disposition: &Disposition| manifest.outcomes.get(disposition.as_str()).copied();
    let all = Disposition::ALL.into_iter().filter_map(|disposition| Some((disposition, rows(&disposition)?)));
    all.filter(|(_, rows)| *rows > 0).collect()
}

/// Rows by disposition, as the process that sends them wrote it last.
pub(super) fn of_process(live: &Live) -> Vec<(Disposition, u64)> {
    let counts = &live.snapshot.counts;
    let all = [
        (Disposition::Accepted, counts.accepted),
        (Disposition::Bounced, counts.bounced),
        (Disposition::Deferred, counts.deferred),
        (Disposition::InDoubt, counts.in_doubt),
        (Disposition::Suppressed, counts.suppressed),
        (Disposition::RenderFailed, counts.render_failed),
        (Disposition::Infected, counts.infected),
    ];
    all.into_iter().filter(|(_, rows)| *rows > 0).collect()
}
