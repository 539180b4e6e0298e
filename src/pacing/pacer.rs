//! Decides how many messages may leave now. Knows nothing of SMTP, of files or of clocks: the
//! caller passes `now`.
//!
//! The pacer asks the ledger for blocks of tokens, shortly before it needs them, and releases each
//! block evenly over its time. The limits are kept by the ledger; the pacer keeps the release
//! smooth and the ledger's work small.

use std::collections::VecDeque;
use std::mem;
use std::time::Duration;

use super::agreement::{Agreement, micros};
use super::bucket::Bucket;
use super::ledger::{Block, Request, Reservation, Unused};
use crate::campaign::Capacity;
use crate::mail::Timestamp;

/// Tokens are released in portions of this much of their block's time, so that timers need not be
/// finer.
const TICK: Duration = Duration::from_millis(20);
/// The ledger is asked this much earlier than its recent latency requires.
const EARLY: Duration = Duration::from_millis(30);
/// The latency assumed for the ledger until its first answer.
const FIRST_LATENCY: Duration = Duration::from_millis(20);
/// No answer is expected to take longer.
const LONGEST_LATENCY: Duration = Duration::from_secs(2);
/// After a failure the ledger is asked again this much later.
const AFTER_FAILURE: Duration = Duration::from_secs(1);
/// The most of the backlog that one request asks for; recent use lets requests grow from there.
/// More than one connection to a nearby receiver uses in a block, so that a wide agreement is
/// reached quickly.
const BACKLOG: u64 = 8_192;
/// With nothing to wait for, the caller may look again after this.
const IDLE: Duration = Duration::from_secs(3_600);

/// What may leave now, and what to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admission {
    /// How many messages may leave; they count as spent, whatever becomes of them.
    pub count: u64,
    /// None of them may begin (`MAIL` on the wire) after this moment. A later one needs a new
    /// admission.
    pub valid_until: Timestamp,
    /// To be sent to the ledger; its answer goes to [`Pacer::reserved`] or [`Pacer::failed`].
    pub request: Option<Request>,
    /// Nothing changes before this moment unless more messages become ready or the ledger answers.
    pub ask_again_at: Timestamp,
}

/// One process's share of the capacity.
#[derive(Debug)]
pub struct Pacer {
    own: Agreement,
    capacity: Capacity,
    in_force: Agreement,
    /// Others go first on the account.
    yields: bool,
    /// The limits in force when they were reported last.
    told: Agreement,
    /// The first moment at which a message was ready.
    line_start: Option<Timestamp>,
    bucket: Bucket,
    held: VecDeque<Held>,
    outstanding: Option<Outstanding>,
    ask_at: Timestamp,
    /// How long the ledger's answers take: the longest of the recent ones.
    latency: Duration,
    /// Admitted since the ledger was asked last.
    admitted: u64,
    unused: Vec<Unused>,
    /// How many messages the caller still has to come.
    backlog: u64,
    shuffle: u64,
}

#[derive(Debug)]
struct Held {
    block: Block,
    admitted: u64,
}

#[derive(Debug)]
struct Outstanding {
    since: Timestamp,
    unused: Vec<Unused>,
}

impl Pacer {
    /// A pacer that holds nothing yet. `start` is the process's time now. The line of `pace =
    /// "even"` begins later, when the first message is ready.
    pub fn new(capacity: &Capacity, start: Timestamp) -> Self {
        let own = Agreement::from(capacity);
        Self {
            own,
            capacity: capacity.clone(),
            in_force: own,
            yields: false,
            told: own,
            line_start: None,
            bucket: Bucket::new(own.peak(), start),
            held: VecDeque::new(),
            outstanding: None,
            ask_at: start,
            latency: FIRST_LATENCY,
            admitted: 0,
            unused: Vec::new(),
            backlog: 0,
            // Differs between processes, which is all it is for.
            shuffle: (start.0 as u64) | 1,
        }
    }

