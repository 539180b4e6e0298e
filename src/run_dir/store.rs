//! Where runs are kept: the traits that the file system and other stores implement.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use super::dir::RunDir;
use super::error::RunDirError;
use super::manifest::Manifest;
use super::run_id::RunId;
use crate::mail::Timestamp;

/// A place with runs: a folder, or a store shared by several machines.
///
/// In any store, a run's plan and results are local files in its [`RunDir`], since the plan is
/// memory-mapped. A store that also keeps them elsewhere fetches them before it returns a
/// [`Lease`], and uploads them before it keeps a manifest that names them.
pub trait RunStore: fmt::Debug + Send + Sync {
    /// The folder with the run directories on this machine.
    fn folder(&self) -> &Path;

    /// All runs, sorted by campaign and run id; none if there is no folder.
    fn list(&self) -> Result<Vec<RunDir>, RunDirError>;

    /// Creates the directory of a run unless it exists.
    fn create(&self, campaign_id: &str, run_id: &RunId) -> Result<RunDir, RunDirError>;

    /// The manifest of a run; `None` if it has none yet.
    fn manifest(&self, run: &RunDir) -> Result<Option<Manifest>, RunDirError>;

    /// When the run was created, as far as that is known.
    fn created(&self, run: &RunDir) -> Timestamp;

    /// Takes the right to work on a run.
    ///
    /// # Errors
    /// [`RunDirError::Locked`] immediately, when another process has it.
    fn lease(&self, run: &RunDir) -> Result<Box<dyn Lease>, RunDirError>;

    /// Whether a process has the right to work on the run. Works on a read-only disk.
    fn is_leased(&self, run: &RunDir) -> Result<bool, RunDirError>;

    /// The run that a user means: a run id or the first letters of one (with or without `<campaign
    /// id>/`), or a campaign id for its latest run. A run without a manifest, which was cut off
    /// before it began, stands for its campaign only if there is no other.
    fn find(&self, text: &str) -> Result<RunDir, RunDirError> {
        let text = text.trim_end_matches('/');
        let all = self.list()?;
        let fits = |test: &dyn Fn(&RunDir) -> bool| all.iter().filter(|run| test(run)).collect::<Vec<_>>();
        let exact = fits(&|run| run.run_id() == text || run.name() == text);
        let of_campaign = fits(&|run| run.campaign_id() == text);
        let begins = fits(&|run| {
            !text.is_empty()
                && (run.run_id().starts_with(text) || (text.contains('/') && run.name().starts_with(text)))
        });
        let found = match (exact.as_slice(), of_campaign.as_slice(), begins.as_slice()) {
            ([], [], found) => found,
            ([], of_campaign, _) => {
                let has_begun = |run: &RunDir| !matches!(self.manifest(run), Ok(None));
                let latest = of_campaign.iter().max_by_key(|run| (has_begun(run), self.created(run)));
                return Ok(RunDir::clone(latest.expect("the list is not empty here")));
            }
            (found, _, _) => found,
        };
        match found {
            [] => Err(RunDirError::NotFound { text: text.to_owned(), runs: self.folder().to_owned() }),
            [one] => Ok(RunDir::clone(one)),
            several => Err(RunDirError::Ambiguous {
                text: text.to_owned(),
                candidates: several.iter().map(|run| run.name()).collect(),
            }),
        }
    }
}

/// The right to work on a run. It ends when it is dropped, when the process ends for any reason, or
/// when a store with timed leases gives it to another process.
pub trait Lease: fmt::Debug + Send + Sync {
    /// The run.
    fn run(&self) -> &RunDir;

    /// The fencing number: larger than that of every earlier lease of the run. A store refuses
    /// writes under an earlier one.
    fn epoch(&self) -> u64;

    /// Whether this is still the lease of the run.
    ///
    /// # Errors
    /// [`RunDirError::LeaseLost`] when it is not.
    fn check(&self) -> Result<(), RunDirError>;

    /// Replaces the manifest: readers see either the old one or the new one.
    ///
    /// # Errors
    /// [`RunDirError::LeaseLost`], and nothing is written, when the lease was lost.
    fn keep(&self, manifest: &Manifest) -> Result<(), RunDirError>;

    /// Removes the plan that an interrupted start left behind.
    ///
    /// # Errors
    /// [`RunDirError::LeaseLost`], and nothing is removed, when the lease was lost.
    fn discard_plan(&self) -> Result<(), RunDirError>;

    /// Removes a run that could not be begun: its plan and its directory. One that has a manifest
    /// stays as it is.
    ///
    /// # Errors
    /// [`RunDirError::LeaseLost`], and nothing is removed, when the lease was lost.
    fn abandon(&self) -> Result<(), RunDirError>;
}

/// An existing run and the store that it is in.
#[derive(Debug, Clone)]
pub struct StoredRun {
    store: Arc<dyn RunStore>,
    dir: RunDir,
}

impl StoredRun {
    /// A run of `store`.
    pub fn new(store: Arc<dyn RunStore>, dir: RunDir) -> Self {
        Self { store, dir }
    }

    /// The folder with the runs of its store.
    pub fn folder(&self) -> &Path {
        self.store.folder()
    }

    /// Its files on this machine.
    pub fn dir(&self) -> &RunDir {
        &self.dir
    }

    /// Its manifest.
    ///
    /// # Errors
    /// [`RunDirError::NoManifest`] when it stopped before it had one.
    pub fn manifest(&self) -> Result<Manifest, RunDirError> {
        let manifest = self.store.manifest(&self.dir)?;
        manifest.ok_or_else(|| RunDirError::NoManifest(self.dir.path().to_owned()))
    }

    /// When it was created, as far as that is known.
    pub fn created(&self) -> Timestamp {
        self.store.created(&self.dir)
    }

    /// Takes the right to work on it: see [`RunStore::lease`].
    pub fn lease(&self) -> Result<Box<dyn Lease>, RunDirError> {
        self.store.lease(&self.dir)
    }

    /// Whether a process has the right to work on it.
    pub fn is_leased(&self) -> Result<bool, RunDirError> {
        self.store.is_leased(&self.dir)
    }
}
