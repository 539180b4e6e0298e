//! The state of every row, eight bytes each, and the one pass over the journal that finds it.

use rustc_hash::FxHashMap;

use super::codec::{BadRecord, Head, Raw, Record, Records};
use super::record::Verdict;
use super::store::{Group, JournalRead, RunKey};
use crate::kit::store::StoreError;
use crate::mail::{Disposition, Timestamp};

/// What the journal says of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowState {
    /// Nothing.
    Untouched,
    /// To be tried again: its last outcome says when.
    Pending,
    /// Over.
    Final(Disposition),
    /// An intent without an outcome: in flight while the run is sending, in doubt afterwards.
    Open,
    /// The journal is damaged, and the missing part may have been about this row: treated as in
    /// doubt.
    Unknown,
}

impl RowState {
    /// Whether its recipient got the message, or may have got it.
    pub fn may_be_mailed(self) -> bool {
        match self {
            Self::Open | Self::Unknown => true,
            Self::Untouched | Self::Pending => false,
            Self::Final(disposition) => match disposition {
                Disposition::Accepted | Disposition::InDoubt => true,
                Disposition::Bounced
                | Disposition::Deferred
                | Disposition::Suppressed
                | Disposition::Duplicate
                | Disposition::Invalid
                | Disposition::RenderFailed
                | Disposition::Infected
                | Disposition::NotAttempted
                | Disposition::AlreadySent
                | Disposition::Capped => false,
            },
        }
    }
}

/// A part of the journal that can't be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// What was found, and where.
    pub why: String,
}

/// The state of every row of a plan.
#[derive(Debug, Clone)]
pub struct States {
    /// A packed [`Last`] for each row; 0 where it has no outcome.
    rows: Vec<u64>,
    /// Intents without an outcome: at most as many as were in flight at once.
    open: FxHashMap<u32, Place>,
    /// The attempts that are neither the first nor the last of their row, as (row, attempt, start).
    between: Vec<(u32, u16, Timestamp)>,
    /// The archive's copies that were put off: the last outcome of each, if any, and whether it is
    /// over.
    copies: FxHashMap<u32, CopyState>,
    /// When these copies were sent again, as (row, start).
    copies_at: Vec<(u32, Timestamp)>,
    /// The last group that was read.
    group: u64,
    /// The run that the journal belongs to.
    pub run: RunKey,
    /// Set when not all of the journal could be read.
    pub damage: Option<Damage>,
}

/// The archive's copy of a message that its recipient has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct CopyState {
    place: Option<Place>,
    ended: bool,
}

/// Where a record is: its group, and its number within the group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub group: u64,
    pub index: u16,
}

/// A row's last outcome: what it says, and where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Last {
    /// `None` is "to be tried again".
    disposition: Option<Disposition>,
    place: Place,
}

/// Bits of a packed [`Last`]: 4 of tag, 12 of index, 48 of group.
const INDEX_BITS: u32 = 12;
const TAG_BITS: u32 = 4;
const TAG_PENDING: u64 = 1;
/// The tag of `Disposition::ALL[0]`.
const TAG_FINAL: u64 = 2;

/// The most records that a group may hold.
pub(super) const MOST_RECORDS: usize = 1 << INDEX_BITS;

impl Last {
    fn pack(self) -> u64 {
        let tag = match self.disposition {
            None => TAG_PENDING,
            Some(disposition) => TAG_FINAL + disposition as u64,
        };
        tag | u64::from(self.place.index) << TAG_BITS | self.place.group << (TAG_BITS + INDEX_BITS)
    }

    fn unpack(packed: u64) -> Option<Self> {
        let disposition = match packed & ((1 << TAG_BITS) - 1) {
            0 => return None,
            TAG_PENDING => None,
            tag => Some(Disposition::ALL[(tag - TAG_FINAL) as usize]),
        };
        let index = (packed >> TAG_BITS) as u16 & (MOST_RECORDS as u16 - 1);
        Some(Self { disposition, place: Place { group: packed >> (TAG_BITS + INDEX_BITS), index } })
    }
}

