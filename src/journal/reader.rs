//! Reads a journal from any process, also while a run writes to it. Never writes to it.

use std::ops::Range;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::codec::{Record, Records};
use super::error::JournalError;
use super::record::{ConnectionInfo, Intent, Outcome};
use super::states::{Place, States};
use super::store::{JournalRead, RunKey};
use crate::kit::store::Store;
use crate::mail::Timestamp;

/// What one half of the cache of groups may hold, in bytes: rows near each other were mostly
/// written near each other.
const CACHED_BYTES: usize = 8 << 20;
/// The most connections that are remembered.
const CACHED_CONNECTIONS: usize = 4_096;

/// A journal opened for reading.
#[derive(Debug)]
pub struct Reader {
    journal: Box<dyn JournalRead>,
}

/// One transmission of a row, or an outcome that it got without one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Missing where the row got its outcome without being sent.
    pub intent: Option<Intent>,
    /// Missing while it is in flight or in doubt.
    pub outcome: Option<Outcome>,
    /// The connection that the one or the other names.
    pub connection: Option<ConnectionInfo>,
}

/// Records of a journal one after the other.
#[derive(Debug, Default)]
pub struct Stretch {
    /// Each record with its place: the number of its group, and its own in the group, from 1.
    pub records: Vec<(u64, u32, Record)>,
    /// The last group that was read; 0 where none was.
    pub last: u64,
    /// What could not be read, and is left out.
    pub damage: Option<String>,
}

impl Reader {
    /// A reader of `journal`.
    pub fn new(journal: Box<dyn JournalRead>) -> Self {
        Self { journal }
    }

    pub(super) fn journal(&self) -> &dyn JournalRead {
        &*self.journal
    }

    /// The run that the journal belongs to.
    pub fn run(&self) -> &RunKey {
        self.journal.run()
    }

    /// The state of every row. Where the journal is damaged, what can be read is read, and the
    /// states say so.
    pub fn states(&self) -> Result<States, JournalError> {
        let mut states = States::empty(self.run().clone());
        self.catch_up(&mut states)?;
        Ok(states)
    }

    /// Brings `states` up to date with what was written since.
    pub fn catch_up(&self, states: &mut States) -> Result<(), JournalError> {
        compare(self.journal.store(), &states.run, self.run())?;
        states.catch_up(&*self.journal);
        Ok(())
    }

    /// The records of the first `most` groups after the one numbered `group`, also while a run
    /// writes. Nothing stays locked or open between two calls.
    pub fn records_after(&self, group: u64, most: u64) -> Result<Stretch, JournalError> {
        let mut stretch = Stretch { last: group, ..Stretch::default() };
        self.journal.groups_after(group, most, &mut |group| {
            let mut damaged = |why: String| {
                stretch.damage.get_or_insert(why);
            };
            if group.number != stretch.last + 1 {
                damaged(format!("group {} is missing", stretch.last + 1));
            }
            stretch.last = group.number;
            if !group.is_sound() {
                return damaged(format!("the checksum of group {} is wrong", group.number));
            }
            for (index, raw) in (1..).zip(Records::new(group.records)) {
                match raw.and_then(|raw| raw.record()) {
                    Ok(record) => stretch.records.push((group.number, index, record)),
                    Err(bad) => return damaged(format!("group {}: {bad}", group.number)),
                }
            }
        })?;
        Ok(stretch)
    }

    /// A cursor for the details of rows; cheapest in row order.
    pub fn details(&self) -> Details<'_> {
        Details::new(&*self.journal)
    }

    /// Everything that the journal has about these rows, in order, a list for each. Reads the whole
    /// journal once.
    pub fn attempts(&self, rows: Range<u32>) -> Result<Vec<Vec<Attempt>>, JournalError> {
        let mut attempts = vec![Vec::<Attempt>::new(); rows.len()];
        self.journal.groups_after(0, u64::MAX, &mut |group| {
            if !group.is_sound() {
                return;
            }
            for raw in Records::new(group.records).map_while(Result::ok) {
                if let Ok(head) = raw.head()
                    && rows.contains(&head.row)
                    && !head.is_copy
                    && let Ok(record) = raw.record()
                {
                    add(&mut attempts[(head.row - rows.start) as usize], record);
                }
            }
        })?;
        let mut details = self.details();
        for attempt in attempts.iter_mut().flatten() {
            let intent = attempt.intent.as_ref().map(|intent| intent.connection);
            if let Some(number) = attempt.outcome.as_ref().and_then(|outcome| outcome.connection).or(intent) {
                attempt.connection = details.connection(number)?.map(|info| ConnectionInfo::clone(&info));
            }
        }
        Ok(attempts)
    }
}

/// An outcome belongs to the intent before it, if that has none yet.
fn add(attempts: &mut Vec<Attempt>, record: Record) {
    match record {
        Record::Intent(intent) => {
            attempts.push(Attempt { intent: Some(intent), outcome: None, connection: None })
        }
        Record::Outcome(outcome) => match attempts.last_mut() {
            Some(attempt) if attempt.outcome.is_none() => attempt.outcome = Some(outcome),
            Some(_) | None => {
                attempts.push(Attempt { intent: None, outcome: Some(outcome), connection: None })
            }
        },
    }
}

