//! What the tests of this module share.

use tempfile::TempDir;

use super::dns::Resolver;

/// A resolver that knows what stands in `zone`, and the folder that it lies in.
pub fn zone(zone: &str) -> (TempDir, Resolver) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("zone");
    std::fs::write(&file, zone).unwrap();
    let resolver = Resolver::zone(&file).unwrap();
    (folder, resolver)
}
