//! Where runs are kept: the traits that the file system and other stores implement.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use super::dir::RunDir;
use super::error::RunDirError;
use super::manifest::Manifest;
use super::refused_start::RefusedStart;
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

    /// The starts that were refused before they were runs, one a campaign file.
    fn refused_starts(&self) -> Result<Vec<RefusedStart>, RunDirError>;

    /// Keeps a refused start, in place of an earlier one of the same campaign file.
    fn keep_refused_start(&self, refused: &RefusedStart) -> Result<(), RunDirError>;

    /// Removes the refused starts of the campaign with this file or this id.
    fn forget_refused_starts(&self, file: &Path, id: &str) -> Result<(), RunDirError>;

    /// Removes what was left of runs that were being removed or replaced when a process was killed.
    /// The caller makes sure that no other process removes or replaces runs.
    fn sweep(&self) -> Result<(), RunDirError>;
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

    /// Removes a run that was refused before it began, with its manifest.
    ///
    /// # Errors
    /// [`RunDirError::LeaseLost`], and nothing is removed, when the lease was lost.
    fn withdraw(&self) -> Result<(), RunDirError>;

    /// Removes the whole run: from one moment to the next it is no longer among the runs.
    ///
    /// # Errors
    /// [`RunDirError::LeaseLost`], and nothing is removed, when the lease was lost.
    fn remove(&self) -> Result<(), RunDirError>;

    /// Begins another version of the run: an empty directory, which is none of the runs until
    /// [`Self::replace`].
    fn begin_version(&self) -> Result<RunDir, RunDirError>;

    /// Puts `version` with this manifest in the place of the run, from one moment to the next, and
    /// removes the version before. The lease goes on.
    ///
    /// # Errors
    /// [`RunDirError::LeaseLost`], and nothing is changed, when the lease was lost.
    fn replace(&self, version: &RunDir, manifest: &Manifest) -> Result<(), RunDirError>;
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

    /// The store that it is in.
    pub fn store(&self) -> &Arc<dyn RunStore> {
        &self.store
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

/// The run that a user means, among all in `stores`: a run id or the first letters of one (with or
/// without `<campaign id>/`), or a campaign id for its latest run. Runs in the stores `aside` never
/// answer to their campaign's id.
///
/// A run without a manifest, which was cut off before it began, stands for its campaign only if
/// there is no other. Of copies with the same name the latest is meant, and of the same age that in
/// the first store.
pub fn find(
    text: &str,
    stores: &[Arc<dyn RunStore>],
    aside: &[Arc<dyn RunStore>],
) -> Result<StoredRun, RunDirError> {
    let text = text.trim_end_matches('/');
    let all = list(stores)?;
    let of_campaign: Vec<_> = all.iter().filter(|run| run.dir.campaign_id() == text).cloned().collect();
    let all = [all, list(aside)?].concat();
    let fits = |test: &dyn Fn(&RunDir) -> bool| -> Vec<StoredRun> {
        all.iter().filter(|run| test(&run.dir)).cloned().collect()
    };
    let exact = fits(&|run| run.run_id() == text || run.name() == text);
    let begins = fits(&|run| {
        !text.is_empty()
            && (run.run_id().starts_with(text) || (text.contains('/') && run.name().starts_with(text)))
    });
    let found = match (exact.as_slice(), of_campaign.as_slice()) {
        ([], []) => begins,
        ([], of_campaign) => return Ok(latest(of_campaign).expect("the list is not empty here").clone()),
        (exact, _) => exact.to_vec(),
    };
    let names: BTreeSet<String> = found.iter().map(|run| run.dir.name()).collect();
    match latest(&found) {
        Some(run) if names.len() == 1 => Ok(run.clone()),
        Some(_) => {
            Err(RunDirError::Ambiguous { text: text.to_owned(), candidates: names.into_iter().collect() })
        }
        None => {
            let runs = stores.first().map_or_else(|| text.into(), |store| store.folder().to_owned());
            Err(RunDirError::NotFound { text: text.to_owned(), runs })
        }
    }
}

fn list(stores: &[Arc<dyn RunStore>]) -> Result<Vec<StoredRun>, RunDirError> {
    let mut found = Vec::new();
    for store in stores {
        found.extend(store.list()?.into_iter().map(|dir| StoredRun::new(Arc::clone(store), dir)));
    }
    Ok(found)
}

/// The run that was created last, among those that have a manifest if any has.
fn latest(runs: &[StoredRun]) -> Option<&StoredRun> {
    let has_begun = |run: &StoredRun| !matches!(run.store.manifest(&run.dir), Ok(None));
    runs.iter().rev().max_by_key(|run| (has_begun(run), run.created()))
}
