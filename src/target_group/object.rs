//! A list from an object store, fetched before it is read.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// A list from an object store, in a file without a name that ends with this.
#[derive(Debug)]
pub struct FetchedObject {
    /// What the campaign names: its URL, or a pattern.
    pub named: String,
    /// Its URL.
    pub url: String,
    /// Which version of it this is.
    pub version: ObjectVersion,
    file: File,
}

/// What the store says of an object: it changes with its content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectVersion {
    /// Its entity tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// Its version, in a bucket that keeps several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// When it was written, as ISO 8601 has it.
    pub modified: String,
}

impl FetchedObject {
    /// The object at `url`, whose bytes are in `file`.
    pub fn new(named: &str, url: &str, file: File, version: ObjectVersion) -> Self {
        Self { named: named.to_owned(), url: url.to_owned(), version, file }
    }

    /// Where its bytes can be opened, as long as this lives.
    pub(super) fn path(&self) -> PathBuf {
        format!("/proc/self/fd/{}", self.file.as_raw_fd()).into()
    }
}
