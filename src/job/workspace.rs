//! Where state and runs are, what time it is, and who is informed.
//!
//! A campaign's runs are beside its campaign file, so that the same campaign always finds its
//! unfinished run, from whatever folder cron starts it. The state directory remembers those places,
//! for commands that name a run by its id.

use std::collections::HashSet;
use std::fmt;
use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use super::error::{JobError, WorkspaceError};
use super::observer::{Notice, Observer};
use crate::campaign::{Campaign, Parameters};
use crate::kit::file::{PRIVATE, create_private_folders};
use crate::pacing::Clock;
use crate::run_dir::{self, Apart, RunDirError, RunStore, StoredRun};
use crate::state::{self, State};
use crate::suppression::Suppressions;

/// The list of run folders seen, in the state directory.
const PLACES: &str = "runs.txt";
/// The name of the campaign file in its folder.
const CAMPAIGN_FILE: &str = "campaign.toml";

/// Where state and runs are, as a user says it. What is not given has its default.
#[derive(Debug, Clone, Default)]
pub(crate) struct Places {
    /// The state directory; by default `mailrun` in the user's state folder (XDG base directories).
    pub state: Option<PathBuf>,
    /// The folder of the run directories; by default `runs` beside the campaign file.
    pub runs: Option<PathBuf>,
}

/// What all jobs of a user share: the state directory, the run directories, what is said in place
/// of campaign files, the clock, and who is informed.
pub(crate) struct Workspace {
    places: Places,
    parameters: Parameters,
    clock: Clock,
    observer: Arc<dyn Observer>,
    /// Open from its first use on. As long as one connection is open, SQLite keeps its log: others
    /// that come and go neither copy it to the database nor begin another, which takes four syncs.
    suppressions: OnceLock<Arc<dyn Suppressions>>,
}

impl Workspace {
    /// The workspace at `places`. The state directory is created when it is first needed.
    pub(crate) fn new(places: Places, clock: Clock, observer: Arc<dyn Observer>) -> Self {
        Self { places, parameters: Parameters::default(), clock, observer, suppressions: OnceLock::new() }
    }

    /// The same workspace, with what is said in place of campaign files.
    pub(crate) fn with(self, parameters: Parameters) -> Self {
        Self { parameters, ..self }
    }

    /// What is said in place of campaign files.
    pub(super) fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// Where jobs get the time from.
    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Who is informed.
    pub(crate) fn observer(&self) -> &dyn Observer {
        &*self.observer
    }

    pub(crate) fn warn(&self, warning: impl fmt::Display) {
        self.observer.notice(&Notice::Warning(&warning));
    }

    /// The state directory: the one given, or `mailrun` in the user's state folder. Created if it
    /// does not exist.
    pub(crate) fn state_dir(&self) -> Result<PathBuf, JobError> {
        let dir = match &self.places.state {
            Some(dir) => dir.clone(),
            None => default_state_dir().ok_or(WorkspaceError::Homeless)?,
        };
        create_private_folders(&dir).map_err(|source| WorkspaceError::Io {
            action: "create the state directory",
            path: dir.clone(),
            source,
        })?;
        Ok(dir)
    }

    /// The state that all campaigns of this user share.
    pub(crate) fn state(&self) -> Result<Arc<dyn State>, JobError> {
        Ok(state::open(&self.state_file()?, self.clock.clone()))
    }

    /// The file of that state.
    pub(super) fn state_file(&self) -> Result<PathBuf, JobError> {
        Ok(self.state_dir()?.join("state.db"))
    }

    /// The file that keeps the MTA-STS policies of recipients' domains between runs.
    pub(crate) fn policies(&self) -> Result<PathBuf, JobError> {
        Ok(self.state_dir()?.join("mta-sts.json"))
    }

