//! The log of one process: nothing is written down.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::event::Kind;
use super::log::{self, FeedbackLog, Import, Logged, Record, Tables, Undo, Undone};
use super::policy::{Effect, Policy};
use crate::kit::store::StoreError;
use crate::mail::Timestamp;
use crate::suppression::{Added, AddressKey, Entry, MemoryList, NewEntry, Scope, Suppressions};

/// Keeps the log in memory, beside the suppression list that it changes.
#[derive(Debug, Clone, Default)]
pub struct MemoryFeedback {
    list: MemoryList,
    table: Arc<Mutex<Table>>,
}

#[derive(Debug, Default)]
struct Table {
    logged: Vec<Logged>,
    imports: BTreeMap<u64, String>,
}

impl MemoryFeedback {
    /// An empty log that changes `list`.
    pub fn new(list: MemoryList) -> Self {
        Self { list, table: Arc::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn transaction<T>(&self, act: impl FnOnce(&mut Transaction<'_>) -> T) -> T {
        act(&mut Transaction { list: &self.list, table: &mut self.lock() })
    }
}

impl FeedbackLog for MemoryFeedback {
    fn append(
        &self,
        import: &mut Import,
        records: &[Record],
        policy: &Policy,
        now: Timestamp,
    ) -> Result<Vec<Effect>, StoreError> {
        self.transaction(|tables| log::append(tables, import, records, policy, now))
    }

    fn undo(&self, what: &Undo, policy: &Policy, now: Timestamp) -> Result<Undone, StoreError> {
        self.transaction(|tables| log::undo(tables, what, policy, now))
    }

    fn page(&self, after: u64, most: usize) -> Result<Vec<Logged>, StoreError> {
        Ok(self.lock().logged.iter().filter(|logged| logged.id > after).take(most).cloned().collect())
    }

    fn imports(&self) -> Result<BTreeMap<u64, String>, StoreError> {
        Ok(self.lock().imports.clone())
    }

    fn of_address(&self, key: &str) -> Result<Vec<Logged>, StoreError> {
        self.transaction(|tables| tables.of_address(key))
    }

    fn of_run(&self, campaign: &str, run: &str, after: u64) -> Result<Vec<Logged>, StoreError> {
        self.transaction(|tables| {
            Ok(tables.all(|logged| {
                let record = &logged.record;
                logged.id > after
                    && record.campaign.as_deref() == Some(campaign)
                    && record.run.as_deref() == Some(run)
            }))
        })
    }

    fn page_of_run(
        &self,
        campaign: &str,
        run: &str,
        after: u64,
        most: usize,
    ) -> Result<Vec<Logged>, StoreError> {
        let mut logged = self.of_run(campaign, run, after)?;
        logged.truncate(most);
        Ok(logged)
    }

    fn has_of_run(&self, campaign: &str, run: &str, after: u64) -> Result<bool, StoreError> {
        Ok(!self.of_run(campaign, run, after)?.is_empty())
    }

    fn replies_of_run(&self, campaign: &str, run: &str) -> Result<Vec<Logged>, StoreError> {
        Ok(self.of_run(campaign, run, 0)?.into_iter().filter(is_reply).collect())
    }

    fn page_of_replies(&self, after: u64, most: usize) -> Result<Vec<Logged>, StoreError> {
        let mut replies = self.page(after, usize::MAX)?;
        replies.retain(is_reply);
        replies.truncate(most);
        Ok(replies)
    }

    fn naming(&self, key: &AddressKey) -> Result<u64, StoreError> {
        let mut logged = self.lock().logged.clone();
        Ok(logged.iter_mut().filter_map(|logged| log::forget(logged, key).then_some(())).count() as u64)
    }

    fn forget(&self, key: &AddressKey) -> Result<(), StoreError> {
        for logged in &mut self.lock().logged {
            log::forget(logged, key);
        }
        Ok(())
    }
}

fn is_reply(logged: &Logged) -> bool {
    !matches!(logged.record.kind, Kind::Open | Kind::Click)
}

struct Transaction<'a> {
    list: &'a MemoryList,
    table: &'a mut Table,
}

impl Transaction<'_> {
    fn logged(&mut self, id: u64) -> impl Iterator<Item = &mut Logged> {
        self.table.logged.iter_mut().filter(move |logged| logged.id == id)
    }

    fn all(&self, test: impl Fn(&Logged) -> bool) -> Vec<Logged> {
        self.table.logged.iter().filter(|logged| test(logged)).cloned().collect()
    }
}

impl Tables for Transaction<'_> {
    fn is_known(&mut self, mail: &str) -> Result<bool, StoreError> {
        Ok(self.table.logged.iter().any(|logged| logged.record.mail == mail))
    }

    fn add_import(&mut self, source: &str, _: Timestamp) -> Result<u64, StoreError> {
        let number = self.table.imports.len() as u64 + 1;
        self.table.imports.insert(number, source.to_owned());
        Ok(number)
    }

    fn add_record(&mut self, import: u64, record: &Record, now: Timestamp) -> Result<u64, StoreError> {
        let id = self.table.logged.len() as u64 + 1;
        let (record, effect) = (record.clone(), Effect::None);
        self.table.logged.push(Logged { id, import, read: now, record, effect, undone: None, before: None });
        Ok(id)
    }

    fn note(&mut self, id: u64, effect: Effect, before: Option<&Option<Entry>>) -> Result<(), StoreError> {
        self.logged(id).for_each(|logged| (logged.effect, logged.before) = (effect, before.cloned()));
        Ok(())
    }

    fn set_undone(&mut self, id: u64, undone: Option<(Timestamp, u64)>) -> Result<(), StoreError> {
        self.logged(id).for_each(|logged| logged.undone = undone);
        Ok(())
    }

    fn of_address(&mut self, key: &str) -> Result<Vec<Logged>, StoreError> {
        let is_of = |logged: &Logged| {
            logged.record.address.as_ref().is_some_and(|address| AddressKey::from(address).as_str() == key)
        };
        Ok(self.all(is_of))
    }

    fn asked(&mut self, what: &Undo) -> Result<Vec<Logged>, StoreError> {
        Ok(match what {
            Undo::Mail(name) => self.all(|logged| {
                logged.record.mail.starts_with(name) || logged.record.message_id.as_deref() == Some(name)
            }),
            Undo::Import(number) => self.all(|logged| logged.import == *number),
        })
    }

    fn entry(&mut self, key: &str, scope: &Scope) -> Result<Option<Entry>, StoreError> {
        self.list.get(key, scope)
    }

    fn add_entry(&mut self, entry: &NewEntry, now: Timestamp) -> Result<Added, StoreError> {
        self.list.add(entry.clone(), now)
    }

    fn put_entry(&mut self, key: &str, scope: &Scope, entry: Option<&Entry>) -> Result<(), StoreError> {
        self.list.put(key, scope, entry);
        Ok(())
    }
}
