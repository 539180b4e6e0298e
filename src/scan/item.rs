//! One decoded part of a message.

use blake3::Hash;
use bytes::Bytes;

use crate::campaign::Scanned;

/// A part of a message as its reader gets it, decoded.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    /// What it is called in results: `the text`, or the name of a file.
    pub name: String,
    /// Which kind of part it is.
    pub kind: Scanned,
    /// Its bytes.
    pub content: Bytes,
    /// Their hash.
    pub(super) hash: Hash,
}

impl Item {
    /// A part called `name`.
    pub(crate) fn new(name: impl Into<String>, kind: Scanned, content: impl Into<Bytes>) -> Self {
        let content = content.into();
        Self { name: name.into(), kind, hash: blake3::hash(&content), content }
    }

    /// A file called `name`.
    pub(crate) fn file(name: &str, content: impl Into<Bytes>) -> Self {
        Self::new(format!("`{name}`"), Scanned::Attachments, content)
    }
}
