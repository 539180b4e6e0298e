//! "Is this address suppressed by now?", asked before each message of a run that goes on.

use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::fingerprint::{FingerprintMap, Fingerprinter};
use super::list::{find, last_change};
use super::{AddressKey, Entry, SuppressionError, open_state};
use crate::mail::{Address, Timestamp};

/// What was added to the list since a plan was made, kept up to date.
///
/// [`refresh`](Self::refresh) costs SQLite's `data_version`, a comparison in shared memory: only when somebody has committed to the
/// file are the entries read that were added since. A look costs two hashes.
#[derive(Debug)]
pub struct Watch {
    db: Connection,
    path: PathBuf,
    fingerprinter: Fingerprinter,
    added: FingerprintMap,
    change: u64,
    data_version: i64,
    key: String,
}

impl Watch {
    pub(super) fn open(path: &Path, change: u64) -> Result<Self, SuppressionError> {
        let mut watch = Self {
            db: open_state(path)?,
            path: path.to_owned(),
            fingerprinter: Fingerprinter::default(),
            added: FingerprintMap::default(),
            change,
            data_version: i64::MIN,
            key: String::new(),
        };
        watch.refresh()?;
        Ok(watch)
    }

    /// The live entry of `address`, as of the last [`refresh`](Self::refresh).
    pub fn is_suppressed(
        &mut self,
        address: &Address,
        now: Timestamp,
    ) -> Result<Option<Entry>, SuppressionError> {
        AddressKey::write(address.local(), address.domain().as_str(), &mut self.key);
        if self.added.get(self.fingerprinter.of(&self.key)).is_none() {
            return Ok(None);
        }
        let entry = find(&self.db, &self.key)
            .map_err(|source| SuppressionError::sqlite(&self.path, "look up an address", source))?;
        Ok(entry.filter(|entry| entry.is_live(now)))
    }

    /// Takes in what was added up to now.
    pub fn refresh(&mut self) -> Result<(), SuppressionError> {
        let Self { db, fingerprinter, added, change, data_version, .. } = self;
        read_new(db, fingerprinter, added, change, data_version)
            .map_err(|source| SuppressionError::sqlite(&self.path, "read the suppression list", source))
    }
}

/// Reads what was added after `change`, when the file has changed since `data_version`; brings both up to date.
fn read_new(
    db: &Connection,
    fingerprinter: &Fingerprinter,
    added: &mut FingerprintMap,
    change: &mut u64,
    data_version: &mut i64,
) -> rusqlite::Result<()> {
    // Before the reading: a commit in between is then seen the next time, not missed.
    let version = db.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))?;
    if version == *data_version {
        return Ok(());
    }
    let transaction = db.unchecked_transaction()?;
    let last = last_change(&transaction)?;
    if last > *change {
        let mut select = transaction.prepare_cached("SELECT key FROM suppression WHERE change > ?1")?;
        let mut rows = select.query([change.cast_signed()])?;
        while let Some(row) = rows.next()? {
            added.insert(fingerprinter.of(row.get_ref(0)?.as_str()?), 0);
        }
    }
    *change = last.max(*change);
    *data_version = version;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::list::tests::{DAY, NOW, address, entry, list};
    use super::Watch;
    use crate::mail::Timestamp;
    use crate::suppression::Term;

    fn is_suppressed(watch: &mut Watch, email: &str, now: Timestamp) -> bool {
        watch.refresh().unwrap();
        watch.is_suppressed(&address(email), now).unwrap().is_some()
    }

    #[test]
    fn an_address_that_is_added_while_it_watches_is_seen() {
        let (_folder, mut list) = list();
        list.add(&entry("old@b.example", "manual", Term::Default), NOW).unwrap();
        let mut watch = list.watch(list.checker(NOW).unwrap().change()).unwrap();
        let mut suppressed = |email: &str, now| is_suppressed(&mut watch, email, now);
        assert!(!suppressed("bob@b.example", NOW));

        list.add(&entry("Bob@b.example", "manual", Term::For(DAY)), NOW).unwrap();
        assert!(suppressed("bob@B.example", NOW));
        assert!(!suppressed("eve@b.example", NOW));
        assert!(!suppressed("bob@b.example", NOW + DAY), "the entry has ended");
        // What the plan was screened against already is none of its business.
        assert!(!suppressed("old@b.example", NOW));

        list.remove(&address("bob@b.example")).unwrap();
        assert!(!suppressed("bob@b.example", NOW));
        list.add(&entry("bob@b.example", "unsubscribe", Term::Default), NOW).unwrap();
        list.add(&entry("eve@b.example", "unsubscribe", Term::Default), NOW).unwrap();
        assert!(suppressed("bob@b.example", NOW + 1_000 * DAY));
        assert!(suppressed("eve@b.example", NOW));
    }

    #[test]
    fn what_was_added_between_plan_and_watch_is_seen() {
        let (_folder, mut list) = list();
        let change = list.checker(NOW).unwrap().change();
        list.add(&entry("bob@b.example", "unsubscribe", Term::Default), NOW).unwrap();
        let mut watch = list.watch(change).unwrap();
        assert!(is_suppressed(&mut watch, "bob@b.example", NOW));
    }

    /// An entry that had ended when the plan was made, and was added again since.
    #[test]
    fn an_entry_that_is_renewed_is_seen() {
        let (_folder, mut list) = list();
        list.add(&entry("bob@b.example", "manual", Term::For(DAY)), NOW).unwrap();
        let later = NOW + 2 * DAY;
        let mut watch = list.watch(list.checker(later).unwrap().change()).unwrap();
        assert!(!is_suppressed(&mut watch, "bob@b.example", later));
        list.add(&entry("bob@b.example", "manual", Term::For(DAY)), later).unwrap();
        assert!(is_suppressed(&mut watch, "bob@b.example", later));
    }
}
