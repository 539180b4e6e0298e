//! Journals of one process: nothing is written down.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::record::ConnectionInfo;
use super::store::{Group, JournalRead, JournalStore, RunKey};
use crate::kit::store::{Cause, Store, StoreError, StoreKind};

const KIND: StoreKind = StoreKind {
    name: "journal",
    if_missing: None,
    if_foreign: None,
    if_damaged: None,
    if_replaced: None,
    if_denied: None,
};

/// Keeps a journal in memory, for all who hold a clone: for tests. It ends with its process.
#[derive(Debug, Clone)]
pub struct MemoryJournal {
    run: RunKey,
    store: Store,
    table: Arc<Mutex<Table>>,
}

#[derive(Debug, Default)]
struct Table {
    /// By number, each with its checksum.
    groups: BTreeMap<u64, (i64, Vec<u8>)>,
    connections: BTreeMap<u32, ConnectionInfo>,
    /// A test wants them to be unreadable.
    connections_lost: bool,
}

impl MemoryJournal {
    /// An empty journal of `run`.
    pub fn new(run: &RunKey) -> Self {
        Self { run: run.clone(), store: Self::store_of(&run.run_id), table: Arc::default() }
    }

    /// What errors call the journal of this run.
    pub(crate) fn store_of(run: &str) -> Store {
        Store { kind: &KIND, place: format!("{run}, in memory") }
    }

    /// Lets `spoil` change the records of each group without changing its checksum, as a bad disk
    /// does.
    #[cfg(test)]
    pub(crate) fn spoil(&self, mut spoil: impl FnMut(&mut Vec<u8>)) {
        self.lock().groups.values_mut().for_each(|(_, records)| spoil(records));
    }

    /// Lets no connection be read any more.
    #[cfg(test)]
    pub(crate) fn lose_connections(&self) {
        self.lock().connections_lost = true;
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl JournalRead for MemoryJournal {
    fn store(&self) -> &Store {
        &self.store
    }

    fn run(&self) -> &RunKey {
        &self.run
    }

    fn groups_after(
        &self,
        number: u64,
        most: u64,
        each: &mut dyn FnMut(Group<'_>),
    ) -> Result<(), StoreError> {
        for (&number, (checksum, records)) in
            self.lock().groups.range(number + 1..).take(usize::try_from(most).unwrap_or(usize::MAX))
        {
            each(Group { number, checksum: *checksum, records });
        }
        Ok(())
    }

    fn group(&self, number: u64) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.lock().groups.get(&number).map(|(_, records)| records.clone()))
    }

    fn connection(&self, number: u32) -> Result<Option<ConnectionInfo>, StoreError> {
        let table = self.lock();
        if table.connections_lost {
            let detail = "its connections can't be read".to_owned();
            return Err(StoreError::Damaged { store: self.store.clone(), detail });
        }
        Ok(table.connections.get(&number).cloned())
    }
}

impl JournalStore for MemoryJournal {
    fn last_numbers(&self) -> Result<(u64, u32), StoreError> {
        let table = self.lock();
        let group = table.groups.last_key_value().map_or(0, |(number, _)| *number);
        Ok((group, table.connections.last_key_value().map_or(0, |(number, _)| *number)))
    }

    fn commit(
        &mut self,
        connections: &[(u32, ConnectionInfo)],
        group: Option<Group<'_>>,
    ) -> Result<(), StoreError> {
        let mut table = self.lock();
        if let Some(group) = group {
            if table.groups.contains_key(&group.number) {
                return Err(StoreError::Failed {
                    action: "write to",
                    store: self.store.clone(),
                    cause: Cause::Other,
                    source: format!("there is a group {} already", group.number).into(),
                });
            }
            table.groups.insert(group.number, (group.checksum, group.records.to_owned()));
        }
        for (number, info) in connections {
            table.connections.entry(*number).or_insert_with(|| info.clone());
        }
        Ok(())
    }
}
