//! Runs in a folder: a directory each, and a locked file as the lease.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Seek, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use rustix::fs::{CWD, OFlags, RenameFlags, renameat_with};
use rustix::io::Errno;

use crate::kit::file::{PRIVATE, create_private_folders, replace, sync_folder};
use crate::mail::Timestamp;
use crate::plan::PlanError;
use crate::run_dir::{Apart, Lease, Manifest, RefusedStart, RunDir, RunDirError, RunId, RunStore};

/// How the names of files with refused starts begin and end.
const REFUSED: &str = "refused-";
const JSON: &str = ".json";
/// The folder, beside those of the campaigns, in which runs are removed or written again: as deep
/// as there, so that no pattern for results finds them.
const PURGED: &str = ".purged";

/// The runs in a folder, as `<campaign id>/<run id>/`.
#[derive(Debug, Clone)]
pub(super) struct FileRuns {
    folder: PathBuf,
}

impl FileRuns {
    /// The runs in `folder`, which need not exist.
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }
}

impl RunStore for FileRuns {
    fn folder(&self) -> &Path {
        &self.folder
    }

    fn list(&self) -> Result<Vec<RunDir>, RunDirError> {
        let mut found = Vec::new();
        for campaign in folders(&self.folder)? {
            if campaign.ends_with(PURGED) {
                continue;
            }
            // Folders beside those of the campaigns hold folders of campaigns themselves. A
            // campaign may have such a name too; the content of the folder shows which it is.
            let name = campaign.file_name();
            let is_aside = name.is_some_and(|name| Apart::ALL.iter().any(|apart| name == apart.folder()));
            let runs = folders(&campaign)?.into_iter().map(RunDir::at);
            found.extend(runs.filter(|run| !is_aside || run.manifest().exists() || lock_file(run).exists()));
        }
        found.sort();
        Ok(found)
    }

    fn create(&self, campaign_id: &str, run_id: &RunId) -> Result<RunDir, RunDirError> {
        let campaign = self.folder.join(campaign_id);
        let path = campaign.join(run_id.as_str());
        create_private_folders(&path)
            .and_then(|()| sync_folder(&campaign))
            .and_then(|()| sync_folder(&self.folder))
            .map_err(|source| RunDirError::Io { action: "create", path: path.clone(), source })?;
        Ok(RunDir::at(path))
    }

    fn manifest(&self, run: &RunDir) -> Result<Option<Manifest>, RunDirError> {
        Ok(Manifest::read_if_there(&run.manifest())?)
    }

    fn created(&self, run: &RunDir) -> Timestamp {
        if let Ok(manifest) = Manifest::read(&run.manifest()) {
            return manifest.created;
        }
        let modified = fs::metadata(run.path()).and_then(|data| data.modified()).unwrap_or(UNIX_EPOCH);
        Timestamp(0) + modified.duration_since(UNIX_EPOCH).unwrap_or_default()
    }

    fn lease(&self, run: &RunDir) -> Result<Box<dyn Lease>, RunDirError> {
        Ok(Box::new(FileLease::take(run)?))
    }

    fn is_leased(&self, run: &RunDir) -> Result<bool, RunDirError> {
        let path = lock_file(run);
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

    fn refused_starts(&self) -> Result<Vec<RefusedStart>, RunDirError> {
        refusal_files(&self.folder)?.iter().map(|path| read_refusal(path)).collect()
    }

    fn keep_refused_start(&self, refused: &RefusedStart) -> Result<(), RunDirError> {
        let hash = blake3::hash(refused.campaign_file.as_os_str().as_bytes()).to_hex();
        let path = self.folder.join(format!("{REFUSED}{}{JSON}", &hash[..16]));
        let mut text = serde_json::to_vec_pretty(refused).expect("paths of campaigns are texts");
        text.push(b'\n');
        create_private_folders(&self.folder)
            .and_then(|()| replace(&path, &text, PRIVATE))
            .map_err(|source| RunDirError::Io { action: "write", path: path.clone(), source })
    }

    fn forget_refused_starts(&self, file: &Path, id: &str) -> Result<(), RunDirError> {
        let is_of = |path: &PathBuf| read_refusal(path).is_ok_and(|refused| refused.is_of(file, Some(id)));
        refusal_files(&self.folder)?.into_iter().filter(is_of).try_for_each(remove)
    }

    fn sweep(&self) -> Result<(), RunDirError> {
        remove_folder(&self.folder.join(PURGED))
    }
}

/// The files that each keep a refused start.
fn refusal_files(folder: &Path) -> Result<Vec<PathBuf>, RunDirError> {
    let is_one = |path: &PathBuf| {
        let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
        name.starts_with(REFUSED) && name.ends_with(JSON)
    };
    let mut found: Vec<PathBuf> = entries(folder)?.into_iter().filter(is_one).collect();
    found.sort();
    Ok(found)
}

fn read_refusal(path: &Path) -> Result<RefusedStart, RunDirError> {
    let io = |source| RunDirError::Io { action: "read", path: path.to_owned(), source };
    let text = fs::read(path).map_err(io)?;
    Ok(serde_json::from_slice(&text).map_err(|error| PlanError::damaged(path, error.to_string()))?)
}

/// The directories in one; none when it does not exist.
fn folders(path: &Path) -> Result<Vec<PathBuf>, RunDirError> {
    let mut found = entries(path)?;
    found.retain(|path| path.is_dir());
    Ok(found)
}

/// What is in a directory; nothing when it does not exist.
fn entries(path: &Path) -> Result<Vec<PathBuf>, RunDirError> {
    let io = |source| RunDirError::Io { action: "list", path: path.to_owned(), source };
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(io(error)),
    };
    entries.map(|entry| Ok(entry.map_err(io)?.path())).collect()
}

