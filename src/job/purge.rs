//! Removes runs whose time is over, and mails to the owner about them.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::error::{JobError, WorkspaceError};
use super::owner_mail;
use super::purge_error::PurgeError;
use super::workspace::Workspace;
use crate::kit::file::sync_folder;
use crate::mail::Timestamp;
use crate::run_dir::{Apart, Manifest, RunState, RunStore, StoredRun};
use crate::state;

/// The file in the state directory that whoever removes data has locked.
const LOCK: &str = "purge.lock";
/// The folder, beside the mails to the owner, from which they are removed.
const ASIDE: &str = ".purged";

/// What is removed by age.
pub(crate) struct OldRuns {
    /// Runs, and when they finished.
    pub runs: Vec<(StoredRun, Timestamp)>,
    /// Folders of mails to the owner.
    pub owner_mails: Vec<PathBuf>,
}

impl Workspace {
    /// Runs that finished longer ago than `older_than`, and the mails to the owner about them or as
    /// old. Without a time each run has its own: the longer one of `[keep] recover` and
    /// `[results] status-retention`; without `[keep] recover` it stays.
    pub(crate) fn old_runs(&self, older_than: Option<Duration>) -> Result<OldRuns, JobError> {
        let now = self.clock().wall();
        let mut runs = Vec::new();
        for run in self.all_runs()? {
            let Some(manifest) = self.readable(&run) else { continue };
            let RunState::Finished = manifest.state else { continue };
            let Some(finished) = manifest.finished else { continue };
            let keep = older_than.or_else(|| {
                let recover = manifest.campaign.keep.recover?;
                Some(recover.max(manifest.campaign.results.status_retention).0)
            });
            if keep.is_some_and(|keep| now.since(finished) > keep) {
                runs.push((run, finished));
            }
        }
        let is_old = |folder: &Path| {
            let about_run = runs.iter().any(|(run, _)| {
                folder
                    .ends_with(Path::new(run.dir().campaign_id()).join(format!("run-{}", run.dir().run_id())))
            });
            let age = fs::metadata(folder.join("letter.hbs")).and_then(|data| data.modified());
            let age = age.ok().and_then(|at| SystemTime::now().duration_since(at).ok());
            about_run || age.zip(older_than).is_some_and(|(age, keep)| age > keep)
        };
        let owner_mails = self.owner_mails()?.into_iter().filter(|folder| is_old(folder)).collect();
        Ok(OldRuns { runs, owner_mails })
    }

    /// Removes them. Killed in between, the same again removes the rest.
    pub(crate) fn remove_old(&self, old: &OldRuns) -> Result<(), JobError> {
        let _locked = self.begin_purge()?;
        // The mails first: which run they are about is known as long as it exists.
        self.remove_owner_mails(&old.owner_mails)?;
        for (run, _) in &old.runs {
            run.lease()?.remove()?;
        }
        Ok(())
    }

    /// All runs in the folders that are known, those apart too.
    pub(super) fn all_runs(&self) -> Result<Vec<StoredRun>, JobError> {
        let mut found = Vec::new();
        for store in self.all_stores()? {
            found.extend(store.list()?.into_iter().map(|dir| StoredRun::new(Arc::clone(&store), dir)));
        }
        Ok(found)
    }

    fn all_stores(&self) -> Result<Vec<Arc<dyn RunStore>>, JobError> {
        let folders = self.known_runs()?;
        let apart = |folder: &PathBuf| Apart::ALL.map(|apart| state::runs(&folder.join(apart.folder())));
        Ok(folders.iter().flat_map(|folder| [state::runs(folder)].into_iter().chain(apart(folder))).collect())
    }

    /// The manifest of a run. One that can't be read is named: nothing is removed from that run.
    pub(super) fn readable(&self, run: &StoredRun) -> Option<Manifest> {
        match run.manifest() {
            Ok(manifest) => Some(manifest),
            Err(error) => {
                self.warn(format!("run `{}` is skipped: {}", run.dir().name(), super::chain(&error)));
                None
            }
        }
    }

    /// Keeps others from removing data, and removes what a killed process left.
    pub(super) fn begin_purge(&self) -> Result<File, JobError> {
        let path = self.state_dir()?.join(LOCK);
        let lock = File::create(&path).map_err(failed("create", &path))?;
        lock.try_lock().map_err(|_| PurgeError::InUse)?;
        for store in self.all_stores()? {
            store.sweep()?;
        }
        let aside = self.state_dir()?.join(owner_mail::FOLDER).join(ASIDE);
        if aside.exists() {
            fs::remove_dir_all(&aside).map_err(failed("remove", &aside))?;
        }
        Ok(lock)
    }

    /// The folders of mails to the owner, each with its files.
    pub(super) fn owner_mails(&self) -> Result<Vec<PathBuf>, JobError> {
        let mut found = Vec::new();
        for campaign in folders(&self.state_dir()?.join(owner_mail::FOLDER))? {
            if campaign.file_name() != Some(OsStr::new(ASIDE)) {
                found.extend(folders(&campaign)?.into_iter().filter(|mail| mail.join("letter.hbs").exists()));
            }
        }
        found.sort();
        Ok(found)
    }

    /// Removes folders of mails to the owner, each from one moment to the next.
    pub(super) fn remove_owner_mails(&self, mails: &[PathBuf]) -> Result<(), JobError> {
        let folder = self.state_dir()?.join(owner_mail::FOLDER);
        let aside = folder.join(ASIDE);
        for mail in mails {
            let remove = || {
                fs::create_dir_all(&aside)?;
                fs::rename(mail, aside.join("mail"))?;
                mail.parent().map_or(Ok(()), sync_folder)?;
                fs::remove_dir_all(&aside)
            };
            remove().map_err(failed("remove", mail))?;
        }
        Ok(())
    }
}

fn folders(path: &Path) -> Result<Vec<PathBuf>, JobError> {
    let entries = match fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed("list", path))?,
    };
    let paths = entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>();
    let mut paths = paths.map_err(failed("list", path))?;
    paths.retain(|path| path.is_dir());
    Ok(paths)
}

pub(super) fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> JobError + use<> {
    let path = path.to_owned();
    move |source| WorkspaceError::Io { action, path, source }.into()
}
