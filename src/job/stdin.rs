//! A list that comes from stdin: kept in a file, since a list is read more than once.

use std::fs::{self, File};
use std::io::{self, IsTerminal};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::error::SetupError;
use crate::campaign::{STDIN, TargetGroupSource};
use crate::run_dir::RunDir;

/// What came from stdin, in a file that only its owner reads and that is deleted with this.
pub(super) struct Spool(NamedTempFile);

impl Spool {
    /// Reads stdin to its end if it is one of the lists.
    pub(super) fn of(list: &mut TargetGroupSource) -> Result<Option<Self>, SetupError> {
        if !list.files.iter().any(|file| file == STDIN) {
            return Ok(None);
        }
        let stdin = io::stdin().lock();
        if stdin.is_terminal() {
            return Err(SetupError::StdinIsTerminal);
        }
        let mut spool = NamedTempFile::with_prefix("mailrun-").map_err(SetupError::Stdin)?;
        io::copy(&mut { stdin }, spool.as_file_mut()).map_err(SetupError::Stdin)?;
        list.stdin = Some(spool.path().to_owned());
        Ok(Some(Self(spool)))
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Copies it into the directory of a run, as `stdin`, for those who resume it.
    pub(super) fn keep(&self, run: &RunDir) -> Result<PathBuf, SetupError> {
        let path = run.stdin();
        let copy = || -> io::Result<()> {
            let mut options = fs::OpenOptions::new();
            let mut kept = options.write(true).create(true).truncate(true).mode(0o600).open(&path)?;
            io::copy(&mut File::open(self.path())?, &mut kept)?;
            kept.sync_all()
        };
        copy().map_err(SetupError::Stdin)?;
        Ok(path)
    }
}