/// The file `lock`: the process that has it locked works on the run. Two lines tell people its id
/// and the lease's epoch.
fn lock_file(run: &RunDir) -> PathBuf {
    run.path().join("lock")
}

/// A locked file. The system unlocks it when the process ends.
#[derive(Debug)]
struct FileLease {
    run: RunDir,
    file: File,
    epoch: u64,
}

impl FileLease {
    fn take(run: &RunDir) -> Result<Self, RunDirError> {
        let path = lock_file(run);
        let io = |source| RunDirError::Io { action: "lock", path: path.clone(), source };
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(PRIVATE);
        // The file is cut and written to: a link would have that done to its target.
        options.custom_flags(OFlags::NOFOLLOW.bits().cast_signed());
        let mut file = options.open(&path).map_err(|error| match Errno::from_io_error(&error) {
            Some(Errno::LOOP) => io(io::Error::other("it is a symbolic link, which is never followed")),
            Some(_) | None => io(error),
        })?;
        let text = || fs::read_to_string(&path).unwrap_or_default();
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let holder = text().lines().next().and_then(|pid| pid.trim().parse().ok());
                return Err(RunDirError::Locked { path: run.path().to_owned(), holder });
            }
            Err(TryLockError::Error(source)) => return Err(io(source)),
        }
        let last: u64 = text().lines().nth(1).and_then(|epoch| epoch.trim().parse().ok()).unwrap_or(0);
        let epoch = last + 1;
        // The lock itself excludes others, so a full disk does not matter here.
        let _ = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}\n{epoch}", std::process::id()));
        Ok(Self { run: run.clone(), file, epoch })
    }
}

impl Lease for FileLease {
    fn run(&self) -> &RunDir {
        &self.run
    }

    fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The lock is worth nothing once another file has its name.
    fn check(&self) -> Result<(), RunDirError> {
        let identity = |data: fs::Metadata| (data.dev(), data.ino());
        let held = self.file.metadata().map(identity);
        let named = fs::metadata(lock_file(&self.run)).map(identity);
        match (held, named) {
            (Ok(held), Ok(named)) if held == named => Ok(()),
            _ => Err(RunDirError::LeaseLost(self.run.path().to_owned())),
        }
    }

    fn keep(&self, manifest: &Manifest) -> Result<(), RunDirError> {
        self.check()?;
        Ok(manifest.write(&self.run.manifest())?)
    }

    fn discard_plan(&self) -> Result<(), RunDirError> {
        self.check()?;
        let files = self.run.plan_files();
        [files.plan, files.screened].into_iter().try_for_each(remove)
    }

    fn abandon(&self) -> Result<(), RunDirError> {
        self.discard_plan()?;
        if self.run.manifest().exists() {
            return Ok(());
        }
        remove(self.run.stdin())?;
        remove(lock_file(&self.run))?;
        // What else is in it is not this program's.
        let _ = fs::remove_dir(self.run.path());
        Ok(())
    }

    fn withdraw(&self) -> Result<(), RunDirError> {
        self.check()?;
        remove(self.run.manifest())?;
        self.abandon()
    }

    fn remove(&self) -> Result<(), RunDirError> {
        self.check()?;
        let aside = aside(&self.run)?;
        fs::rename(self.run.path(), aside.path())
            .and_then(|()| sync_both(self.run.path(), aside.path()))
            .map_err(|source| RunDirError::Io {
                action: "remove",
                path: self.run.path().to_owned(),
                source,
            })?;
        // The folder of a campaign without runs is removed too; one that holds anything stays.
        let _ = self.run.path().parent().map(fs::remove_dir);
        clear(&aside)
    }

    fn begin_version(&self) -> Result<RunDir, RunDirError> {
        self.check()?;
        let version = aside(&self.run)?;
        let path = version.path().to_owned();
        let io = |source| RunDirError::Io { action: "create", path: path.clone(), source };
        create_private_folders(&path).map_err(io)?;
        // The lock is that of the file, whatever its name: the lease holds for both directories.
        fs::hard_link(lock_file(&self.run), lock_file(&version)).map_err(io)?;
        Ok(version)
    }