    /// The suppression list.
    pub(crate) fn suppressions(&self) -> Result<Arc<dyn Suppressions>, JobError> {
        if let Some(list) = self.suppressions.get() {
            return Ok(Arc::clone(list));
        }
        let list = self.state()?.suppressions()?;
        Ok(Arc::clone(self.suppressions.get_or_init(|| list)))
    }

    /// The place with this campaign's runs.
    pub(crate) fn runs_of(&self, campaign: &Campaign) -> Arc<dyn RunStore> {
        self.runs_beside(&campaign.path)
    }

    /// The place with the runs of the campaign in `file`, whatever is in it.
    pub(super) fn runs_beside(&self, file: &Path) -> Arc<dyn RunStore> {
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
        let beside = || folder.unwrap_or(Path::new(".")).join("runs");
        state::runs(&self.places.runs.clone().unwrap_or_else(beside))
    }

    /// The place with what is kept apart from this campaign's runs.
    pub(super) fn apart_from(&self, campaign: &Campaign, apart: Apart) -> Arc<dyn RunStore> {
        state::runs(&self.runs_of(campaign).folder().join(apart.folder()))
    }

    /// The place with the messages of these runs that were sent once more.
    pub(super) fn resent_beside(runs: &Path) -> Arc<dyn RunStore> {
        state::runs(&runs.join(Apart::Resent.folder()))
    }

    /// Remembers a folder with runs.
    pub(super) fn remember_runs(&self, runs: &Path) -> Result<(), JobError> {
        let list = self.state_dir()?.join(PLACES);
        let runs = std::path::absolute(runs).unwrap_or_else(|_| runs.to_owned());
        let known = fs::read_to_string(&list).unwrap_or_default();
        if known.lines().any(|line| Path::new(line) == runs) {
            return Ok(());
        }
        let append = || fs::OpenOptions::new().create(true).append(true).mode(PRIVATE).open(&list);
        append().and_then(|mut file| writeln!(file, "{}", runs.display())).map_err(|source| {
            WorkspaceError::Io { action: "save the location of the runs", path: list.clone(), source }.into()
        })
    }

    /// Whether a run is a rehearsal: in the folder of rehearsals.
    pub(super) fn is_rehearsal(run: &StoredRun) -> bool {
        run.folder().ends_with(Apart::Rehearsals.folder())
    }

    /// The run that a user means: its id, the start of it, its directory, or for the latest run of
    /// a campaign its id, file or folder. Of the campaign file only the id is read.
    pub(crate) fn find_run(&self, text: &str) -> Result<StoredRun, JobError> {
        let path = Path::new(text);
        let file = campaign_file(path);
        if file.is_file() {
            let id = self.id_in(&file).map_err(|error| self.without_run(text, error))?;
            let found = run_dir::find(&id, &[self.runs_beside(&file)], &[]);
            return found.map_err(|error| self.not_found(text, error));
        }
        // A run directory given by its path is found without any list.
        if let Some(run) = state::run_at(path) {
            return Ok(run);
        }
        let folders = self.known_runs()?;
        let stores: Vec<_> = folders.iter().map(|folder| state::runs(folder)).collect();
        let apart = folders.iter().flat_map(|folder| Apart::ALL.map(|apart| folder.join(apart.folder())));
        let aside: Vec<_> = apart.map(|folder| state::runs(&folder)).collect();
        run_dir::find(text, &stores, &aside).map_err(|error| self.not_found(text, error))
    }

    fn not_found(&self, text: &str, error: RunDirError) -> JobError {
        match error {
            RunDirError::NotFound { .. } => self.without_run(text, error.into()),
            error => error.into(),
        }
    }

    /// The id of the campaign in `file`; where the file can't be read, as its runs have it.
    fn id_in(&self, file: &Path) -> Result<String, JobError> {
        let read = Campaign::id_in(file, &self.parameters);
        if let Ok(Some(id)) = read {
            return Ok(id);
        }
        match (self.campaign_in(file), read) {
            (Some(id), _) => Ok(id),
            (None, Err(error)) => Err(error.into()),
            // It says what is wrong with the id.
            (None, Ok(_)) => Ok(Campaign::load_with(file, &self.parameters)?.identity.id),
        }
    }

