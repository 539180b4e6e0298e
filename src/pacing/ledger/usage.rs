//! What each account used of its capacity in the last hour, and by whom.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Holder;
use super::book::{BlockRecord, Book};
use crate::mail::Timestamp;
use crate::pacing::agreement::{Agreement, HOUR, SLOT};
use crate::pacing::clock::Reading;

/// One account's last hour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usage {
    /// The capacity account.
    pub account: String,
    /// The limits in force: the strictest that a campaign has named within the last hour, or before
    /// that.
    pub in_force: Agreement,
    /// The limits that each campaign of the last hour has named, by campaign; they should be equal.
    pub named: BTreeMap<String, Agreement>,
    /// The limits that were named within the last hour, and until when each holds if nobody names
    /// it again.
    pub limits: Vec<(Agreement, Timestamp)>,
    /// Messages spent in the last 3,600 s, including blocks that are not used up yet.
    pub hour_used: u64,
    /// How many may still leave now, by the hour's limit.
    pub hour_free: u64,
    /// Messages spent in the last 300 s.
    pub slot_used: u64,
    /// How many may still leave now, by the slot's limit and the hour's.
    pub slot_free: u64,
    /// The slots of the last hour including the current one: thirteen, the oldest first.
    pub slots: Vec<SlotUse>,
}

impl Usage {
    /// True when campaigns have named different limits for the account: the strictest apply.
    pub fn disagrees(&self) -> bool {
        self.named.values().any(|limits| *limits != self.in_force)
    }

    /// The limits that hold for a campaign that names `own`, and until when, where they are
    /// stricter.
    pub fn stricter_than(&self, own: Agreement) -> Option<(Agreement, Timestamp)> {
        let stricter = self.limits.iter().filter(|(limits, _)| limits.strictest(own) != own);
        stricter
            .copied()
            .reduce(|(one, until), (other, later)| (one.strictest(other), until.max(later)))
            .map(|(limits, until)| (limits.strictest(own), until))
    }
}

/// One slot of five minutes, aligned to the clock (UTC).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotUse {
    /// Where it begins, on the wall clock as it is set now.
    pub start: Timestamp,
    /// Messages spent in it. A block belongs to the slot in which it begins; its last messages may
    /// have begun some seconds later.
    pub used: u64,
    /// Who spent them, in the order of their names.
    pub by: Vec<(Holder, u64)>,
}

/// One account's last hour; `None` where the book is empty.
pub(crate) fn of_book(account: String, book: &Book, at: Reading) -> Option<Usage> {
    let within =
        |entry: &BlockRecord, span: Duration| Duration::from_micros(at.uptime.since(entry.until)) <= span;
    let all = || book.records().map(|entry| entry.agreement);
    let live = || book.records().filter(|entry| within(entry, HOUR)).map(|entry| entry.agreement);
    let mut named: BTreeMap<String, Agreement> = BTreeMap::new();
    for entry in book.records().filter(|entry| within(entry, HOUR)) {
        let limits = named.entry(entry.holder.campaign.to_string()).or_insert(entry.agreement);
        *limits = limits.strictest(entry.agreement);
    }
    let mut limits: BTreeMap<Agreement, Timestamp> = BTreeMap::new();
    for entry in book.records().filter(|entry| within(entry, HOUR)) {
        let until = limits.entry(entry.agreement).or_default();
        *until = (at.wall_of(entry.until) + HOUR).max(*until);
    }
    let limits = limits.into_iter().collect();
    let in_force = live().reduce(Agreement::strictest).or_else(|| all().reduce(Agreement::strictest))?;

    let used = |span| book.records().filter(|entry| within(entry, span)).map(|entry| entry.count).sum();
    let (hour_used, slot_used): (u64, u64) = (used(HOUR), used(SLOT));
    let hour_free = in_force.per_hour.saturating_sub(hour_used);
    let slot_free = in_force.per_slot.saturating_sub(slot_used).min(hour_free);

    let first = (at.wall - HOUR).slot();
    let mut slots: Vec<BTreeMap<&Holder, u64>> = vec![BTreeMap::new(); 13];
    for entry in book.records().filter(|entry| entry.count > 0) {
        let start = at.wall_of(entry.from).slot();
        if start < first {
            continue;
        }
        // A block reserved ahead may begin in the slot after this one.
        let index = (start.since(first).as_secs() / SLOT.as_secs()).min(12);
        *slots[usize::try_from(index).expect("it is at most 12")].entry(&entry.holder).or_default() +=
            entry.count;
    }
    let slots = slots.into_iter().zip(0_u32..).map(|(by, index)| SlotUse {
        start: first + SLOT * index,
        used: by.values().sum(),
        by: by.into_iter().map(|(holder, count)| (holder.clone(), count)).collect(),
    });
    let slots = slots.collect();
    Some(Usage { account, in_force, named, limits, hour_used, hour_free, slot_used, slot_free, slots })
}
