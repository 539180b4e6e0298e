//! Where a ready message is in its file.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Hexadecimal digits of a message's hash that are kept.
const HASH_DIGITS: usize = 32;

/// Where a ready message is: what follows `DATA` in a file of batch SMTP, as it is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredMessage {
    file: u32,
    start: u64,
    bytes: u64,
    hash: String,
}

/// Why a ready message can't be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoredMessageError {
    /// The file is not there, or shorter.
    #[error("can't be read: {0}")]
    Io(#[from] io::Error),
    /// Other bytes than when the list was read.
    #[error("has changed since the list was read")]
    Changed,
}

impl StoredMessage {
    /// The message that has `bytes` from `start` on in file number `file`.
    pub(super) fn new(file: u32, start: u64, bytes: u64, hash: &blake3::Hash) -> Self {
        Self { file, start, bytes, hash: hash.to_hex()[..HASH_DIGITS].to_owned() }
    }

    /// What tells it apart: the start of its BLAKE3 hash.
    pub(super) fn hash(&self) -> &str {
        &self.hash
    }

    /// Reads it from the files in `folder`, with its stuffed dots.
    pub(crate) fn read(&self, folder: &Path) -> Result<Vec<u8>, StoredMessageError> {
        let mut file = File::open(stored_file(folder, self.file))?;
        file.seek(SeekFrom::Start(self.start))?;
        let mut text = Vec::new();
        file.take(self.bytes).read_to_end(&mut text)?;
        match blake3::hash(&text).to_hex()[..HASH_DIGITS] == self.hash {
            true => Ok(text),
            false => Err(StoredMessageError::Changed),
        }
    }
}

impl fmt::Display for StoredMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}:{}", self.file, self.start, self.bytes, self.hash)
    }
}

impl FromStr for StoredMessage {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.split(':');
        let mut next = || parts.next().ok_or(());
        let file = next()?.parse().map_err(|_| ())?;
        let start = next()?.parse().map_err(|_| ())?;
        let bytes = next()?.parse().map_err(|_| ())?;
        let hash = next()?.to_owned();
        Ok(Self { file, start, bytes, hash })
    }
}

/// Where file number `file` of the target group is in `folder`.
pub(super) fn stored_file(folder: &Path, file: u32) -> PathBuf {
    folder.join(format!("{file}.bsmtp"))
}