    /// Whether [`Self::known_runs`] are all that there are: nothing is left out, and no folder is
    /// missing, such as one on a disk that is not mounted now.
    pub(super) fn knows_all_runs(&self) -> Result<bool, JobError> {
        Ok(self.places.runs.is_none() && self.kept_places()?.iter().all(|place| place.is_dir()))
    }

    /// The folders with runs that were seen before.
    fn kept_places(&self) -> Result<Vec<PathBuf>, JobError> {
        let known = fs::read_to_string(self.state_dir()?.join(PLACES)).unwrap_or_default();
        Ok(known.lines().map(PathBuf::from).collect())
    }

    /// The folders in which runs are: the one given, else `runs` here and those remembered.
    pub(super) fn known_runs(&self) -> Result<Vec<PathBuf>, JobError> {
        if let Some(runs) = &self.places.runs {
            return Ok(vec![runs.clone()]);
        }
        let mut places = vec![PathBuf::from("runs")];
        places.extend(self.kept_places()?);
        places.retain(|place| place.is_dir());
        let mut seen = HashSet::new();
        places.retain(|place| seen.insert(place.canonicalize().unwrap_or_else(|_| place.clone())));
        Ok(places)
    }
}

/// The campaign file that a user means: the one named, or `campaign.toml` in the folder named.
pub(crate) fn campaign_file(path: &Path) -> PathBuf {
    if path.is_dir() { path.join(CAMPAIGN_FILE) } else { path.to_owned() }
}

fn default_state_dir() -> Option<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")))?;
    Some(base.join("mailrun"))
}

#[cfg(test)]
mod tests {
    use super::super::tests::Silent;
    use super::*;

    fn workspace(state: &Path, runs: Option<&Path>) -> Workspace {
        let places = Places { state: Some(state.to_owned()), runs: runs.map(Path::to_owned) };
        Workspace::new(places, Clock::system(), Arc::new(Silent))
    }

    #[test]
    fn a_run_is_found_in_the_folders_seen_before() {
        let folder = tempfile::tempdir().unwrap();
        let (state, runs) = (folder.path().join("state"), folder.path().join("campaigns/spring/runs"));
        let run = state::runs(&runs).create("spring", &"abc1".parse().unwrap()).unwrap();
        let workspace = workspace(&state, None);
        assert!(workspace.find_run("abc1").is_err(), "its folder is unknown");
        for _ in 0..2 {
            workspace.remember_runs(&runs).unwrap();
        }
        assert_eq!(workspace.find_run("abc").unwrap().dir().name(), run.name());
        assert_eq!(fs::read_to_string(state.join(PLACES)).unwrap().lines().count(), 1);
    }

    #[test]
    fn one_list_stays_open_and_with_it_the_log_of_the_database() {
        let folder = tempfile::tempdir().unwrap();
        let workspace = workspace(folder.path(), None);
        let list = workspace.suppressions().unwrap();
        assert!(Arc::ptr_eq(&list, &workspace.suppressions().unwrap()));
        drop(list);
        let log = folder.path().join("state.db-wal");
        let written = || fs::metadata(&log).map_or(0, |log| log.len());
        let before = written();
        drop(workspace.state().unwrap().editions().unwrap());
        assert!(before > 0 && written() > before, "{before}, {}", written());
    }

    #[test]
    fn a_folder_given_is_the_only_one_and_needs_no_state() {
        let folder = tempfile::tempdir().unwrap();
        let (state, runs) = (folder.path().join("state"), folder.path().join("runs"));
        state::runs(&runs).create("spring", &"abc1".parse().unwrap()).unwrap();
        workspace(&state, Some(&runs)).find_run("spring/abc1").unwrap();
        assert!(!state.exists());
    }
}
