//! How much mail somebody may get within some time, of whatever campaign.
//!
//! A run counts as a whole, with the moment at which it may have mailed somebody last: so nobody
//! gets more within that time than is said, and whoever was mailed early in a long run waits a
//! little longer.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;

use super::past_run::{PastRun, RunMark};
use super::recipient::{Mailed, Recipient, Recognise};
use crate::campaign::{Identity, Kind, MaxPer, MaxPerScope};
use crate::kit::text::counted;
use crate::mail::Timestamp;

/// How much mail a recipient may have got before a run.
#[derive(Debug, Clone)]
pub struct Cap {
    pub(super) most: MaxPer,
    /// Mails since then count.
    since: Timestamp,
    /// Only mails of this list count.
    list: Option<String>,
    /// The runs that processes are sending now: they count, whenever they began.
    sending: Vec<RunMark>,
    /// Whether several rows of the run can have one address. Then they count too.
    pub(super) repeats: bool,
}

impl Cap {
    /// What a campaign file asks for, seen at the moment `now`; `None` where it asks for nothing.
    pub fn of(
        campaign: &Identity,
        now: Timestamp,
        sending: Vec<RunMark>,
        recognise: Recognise,
    ) -> Option<Self> {
        let most = campaign.max_per.filter(|_| campaign.kind != Kind::Alarm)?;
        let list = match campaign.max_per_scope {
            MaxPerScope::All => None,
            MaxPerScope::List => campaign.list_id.clone(),
        };
        let repeats = recognise.repeats_addresses();
        Some(Self { most, since: now - most.time.0, list, sending, repeats })
    }

    /// Whether the mails of a run count. Those of alarms never do.
    pub fn counts(&self, run: &PastRun) -> bool {
        let is_of_list = self.list.as_ref().is_none_or(|list| *list == run.list_id);
        !run.is_alarm && is_of_list && (run.at >= self.since || self.sending.contains(&run.mark))
    }

    /// The fewest mails that matter: with fewer, a recipient gets another one whatever the list
    /// holds.
    pub fn least(&self) -> u32 {
        if self.repeats { 1 } else { self.most.count }
    }

    /// What results say of a recipient who gets nothing.
    pub fn why(&self) -> String {
        let mails = counted(self.most.count.into(), "mail", "mails");
        let of = self.list.as_ref().map_or_else(String::new, |list| format!(" of list {list}"));
        format!("got {mails}{of} within {}: `max-per` allows no more", self.most.time)
    }

    /// Those of `wanted` who got too much. The run mailed `before` already, and others sent what
    /// `mailed` says. All are sorted.
    pub(super) fn beyond(
        &self,
        wanted: &[Recipient],
        before: &[Recipient],
        mailed: &[Mailed],
    ) -> Vec<Recipient> {
        let mut beyond = Vec::new();
        for rows in wanted.chunk_by(|one, next| one.address() == next.address()) {
            let address = rows[0].address();
            let own = before.partition_point(|one| one.address() < address);
            let own = before[own..].iter().take_while(|one| one.address() == address).count();
            let had = times(mailed, address) as usize + own;
            let free = (self.most.count as usize).saturating_sub(had).min(rows.len());
            beyond.extend_from_slice(&rows[free..]);
        }
        beyond
    }
}

/// How many mails an address got.
pub(super) fn times(mailed: &[Mailed], address: Recipient) -> u32 {
    mailed.binary_search_by_key(&address, |one| one.address()).map_or(0, |found| mailed[found].times())
}

/// Counts the mails of each address, and keeps those with at least `least`. Each run brings its
/// recipients sorted, and one of each is held at a time.
pub fn count_mails<E>(
    runs: impl IntoIterator<Item = impl Iterator<Item = Result<Recipient, E>>>,
    least: u32,
) -> Result<Vec<Mailed>, E> {
    let mut runs: Vec<_> = runs.into_iter().collect();
    let mut next = BinaryHeap::with_capacity(runs.len());
    for (number, run) in runs.iter_mut().enumerate() {
        next.extend(run.next().transpose()?.map(|first| Reverse((first, number))));
    }
    let mut mailed = Vec::new();
    let mut present: Option<(Recipient, u32)> = None;
    let mut keep = |counted: Option<(Recipient, u32)>| {
        let enough = counted.filter(|(_, times)| *times >= least);
        mailed.extend(enough.map(|(address, times)| Mailed::new(address, times)));
    };
    while let Some(mut first) = next.peek_mut() {
        let Reverse((one, number)) = *first;
        match runs[number].next().transpose()? {
            Some(after) => *first = Reverse((after, number)),
            None => {
                PeekMut::pop(first);
            }
        }
        present = match present {
            Some((address, times)) if address == one.address() => Some((address, times.saturating_add(1))),
            before => {
                keep(before);
                Some((one.address(), 1))
            }
        };
    }
    keep(present);
    Ok(mailed)
}
