//! Who tells the password of documents: the run that sent them, or one retry of it.

use std::collections::{HashMap, HashSet};

use crate::run_dir::{Manifest, RunDirError, RunStore};

/// Documents: the run that sent them, and their row there.
pub(super) type Documents = (String, u32);

/// The documents of each row of a run.
pub(super) struct DocumentsOf<'a> {
    manifest: &'a Manifest,
    elsewhere: HashMap<u32, Documents>,
}

impl<'a> DocumentsOf<'a> {
    pub(super) fn of(manifest: &'a Manifest) -> Self {
        Self { manifest, elsewhere: manifest.documents_elsewhere() }
    }

    /// Whether another run sent the documents of this row.
    pub(super) fn is_elsewhere(&self, row: u32) -> bool {
        self.elsewhere.contains_key(&row)
    }

    /// The documents of a row, which have the password of the first run that sent them.
    pub(super) fn row(&self, row: u32) -> Documents {
        let resends = || {
            let retry = self.manifest.options.retry.as_ref()?;
            Some((retry.run_id.to_string(), retry.row? + row))
        };
        let elsewhere = self.elsewhere.get(&row).cloned();
        elsewhere.or_else(resends).unwrap_or_else(|| (self.manifest.run_id.to_string(), row))
    }
}

/// The documents of a run whose passwords retries of it tell. Whoever calls it holds the run, so
/// that none comes to be meanwhile.
pub(super) fn told_by_retries(
    runs: &dyn RunStore,
    manifest: &Manifest,
) -> Result<HashSet<Documents>, RunDirError> {
    let mut told = HashSet::new();
    if manifest.campaign.secure_documents.is_none() {
        return Ok(told);
    }
    for dir in runs.list()?.into_iter().filter(|dir| dir.campaign_id() == manifest.campaign_id) {
        // A run that can't be read has no plan to send from.
        let Ok(Some(other)) = runs.manifest(&dir) else { continue };
        let retry = other.options.retry.as_ref();
        if retry.is_some_and(|retry| retry.run_id == manifest.run_id && retry.row.is_none()) {
            told.extend(other.passwords.into_iter().map(|of| (of.run_id, of.number)));
        }
    }
    Ok(told)
}