    /// How many of `ready` messages may leave now. Cheap: to be called at every event.
    ///
    /// `now` never goes back. `ready` counts the messages that could leave at once.
    pub fn admit(&mut self, now: Timestamp, ready: u64) -> Admission {
        self.admit_whole(now, ready, 1)
    }

    /// As [`Self::admit`], where messages count by their size: `ready` is the sum of what they
    /// count as, and `first` is the first one's part. Fewer than `first` are not admitted; what is
    /// left over goes back with [`Self::put_back`].
    pub fn admit_whole(&mut self, now: Timestamp, ready: u64, first: u64) -> Admission {
        self.retire(now);
        let may_go = self.bucket.refill(now).min(ready);
        let (count, valid_until) = self.release(now, may_go, first);
        self.bucket.take(count);
        self.admitted += count;
        let request = self.request(now, ready, first);
        let left = ready - count;
        // With more to come, a whole portion is worth waiting for.
        let ask_again_at = self.next_change(now, if left > 0 { left.max(self.backlog) } else { 0 }, first);
        Admission { count, valid_until, request, ask_again_at }
    }

    /// Takes back what was admitted just now and not used.
    pub fn put_back(&mut self, mut count: u64) {
        self.bucket.put_back(count);
        self.admitted = self.admitted.saturating_sub(count);
        for held in self.held.iter_mut().rev() {
            let back = held.admitted.min(count);
            held.admitted -= back;
            count -= back;
        }
    }

    /// As how many messages one of so many bytes counts.
    pub fn cost(&self, bytes: usize) -> u64 {
        self.capacity.cost(bytes as u64).min(self.in_force.per_slot.max(1))
    }

    /// The most that [`Self::admit`] would admit at `now` if enough messages were ready. An upper
    /// bound.
    pub fn most(&mut self, now: Timestamp) -> u64 {
        let released = self.held.iter().map(|held| held.released(now).saturating_sub(held.admitted));
        self.bucket.refill(now).min(released.sum())
    }

    /// Says how many messages are still to come besides those that are ready, so that the ledger is
    /// asked for more than one turn's worth at a time.
    pub fn expect(&mut self, backlog: u64) {
        self.backlog = backlog;
    }

    /// The ledger's answer to the last request.
    pub fn reserved(&mut self, now: Timestamp, reservation: Reservation) {
        if let Some(outstanding) = self.outstanding.take() {
            let forgotten = self.latency - self.latency / 8;
            self.latency = now.since(outstanding.since).max(forgotten).min(LONGEST_LATENCY);
        }
        if self.in_force != reservation.in_force {
            self.in_force = reservation.in_force;
            self.bucket.set_rate(self.in_force.peak());
        }
        self.yields = reservation.yields;
        self.line_start = self.line_start.map(|start| start.min(reservation.line_start));
        self.ask_at = reservation.ask_again_at;
        if reservation.shared {
            // Processes that ask in step would always be served in the same order.
            self.ask_at = self.ask_at - self.in_force.grain().block.mul_f64(self.random() / 2.0);
        }
        if let Some(block) = reservation.block {
            self.held.push_back(Held { block, admitted: 0 });
        }
    }

    /// Takes note that the ledger could not answer the last request. Nothing was granted; it is
    /// asked again a second later.
    pub fn failed(&mut self, now: Timestamp) {
        if let Some(outstanding) = self.outstanding.take() {
            self.unused.extend(outstanding.unused);
        }
        self.ask_at = now + AFTER_FAILURE;
    }

    /// Stops using the blocks held, and returns the request that gives their unused tokens back.
    /// Called when the run stops; an answer that is still to come stays spent.
    pub fn give_back(&mut self, now: Timestamp) -> Option<Request> {
        for held in mem::take(&mut self.held) {
            self.unused.extend(held.unused());
        }
        let unused = mem::take(&mut self.unused);
        (!unused.is_empty()).then(|| self.asking(now, 0, unused))
    }

    /// True when others go first on the account: nothing was granted when it was last asked.
    pub fn yields(&self) -> bool {
        self.yields
    }