    fn replace(&self, version: &RunDir, manifest: &Manifest) -> Result<(), RunDirError> {
        self.check()?;
        manifest.write(&version.manifest())?;
        let (old, new) = (self.run.path(), version.path());
        let exchange = || {
            fs::set_permissions(new, fs::metadata(old)?.permissions())?;
            sync_tree(new)?;
            renameat_with(CWD, new, CWD, old, RenameFlags::EXCHANGE)?;
            sync_both(old, new)
        };
        exchange().map_err(|source| RunDirError::Io { action: "replace", path: old.to_owned(), source })?;
        clear(version)
    }
}

/// Where a run is removed or written again: on the same file system, beside the campaigns. Nothing
/// is there yet.
fn aside(run: &RunDir) -> Result<RunDir, RunDirError> {
    let runs = run.path().ancestors().nth(2).unwrap_or(Path::new("."));
    let campaign = runs.join(PURGED).join(run.campaign_id());
    let aside = RunDir::at(campaign.join(run.run_id()));
    remove_folder(aside.path())?;
    create_private_folders(&campaign).map_err(|source| RunDirError::Io {
        action: "create",
        path: campaign.clone(),
        source,
    })?;
    Ok(aside)
}

/// Removes what [`aside`] made, and the folders above that are empty then.
fn clear(aside: &RunDir) -> Result<(), RunDirError> {
    remove_folder(aside.path())?;
    for folder in aside.path().ancestors().skip(1).take(2) {
        let _ = fs::remove_dir(folder);
    }
    Ok(())
}

fn remove_folder(path: &Path) -> Result<(), RunDirError> {
    match fs::remove_dir_all(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(RunDirError::Io { action: "remove", path: path.to_owned(), source })
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Syncs the folders that these two are in.
fn sync_both(one: &Path, other: &Path) -> io::Result<()> {
    [one, other].into_iter().filter_map(Path::parent).try_for_each(sync_folder)
}

/// Syncs all files and folders in `folder`, and itself.
fn sync_tree(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            sync_tree(&entry.path())?;
        } else if kind.is_file() {
            File::open(entry.path())?.sync_all()?;
        }
    }
    sync_folder(folder)
}

fn remove(path: PathBuf) -> Result<(), RunDirError> {
    match fs::remove_file(&path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(RunDirError::Io { action: "remove", path, source })
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run_dir::testing::manifest;

    fn runs() -> (tempfile::TempDir, FileRuns, RunDir) {
        let folder = tempfile::tempdir().unwrap();
        let runs = FileRuns::new(folder.path().to_owned());
        let run = runs.create("spring", &"abc".parse().unwrap()).unwrap();
        (folder, runs, run)
    }

    #[test]
    fn who_holds_a_run_is_named() {
        let (_folder, runs, run) = runs();
        assert!(!runs.is_leased(&run).unwrap(), "there is no lock file yet");
        let lease = runs.lease(&run).unwrap();
        let error = runs.lease(&run).unwrap_err();
        let RunDirError::Locked { holder, .. } = &error else { panic!("{error}") };
        assert_eq!(*holder, Some(std::process::id()));
        let text = format!("another process ({}) is working on", std::process::id());
        assert!(error.to_string().contains(&text), "{error}");
        drop(lease);
    }

    /// A lock file that a killed process left, or one of version 0.1.0, is no lock.
    #[test]
    fn a_left_over_lock_file_locks_nobody_out() {
        let (_folder, runs, run) = runs();
        for (text, epoch) in [("4294967295\n", 1), ("4294967295\n41\n", 42), ("nonsense", 1)] {
            fs::write(lock_file(&run), text).unwrap();
            assert_eq!(runs.lease(&run).unwrap().epoch(), epoch, "{text}");
        }
    }

    #[test]
    fn a_lock_file_that_was_replaced_ends_the_lease() {
        let (_folder, runs, run) = runs();
        let lease = runs.lease(&run).unwrap();
        lease.keep(&manifest(Timestamp(1))).unwrap();
        fs::remove_file(lock_file(&run)).unwrap();
        fs::write(lock_file(&run), "").unwrap();
        assert!(matches!(lease.keep(&manifest(Timestamp(2))), Err(RunDirError::LeaseLost(_))));
        assert_eq!(runs.created(&run), Timestamp(1));
    }

    #[test]
    fn a_lock_file_that_is_a_link_is_refused_and_its_target_kept() {
        let (folder, runs, run) = runs();
        let target = folder.path().join("target");
        fs::write(&target, "precious").unwrap();
        std::os::unix::fs::symlink(&target, lock_file(&run)).unwrap();
        let error = runs.lease(&run).unwrap_err();
        let RunDirError::Io { source, .. } = &error else { panic!("{error}") };
        assert!(source.to_string().contains("symbolic link"), "{source}");
        assert_eq!(fs::read_to_string(&target).unwrap(), "precious");
    }

    #[test]
    fn a_directory_that_cannot_be_created_is_named() {
        let (folder, ..) = runs();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        let error = FileRuns::new(file).create("spring", &"abc".parse().unwrap()).unwrap_err();
        assert!(error.to_string().contains("file/spring/abc"), "{error}");
    }
}
