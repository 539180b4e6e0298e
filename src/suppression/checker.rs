//! Screens a whole target group: the live entries as fingerprints in memory, SQLite only on a match.

use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::fingerprint::{Fingerprint, FingerprintMap, Fingerprinter};
use super::list::{find, last_change};
use super::{Entry, SuppressionError, open_state};
use crate::mail::Timestamp;

/// Entries whose places in memory are found side by side.
const LOADED_TOGETHER: usize = 64;

/// The suppression list as it stood at one moment. Takes 20 to 24 bytes of memory an entry.
#[derive(Debug)]
pub struct Checker {
    db: Connection,
    path: PathBuf,
    now: Timestamp,
    fingerprinter: Fingerprinter,
    live: FingerprintMap,
    change: u64,
}

impl Checker {
    pub(super) fn open(path: &Path, now: Timestamp) -> Result<Self, SuppressionError> {
        let db = open_state(path)?;
        let fingerprinter = Fingerprinter::default();
        let (live, change) = load(&db, &fingerprinter, now)
            .map_err(|source| SuppressionError::sqlite(path, "read the suppression list", source))?;
        Ok(Self { db, path: path.to_owned(), now, fingerprinter, live, change })
    }

    /// What makes the fingerprints that [`Self::check`] takes.
    pub fn fingerprinter(&self) -> &Fingerprinter {
        &self.fingerprinter
    }

    /// The number of the last change seen: a [`super::Watch`] from there on misses nothing.
    pub fn change(&self) -> u64 {
        self.change
    }

    /// The number of live entries.
    pub fn len(&self) -> usize {
        self.live.len()
    }

    /// True when nothing is suppressed.
    pub fn is_empty(&self) -> bool {
        self.live.is_empty()
    }

    /// Makes [`Self::check`] quick for these, which are about to be checked.
    pub fn fetch(&self, fingerprints: &[Fingerprint]) {
        self.live.fetch(fingerprints);
    }

    /// The live entry of an address: `fingerprint` is that of its [`super::AddressKey`], and `key` is asked for the
    /// key itself only when there is a match to confirm.
    pub fn check<K: AsRef<str>>(
        &self,
        fingerprint: Fingerprint,
        key: impl FnOnce() -> K,
    ) -> Result<Option<Entry>, SuppressionError> {
        if self.live.get(fingerprint).is_none() {
            return Ok(None);
        }
        let entry = find(&self.db, key().as_ref())
            .map_err(|source| SuppressionError::sqlite(&self.path, "look up an address", source))?;
        Ok(entry.filter(|entry| entry.is_live(self.now)))
    }
}

/// The keys of the live entries with the change they belong to, read in one transaction.
fn load(
    db: &Connection,
    fingerprinter: &Fingerprinter,
    now: Timestamp,
) -> rusqlite::Result<(FingerprintMap, u64)> {
    let transaction = db.unchecked_transaction()?;
    let change = last_change(&transaction)?;
    let mut live = FingerprintMap::default();
    let mut select =
        transaction.prepare("SELECT key FROM suppression WHERE expires IS NULL OR expires > ?1")?;
    let mut rows = select.query([now.0])?;
    let mut read = Vec::with_capacity(LOADED_TOGETHER);
    loop {
        while read.len() < LOADED_TOGETHER
            && let Some(row) = rows.next()?
        {
            read.push(fingerprinter.of(row.get_ref(0)?.as_str()?));
        }
        if read.is_empty() {
            return Ok((live, change));
        }
        live.fetch(&read);
        read.drain(..).for_each(|fingerprint| {
            live.insert(fingerprint, 0);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::super::list::tests::{DAY, NOW, address, entry, list};
    use super::*;
    use crate::suppression::{AddressKey, Term};

    fn check(checker: &Checker, email: &str) -> Option<String> {
        let key = AddressKey::from(&address(email));
        let fingerprint = checker.fingerprinter().of(key.as_str());
        checker.check(fingerprint, || key.as_str()).unwrap().map(|entry| entry.to_string())
    }

    #[test]
    fn live_entries_are_found_and_others_are_not() {
        let (_folder, mut list) = list();
        list.add(&entry("Bob@b.example", "bad_mailbox", Term::For(DAY)), NOW).unwrap();
        list.add(&entry("eve@b.example", "complaint", Term::Default), NOW).unwrap();
        let checker = list.checker(NOW).unwrap();
        assert_eq!(checker.len(), 2);
        assert_eq!(
            check(&checker, "bob@B.example").as_deref(),
            Some("bad_mailbox, from test, until 2026-05-29T20:26:40.000Z")
        );
        assert_eq!(check(&checker, "eve@b.example").as_deref(), Some("complaint, from test, for ever"));
        assert_eq!(check(&checker, "alice@b.example"), None);

        let later = list.checker(NOW + DAY).unwrap();
        assert_eq!((later.len(), check(&later, "bob@b.example")), (1, None));
    }

    /// A match in memory is not enough: the list itself is asked.
    #[test]
    fn a_match_is_confirmed() {
        let (_folder, mut list) = list();
        list.add(&entry("bob@b.example", "manual", Term::Default), NOW).unwrap();
        let checker = list.checker(NOW).unwrap();
        let fingerprint = checker.fingerprinter().of("bob@b.example");
        assert!(checker.check(fingerprint, || "bob@b.example").unwrap().is_some());
        assert!(checker.check(fingerprint, || "somebody.else@b.example").unwrap().is_none());
        list.add(&entry("ended@b.example", "manual", Term::For(DAY)), NOW - 2 * DAY).unwrap();
        assert!(checker.check(fingerprint, || "ended@b.example").unwrap().is_none());
        list.remove(&address("bob@b.example")).unwrap();
        assert!(checker.check(fingerprint, || "bob@b.example").unwrap().is_none());
    }
}