    /// The limits in force on the account, where another run has named stricter ones within
    /// the last hour: worth a warning.
    pub fn stricter(&self) -> Option<Agreement> {
        (self.in_force != self.own).then_some(self.in_force)
    }

    /// The user knows of these limits: [`Self::newly_stricter`] doesn't name them.
    pub fn was_told(&mut self, limits: Agreement) {
        self.told = limits;
    }

    /// [`Self::stricter`], once after each change.
    pub fn newly_stricter(&mut self) -> Option<Agreement> {
        let before = mem::replace(&mut self.told, self.in_force);
        self.stricter().filter(|limits| *limits != before)
    }

    /// Retires the blocks whose time is over.
    fn retire(&mut self, now: Timestamp) {
        while let Some(held) = self.held.front() {
            if held.admitted < held.block.count && now <= held.block.admit_until {
                return;
            }
            self.unused.extend(held.unused());
            self.held.pop_front();
        }
    }

    /// What of the blocks leaves now: what is due of them. A first message that counts for more
    /// leaves as soon as they hold all of it, and the bucket owes the rest.
    fn release(&mut self, now: Timestamp, may_go: u64, first: u64) -> (u64, Timestamp) {
        let due = self.held.iter().map(|held| held.released(now).saturating_sub(held.admitted)).sum::<u64>();
        let at_once = due.min(may_go) < first;
        if at_once && (first <= 1 || may_go == 0 || self.on_hand(now) < first) {
            return (0, now);
        }
        let mut valid_until: Option<Timestamp> = None;
        let may_go = if at_once { first } else { may_go };
        let mut left = may_go;
        for held in &mut self.held {
            let released = if at_once { held.on_hand(now) } else { held.released(now) };
            let count = released.saturating_sub(held.admitted).min(left);
            if count > 0 {
                held.admitted += count;
                left -= count;
                valid_until = Some(valid_until.unwrap_or(held.block.until).min(held.block.until));
            }
        }
        (may_go - left, valid_until.unwrap_or(now))
    }

    /// What the blocks hold at `now`, due or not.
    fn on_hand(&self, now: Timestamp) -> u64 {
        self.held.iter().map(|held| held.on_hand(now).saturating_sub(held.admitted)).sum()
    }

    fn request(&mut self, now: Timestamp, ready: u64, first: u64) -> Option<Request> {
        let nothing_to_say = ready == 0 && self.unused.is_empty();
        if nothing_to_say || self.outstanding.is_some() || now < self.asking_time() {
            return None;
        }
        // What is not used is given back, so asking for twice the recent use costs nothing and lets
        // the rate grow.
        let soon = ready.max(self.backlog.min(BACKLOG));
        let want = if ready == 0 { 0 } else { soon.saturating_add(self.admitted.saturating_mul(2)) };
        self.admitted = 0;
        let unused = mem::take(&mut self.unused);
        self.outstanding = Some(Outstanding { since: now, unused: unused.clone() });
        Some(Request { at_least: first, ..self.asking(now, want, unused) })
    }

    fn asking(&mut self, now: Timestamp, want: u64, unused: Vec<Unused>) -> Request {
        let expected = now + self.latency;
        if want > 0 {
            self.line_start.get_or_insert(expected);
        }
        Request {
            want,
            at_least: 1,
            from: self.ask_at.max(expected),
            over: self.latency + EARLY,
            line_start: self.line_start.unwrap_or(expected),
            unused,
        }
    }

    fn asking_time(&self) -> Timestamp {
        self.ask_at - (self.latency + EARLY)
    }

