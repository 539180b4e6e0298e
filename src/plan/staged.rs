//! A file that comes into being whole or not at all.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A file under a temporary name beside its own. Dropped without [`Self::commit`], it is gone.
#[derive(Debug)]
pub(super) struct Staged {
    file: File,
    target: PathBuf,
    unfinished: PathBuf,
    committed: bool,
}

impl Staged {
    /// Begins `target`. The caller sees to it that nobody else does at the same time (the run directory's lock); what
    /// a killed process has left under the temporary name is written over.
    pub fn create(target: &Path) -> io::Result<Self> {
        let mut unfinished = target.as_os_str().to_owned();
        unfinished.push(".new");
        let unfinished = PathBuf::from(unfinished);
        let file = File::create(&unfinished)?;
        Ok(Self { file, target: target.to_owned(), unfinished, committed: false })
    }

    /// The name that the file gets.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Syncs the file, gives it its name (in place of what had it), and syncs the directory.
    pub fn commit(self) -> io::Result<()> {
        Self::commit_all([self])
    }

    /// The same for files of one directory, which get their names in this order.
    pub fn commit_all<const N: usize>(files: [Self; N]) -> io::Result<()> {
        let target = files.last().map(|file| file.target.clone());
        for staged in &files {
            staged.file.sync_all()?;
        }
        files.into_iter().try_for_each(Self::rename)?;
        target.map_or(Ok(()), |target| sync_folder(&target))
    }

    /// Gives the file its name and syncs nothing: for one that need not outlast a loss of power.
    pub fn rename(mut self) -> io::Result<()> {
        fs::rename(&self.unfinished, &self.target)?;
        self.committed = true;
        Ok(())
    }
}

/// A new name in a directory survives a loss of power once the directory is synced.
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

impl Write for Staged {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if !self.committed {
            // Nothing depends on it: the name is written over the next time.
            let _ = fs::remove_file(&self.unfinished);
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A disk with room for so many bytes.
    pub struct SmallDisk<W> {
        pub inner: W,
        pub room: usize,
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

    pub fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_whole_or_absent() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("manifest.json");
        let mut staged = Staged::create(&path).unwrap();
        staged.write_all(b"half").unwrap();
        assert!(!path.exists());
        drop(staged);
        assert!(names(folder.path()).is_empty());

        for text in ["one", "two"] {
            let mut staged = Staged::create(&path).unwrap();
            staged.write_all(text.as_bytes()).unwrap();
            staged.commit().unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        assert_eq!(names(folder.path()), ["manifest.json"]);
    }
}
