//! Runs in memory. Plans and results are files, in a folder that goes with the last clone.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tempfile::TempDir;

use crate::kit::file::create_private_folders;
use crate::mail::Timestamp;
use crate::run_dir::{Lease, Manifest, RefusedStart, RunDir, RunDirError, RunId, RunStore};

/// Starts empty; clones share the runs, as processes would.
#[derive(Debug, Clone)]
pub(super) struct MemoryRuns {
    folder: Arc<TempDir>,
    runs: Arc<Mutex<BTreeMap<RunDir, Entry>>>,
    refused: Arc<Mutex<BTreeMap<PathBuf, RefusedStart>>>,
}

#[derive(Debug, Default)]
struct Entry {
    manifest: Option<Manifest>,
    /// The number of the last lease.
    epoch: u64,
    is_leased: bool,
}

impl MemoryRuns {
    /// # Errors
    /// Those of the file system, when there is no place for temporary files.
    pub(super) fn new() -> std::io::Result<Self> {
        Ok(Self {
            folder: Arc::new(TempDir::with_prefix("mailrun-runs-")?),
            runs: Arc::default(),
            refused: Arc::default(),
        })
    }

    /// Ends the lease of a run whoever has it, as a store does that counts time.
    #[cfg(test)]
    pub(super) fn expire(&self, run: &RunDir) {
        self.lock().get_mut(run).unwrap().is_leased = false;
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<RunDir, Entry>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refused(&self) -> MutexGuard<'_, BTreeMap<PathBuf, RefusedStart>> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RunStore for MemoryRuns {
    fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn list(&self) -> Result<Vec<RunDir>, RunDirError> {
        Ok(self.lock().keys().cloned().collect())
    }

    fn create(&self, campaign_id: &str, run_id: &RunId) -> Result<RunDir, RunDirError> {
        let path = self.folder.path().join(campaign_id).join(run_id.as_str());
        create_private_folders(&path).map_err(|source| RunDirError::Io {
            action: "create",
            path: path.clone(),
            source,
        })?;
        let run = RunDir::at(path);
        self.lock().entry(run.clone()).or_default();
        Ok(run)
    }

    fn manifest(&self, run: &RunDir) -> Result<Option<Manifest>, RunDirError> {
        Ok(self.lock().get(run).and_then(|entry| entry.manifest.clone()))
    }

    fn created(&self, run: &RunDir) -> Timestamp {
        let manifest = self.lock().get(run).and_then(|entry| entry.manifest.clone());
        manifest.map_or(Timestamp(0), |manifest| manifest.created)
    }

    fn lease(&self, run: &RunDir) -> Result<Box<dyn Lease>, RunDirError> {
        let mut runs = self.lock();
        let entry = runs.entry(run.clone()).or_default();
        if entry.is_leased {
            return Err(RunDirError::Locked { path: run.path().to_owned(), holder: None });
        }
        entry.is_leased = true;
        entry.epoch += 1;
        Ok(Box::new(MemoryLease { store: self.clone(), run: run.clone(), epoch: entry.epoch }))
    }

    fn is_leased(&self, run: &RunDir) -> Result<bool, RunDirError> {
        Ok(self.lock().get(run).is_some_and(|entry| entry.is_leased))
    }

    fn refused_starts(&self) -> Result<Vec<RefusedStart>, RunDirError> {
        Ok(self.refused().values().cloned().collect())
    }

    fn keep_refused_start(&self, refused: &RefusedStart) -> Result<(), RunDirError> {
        self.refused().insert(refused.campaign_file.clone(), refused.clone());
        Ok(())
    }

    fn forget_refused_starts(&self, file: &Path, id: &str) -> Result<(), RunDirError> {
        self.refused().retain(|_, refused| !refused.is_of(file, Some(id)));
        Ok(())
    }

    fn sweep(&self) -> Result<(), RunDirError> {
        Ok(())
    }
}

#[derive(Debug)]
struct MemoryLease {
    store: MemoryRuns,
    run: RunDir,
    epoch: u64,
}

impl MemoryLease {
    /// Does something with the run's entry while the lease holds.
    fn with<T>(&self, act: impl FnOnce(&mut Entry) -> T) -> Result<T, RunDirError> {
        match self.store.lock().get_mut(&self.run) {
            Some(entry) if entry.is_leased && entry.epoch == self.epoch => Ok(act(entry)),
            Some(_) | None => Err(RunDirError::LeaseLost(self.run.path().to_owned())),
        }
    }
}

impl Lease for MemoryLease {
    fn run(&self) -> &RunDir {
        &self.run
    }

    fn epoch(&self) -> u64 {
        self.epoch
    }

    fn check(&self) -> Result<(), RunDirError> {
        self.with(|_| ())
    }

    fn keep(&self, manifest: &Manifest) -> Result<(), RunDirError> {
        self.with(|entry| entry.manifest = Some(manifest.clone()))
    }

    fn discard_plan(&self) -> Result<(), RunDirError> {
        self.check()?;
        let files = self.run.plan_files();
        for path in [files.plan, files.screened].iter().filter(|path| path.exists()) {
            std::fs::remove_file(path).map_err(|source| RunDirError::Io {
                action: "remove",
                path: path.clone(),
                source,
            })?;
        }
        Ok(())
    }

    fn abandon(&self) -> Result<(), RunDirError> {
        self.discard_plan()?;
        let mut runs = self.store.lock();
        if runs.get(&self.run).is_some_and(|entry| entry.manifest.is_none()) {
            runs.remove(&self.run);
            // What else is in it is not this program's.
            let _ = std::fs::remove_dir(self.run.path());
        }
        Ok(())
    }

    fn withdraw(&self) -> Result<(), RunDirError> {
        self.with(|entry| entry.manifest = None)?;
        self.abandon()
    }

    fn remove(&self) -> Result<(), RunDirError> {
        self.check()?;
        self.store.lock().remove(&self.run);
        remove_folder(self.run.path())
    }

    fn begin_version(&self) -> Result<RunDir, RunDirError> {
        self.check()?;
        let version = RunDir::at(self.store.folder.path().join(".version").join(self.run.name()));
        create_private_folders(version.path()).map_err(failed("create", version.path()))?;
        Ok(version)
    }

    fn replace(&self, version: &RunDir, manifest: &Manifest) -> Result<(), RunDirError> {
        self.check()?;
        remove_folder(self.run.path())?;
        std::fs::rename(version.path(), self.run.path()).map_err(failed("replace", self.run.path()))?;
        self.keep(manifest)
    }
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> RunDirError {
    let path = path.to_owned();
    move |source| RunDirError::Io { action, path, source }
}

fn remove_folder(path: &Path) -> Result<(), RunDirError> {
    std::fs::remove_dir_all(path).map_err(failed("remove", path))
}

impl Drop for MemoryLease {
    fn drop(&mut self) {
        // After it was lost the run is another's.
        let _ = self.with(|entry| entry.is_leased = false);
    }
}