    /// When to look again, with `left` messages that could not go.
    fn next_change(&self, now: Timestamp, left: u64, first: u64) -> Timestamp {
        let mut next = now + IDLE;
        if let Some(held) = self.held.front() {
            next = next.min(held.block.admit_until + Duration::from_micros(1));
        }
        if left > 0 && first > 1 {
            // A part of a message is of no use.
            let begins = self.held.iter().map(|held| held.block.from).filter(|from| *from > now).min();
            let whole = (self.on_hand(now) >= first).then(|| self.bucket.time_of(1));
            next = whole.or(begins).map_or(next, |at| next.min(at));
        } else if left > 0 {
            let open = self.held.iter().filter(|held| held.block.admit_until > now);
            let releases = open.filter_map(|held| held.next_release(left));
            let release = releases.min_by_key(|&(time, _)| time);
            if let Some((time, count)) = release {
                next = next.min(time.max(self.bucket.time_of(count)));
            }
        }
        let waits = left > 0 || !self.unused.is_empty();
        if waits && self.outstanding.is_none() {
            next = next.min(self.asking_time());
        }
        next.max(now + Duration::from_micros(1))
    }

    /// Between 0 and 1 (xorshift).
    fn random(&mut self) -> f64 {
        self.shuffle ^= self.shuffle << 13;
        self.shuffle ^= self.shuffle >> 7;
        self.shuffle ^= self.shuffle << 17;
        (self.shuffle >> 11) as f64 / (1_u64 << 53) as f64
    }
}

impl Held {
    /// How much of the block may have left by `now`.
    fn released(&self, now: Timestamp) -> u64 {
        let Block { from, over, admit_until, count, .. } = self.block;
        if now < from || now > admit_until {
            return 0;
        }
        let (past, over) = (micros(now.since(from)), micros(over));
        if past >= over { count } else { share(count, past, over).saturating_add(1).min(count) }
    }

    /// All of the block while it may leave.
    fn on_hand(&self, now: Timestamp) -> u64 {
        if self.block.from <= now && now <= self.block.admit_until { self.block.count } else { 0 }
    }

    /// When the next portion is due and how large it is, with `left` messages waiting.
    fn next_release(&self, left: u64) -> Option<(Timestamp, u64)> {
        let Block { from, over, count, .. } = self.block;
        let over = micros(over);
        let portion = if over == 0 { count } else { share(count, micros(TICK), over).max(1) };
        let portion = portion.min(left).min(count - self.admitted);
        // Message k of the block (from 0) is due at k / count of its time, rounded up.
        let last = self.admitted + portion.checked_sub(1)?;
        let due = u128::from(last) * u128::from(over);
        let due = u64::try_from(due.div_ceil(u128::from(count))).unwrap_or(u64::MAX);
        Some((from + Duration::from_micros(due), portion))
    }

    fn unused(&self) -> Option<Unused> {
        (self.admitted < self.block.count).then_some(Unused { block: self.block.id, used: self.admitted })
    }
}

