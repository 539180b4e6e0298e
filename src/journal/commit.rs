//! A journal held for writing.

use super::error::JournalError;
use super::reader::{Details, compare};
use super::record::ConnectionInfo;
use super::states::States;
use super::store::{Group, JournalStore, RunKey};

/// A journal held for writing. The caller holds the run's lock.
#[derive(Debug)]
pub struct Journal {
    store: Box<dyn JournalStore>,
    next_group: u64,
    next_connection: u32,
    /// The checksums of what was tried under the next number and failed: any of it may have been
    /// written.
    tried: Vec<i64>,
    is_fenced: bool,
}

impl Journal {
    /// The journal in `store`. Refuses that of a run other than `run`.
    pub fn new(store: Box<dyn JournalStore>, run: &RunKey) -> Result<Self, JournalError> {
        compare(store.store(), store.run(), run)?;
        let (last_group, last_connection) = store.last_numbers()?;
        Ok(Self {
            store,
            next_group: last_group + 1,
            next_connection: last_connection.saturating_add(1),
            tried: Vec::new(),
            is_fenced: false,
        })
    }

    /// The state of every row. Refuses a damaged journal: a row whose record is lost could be sent
    /// twice.
    pub fn states(&self) -> Result<States, JournalError> {
        let mut states = States::empty(self.store.run().clone());
        states.catch_up(&*self.store);
        match &states.damage {
            None => Ok(states),
            Some(damage) => Err(JournalError::damaged(self.store.store(), damage.why.clone())),
        }
    }

    /// A cursor for the details of rows, such as those that are to be tried again.
    pub fn details(&self) -> Details<'_> {
        Details::new(&*self.store)
    }

    /// The number that the next connection gets.
    pub(super) fn next_connection(&self) -> u32 {
        self.next_connection
    }

    pub(super) fn store(&self) -> &dyn JournalStore {
        &*self.store
    }

    /// Commits one group: its connections and its records, in one transaction.
    pub(super) fn commit(
        &mut self,
        connections: &[(u32, ConnectionInfo)],
        records: &[u8],
    ) -> Result<(), JournalError> {
        if self.is_fenced {
            return Err(JournalError::Fenced(self.store.store().clone()));
        }
        let group = (!records.is_empty()).then(|| Group::new(self.next_group, records));
        let Err(error) = self.store.commit(connections, group) else {
            if group.is_some() {
                self.next_group += 1;
                self.tried.clear();
            }
            return Ok(());
        };
        self.tried.extend(group.map(|group| group.checksum));
        self.look_what_was_written()?;
        Err(error.into())
    }

    /// A commit that failed may have been written all the same: then the next one gets the number
    /// after it. What nobody here has tried to write is another process's.
    fn look_what_was_written(&mut self) -> Result<(), JournalError> {
        let last = self.store.last_numbers().map_or(0, |(group, _)| group);
        if last < self.next_group {
            return Ok(());
        }
        let Ok(Some(records)) = self.store.group(self.next_group) else { return Ok(()) };
        let is_ours = self.tried.contains(&Group::new(self.next_group, &records).checksum);
        if is_ours && last == self.next_group {
            self.next_group += 1;
            self.tried.clear();
            return Ok(());
        }
        self.is_fenced = true;
        Err(JournalError::Fenced(self.store.store().clone()))
    }
}
