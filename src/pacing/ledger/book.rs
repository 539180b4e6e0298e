//! One account's book: the blocks of the last hour, and how many more messages may leave. No I/O
//! and no clock.
//!
//! A new block `[from, until]` is granted only as much as keeps, for each limit with its window of
//! `length`, `everything with until ≥ from - length` + the new block ≤ limit. Any closed window
//! that includes a moment of the new block reaches back to `from - length` at most, and everything
//! else in it was granted before and is in that sum. So no window exceeds the limit, whenever
//! messages leave within their intervals.

use std::collections::BTreeMap;
use std::time::Duration;

use super::window::Window;
use super::{Block, BlockId, Holder, Request, Reservation};
use crate::campaign::Pace;
use crate::pacing::agreement::{Agreement, HOUR, Rate, SLOT, Terms, micros};
use crate::pacing::clock::{Reading, Uptime};

/// A block is requested at most this long before it begins.
const LONGEST_AHEAD: Duration = Duration::from_secs(3);
/// The longest release of a block.
const LONGEST_BLOCK: Duration = Duration::from_secs(5);
/// What the burst rate may release besides the block itself: this much time at the rate, since an
/// answer may be late.
const SLACK: Duration = Duration::from_millis(200);
/// A process counts as working when one of its blocks began within this time (or the time of two
/// messages).
const WORKING: Duration = Duration::from_secs(30);
/// Processes whose blocks began within this time compete for the same tokens.
const COMPETING: Duration = Duration::from_secs(2);
/// A process lets others go first for so long, a little less than a slot; then it goes before all.
const PATIENCE: Duration = Duration::from_secs(SLOT.as_secs() - 5);
/// What [`BlockRecord::waiting`] is then.
const STARVED: u8 = u8::MAX;
/// How long a process that lets another go first waits before it asks again, and how often one that
/// waits shows it. Less than [`COMPETING`], so that none is forgotten meanwhile.
const YIELDING: Duration = Duration::from_secs(1);
/// No interval reaches further into the future; one that does was written by another clock.
const LONGEST_INTERVAL: Duration = Duration::from_secs(20);

/// A block as the book has it: what a backend writes down and reads again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BlockRecord {
    pub id: BlockId,
    pub holder: Holder,
    pub pace: Pace,
    /// The limits that its campaign names.
    pub agreement: Agreement,
    pub line_start: Uptime,
    pub from: Uptime,
    pub until: Uptime,
    pub reserved: u64,
    /// How many of the tokens count: fewer than `reserved` once some were given back.
    pub count: u64,
    /// The priority of a holder that wanted more than it got ([`STARVED`] where it let others go
    /// first for too long); 0 of one that did not, or that goes before nobody.
    pub waiting: u8,
}

/// A request, on the book's clock.
#[derive(Debug, Clone)]
pub(crate) struct Claim<'a> {
    pub holder: &'a Holder,
    pub terms: &'a Terms,
    pub now: Uptime,
    pub want: u64,
    /// As in [`Request`].
    pub at_least: u64,
    pub from: Uptime,
    pub over: u64,
    pub line_start: Uptime,
}

impl<'a> Claim<'a> {
    pub(crate) fn new(holder: &'a Holder, terms: &'a Terms, at: Reading, request: &Request) -> Self {
        let now = at.uptime;
        let from = at.uptime_of(request.from).clamp(now, now.plus(micros(LONGEST_AHEAD)));
        Self {
            holder,
            terms,
            now,
            want: request.want,
            at_least: request.at_least,
            from,
            over: micros(request.over.min(LONGEST_BLOCK)),
            line_start: at.uptime_of(request.line_start).min(from),
        }
    }
}

/// What the book answers.
#[derive(Debug, Clone)]
pub(crate) struct Decision {
    pub count: u64,
    from: Uptime,
    until: Uptime,
    over: u64,
    grace: u64,
    ask_again_at: Uptime,
    shared: bool,
    yields: bool,
    in_force: Agreement,
    line_start: Uptime,
    /// As [`BlockRecord::waiting`].
    waiting: u8,
    /// Nothing is granted, and no block shows to the other processes yet that these limits are
    /// named or that this one waits. They would keep using up what a stricter limit leaves, or what
    /// is due to it.
    announce: bool,
}

