//! Helpers that the tests of this module share.

use tempfile::TempDir;

use super::dns::Resolver;

/// A resolver for the text of a zone file, and the folder with that file.
pub(super) fn zone(zone: &str) -> (TempDir, Resolver) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("zone");
    std::fs::write(&file, zone).unwrap();
    let resolver = Resolver::zone(&file).unwrap();
    (folder, resolver)
}
