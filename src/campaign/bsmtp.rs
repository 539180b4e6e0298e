//! `[delivery.bsmtp]`: a folder that batch SMTP files are written to, for another program to send.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::Mistake;
use super::units::ByteSize;

/// `[delivery.bsmtp]`, for route `bsmtp`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Bsmtp {
    /// The folder for the files; it must exist.
    pub folder: PathBuf,
    /// The most messages of a file, and in flight at once: 1 to 1,000.
    #[serde(default = "default_messages")]
    pub messages: usize,
    /// A file that has reached this size gets no further message.
    #[serde(default = "default_file_size")]
    pub file_size: ByteSize,
}

fn default_messages() -> usize {
    100
}

fn default_file_size() -> ByteSize {
    ByteSize(50_000_000)
}

impl Bsmtp {
    pub(super) fn resolve_paths(&mut self, folder: &Path) {
        self.folder = folder.join(&self.folder);
    }

    pub(super) fn check(&self) -> Result<(), Mistake> {
        if !(1..=1_000).contains(&self.messages) {
            return Err(Mistake::new(
                "delivery.bsmtp.messages",
                format!("a file can't have {} messages", self.messages),
                "use 1 to 1000",
            ));
        }
        Ok(())
    }
}