impl Decision {
    /// What to record under `id`: the block, or an empty one that makes the campaign's limits
    /// known.
    pub(crate) fn record(&self, id: BlockId, claim: &Claim) -> Option<BlockRecord> {
        (self.count > 0 || self.announce).then(|| BlockRecord {
            id,
            holder: claim.holder.clone(),
            pace: claim.terms.pace,
            agreement: claim.terms.agreement,
            line_start: self.line_start,
            from: self.from,
            until: self.until,
            reserved: self.count,
            count: self.count,
            waiting: self.waiting,
        })
    }

    /// The answer, in the time of the process that asked.
    pub(crate) fn reservation(&self, id: BlockId, at: Reading) -> Reservation {
        Reservation {
            block: (self.count > 0).then(|| Block {
                id,
                count: self.count,
                from: at.time_of(self.from),
                over: Duration::from_micros(self.over),
                admit_until: at.time_of(self.from.plus(self.over + self.grace)),
                until: at.time_of(self.until),
            }),
            ask_again_at: at.time_of(self.ask_again_at),
            shared: self.shared,
            yields: self.yields,
            in_force: self.in_force,
            line_start: at.time_of(self.line_start),
        }
    }
}

/// One account.
#[derive(Debug, Default)]
pub(crate) struct Book {
    records: BTreeMap<BlockId, BlockRecord>,
    /// By the end of their intervals.
    hour: Window,
    slot: Window,
    line: Line,
    smooth: Smooth,
    /// The limits that the blocks name, and how many blocks name them.
    agreements: BTreeMap<Agreement, usize>,
    last_id: u64,
}

/// A leaky bucket across all processes: it drains at the burst rate and holds one block and a
/// little more. The limits do not depend on it.
#[derive(Debug, Default)]
struct Smooth {
    /// Messages in it at `at`; before that it was empty.
    level: f64,
    at: Option<Uptime>,
}

/// The blocks of `pace = "even"` since the line began, by their begin.
#[derive(Debug, Default)]
struct Line {
    since: Option<Uptime>,
    window: Window,
}

impl Book {
    /// The id after the last.
    pub(crate) fn next_id(&self) -> BlockId {
        BlockId(self.last_id + 1)
    }

    /// The blocks, in the order of their ids.
    pub(crate) fn records(&self) -> impl Iterator<Item = &BlockRecord> {
        self.records.values()
    }

    /// Enters a block. One that lies further in the future than any block can was written by
    /// another clock: it counts as if its time were just over at `now`.
    pub(crate) fn enter_foreign(&mut self, mut record: BlockRecord, now: Uptime) {
        if record.until > now.plus(micros(LONGEST_INTERVAL)) {
            record.from = now.minus(record.until.since(record.from));
            record.until = now;
        }
        self.enter(record);
    }

    /// Enters a block, or changes its count where it is known.
    pub(crate) fn enter(&mut self, record: BlockRecord) {
        self.last_id = self.last_id.max(record.id.0);
        if self.records.contains_key(&record.id) {
            self.name(record.id, record.agreement);
            self.give_back(record.id, record.count);
            return;
        }
        self.smooth.add(record.agreement.burst(), record.from, record.count);
        self.hour.insert(record.until, record.id, record.count);
        self.slot.insert(record.until, record.id, record.count);
        if record.pace == Pace::Even && self.line.since.is_some_and(|since| record.from >= since) {
            self.line.window.insert(record.from, record.id, record.count);
        }
        *self.agreements.entry(record.agreement).or_default() += 1;
        self.records.insert(record.id, record);
    }

    /// From now on all blocks name `limits`. Returns how many named others.
    pub(crate) fn set_limits(&mut self, limits: Agreement) -> u64 {
        let others: Vec<BlockId> =
            self.records.values().filter(|entry| entry.agreement != limits).map(|entry| entry.id).collect();
        for id in &others {
            self.name(*id, limits);
        }
        others.len() as u64
    }

    /// The block names `limits` from now on.
    fn name(&mut self, id: BlockId, limits: Agreement) {
        let Some(record) = self.records.get_mut(&id).filter(|record| record.agreement != limits) else {
            return;
        };
        let before = std::mem::replace(&mut record.agreement, limits);
        *self.agreements.entry(limits).or_default() += 1;
        self.forget(before);
    }

    /// One block fewer names `limits`.
    fn forget(&mut self, limits: Agreement) {
        let named = self.agreements.get_mut(&limits).expect("each entry's agreement was counted");
        *named -= 1;
        if *named == 0 {
            self.agreements.remove(&limits);
        }
    }

