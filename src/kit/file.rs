//! Files that appear whole: a reader sees the old content, the new content or no file, never part
//! of one.
//!
//! Content is written under a temporary name in the same folder, synced, and renamed; then the
//! folder is synced, so that the new name survives a power failure (POSIX `rename` is atomic, and
//! durable only once the directory is). [`replace`] does all of it for content in memory, [`Draft`]
//! for content that is written piece by piece.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tempfile::{Builder, TempPath};

/// The mode of an ordinary new file; the process's umask takes bits away.
pub const ORDINARY: u32 = 0o666;
/// The mode of a file that only its owner can read.
pub const PRIVATE: u32 = 0o600;

/// The mode of a folder that only its owner can enter.
const PRIVATE_FOLDER: u32 = 0o700;

/// The suffix of a file that is not complete yet.
pub const UNFINISHED: &str = ".new";

/// Replaces the file at `path`, or creates it. Other processes may do the same at the same time:
/// one of them wins.
///
/// # Errors
/// Those of the file system. The old file is then unchanged, unless only the final sync of the
/// folder failed.
pub fn replace(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let mut draft = Draft::unique(path, mode)?;
    draft.write_all(content)?;
    draft.publish()
}

/// Creates the file at `path`, and never replaces one.
///
/// # Errors
/// [`io::ErrorKind::AlreadyExists`] when there is a file already, otherwise those of the file
/// system.
pub fn create_new(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let mut draft = Draft::unique(path, mode)?;
    draft.write_all(content)?;
    draft.publish_new()
}

/// A file under a temporary name next to its own. Removed if it is dropped before it is published.
#[derive(Debug)]
pub struct Draft {
    file: File,
    finished: Synced,
}

/// A synced file that still has its temporary name. Removed if it is dropped before it is
/// published.
#[derive(Debug)]
pub struct Synced {
    temporary: TempPath,
    target: PathBuf,
}

