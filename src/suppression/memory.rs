//! The list of one process: nothing is written down.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{
    Added, AddressKey, Change, Entry, EntryId, Filter, ImportCounts, NewEntry, Reason, Scope, Suppressions,
};
use crate::kit::store::StoreError;
use crate::mail::{ListId, Timestamp};

/// Keeps the entries in memory, for all who hold a clone: for tests, and for looking at a list as
/// if nobody were suppressed. It ends with its process.
#[derive(Debug, Clone, Default)]
pub struct MemoryList {
    table: Arc<Mutex<Table>>,
}

#[derive(Debug, Default)]
struct Table {
    /// By place, each with its change number.
    entries: BTreeMap<String, (Entry, u64)>,
    change: u64,
    last_id: u64,
}

impl MemoryList {
    fn lock(&self) -> MutexGuard<'_, Table> {
        // A panic elsewhere can't have left it half changed: each change to the table is a single
        // call.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the entry of an address for this mail what is given; none removes it.
    pub(crate) fn put(&self, key: &str, scope: &Scope, entry: Option<&Entry>) {
        let place = scope.place(key);
        let mut table = self.lock();
        table.change += 1;
        let change = table.change;
        let Some(entry) = entry else {
            table.entries.remove(&*place);
            return;
        };
        table.last_id += 1;
        let id = table.entries.get(&*place).map_or(EntryId(table.last_id), |(old, _)| old.id);
        table.entries.insert(place.into_owned(), (Entry { id, ..entry.clone() }, change));
    }
}

impl Table {
    fn add(&mut self, entry: NewEntry, now: Timestamp) -> Added {
        let key = AddressKey::from(&entry.address);
        let place = entry.scope.place(key.as_str()).into_owned();
        let lifetime = entry.lifetime().map(|lifetime| now + lifetime).map(|end| end.since(now));
        let mut new = Entry {
            id: EntryId(self.last_id + 1),
            key,
            scope: entry.scope,
            email: entry.email,
            reason: entry.reason,
            source: entry.source,
            added: now,
            lifetime,
            expires: lifetime.map(|lifetime| now + lifetime),
        };
        match self.entries.get_mut(&place) {
            None => {
                self.last_id += 1;
                self.entries.insert(place, (new, self.change));
                Added::New
            }
            Some((old, _)) if old.expires.is_none() => Added::Kept,
            Some((old, change)) => {
                new.id = old.id;
                if new.expires.is_some() && new.expires < old.expires {
                    (new.expires, new.lifetime) = (old.expires, old.lifetime);
                }
                (*old, *change) = (new, self.change);
                Added::Renewed
            }
        }
    }

    /// The entries for all mail, and those for that of `list`.
    fn for_mail_of(&self, list: Option<&ListId>) -> impl Iterator<Item = &(Entry, u64)> {
        self.entries
            .values()
            .filter(move |(entry, _)| entry.scope == Scope::All || entry.scope.list() == list)
    }

    /// Keeps the entries that `keep` says; how many it removed.
    fn retain(&mut self, keep: impl Fn(&Entry) -> bool) -> u64 {
        let before = self.entries.len();
        self.entries.retain(|_, (entry, _)| keep(entry));
        let removed = (before - self.entries.len()) as u64;
        self.change += u64::from(removed > 0);
        removed
    }
}

impl Suppressions for MemoryList {
    fn import(
        &self,
        entries: &mut dyn Iterator<Item = NewEntry>,
        now: Timestamp,
    ) -> Result<ImportCounts, StoreError> {
        let mut counts = ImportCounts::default();
        let mut table = self.lock();
        for (number, entry) in entries.enumerate() {
            table.change += u64::from(number == 0);
            counts.count(table.add(entry, now));
        }
        Ok(counts)
    }

    fn remove(&self, key: &AddressKey, scope: &Scope) -> Result<bool, StoreError> {
        Ok(self.lock().retain(|entry| entry.key != *key || entry.scope != *scope) > 0)
    }

    fn get(&self, key: &str, scope: &Scope) -> Result<Option<Entry>, StoreError> {
        Ok(self.lock().entries.get(&*scope.place(key)).map(|(entry, _)| entry.clone()))
    }

    fn of_address(&self, key: &str) -> Result<Vec<Entry>, StoreError> {
        let table = self.lock();
        let from = table.entries.range::<str, _>((Bound::Included(key), Bound::Unbounded));
        let own = from.map(|(_, (entry, _))| entry).take_while(|entry| entry.key.as_str() == key);
        Ok(own.cloned().collect())
    }

    fn page(&self, filter: &Filter, after: &str, most: usize) -> Result<Vec<Entry>, StoreError> {
        let table = self.lock();
        let later = table.entries.range::<str, _>((Bound::Excluded(after), Bound::Unbounded));
        let matching = later.map(|(_, (entry, _))| entry).filter(|entry| filter.matches(entry));
        Ok(matching.take(most).cloned().collect())
    }

    fn count_live(&self, now: Timestamp) -> Result<u64, StoreError> {
        Ok(self.lock().entries.values().filter(|(entry, _)| entry.is_live(now)).count() as u64)
    }

    fn restart_time(&self, entries: &[EntryId], now: Timestamp) -> Result<u64, StoreError> {
        let mut table = self.lock();
        let mut restarted = 0;
        for (entry, _) in table.entries.values_mut().filter(|(entry, _)| entries.contains(&entry.id)) {
            let end = entry.expires.filter(|end| *end > now);
            if let (Some(end), Some(lifetime)) = (end, entry.lifetime) {
                entry.expires = Some(end.max(now + lifetime));
                restarted += 1;
            }
        }
        Ok(restarted)
    }

    fn purge(&self, before: Timestamp) -> Result<u64, StoreError> {
        Ok(self.lock().retain(|entry| entry.is_live(before)))
    }

    fn live_keys(
        &self,
        list: Option<&ListId>,
        now: Timestamp,
        each: &mut dyn FnMut(&str),
    ) -> Result<u64, StoreError> {
        let table = self.lock();
        for (entry, _) in table.for_mail_of(list).filter(|(entry, _)| entry.is_live(now)) {
            each(entry.key.as_str());
        }
        Ok(table.change)
    }

    fn changes(
        &self,
        list: Option<&ListId>,
        seen: u64,
        each: &mut dyn FnMut(Change<'_>),
    ) -> Result<u64, StoreError> {
        let table = self.lock();
        let mut changed: Vec<_> = table.for_mail_of(list).filter(|(_, change)| *change > seen).collect();
        changed.sort_by_key(|(_, change)| *change);
        for (entry, _) in changed {
            each(Change {
                key: entry.key.as_str(),
                is_of_list: entry.scope != Scope::All,
                reason: entry.reason.as_str(),
                source: &entry.source,
                expires: entry.expires,
            });
        }
        Ok(table.change)
    }

    fn count_changes(&self, list: Option<&ListId>, since: u64) -> Result<u64, StoreError> {
        Ok(self.lock().for_mail_of(list).filter(|(_, change)| *change > since).count() as u64)
    }
}

impl Filter {
    fn matches(&self, entry: &Entry) -> bool {
        let domain = entry.key.as_str().split_once('@').map_or("", |(_, domain)| domain);
        self.reason.as_ref().is_none_or(|reason: &Reason| *reason == entry.reason)
            && self.source.as_ref().is_none_or(|source| *source == entry.source)
            && self.domain.as_ref().is_none_or(|wanted| wanted.as_str() == domain)
            && self.scope.as_ref().is_none_or(|scope| *scope == entry.scope)
            && self.live_at.is_none_or(|now| entry.is_live(now))
    }
}