    /// From now on only `used` tokens of the block count; never more than before.
    pub(crate) fn give_back(&mut self, id: BlockId, used: u64) {
        let Some(entry) = self.records.get_mut(&id) else { return };
        self.smooth.remove(entry.count.saturating_sub(used));
        entry.count = entry.count.min(used);
        self.hour.set(entry.until, id, entry.count);
        self.slot.set(entry.until, id, entry.count);
        self.line.window.set(entry.from, id, entry.count);
    }

    /// Forgets what is outside every window.
    fn expire(&mut self, now: Uptime) {
        let hour_ago = now.minus(micros(HOUR));
        self.hour.expire(hour_ago);
        self.slot.expire(now.minus(micros(SLOT)));
        // Blocks end nearly in the order of their ids; one that is out of order leaves with the
        // next one.
        while let Some(first) = self.records.first_entry().filter(|first| first.get().until < hour_ago) {
            let agreement = first.remove().agreement;
            self.forget(agreement);
        }
    }

    /// How much of `claim` may be granted. Records nothing.
    pub(crate) fn decide(&mut self, claim: &Claim) -> Decision {
        self.expire(claim.now);
        let own = claim.terms.agreement;
        let in_force = self.agreements.keys().fold(own, |strictest, &other| strictest.strictest(other));
        let (grain, burst) = (in_force.grain(), in_force.burst());
        let block = micros(grain.block);
        // Where a block is too short for even one message, each leaves at once when it is due.
        let over = if burst.tokens_in(block) == 0 { 0 } else { block.max(claim.over) };
        let validity = micros(grain.validity);
        let from = claim.from;
        let until = from.plus(over + validity);
        let line_start = self.line_start(in_force, claim);

        let rooms = [
            window_room(&self.hour, micros(HOUR), in_force.per_hour, from, until),
            window_room(&self.slot, micros(SLOT), in_force.per_slot, from, until),
            self.smooth.room(burst, over, from),
            match claim.terms.pace {
                Pace::Even => self.line_room(in_force.nominal(), over, line_start, from),
                Pace::Burst => Room { count: u64::MAX, more_at: from },
            },
        ];
        let due = rooms.iter().map(|room| room.count).fold(claim.want, u64::min);
        // A message that counts as several leaves when the first of them is due: the rest is owed
        // to line and rate. The windows have room for all of it, or it waits.
        let at_least = claim.at_least.clamp(1, in_force.per_slot).min(claim.want);
        let in_windows = rooms[..2].iter().map(|room| room.count).fold(claim.want, u64::min);
        let (free, lacking) = match due {
            0 => (0, 0),
            _ if due >= at_least => (due, due),
            _ if in_windows >= at_least => (at_least, due),
            _ => (0, in_windows),
        };
        let next = from.plus(block.max(over));
        let is_displaced = self.is_displaced(claim);
        let is_starved = is_displaced && claim.now.since(self.served(claim)) >= micros(PATIENCE);
        let yields = is_displaced && !is_starved;
        let count = if yields { 0 } else { free };
        let full = rooms.iter().filter(|room| room.count == lacking);
        let next = if yields { claim.now.plus(micros(YIELDING)).max(next) } else { next };
        let ask_again_at = full.map(|room| room.more_at).fold(next, Uptime::max);
        let waiting = if claim.want <= count {
            0
        } else if is_starved && count == 0 {
            STARVED
        } else {
            claim.terms.priority
        };
        let shared = self.recent(claim.now, COMPETING).any(|entry| entry.holder != *claim.holder);
        let grace = validity / 2;
        let is_known = self.agreements.contains_key(&own) && (waiting == 0 || self.is_seen_waiting(claim));
        let announce = count == 0 && claim.want > 0 && !is_known;
        Decision {
            count,
            from,
            until,
            over,
            grace,
            ask_again_at,
            shared,
            yields,
            in_force,
            line_start,
            waiting,
            announce,
        }
    }

    /// Whether somebody who goes before the claim's holder wanted more than it got when it last
    /// asked.
    fn is_displaced(&self, claim: &Claim) -> bool {
        let mut seen: Vec<&Holder> = Vec::new();
        self.recent(claim.now, COMPETING).filter(|entry| entry.holder != *claim.holder).any(|entry| {
            let is_latest = !seen.contains(&&entry.holder);
            seen.push(&entry.holder);
            is_latest && entry.waiting > claim.terms.priority
        })
    }

