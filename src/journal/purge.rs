//! A journal copied without what it says of some rows: the texts of replies and reasons, which name
//! the recipient. When which row was sent, and how it ended, stays.

use std::collections::BTreeSet;

use super::codec::{self, Record, Records};
use super::commit::Journal;
use super::error::JournalError;
use super::reader::Reader;
use super::record::Outcome;
use super::store::Group;

/// What a reason says that was removed.
const REMOVED: &str = "removed by `mailrun purge`";

/// Connections committed at once.
const CONNECTIONS: usize = 1_000;

impl Reader {
    /// Copies all of it into `to`, which is empty, without the texts of the rows that `is_meant`
    /// names and those that `names` somebody. Groups without any keep their bytes.
    ///
    /// # Errors
    /// A damaged journal is not copied.
    pub fn copy_without(
        &self,
        to: &mut Journal,
        is_meant: &dyn Fn(u32) -> bool,
        names: &dyn Fn(&str) -> bool,
    ) -> Result<(), JournalError> {
        if let Some(damage) = &self.states()?.damage {
            return Err(JournalError::damaged(self.journal().store(), damage.why.clone()));
        }
        self.copy_connections(to)?;
        let mut failed = None;
        self.journal().groups_after(0, u64::MAX, &mut |group| {
            if failed.is_none() {
                failed = to.commit(&[], &without(&group, is_meant, names)).err();
            }
        })?;
        failed.map_or(Ok(()), Err)
    }

    fn copy_connections(&self, to: &mut Journal) -> Result<(), JournalError> {
        let mut numbers = BTreeSet::new();
        self.journal().groups_after(0, u64::MAX, &mut |group| {
            numbers.extend(records(&group).filter_map(|record| match record {
                Record::Intent(intent) => Some(intent.connection),
                Record::Outcome(outcome) => outcome.connection,
            }));
        })?;
        let numbers: Vec<u32> = numbers.into_iter().collect();
        for numbers in numbers.chunks(CONNECTIONS) {
            let mut connections = Vec::with_capacity(numbers.len());
            for number in numbers {
                connections.extend(self.journal().connection(*number)?.map(|info| (*number, info)));
            }
            to.commit(&connections, &[])?;
        }
        Ok(())
    }
}

/// The records of a group that is sound.
fn records<'a>(group: &Group<'a>) -> impl Iterator<Item = Record> + use<'a> {
    Records::new(group.records).map_while(Result::ok).map_while(|raw| raw.record().ok())
}

fn without(group: &Group<'_>, is_meant: &dyn Fn(u32) -> bool, names: &dyn Fn(&str) -> bool) -> Vec<u8> {
    let mut is_changed = false;
    let mut bytes = Vec::with_capacity(group.records.len());
    for record in records(group) {
        match record {
            Record::Intent(intent) => codec::put_intent(&mut bytes, &intent),
            Record::Outcome(mut outcome) => {
                is_changed |= forget(&mut outcome, is_meant, names);
                codec::put_outcome(&mut bytes, &outcome);
            }
        }
    }
    if is_changed { bytes } else { group.records.to_vec() }
}

/// Removes texts from an outcome, and says whether it had any. Which fields it has stays.
fn forget(outcome: &mut Outcome, is_meant: &dyn Fn(u32) -> bool, names: &dyn Fn(&str) -> bool) -> bool {
    let is_of_row = is_meant(outcome.row);
    let mut is_changed = false;
    let Outcome { reply, archive, detail, .. } = outcome;
    for reply in [reply, archive].into_iter().flatten().filter(|reply| is_of_row || names(&reply.text)) {
        reply.text.clear();
        is_changed = true;
    }
    for detail in detail.iter_mut().filter(|detail| is_of_row || names(detail)) {
        REMOVED.clone_into(detail);
        is_changed = true;
    }
    is_changed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::testing::{accepted, intent, run_of};
    use crate::journal::{JournalRead, MemoryJournal, RunKey};

    fn groups(journal: &MemoryJournal) -> Vec<Vec<u8>> {
        let mut groups = Vec::new();
        journal.groups_after(0, u64::MAX, &mut |group| groups.push(group.records.to_vec())).unwrap();
        groups
    }

    #[test]
    fn of_other_rows_every_byte_stays() {
        let run = run_of(4);
        let (from, mut journal) = journal(&run);
        for row in 0..4 {
            let mut records = Vec::new();
            codec::put_intent(&mut records, &intent(row, 1, 1));
            let mut outcome = accepted(row, 1, 1);
            outcome.detail = Some(format!("row {} was named", 3 - row));
            codec::put_outcome(&mut records, &outcome);
            journal.commit(&[], &records).unwrap();
        }
        let key = RunKey { plan_hash: "another".into(), ..run.clone() };
        let (into, mut to) = self::journal(&key);
        let reader = Reader::new(Box::new(from.clone()));
        reader.copy_without(&mut to, &|row| row == 1, &|text| text.contains("row 3")).unwrap();
        let (before, after) = (groups(&from), groups(&into));
        let changed: Vec<usize> = (0..4).filter(|at| before[*at] != after[*at]).collect();
        assert_eq!(changed, [0, 1], "row 1 itself, and row 0, whose reason names row 3");
        let reader = Reader::new(Box::new(into));
        let (states, attempts) = (reader.states().unwrap(), reader.attempts(0..4).unwrap());
        assert_eq!(states.open_intents(), 0);
        let detail = |row: usize| attempts[row][0].outcome.clone().unwrap().detail.unwrap();
        assert_eq!([detail(0), detail(1)], [REMOVED, REMOVED]);
        assert_eq!(detail(2), "row 1 was named");
    }

    fn journal(run: &RunKey) -> (MemoryJournal, Journal) {
        let memory = MemoryJournal::new(run);
        (memory.clone(), Journal::new(Box::new(memory), run).unwrap())
    }
}