/// `count × part / whole`, rounded down.
fn share(count: u64, part: u64, whole: u64) -> u64 {
    let share = u128::from(count) * u128::from(part) / u128::from(whole.max(1));
    u64::try_from(share).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pacing::clock::{Clock, Reading};
    use crate::pacing::ledger::{Account, Holder, Ledger, MemoryLedger};

    fn at(millis: i64) -> Timestamp {
        Timestamp(1_780_000_000_000_000 + millis * 1_000)
    }

    /// A ledger in simulated time.
    struct Desk {
        clock: Clock,
        ledger: MemoryLedger,
    }

    impl Desk {
        fn new() -> Self {
            let clock = Clock::simulated(Reading::simulated(at(0)));
            Self { ledger: MemoryLedger::new(clock.clone()), clock }
        }

        fn join(&self, holder: Holder, capacity: &Capacity) -> Box<dyn Account> {
            self.ledger.join(holder, capacity.into()).unwrap()
        }

        fn reserve(&self, account: &mut dyn Account, millis: i64, request: &Request) -> Reservation {
            self.clock.set(Reading::simulated(at(millis)));
            account.reserve(request).unwrap()
        }
    }

    #[test]
    fn a_block_is_released_over_its_time_and_valid_to_its_end() {
        let capacity = Capacity { per_hour: 36_000, ..Capacity::default() };
        let desk = Desk::new();
        let mut account = desk.join(Holder::new("news", "1"), &capacity);
        let mut pacer = Pacer::new(&capacity, at(0));
        let first = pacer.admit(at(0), 100);
        assert_eq!(first.count, 0);
        let reservation = desk.reserve(&mut *account, 0, &first.request.unwrap());
        pacer.reserved(at(4), reservation);
        // Five in half a second, the first at the expected time of the answer; one more for the
        // line's begin.
        let check = |pacer: &mut Pacer, millis, count, next| {
            let admission = pacer.admit(at(millis), 100);
            assert_eq!((admission.count, admission.ask_again_at), (count, at(next)), "at {millis} ms");
            if count > 0 {
                assert_eq!(admission.valid_until, at(20 + 500 + 2_000));
            }
        };
        check(&mut pacer, 19, 0, 20);
        check(&mut pacer, 20, 1, 120);
        check(&mut pacer, 119, 0, 120);
        check(&mut pacer, 230, 2, 320);
    }

    #[test]
    fn nothing_waits_and_nothing_is_asked_without_messages() {
        let mut pacer = Pacer::new(&Capacity::default(), at(0));
        let admission = pacer.admit(at(0), 0);
        assert_eq!((admission.count, admission.request), (0, None));
        assert_eq!(admission.ask_again_at, at(3_600_000));
        assert_eq!(pacer.give_back(at(5)), None);
    }

    #[test]
    fn limits_that_become_stricter_are_told_once() {
        let (wide, narrow) = (Capacity::default(), Capacity { per_hour: 36_000, ..Capacity::default() });
        let desk = Desk::new();
        let mut pacer = Pacer::new(&wide, at(0));
        let mut own = desk.join(Holder::new("news", "1"), &wide);
        let ask = |pacer: &mut Pacer, own: &mut Box<dyn Account>, millis| {
            let request = pacer.admit(at(millis), 1).request.unwrap();
            pacer.reserved(at(millis + 1), desk.reserve(&mut **own, millis, &request));
            pacer.newly_stricter()
        };
        assert_eq!(ask(&mut pacer, &mut own, 0), None);
        let mut other = Pacer::new(&narrow, at(1_000));
        let mut others = desk.join(Holder::new("alarm", "2"), &narrow);
        assert_eq!(ask(&mut other, &mut others, 1_000), None, "its own limits are the strictest");
        assert_eq!(ask(&mut pacer, &mut own, 5_000), Some(Agreement::from(&narrow)));
        assert_eq!(ask(&mut pacer, &mut own, 9_000), None, "once is enough");
        let mut third = Pacer::new(&wide, at(10_000));
        third.was_told(Agreement::from(&narrow));
        let mut thirds = desk.join(Holder::new("update", "3"), &wide);
        assert_eq!(ask(&mut third, &mut thirds, 10_000), None, "its user knows them");
    }

    #[test]
    fn after_a_failure_it_asks_again_and_gives_back_what_it_said_then() {
        let capacity = Capacity { per_hour: 36_000, ..Capacity::default() };
        let desk = Desk::new();
        let mut account = desk.join(Holder::new("news", "1"), &capacity);
        let mut pacer = Pacer::new(&capacity, at(0));
        let request = pacer.admit(at(0), 2).request.unwrap();
        pacer.reserved(at(4), desk.reserve(&mut *account, 2, &request));
        // Two were granted, one of them is used; the time of the other runs out.
        assert_eq!(pacer.admit(at(20), 1).count, 1);
        let request = pacer.admit(at(3_000), 1).request.unwrap();
        assert_eq!(request.unused.iter().map(|unused| unused.used).collect::<Vec<_>>(), [1]);
        assert_eq!(pacer.admit(at(3_001), 1).request, None, "one at a time");
        pacer.failed(at(3_100));
        assert_eq!(pacer.admit(at(3_500), 1).request, None);
        let again = pacer.admit(at(4_100), 1).request.unwrap();
        assert_eq!(again.unused, request.unused);
    }
}
