//! How far a webhook is, on disk: `webhooks/NAME.json` in the state directory, replaced as a whole
//! and synced. While one process delivers, `NAME.lock` keeps others from it. A file
//! `NAME.disabled` says that the receiver wants no more: it is apart, so that it can be removed
//! while a process delivers.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::kit::file::{self, PRIVATE};

/// The folder in the state directory.
const FOLDER: &str = "webhooks";

/// The place of a webhook can't be read or kept.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlaceError {
    /// The system refuses.
    #[error("can't {action} the place of the webhook `{name}`")]
    Io {
        /// `read`, `keep`, `lock`.
        action: &'static str,
        /// The webhook.
        name: String,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file holds something else.
    #[error("the place of the webhook `{name}` is damaged")]
    Damaged {
        /// The webhook.
        name: String,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
}

impl PlaceError {
    /// The file.
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Io { path, .. } | Self::Damaged { path, .. } => path,
        }
    }

    /// What to do.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Io { .. } => None,
            Self::Damaged { .. } => {
                Some("restore it, or remove it: then all events are delivered again, with the same ids")
            }
        }
    }
}

/// How far a webhook is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Progress {
    /// How many events its receiver has got.
    pub delivered: u64,
    /// When it got the last one.
    pub last_delivered: Option<String>,
    /// The last failure; none once something was delivered again.
    pub failure: Option<Failure>,
    /// Nothing is sent before this time, as the receiver asked.
    pub not_before: Option<String>,
    /// The cursor in each run.
    pub cursors: BTreeMap<String, String>,
}

/// Why something could not be delivered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failure {
    /// When.
    pub at: String,
    /// What was seen.
    pub why: String,
    /// How often in a row.
    pub times: u32,
}

/// That the receiver wants no more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Disabled {
    /// Since when.
    pub at: String,
    /// What it answered.
    pub why: String,
}

/// The place of a webhook, and where it is kept.
#[derive(Debug)]
pub(crate) struct Place {
    files: Files,
    /// How far it is.
    pub progress: Progress,
    /// Held while this process delivers.
    _lock: Option<File>,
}

/// The files of a webhook.
#[derive(Debug, Clone)]
pub(super) struct Files {
    name: String,
    folder: PathBuf,
    /// Nothing is written: a replay moves no place.
    is_apart: bool,
}

impl Files {
    fn new(state: &Path, name: &str) -> Self {
        Self { name: name.to_owned(), folder: state.join(FOLDER), is_apart: false }
    }

    fn path(&self, ending: &str) -> PathBuf {
        self.folder.join(format!("{}.{ending}", self.name))
    }

    fn failed(&self, action: &'static str, path: &Path) -> impl Fn(io::Error) -> PlaceError + use<> {
        let (name, path) = (self.name.clone(), path.to_owned());
        move |source| PlaceError::Io { action, name: name.clone(), path: path.clone(), source }
    }

    fn read<T: for<'de> Deserialize<'de>>(&self, path: &Path) -> Result<Option<T>, PlaceError> {
        let bytes = match fs::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            read => read.map_err(self.failed("read", path))?,
        };
        let read = serde_json::from_slice(&bytes).map_err(|source| PlaceError::Damaged {
            name: self.name.clone(),
            path: path.to_owned(),
            source,
        })?;
        Ok(Some(read))
    }

    fn keep(&self, path: &Path, value: &impl Serialize) -> Result<(), PlaceError> {
        let bytes = serde_json::to_vec(value).expect("texts and numbers become JSON");
        file::replace(path, &bytes, PRIVATE).map_err(self.failed("keep", path))
    }

    /// Keeps how far the webhook is: once this returns, also after a power failure.
    pub(super) fn keep_progress(&self, progress: &Progress) -> Result<(), PlaceError> {
        if self.is_apart {
            return Ok(());
        }
        self.keep(&self.path("json"), progress)
    }

    /// Keeps that the receiver wants no more, which one says in a replay too.
    pub(super) fn disable(&self, disabled: &Disabled) -> Result<(), PlaceError> {
        let path = self.path("disabled");
        file::create_private_folders(&self.folder).map_err(self.failed("keep", &path))?;
        self.keep(&path, disabled)
    }
}

impl Place {
    /// Opens the place of a webhook to deliver from it; none while another process does.
    pub(crate) fn open(state: &Path, name: &str) -> Result<Option<Self>, PlaceError> {
        let files = Files::new(state, name);
        let path = files.path("lock");
        let failed = files.failed("lock", &path);
        file::create_private_folders(&files.folder).map_err(&failed)?;
        let lock = OpenOptions::new().create(true).truncate(false).write(true).mode(PRIVATE).open(&path);
        let lock = lock.map_err(&failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Ok(None),
            Err(fs::TryLockError::Error(error)) => return Err(failed(error)),
        }
        let progress = files.read(&files.path("json"))?.unwrap_or_default();
        Ok(Some(Self { files, progress, _lock: Some(lock) }))
    }

    /// A place before all events, which is kept nowhere.
    pub(crate) fn apart(state: &Path, name: &str) -> Self {
        let files = Files { is_apart: true, ..Files::new(state, name) };
        Self { files, progress: Progress::default(), _lock: None }
    }

    pub(super) fn files(&self) -> &Files {
        &self.files
    }
}

impl Progress {
    /// How far a webhook is, whoever delivers.
    pub(crate) fn read(state: &Path, name: &str) -> Result<Self, PlaceError> {
        let files = Files::new(state, name);
        Ok(files.read(&files.path("json"))?.unwrap_or_default())
    }
}

impl Disabled {
    /// Whether a webhook is disabled, and why.
    pub(crate) fn read(state: &Path, name: &str) -> Result<Option<Self>, PlaceError> {
        let files = Files::new(state, name);
        files.read(&files.path("disabled"))
    }
}

/// Lets a webhook deliver again. Whether it was disabled.
pub(crate) fn enable(state: &Path, name: &str) -> Result<bool, PlaceError> {
    let files = Files::new(state, name);
    let path = files.path("disabled");
    match fs::remove_file(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        removed => {
            let synced = removed.and_then(|()| file::sync_folder(&files.folder));
            synced.map_err(files.failed("keep", &path)).map(|()| true)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_kept_for_one_process_at_a_time() {
        let state = tempfile::tempdir().unwrap();
        let mut place = Place::open(state.path(), "crm").unwrap().unwrap();
        assert!(Place::open(state.path(), "crm").unwrap().is_none());
        assert!(Place::open(state.path(), "other").unwrap().is_some());
        place.progress.cursors.insert("news/a".to_owned(), "a/1.2.3.4".to_owned());
        place.files().keep_progress(&place.progress).unwrap();
        let kept = place.progress.clone();
        drop(place);
        assert_eq!(Place::open(state.path(), "crm").unwrap().unwrap().progress, kept);
        fs::write(state.path().join("webhooks/crm.json"), "{").unwrap();
        assert!(matches!(Place::open(state.path(), "crm"), Err(PlaceError::Damaged { .. })));
    }

    #[test]
    fn a_disabled_webhook_is_enabled_by_hand() {
        let state = tempfile::tempdir().unwrap();
        assert!(!enable(state.path(), "crm").unwrap());
        let place = Place::open(state.path(), "crm").unwrap().unwrap();
        let disabled = Disabled { at: "now".to_owned(), why: "410".to_owned() };
        place.files().disable(&disabled).unwrap();
        assert_eq!(Disabled::read(state.path(), "crm").unwrap(), Some(disabled));
        assert!(enable(state.path(), "crm").unwrap());
        assert_eq!(Disabled::read(state.path(), "crm").unwrap(), None);
    }
}