impl Draft {
    /// Starts `target` as `<target>.new`, [`PRIVATE`]. The caller makes sure that no other process
    /// does so at the same time, for example with a lock; what a killed process left there is
    /// removed.
    pub fn create(target: &Path) -> io::Result<Self> {
        let temporary = temporary_name(target);
        match fs::remove_file(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let file = OpenOptions::new().write(true).create_new(true).mode(PRIVATE).open(&temporary)?;
        let temporary = TempPath::try_from_path(temporary)?;
        Ok(Self { file, finished: Synced { temporary, target: target.to_owned() } })
    }

    /// Starts `target` under a unique name. The new file gets `mode`, less the umask.
    pub fn unique(target: &Path, mode: u32) -> io::Result<Self> {
        let mut prefix = target.file_name().unwrap_or_default().to_owned();
        prefix.push(".");
        let mut options = Builder::new();
        options.prefix(&prefix).suffix(UNFINISHED).permissions(Permissions::from_mode(mode));
        let begun = options.tempfile_in(folder_of(target)).map_err(without_temporary_name);
        let (file, temporary) = begun?.into_parts();
        Ok(Self { file, finished: Synced { temporary, target: target.to_owned() } })
    }

    /// Gives the file this mode, whatever the umask.
    pub fn share(&self, mode: u32) -> io::Result<()> {
        self.file.set_permissions(Permissions::from_mode(mode))
    }

    /// The name that the file will have.
    pub fn target(&self) -> &Path {
        &self.finished.target
    }

    /// The file's present name, for libraries that write to paths, such as SQLite.
    pub fn temporary(&self) -> &Path {
        &self.finished.temporary
    }

    /// Another handle of the same open file, for libraries that own what they write to.
    pub fn handle(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    /// The bytes written so far.
    pub fn bytes(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// Syncs the content and closes the file.
    pub fn sync(self) -> io::Result<Synced> {
        self.file.sync_all()?;
        Ok(self.finished)
    }

    /// Syncs the file, renames it to its own name (replacing an existing file), and syncs the
    /// folder.
    pub fn publish(self) -> io::Result<()> {
        publish_all([self.sync()?])
    }

    /// The same, but never replaces an existing file.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`], or those of the file system.
    pub fn publish_new(self) -> io::Result<()> {
        let Synced { temporary, target } = self.sync()?;
        temporary.persist_noclobber(&target).map_err(|failed| failed.error)?;
        sync_folder(folder_of(&target))
    }

    /// Renames the file without any sync, for content that need not survive a power failure.
    pub fn publish_unsynced(self) -> io::Result<()> {
        self.finished.rename()
    }
}

impl Synced {
    fn rename(self) -> io::Result<()> {
        Ok(self.temporary.persist(&self.target)?)
    }
}

/// Renames files of one folder to their own names in this order, and syncs the folder once. After
/// an error, files already renamed stay and the rest are removed.
pub fn publish_all(files: impl IntoIterator<Item = Synced>) -> io::Result<()> {
    let mut last = None;
    for file in files {
        last = Some(file.target.clone());
        file.rename()?;
    }
    last.map_or(Ok(()), |target| sync_folder(folder_of(&target)))
}

/// Creates a folder and those above it that do not exist, for their owner alone. Folders that exist
/// keep their mode.
///
/// # Errors
/// Those of the file system.
pub fn create_private_folders(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(PRIVATE_FOLDER).create(folder)
}

/// Lets those enter and list a folder who can read files of `mode`, besides those who can already.
///
/// # Errors
/// Those of the file system.
pub fn share_folder(folder: &Path, mode: u32) -> io::Result<()> {
    let before = fs::metadata(folder)?.permissions().mode() & 0o7777;
    let readers = mode & 0o444;
    let after = before | readers | readers >> 2;
    if after == before { Ok(()) } else { fs::set_permissions(folder, Permissions::from_mode(after)) }
}

/// `<target>.new`
fn temporary_name(target: &Path) -> PathBuf {
    let mut name = target.as_os_str().to_owned();
    name.push(UNFINISHED);
    PathBuf::from(name)
}

/// Syncs a folder: only then do names created or removed in it survive a power failure.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// The same error without the temporary name that `tempfile` adds: people know the file's own.
fn without_temporary_name(error: io::Error) -> io::Error {
    let text = error.to_string();
    match text.split_once(" at path ") {
        Some((why, _)) => io::Error::new(error.kind(), why.to_owned()),
        None => error,
    }
}

/// The folder that holds `path`.
fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

impl Write for Draft {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::fs;

    use super::*;

    /// A disk with room for `room` bytes.
    pub(crate) struct SmallDisk<W> {
        pub(crate) inner: W,
        pub(crate) room: usize,
    }

    impl<W: Write> Write for SmallDisk<W> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.room == 0 {
                return Err(io::Error::from_raw_os_error(28)); // ENOSPC
            }
            let written = self.inner.write(&bytes[..bytes.len().min(self.room)])?;
            self.room -= written;
            Ok(written)
        }

        fn flush(&mut self) -> io::Result<()> {
            self.inner.flush()
        }
    }

    /// The names in a folder, sorted.
    pub(crate) fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_file_is_whole_or_absent() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("manifest.json");
        for begin in [Draft::create, |path: &Path| Draft::unique(path, ORDINARY)] {
            let mut draft = begin(&path).unwrap();
            draft.write_all(b"half").unwrap();
            assert!(!path.exists());
            assert_eq!(draft.bytes().unwrap(), 4);
            drop(draft);
            assert!(names(folder.path()).is_empty());
        }
        for text in ["one", "two"] {
            let mut draft = Draft::create(&path).unwrap();
            draft.write_all(text.as_bytes()).unwrap();
            draft.publish().unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        replace(&path, b"three", ORDINARY).unwrap();
        let mut draft = Draft::create(&path).unwrap();
        draft.write_all(b"four").unwrap();
        draft.publish_unsynced().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "four");
        assert_eq!(names(folder.path()), ["manifest.json"]);
    }

    #[test]
    fn what_a_killed_process_left_is_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plan.arrow");
        fs::write(temporary_name(&path), "a longer rest").unwrap();
        let mut draft = Draft::create(&path).unwrap();
        draft.write_all(b"new").unwrap();
        draft.publish().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(names(folder.path()), ["plan.arrow"]);
    }

    #[test]
    fn a_new_file_replaces_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token.key");
        create_new(&path, b"secret", PRIVATE).unwrap();
        assert_eq!(mode(&path), PRIVATE);
        let error = create_new(&path, b"another", PRIVATE).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"secret");
        assert_eq!(names(folder.path()), ["token.key"]);
    }

    #[test]
    fn files_of_one_folder_are_published_together() {
        let folder = tempfile::tempdir().unwrap();
        let paths = ["b", "a"].map(|name| folder.path().join(name));
        let drafts = paths.each_ref().map(|path| Draft::create(path).unwrap().sync().unwrap());
        publish_all(drafts).unwrap();
        assert_eq!(names(folder.path()), ["a", "b"]);
    }

    #[test]
    fn a_file_that_something_else_wrote_is_published() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.db");
        let draft = Draft::create(&path).unwrap();
        fs::write(&draft.finished.temporary, "pages").unwrap();
        draft.publish().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "pages");
        assert_eq!(names(folder.path()), ["journal.db"]);
    }
}