impl States {
    /// The states of a journal without records.
    pub(super) fn empty(run: RunKey) -> Self {
        Self {
            rows: vec![0; run.journal_rows() as usize],
            open: FxHashMap::default(),
            between: Vec::new(),
            copies: FxHashMap::default(),
            copies_at: Vec::new(),
            group: 0,
            run,
            damage: None,
        }
    }

    /// What is known of plan row `row`.
    pub fn state(&self, row: u32) -> RowState {
        let last = self.last(row);
        match last.and_then(|last| last.disposition) {
            // A final outcome has no later intent, but for one in doubt that is resent.
            Some(disposition) if !self.open.contains_key(&row) => RowState::Final(disposition),
            Some(_) | None if self.damage.is_some() => RowState::Unknown,
            Some(_) | None if self.open.contains_key(&row) => RowState::Open,
            Some(_) | None if last.is_some() => RowState::Pending,
            Some(_) | None => RowState::Untouched,
        }
    }

    /// The state of the mail with the password of plan row `row`, where rows have one.
    pub fn password(&self, row: u32) -> Option<RowState> {
        self.run.password_of(row).map(|password| self.state(password))
    }

    /// The states of all rows of the plan in row order.
    pub fn iter(&self) -> impl Iterator<Item = (u32, RowState)> + '_ {
        (0..self.run.plan_rows).map(|row| (row, self.state(row)))
    }

    /// The same with the mails with passwords.
    pub(super) fn with_passwords(&self) -> impl Iterator<Item = (u32, RowState)> + '_ {
        (0..self.run.journal_rows()).map(|row| (row, self.state(row)))
    }

    /// How many intents have no outcome.
    pub fn open_intents(&self) -> usize {
        self.open.len()
    }

    /// The starts of the attempts between the first and the last one, in order.
    pub(super) fn between(&self, row: u32) -> impl Iterator<Item = (u16, Timestamp)> + '_ {
        let start = self.between.partition_point(|(other, ..)| *other < row);
        self.between[start..]
            .iter()
            .take_while(move |(other, ..)| *other == row)
            .map(|(_, attempt, at)| (*attempt, *at))
    }

    /// Where the last outcome of `row` is.
    pub(super) fn last_place(&self, row: u32) -> Option<Place> {
        self.last(row).map(|last| last.place)
    }

    /// Where the open intent of `row` is.
    pub(super) fn open_place(&self, row: u32) -> Option<Place> {
        self.open.get(&row).copied()
    }

    /// The rows with open intents, in order.
    pub(super) fn open_rows(&self) -> Vec<u32> {
        let mut rows: Vec<u32> = self.open.keys().copied().collect();
        rows.sort_unstable();
        rows
    }

    /// When the archive's copy that goes with `row` was sent again, in order.
    pub fn copies_at(&self, row: u32) -> impl Iterator<Item = Timestamp> + '_ {
        let start = self.copies_at.partition_point(|(other, _)| *other < row);
        self.copies_at[start..].iter().take_while(move |(other, _)| *other == row).map(|(_, at)| *at)
    }

    /// The rows whose archive copy is to be sent again, in order.
    pub fn waiting_copies(&self) -> Vec<u32> {
        let waiting = self.copies.iter().filter(|(_, copy)| !copy.ended);
        let mut rows: Vec<u32> = waiting.map(|(row, _)| *row).collect();
        rows.sort_unstable();
        rows
    }

    /// Where the last outcome of the archive's copy is that goes with `row`.
    pub(super) fn copy_place(&self, row: u32) -> Option<Place> {
        self.copies.get(&row)?.place
    }

    fn last(&self, row: u32) -> Option<Last> {
        Last::unpack(*self.rows.get(row as usize)?)
    }

    /// Reads the groups that were not read yet. What can't be read becomes the damage; it never
    /// fails.
    pub(super) fn catch_up(&mut self, journal: &dyn JournalRead) {
        let read = journal.groups_after(self.group, u64::MAX, &mut |group| self.read(group));
        if let Err(error) = read {
            self.damaged(format!("after group {}: {}", self.group, describe(&error)));
        }
        if let Some(why) = journal.damage() {
            self.damaged(why.to_owned());
        }
        self.between.sort_unstable();
        self.between.dedup_by_key(|(row, attempt, _)| (*row, *attempt));
        self.copies_at.sort_unstable();
    }

    fn read(&mut self, group: Group<'_>) {
        let number = group.number;
        if number != self.group + 1 {
            self.damaged(format!("group {} is missing", self.group + 1));
        }
        self.group = number;
        if !group.is_sound() {
            self.damaged(format!("the checksum of group {number} is wrong"));
        } else if let Err(bad) = self.apply(number, group.records) {
            self.damaged(format!("group {number}: {bad}"));
        }
    }

    /// The first damage is the one that is reported.
    pub(super) fn damaged(&mut self, why: String) {
        self.damage.get_or_insert(Damage { why });
    }

    fn apply(&mut self, group: u64, records: &[u8]) -> Result<(), BadRecord> {
        for (index, raw) in Records::new(records).enumerate() {
            let raw = raw?;
            let head = raw.head()?;
            if index >= MOST_RECORDS || head.row >= self.run.journal_rows() {
                return Err(raw.bad());
            }
            self.apply_one(head, Place { group, index: index as u16 }, raw)?;
        }
        Ok(())
    }

    fn apply_one(&mut self, head: Head, place: Place, raw: Raw<'_>) -> Result<(), BadRecord> {
        let disposition = match head.verdict {
            None if head.is_copy => {
                // The intent counts, whatever came of it: the capacity was taken for it.
                if let Record::Intent(intent) = raw.record()? {
                    self.copies_at.push((head.row, intent.at));
                }
                return Ok(());
            }
            None => {
                self.open.insert(head.row, place);
                return Ok(());
            }
            Some(Verdict::Copy { ended }) => {
                self.copies.insert(head.row, CopyState { place: Some(place), ended });
                return Ok(());
            }
            Some(Verdict::Withdrawn) => {
                self.open.remove(&head.row);
                return Ok(());
            }
            Some(Verdict::Retry { .. }) => {
                // Every outcome has the time of the first attempt; a later attempt's time is in its
                // own outcome only.
                if head.attempt > 1
                    && let Record::Outcome(outcome) = raw.record()?
                    && let Some(at) = outcome.last_attempt_at
                {
                    self.between.push((head.row, head.attempt, at));
                }
                None
            }
            Some(Verdict::Final(disposition)) => {
                // Given up without another attempt: the row ends as the last attempt left it.
                if let (Disposition::Deferred, Some(last)) = (disposition, self.last(head.row))
                    && last.disposition.is_none()
                    && let Record::Outcome(outcome) = raw.record()?
                    && outcome.is_bare()
                {
                    self.open.remove(&head.row);
                    let last = Last { disposition: Some(disposition), place: last.place };
                    self.rows[head.row as usize] = last.pack();
                    return Ok(());
                }
                if head.names_copy
                    && let Record::Outcome(outcome) = raw.record()?
                    && outcome.copied_by == Some(head.row)
                {
                    self.copies.entry(head.row).or_default();
                }
                Some(disposition)
            }
        };
        self.open.remove(&head.row);
        self.rows[head.row as usize] = Last { disposition, place }.pack();
        Ok(())
    }
}

/// What the engine says; the store is named by whoever reports the damage.
fn describe(error: &StoreError) -> String {
    match (error, std::error::Error::source(error)) {
        (StoreError::Damaged { detail, .. }, _) => detail.clone(),
        (_, Some(cause)) => cause.to_string(),
        (_, None) => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::testing::run_of;

    #[test]
    fn a_row_takes_eight_bytes() {
        let run = RunKey { run_id: "spring".into(), ..run_of(1_000) };
        let states = States::empty(run);
        assert_eq!(size_of_val(states.rows.as_slice()), 8 * 1_000);
        let place = Place { group: (1 << 48) - 1, index: MOST_RECORDS as u16 - 1 };
        for disposition in Disposition::ALL.map(Some).into_iter().chain([None]) {
            let last = Last { disposition, place };
            assert_eq!(Last::unpack(last.pack()), Some(last));
        }
    }
}