/// An error that names what differs between the journal's run and ours.
pub(super) fn compare(store: &Store, found: &RunKey, expected: &RunKey) -> Result<(), JournalError> {
    let rows = |key: &RunKey| key.plan_rows.to_string();
    for (field, found, expected) in [
        ("run id", found.run_id.clone(), expected.run_id.clone()),
        ("plan rows", rows(found), rows(expected)),
        ("passwords", found.has_passwords.to_string(), expected.has_passwords.to_string()),
        ("plan hash", found.plan_hash.clone(), expected.plan_hash.clone()),
    ] {
        if found != expected {
            return Err(JournalError::OtherPlan { store: store.clone(), field, found, expected });
        }
    }
    Ok(())
}

/// A cursor over the details of rows. Holds a bounded part of the journal in memory.
#[derive(Debug)]
pub struct Details<'a> {
    journal: &'a dyn JournalRead,
    /// Groups that were used lately, and those before them.
    young: FxHashMap<u64, Group>,
    old: FxHashMap<u64, Group>,
    young_bytes: usize,
    connections: FxHashMap<u32, Arc<ConnectionInfo>>,
}

/// The bytes of a group, and where each record starts.
#[derive(Debug)]
struct Group {
    records: Vec<u8>,
    starts: Vec<u32>,
}

impl<'a> Details<'a> {
    pub(super) fn new(journal: &'a dyn JournalRead) -> Self {
        Self {
            journal,
            young: FxHashMap::default(),
            old: FxHashMap::default(),
            young_bytes: 0,
            connections: FxHashMap::default(),
        }
    }

    /// The last outcome of a row.
    pub fn outcome(&mut self, states: &States, row: u32) -> Result<Option<Outcome>, JournalError> {
        let Some(place) = states.last_place(row) else { return Ok(None) };
        match self.record(place)? {
            Record::Outcome(outcome) => Ok(Some(outcome)),
            Record::Intent(_) => Err(self.moved(place)),
        }
    }

    /// The intent of a row that has no outcome yet.
    pub fn open_intent(&mut self, states: &States, row: u32) -> Result<Option<Intent>, JournalError> {
        let Some(place) = states.open_place(row) else { return Ok(None) };
        match self.record(place)? {
            Record::Intent(intent) => Ok(Some(intent)),
            Record::Outcome(_) => Err(self.moved(place)),
        }
    }

    /// The last outcome of the archive's copy that goes with `row`; `None` while it was not sent
    /// again.
    pub fn copy(&mut self, states: &States, row: u32) -> Result<Option<Outcome>, JournalError> {
        let Some(place) = states.copy_place(row) else { return Ok(None) };
        match self.record(place)? {
            Record::Outcome(outcome) => Ok(Some(outcome)),
            Record::Intent(_) => Err(self.moved(place)),
        }
    }

    /// The starts of a row's attempts between its first and its last, of which `last` is the
    /// number.
    pub fn between(&self, states: &States, row: u32, last: u16) -> Vec<Timestamp> {
        states.between(row).filter(|(attempt, _)| *attempt < last).map(|(_, at)| at).collect()
    }

    /// What is known of a connection.
    pub fn connection(&mut self, number: u32) -> Result<Option<Arc<ConnectionInfo>>, JournalError> {
        if let Some(info) = self.connections.get(&number) {
            return Ok(Some(Arc::clone(info)));
        }
        let info = self.journal.connection(number)?;
        let Some(info) = info.map(Arc::new) else { return Ok(None) };
        if self.connections.len() >= CACHED_CONNECTIONS {
            self.connections.clear();
        }
        self.connections.insert(number, Arc::clone(&info));
        Ok(Some(info))
    }

    fn record(&mut self, place: Place) -> Result<Record, JournalError> {
        if !self.young.contains_key(&place.group) {
            let group = match self.old.remove(&place.group) {
                Some(group) => group,
                None => self.load(place.group)?,
            };
            self.young_bytes += group.records.len();
            self.young.insert(place.group, group);
            if self.young_bytes > CACHED_BYTES {
                self.young_bytes = 0;
                self.old = std::mem::take(&mut self.young);
            }
        }
        let group = self.young.get(&place.group).or_else(|| self.old.get(&place.group));
        group.and_then(|group| group.record(place.index)).ok_or_else(|| self.moved(place))
    }

    fn load(&self, number: u64) -> Result<Group, JournalError> {
        let records = self.journal.group(number)?;
        let records = records.ok_or_else(|| self.moved(Place { group: number, index: 0 }))?;
        let starts = Records::new(&records).map_while(Result::ok).map(|raw| raw.start()).collect();
        Ok(Group { records, starts })
    }

    /// The states name a record that does not exist: the journal has changed while it was read.
    fn moved(&self, place: Place) -> JournalError {
        let detail = format!("record {} of group {} has changed while it was read", place.index, place.group);
        JournalError::damaged(self.journal.store(), detail)
    }
}

impl Group {
    fn record(&self, index: u16) -> Option<Record> {
        let start = *self.starts.get(usize::from(index))? as usize;
        Records::new(self.records.get(start..)?).next()?.ok()?.record().ok()
    }
}
