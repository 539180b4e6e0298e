//! The directory of one run: its paths, its lock, and how it is found again.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use super::manifest::Manifest;
use super::run_id::RunId;
use crate::kit::file::sync_folder;
use crate::mail::Timestamp;
use crate::plan::{PlanFiles, io_hint};

/// `<runs>/<campaign id>/<run id>/`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RunDir {
    path: PathBuf,
}

/// The right to work on a run. It ends with the process, however that ends.
#[derive(Debug)]
pub struct RunLock {
    _file: File,
}

/// A run directory can't be made, found or had.
#[derive(Debug, thiserror::Error)]
pub enum RunDirError {
    /// The system refuses.
    #[error("can't {action} `{}`", path.display())]
    Io {
        /// `create`, `lock` or `list`.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Another process works on the run.
    #[error("another process{} is working on `{}`", holder.map_or(String::new(), |pid| format!(" ({pid})")), path.display())]
    Locked {
        /// The run directory.
        path: PathBuf,
        /// Its process id, where it is known.
        holder: Option<u32>,
    },
    /// No run has this name.
    #[error("there is no run `{text}` in `{}`", runs.display())]
    NotFound {
        /// What was asked for.
        text: String,
        /// Where it was looked for.
        runs: PathBuf,
    },
    /// Several runs fit.
    #[error("`{text}` can be any of {}", candidates.join(", "))]
    Ambiguous {
        /// What was asked for.
        text: String,
        /// `<campaign id>/<run id>` of each.
        candidates: Vec<String>,
    },
}

impl RunDirError {
    /// What to do, where there is something.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Io { source, .. } => io_hint(source),
            Self::Locked { .. } => {
                Some("`mailrun status` shows how far it is; started again later, it goes on")
            }
            Self::NotFound { .. } => Some(
                "name a run id, the first letters of one, a campaign id for its latest run, or a directory",
            ),
            Self::Ambiguous { .. } => Some("give more letters of the run id"),
        }
    }
}

impl RunDir {
    /// Makes the directory of a run, where it is not there yet.
    pub fn create(runs: &Path, campaign_id: &str, run_id: &RunId) -> Result<Self, RunDirError> {
        let path = runs.join(campaign_id).join(run_id.as_str());
        let io = |source| RunDirError::Io { action: "create", path: path.clone(), source };
        fs::create_dir_all(&path)
            .and_then(|()| sync_folder(&runs.join(campaign_id)))
            .and_then(|()| sync_folder(runs))
            .map_err(io)?;
        Ok(Self { path })
    }

    /// The run directory at `path`, whatever it holds.
    pub fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// The directory itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the run is made of, and where it stands.
    pub fn manifest(&self) -> PathBuf {
        self.path.join("manifest.json")
    }

    /// The accepted rows.
    pub fn plan(&self) -> PathBuf {
        self.path.join("plan.arrow")
    }

    /// The other rows.
    pub fn screened(&self) -> PathBuf {
        self.path.join("screened.arrow")
    }

    /// The files of the plan.
    pub fn plan_files(&self) -> PlanFiles {
        PlanFiles { plan: self.plan(), screened: self.screened() }
    }

    /// Intents and outcomes.
    pub fn journal(&self) -> PathBuf {
        self.path.join("journal.db")
    }

    /// The directory of the result files.
    pub fn results(&self) -> PathBuf {
        self.path.join("results")
    }

    /// `<campaign id>/<run id>`.
    pub fn name(&self) -> String {
        format!("{}/{}", self.part(1), self.part(0))
    }

    /// The name of the directory, or of the one above it.
    fn part(&self, up: usize) -> &str {
        self.path.iter().rev().nth(up).and_then(|name| name.to_str()).unwrap_or_default()
    }

    /// Takes the right to work on the run, or says at once who has it.
    pub fn lock(&self) -> Result<RunLock, RunDirError> {
        let path = self.path.join("lock");
        let io = |source| RunDirError::Io { action: "lock", path: path.clone(), source };
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let holder = fs::read_to_string(&path).ok().and_then(|text| text.trim().parse().ok());
                return Err(RunDirError::Locked { path: self.path.clone(), holder });
            }
            Err(TryLockError::Error(source)) => return Err(io(source)),
        }
        // Who holds it is for people only: a full disk does not keep the lock from being one.
        let _ = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
        Ok(RunLock { _file: file })
    }

    /// Whether a process works on the run. Writes nothing, so that a run on a disk that is read-only can be looked at.
    pub fn is_running(&self) -> Result<bool, RunDirError> {
        let path = self.path.join("lock");
        let io = |source| RunDirError::Io { action: "look at", path: path.clone(), source };
        match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(io(error)),
            Ok(file) => match file.try_lock_shared() {
                Ok(()) => Ok(false),
                Err(TryLockError::WouldBlock) => Ok(true),
                Err(TryLockError::Error(source)) => Err(io(source)),
            },
        }
    }

    /// All runs, by campaign and run id.
    pub fn list(runs: &Path) -> Result<Vec<Self>, RunDirError> {
        let mut found: Vec<Self> = folders(runs)?
            .iter()
            .map(|campaign| folders(campaign))
            .collect::<Result<Vec<_>, _>>()?
            .into_iter()
            .flatten()
            .map(|path| Self { path })
            .collect();
        found.sort();
        Ok(found)
    }

    /// The run that a user means: a run id or the first letters of one (with `<campaign id>/` before it or not), a
    /// campaign id for its latest run, or the path of a run directory.
    pub fn resolve(runs: &Path, text: &str) -> Result<Self, RunDirError> {
        let path = Path::new(text);
        if path.join("manifest.json").is_file() {
            let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
            return Ok(Self { path });
        }
        let text = text.trim_end_matches('/');
        let all = Self::list(runs)?;
        let fits = |test: &dyn Fn(&Self) -> bool| all.iter().filter(|run| test(run)).collect::<Vec<_>>();
        let exact = fits(&|run| run.part(0) == text || run.name() == text);
        let of_campaign = fits(&|run| run.part(1) == text);
        let begins = fits(&|run| {
            !text.is_empty()
                && (run.part(0).starts_with(text) || (text.contains('/') && run.name().starts_with(text)))
        });
        let found = match (exact.as_slice(), of_campaign.as_slice(), begins.as_slice()) {
            ([], [], found) => found,
            ([], of_campaign, _) => {
                let latest = of_campaign.iter().max_by_key(|run| run.created());
                return Ok(Self::clone(latest.expect("the list is not empty here")));
            }
            (found, _, _) => found,
        };
        match found {
            [] => Err(RunDirError::NotFound { text: text.to_owned(), runs: runs.to_owned() }),
            [one] => Ok(Self::clone(one)),
            several => Err(RunDirError::Ambiguous {
                text: text.to_owned(),
                candidates: several.iter().map(|run| run.name()).collect(),
            }),
        }
    }

    /// When the run was made: as its manifest says, or else its directory.
    fn created(&self) -> Timestamp {
        if let Ok(manifest) = Manifest::read(&self.manifest()) {
            return manifest.created;
        }
        let modified = fs::metadata(&self.path).and_then(|data| data.modified()).unwrap_or(UNIX_EPOCH);
        Timestamp(0) + modified.duration_since(UNIX_EPOCH).unwrap_or_default()
    }
}

