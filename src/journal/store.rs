//! The journal as a store keeps it: the traits that every backend implements.

use std::fmt;

use super::record::ConnectionInfo;
use crate::kit::store::{Store, StoreError};

/// Which run a journal belongs to: one that differs in any of these is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunKey {
    /// The run's id.
    pub run_id: String,
    /// The number of rows in the plan.
    pub plan_rows: u32,
    /// The plan's hash, as text.
    pub plan_hash: String,
    /// Each row has a second mail, with a password. The journal keeps those mails as rows of their
    /// own, after those of the plan.
    pub has_passwords: bool,
}

impl RunKey {
    /// How many rows the journal keeps: those of the plan, and of their passwords.
    pub fn journal_rows(&self) -> u32 {
        if self.has_passwords { self.plan_rows * 2 } else { self.plan_rows }
    }

    /// The number in the journal of the mail with the password of a row of the plan, where it has
    /// one.
    pub fn password_of(&self, row: u32) -> Option<u32> {
        self.has_passwords.then(|| self.plan_rows + row)
    }

    /// The row of the plan that the journal's `row` is about.
    pub fn row_of_plan(&self, row: u32) -> u32 {
        if row < self.plan_rows { row } else { row - self.plan_rows }
    }
}

/// What one commit writes: records that become durable together, or not at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Group<'a> {
    /// Its place in the journal, from 1 without gaps.
    pub number: u64,
    /// Over the number and the records, since a disk may return something other than what was
    /// written.
    pub checksum: i64,
    /// The records one after the other, in the form of [`record`](super::record).
    pub records: &'a [u8],
}

impl<'a> Group<'a> {
    /// A group with its checksum: the first eight bytes, little-endian, of the BLAKE3 hash of the
    /// number (eight bytes, little-endian) and the records.
    pub fn new(number: u64, records: &'a [u8]) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&number.to_le_bytes()).update(records);
        let hash = *hasher.finalize().as_bytes();
        let checksum = i64::from_le_bytes(hash[..8].try_into().expect("eight bytes of thirty-two"));
        Self { number, checksum, records }
    }

    /// Whether the checksum matches.
    pub fn is_sound(&self) -> bool {
        Self::new(self.number, self.records).checksum == self.checksum
    }
}

/// A journal as its readers see it, also while a run writes to it.
pub trait JournalRead: fmt::Debug + Send {
    /// Where it is, for errors.
    fn store(&self) -> &Store;

    /// The run that it belongs to.
    fn run(&self) -> &RunKey;

    /// Why the store as a whole is not sound, where it can be read in spite of that.
    fn damage(&self) -> Option<&str> {
        None
    }

    /// Calls `each` with the first `most` groups after the one numbered `number`, in the order of
    /// their numbers. Checks neither gaps nor checksums.
    fn groups_after(&self, number: u64, most: u64, each: &mut dyn FnMut(Group<'_>))
    -> Result<(), StoreError>;

    /// The records of one group.
    fn group(&self, number: u64) -> Result<Option<Vec<u8>>, StoreError>;

    /// What is known of the connection with this number.
    fn connection(&self, number: u32) -> Result<Option<ConnectionInfo>, StoreError>;
}

/// A journal that can be written to.
///
/// The number of a group is the fence: a store that was opened to write, and has lost its turn to
/// another process since (its lock, its lease), finds the number taken and can't commit any more.
/// What it does not commit it does not send.
pub trait JournalStore: JournalRead {
    /// The largest number of a group and of a connection, 0 where there is none.
    fn last_numbers(&self) -> Result<(u64, u32), StoreError>;

    /// Makes `connections` and `group` durable together. Fails and writes nothing when a group of
    /// this number exists. Leaves a connection that is already known unchanged.
    ///
    /// After an error the group may have been written all the same.
    fn commit(
        &mut self,
        connections: &[(u32, ConnectionInfo)],
        group: Option<Group<'_>>,
    ) -> Result<(), StoreError>;
}