    /// When the claim's holder last got something; at first, when it began.
    fn served(&self, claim: &Claim) -> Uptime {
        let mut own = self.records.values().rev().filter(|entry| entry.holder == *claim.holder);
        own.find(|entry| entry.count > 0).map_or(claim.line_start, |entry| entry.from)
    }

    /// Whether a block shows already that the claim's holder waits.
    fn is_seen_waiting(&self, claim: &Claim) -> bool {
        let mut recent = self.recent(claim.now, YIELDING);
        recent.any(|entry| entry.holder == *claim.holder && entry.waiting > 0)
    }

    /// The blocks that began within `span`, the latest first.
    fn recent(&self, now: Uptime, span: Duration) -> impl Iterator<Item = &BlockRecord> {
        let begin = now.minus(micros(span));
        self.records.values().rev().take_while(move |entry| entry.from >= begin)
    }

    /// Processes that work at the same time share one line, the earliest. Otherwise a process that
    /// catches up would take everything from those that are on their own lines.
    fn line_start(&self, in_force: Agreement, claim: &Claim) -> Uptime {
        let span = WORKING + Duration::from_micros(in_force.nominal().micros_for(2));
        let working = self.recent(claim.now, span).filter(|entry| entry.pace == Pace::Even);
        working.map(|entry| entry.line_start).fold(claim.line_start, Uptime::min)
    }

    /// `pace = "even"`: since the line began (at most an hour back), no more begins than the
    /// nominal rate allows; the first message leaves at once.
    fn line_room(&mut self, rate: Rate, over: u64, line_start: Uptime, from: Uptime) -> Room {
        let hour_ago = from.minus(micros(HOUR));
        let since = line_start.max(hour_ago);
        let used = self.line.since(since, &self.records);
        let due = rate.tokens_in(from.plus(over).since(since)).saturating_add(1);
        let count = due.saturating_sub(used);
        let more_at = if since > line_start {
            self.line.window.first_since(since).map_or(from, |first| first.plus(micros(HOUR) + 1))
        } else {
            since.plus(rate.micros_for(used + count)).minus(over)
        };
        Room { count, more_at }
    }
}

/// What one limit leaves.
#[derive(Debug, Clone, Copy)]
struct Room {
    count: u64,
    /// When more is available, once that is taken.
    more_at: Uptime,
}

fn window_room(window: &Window, length: u64, limit: u64, from: Uptime, until: Uptime) -> Room {
    let reach = from.minus(length);
    let first = window.first_since(reach).unwrap_or(until);
    Room { count: limit.saturating_sub(window.sum_since(reach)), more_at: first.plus(length + 1) }
}

impl Smooth {
    fn level(&self, rate: Rate, at: Uptime) -> f64 {
        let past = self.at.map_or(0, |before| at.since(before));
        (self.level - rate.tokens_of(past)).max(0.0)
    }

    fn add(&mut self, rate: Rate, from: Uptime, count: u64) {
        // Blocks of another boot may all lie at one moment; the limits take care of them.
        let most = 1.0 + rate.tokens_of(micros(LONGEST_BLOCK + SLACK));
        self.level = (self.level(rate, from) + count as f64).min(most);
        self.at = self.at.max(Some(from));
    }

    fn remove(&mut self, count: u64) {
        self.level = (self.level - count as f64).max(0.0);
    }

    fn room(&self, rate: Rate, over: u64, from: Uptime) -> Room {
        let free = 1.0 + rate.tokens_of(over + micros(SLACK)) - self.level(rate, from);
        let count = free.max(0.0).floor();
        // Whole messages and microseconds, far from where a float loses them.
        Room { count: count as u64, more_at: from.plus(rate.micros_of(count + 1.0 - free).ceil() as u64) }
    }
}

impl Line {
    /// What began at `since` or later.
    fn since(&mut self, since: Uptime, records: &BTreeMap<BlockId, BlockRecord>) -> u64 {
        // Processes look ahead by different times: a little of what lies before is kept for the
        // next one.
        let keep = since.minus(micros(LONGEST_AHEAD));
        let complete_since = match self.since {
            Some(known) if known <= since => {
                self.window.expire(keep);
                known.max(keep)
            }
            Some(_) | None => {
                self.window.clear();
                for entry in records.values().filter(|entry| entry.pace == Pace::Even && entry.from >= keep) {
                    self.window.insert(entry.from, entry.id, entry.count);
                }
                keep
            }
        };
        self.since = Some(complete_since);
        self.window.sum_since(since)
    }
}

#[cfg(test)]
#[path = "book_tests.rs"]
mod tests;
