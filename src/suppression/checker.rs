//! Screens a whole target group: the live entries as fingerprints in memory, the list itself only
//! on a match.

use std::sync::Arc;

use super::fingerprint::{Fingerprint, FingerprintMap, Fingerprinter};
use super::{Entry, Suppressions};
use crate::kit::store::StoreError;
use crate::mail::{ListId, Timestamp};

/// Entries whose places in memory are looked up side by side.
const LOADED_TOGETHER: usize = 64;

/// The suppression list as of one moment, for the mail of one list. Takes 20 to 24 bytes of memory
/// an address.
#[derive(Debug)]
pub struct Checker {
    list: Arc<dyn Suppressions>,
    list_id: Option<ListId>,
    now: Timestamp,
    fingerprinter: Fingerprinter,
    live: FingerprintMap,
    change: u64,
}

impl Checker {
    /// Reads the keys of the entries that block mail of the list `list_id` at `now`; without one,
    /// of those that block all mail.
    pub fn open(
        list: Arc<dyn Suppressions>,
        list_id: Option<ListId>,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let fingerprinter = Fingerprinter::default();
        let mut live = FingerprintMap::default();
        let mut read = Vec::with_capacity(LOADED_TOGETHER);
        let mut insert = |read: &mut Vec<Fingerprint>| {
            live.fetch(read);
            for fingerprint in read.drain(..) {
                live.insert(fingerprint, 0);
            }
        };
        let change = list.live_keys(list_id.as_ref(), now, &mut |key| {
            read.push(fingerprinter.of(key));
            if read.len() == LOADED_TOGETHER {
                insert(&mut read);
            }
        })?;
        insert(&mut read);
        Ok(Self { list, list_id, now, fingerprinter, live, change })
    }

    /// Makes the fingerprints that [`Self::check`] takes.
    pub fn fingerprinter(&self) -> &Fingerprinter {
        &self.fingerprinter
    }

    /// The number of the last change seen: a [`super::Watch`] from there on misses nothing.
    pub fn change(&self) -> u64 {
        self.change
    }

    /// The number of addresses with a live entry.
    pub fn len(&self) -> usize {
        self.live.len()
    }

    /// True when nothing is suppressed.
    pub fn is_empty(&self) -> bool {
        self.live.is_empty()
    }

    /// Makes [`Self::check`] quick for these fingerprints, which are about to be checked.
    pub fn fetch(&self, fingerprints: &[Fingerprint]) {
        self.live.fetch(fingerprints);
    }

    /// The live entries of an address: none, one, or one for all mail and one for the list.
    /// `fingerprint` is that of its [`super::AddressKey`]; `key` is called for the key itself only
    /// when there is a match to confirm.
    pub fn check<K: AsRef<str>>(
        &self,
        fingerprint: Fingerprint,
        key: impl FnOnce() -> K,
    ) -> Result<Vec<Entry>, StoreError> {
        if self.live.get(fingerprint).is_none() {
            return Ok(Vec::new());
        }
        self.list.blocking(key().as_ref(), self.list_id.as_ref(), self.now)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{DAY, NOW, address, entry, list_entry};
    use super::*;
    use crate::suppression::{AddressKey, MemoryList, Scope, Term, why};

    fn check(checker: &Checker, email: &str) -> Option<String> {
        let key = AddressKey::from(&address(email));
        let fingerprint = checker.fingerprinter().of(key.as_str());
        why(checker.check(fingerprint, || key.as_str()).unwrap())
    }

    #[test]
    fn live_entries_are_found_and_others_are_not() {
        let list = Arc::new(MemoryList::default());
        list.add(entry("Bob@b.example", "bad_mailbox", Term::For(DAY)), NOW).unwrap();
        list.add(entry("eve@b.example", "complaint", Term::Default), NOW).unwrap();
        let checker = Checker::open(list.clone(), None, NOW).unwrap();
        assert_eq!(checker.len(), 2);
        assert_eq!(
            check(&checker, "bob@B.example").as_deref(),
            Some("bad_mailbox, from test, until 2026-05-29T20:26:40.000Z")
        );
        assert_eq!(check(&checker, "eve@b.example").as_deref(), Some("complaint, from test, for ever"));
        assert_eq!(check(&checker, "alice@b.example"), None);

        let later = Checker::open(list, None, NOW + DAY).unwrap();
        assert_eq!((later.len(), check(&later, "bob@b.example")), (1, None));
    }

    #[test]
    fn more_entries_than_are_loaded_together_are_all_found() {
        let list = Arc::new(MemoryList::default());
        let emails: Vec<String> =
            (0..LOADED_TOGETHER * 2 + 3).map(|n| format!("r{n}@many.example")).collect();
        list.import(&mut emails.iter().map(|email| entry(email, "manual", Term::Permanent)), NOW).unwrap();
        let checker = Checker::open(list, None, NOW).unwrap();
        assert_eq!(checker.len(), emails.len());
        assert!(emails.iter().all(|email| check(&checker, email).is_some()));
    }

    #[test]
    fn an_entry_of_a_list_blocks_the_mail_of_that_list_alone() {
        let list = Arc::new(MemoryList::default());
        list.add(list_entry("ann@b.example", "news.example", "unsubscribe", Term::Default), NOW).unwrap();
        list.add(list_entry("bob@b.example", "news.example", "unsubscribe", Term::Default), NOW).unwrap();
        list.add(entry("bob@b.example", "bad_mailbox", Term::For(DAY)), NOW).unwrap();
        let open = |list_id: Option<&str>, now| {
            Checker::open(list.clone(), list_id.map(|id| id.parse().unwrap()), now).unwrap()
        };
        let left = "unsubscribe, for list news.example, from test, for ever";
        let bounced = "bad_mailbox, from test, until 2026-05-29T20:26:40.000Z";

        let news = open(Some("news.example"), NOW);
        assert_eq!(check(&news, "ann@b.example").as_deref(), Some(left));
        assert_eq!(check(&news, "bob@b.example"), Some(format!("{bounced}; {left}")));
        assert_eq!(news.len(), 2, "an address with two entries is one");
        for others in [open(Some("alarms.example"), NOW), open(None, NOW)] {
            assert_eq!(check(&others, "ann@b.example"), None);
            assert_eq!(check(&others, "bob@b.example").as_deref(), Some(bounced));
        }
        // Each has its own term.
        assert_eq!(check(&open(Some("news.example"), NOW + DAY), "bob@b.example").as_deref(), Some(left));
        assert_eq!(check(&open(None, NOW + DAY), "bob@b.example"), None);
    }

    /// A match in memory is not enough: the list itself is asked.
    #[test]
    fn a_match_is_confirmed() {
        let list = Arc::new(MemoryList::default());
        list.add(entry("bob@b.example", "manual", Term::Default), NOW).unwrap();
        let checker = Checker::open(list.clone(), None, NOW).unwrap();
        let fingerprint = checker.fingerprinter().of("bob@b.example");
        assert!(checker.check(fingerprint, || "bob@b.example").unwrap().len() == 1);
        assert!(checker.check(fingerprint, || "somebody.else@b.example").unwrap().is_empty());
        list.add(entry("ended@b.example", "manual", Term::For(DAY)), NOW - 2 * DAY).unwrap();
        assert!(checker.check(fingerprint, || "ended@b.example").unwrap().is_empty());
        list.remove(&AddressKey::from(&address("bob@b.example")), &Scope::All).unwrap();
        assert!(checker.check(fingerprint, || "bob@b.example").unwrap().is_empty());
    }
}
