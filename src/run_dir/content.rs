//! Files identified by their content.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::plan::PlanError;

/// How much is read at once.
const BUFFER_BYTES: usize = 1 << 20;
/// The role of a secret.
const SECRET: &str = "secret";

/// A file that messages are made of: a template, partial, attachment or image.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Content {
    /// Its role: `text`, `html`, `partial`, `attachment`, `inline`; with secure documents
    /// `document`, `password` (a template of the mail with it), and `secret`.
    pub role: String,
    /// Its name, without the directory.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// BLAKE3, in hexadecimal digits.
    pub hash: String,
}

impl Content {
    /// The secret of documents' passwords, by what tells it apart.
    pub(crate) fn of_secret(mark: String) -> Self {
        Self { role: SECRET.to_owned(), name: "secure-documents".to_owned(), bytes: 0, hash: mark }
    }

    /// Whether it is that of a secret.
    pub(crate) fn is_secret(&self) -> bool {
        self.role == SECRET
    }

    /// Reads and hashes the file at `path`.
    pub fn of(role: &str, path: &Path) -> Result<Self, PlanError> {
        let (bytes, hash) = hash_file(path)?;
        let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        Ok(Self { role: role.to_owned(), name, bytes, hash })
    }
}

/// The size of the file at `path` and its BLAKE3 hash in hexadecimal digits.
pub fn hash_file(path: &Path) -> Result<(u64, String), PlanError> {
    let mut file = File::open(path).map_err(PlanError::io("open", path))?;
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut bytes = 0;
    loop {
        match file.read(&mut buffer).map_err(PlanError::io("read", path))? {
            0 => return Ok((bytes, hasher.finalize().to_hex().to_string())),
            read => {
                hasher.update(&buffer[..read]);
                bytes += read as u64;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_its_contents_and_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("terms.pdf");
        std::fs::write(&path, "abc").unwrap();
        let content = Content::of("attachment", &path).unwrap();
        assert_eq!((content.name.as_str(), content.bytes), ("terms.pdf", 3));
        // The BLAKE3 hash of "abc", from the reference implementation.
        assert_eq!(content.hash, "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85");
        let error = hash_file(&folder.path().join("missing")).unwrap_err();
        assert!(error.to_string().contains("missing"), "{error}");
    }
}