/// The directories in one; none when that is not there.
fn folders(path: &Path) -> Result<Vec<PathBuf>, RunDirError> {
    let io = |source| RunDirError::Io { action: "list", path: path.to_owned(), source };
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(io(error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(io)?.path();
        if path.is_dir() {
            found.push(path);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::super::manifest::tests::manifest;
    use super::*;

    fn run(runs: &Path, campaign: &str, id: &str) -> RunDir {
        RunDir::create(runs, campaign, &id.parse().unwrap()).unwrap()
    }

    #[test]
    fn one_process_at_a_time() {
        let runs = tempfile::tempdir().unwrap();
        let run = run(runs.path(), "spring", "abc");
        assert!(!run.is_running().unwrap(), "there is no lock file yet");
        let lock = run.lock().unwrap();
        let error = run.lock().unwrap_err();
        let RunDirError::Locked { holder, .. } = &error else { panic!("{error}") };
        assert_eq!(*holder, Some(std::process::id()));
        assert!(
            error.to_string().contains(&format!("another process ({}) is working on", std::process::id()))
        );
        assert!(run.is_running().unwrap());
        drop(lock);
        assert!(!run.is_running().unwrap());
        run.lock().unwrap();
    }

    /// A lock file that a killed process has left is no lock.
    #[test]
    fn a_left_over_lock_file_locks_nobody_out() {
        let runs = tempfile::tempdir().unwrap();
        let run = run(runs.path(), "spring", "abc");
        fs::write(run.path().join("lock"), "4294967295\n").unwrap();
        run.lock().unwrap();
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_named() {
        let runs = tempfile::tempdir().unwrap();
        let file = runs.path().join("file");
        fs::write(&file, "").unwrap();
        let error = RunDir::create(&file, "spring", &"abc".parse().unwrap()).unwrap_err();
        assert!(error.to_string().contains("file/spring/abc"), "{error}");
    }

    #[test]
    fn runs_are_found_by_what_a_user_types() {
        let folder = tempfile::tempdir().unwrap();
        let runs = folder.path();
        for (campaign, id) in [("spring", "abc1"), ("spring", "abd2"), ("autumn", "xyz"), ("winter", "xyz")] {
            run(runs, campaign, id);
        }
        let found = |text: &str| RunDir::resolve(runs, text).unwrap().name();
        assert_eq!(found("abc1"), "spring/abc1");
        assert_eq!(found("abd"), "spring/abd2");
        assert_eq!(found("autumn/xyz"), "autumn/xyz");
        assert_eq!(found("winter/x"), "winter/xyz");
        assert_eq!(found("autumn"), "autumn/xyz");
        for (text, fits) in [("ab", 2), ("xyz", 2)] {
            let error = RunDir::resolve(runs, text).unwrap_err();
            let RunDirError::Ambiguous { candidates, .. } = &error else { panic!("{error}") };
            assert_eq!(candidates.len(), fits, "{error}");
        }
        for text in ["nothing", "", "spr"] {
            let error = RunDir::resolve(runs, text).unwrap_err();
            assert!(matches!(error, RunDirError::NotFound { .. }), "{text}: {error}");
        }
        assert_eq!(RunDir::list(runs).unwrap().len(), 4);
        assert_eq!(RunDir::list(&runs.join("none")).unwrap(), []);
    }

    #[test]
    fn a_campaign_stands_for_its_latest_run_and_a_path_for_itself() {
        let folder = tempfile::tempdir().unwrap();
        for (id, created) in [("aaa", 300), ("bbb", 900), ("ccc", 600)] {
            let run = run(folder.path(), "spring", id);
            manifest(Timestamp(created)).write(&run.manifest()).unwrap();
        }
        assert_eq!(RunDir::resolve(folder.path(), "spring").unwrap().name(), "spring/bbb");
        let path = folder.path().join("spring/ccc");
        let elsewhere = Path::new("/nonexistent");
        assert_eq!(RunDir::resolve(elsewhere, path.to_str().unwrap()).unwrap().name(), "spring/ccc");
    }
}
