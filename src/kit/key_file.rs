//! Files with private keys.

use std::fmt;
use std::path::{Path, PathBuf};

use super::text::shell_word;

/// A key file that others can read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyWarning {
    /// What the key is for: `DKIM`.
    pub what: &'static str,
    /// The key file.
    pub path: PathBuf,
    /// Its permission bits.
    pub mode: u32,
}

impl fmt::Display for KeyWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, path) = (self.what, self.path.to_string_lossy());
        let word = shell_word(&path);
        write!(
            f,
            "the {what} key `{path}` can be read by others (mode {:04o}): `chmod 600 {word}`",
            self.mode
        )
    }
}

/// A warning when the group or anybody may read or write the file.
pub(crate) fn readable_by_others(what: &'static str, path: &Path) -> Option<KeyWarning> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(path).ok()?.permissions().mode() & 0o7777;
        (mode & 0o077 != 0).then(|| KeyWarning { what, path: path.to_owned(), mode })
    }
    #[cfg(not(unix))]
    {
        let _ = (what, path);
        None
    }
}
