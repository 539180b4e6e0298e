use super::*;
use crate::campaign::Capacity;

const SECOND: i64 = 1_000_000;

/// A book for 1,200 an hour and 125 a slot, asked in `pace = "burst"`.
struct Desk {
    book: Book,
    terms: Terms,
    holder: Holder,
}

impl Desk {
    fn new() -> Self {
        let capacity = Capacity { per_hour: 1_200, pace: Pace::Burst, ..Capacity::default() };
        Self { book: Book::default(), terms: Terms::from(&capacity), holder: Holder::new("news", "1") }
    }

    fn decide(&mut self, now: i64, from: i64, want: u64) -> Decision {
        let (now, from) = (Uptime(now), Uptime(from));
        let (holder, terms) = (&self.holder, &self.terms);
        self.book.decide(&Claim { holder, terms, now, want, at_least: 1, from, over: 0, line_start: now })
    }

    /// A block of `count` that may be sent until `until`, begun as early as it needs not to hold up
    /// others.
    fn spent(&mut self, until: i64, count: u64) -> BlockId {
        let id = self.book.next_id();
        self.book.enter(BlockRecord {
            id,
            holder: self.holder.clone(),
            pace: Pace::Burst,
            agreement: self.terms.agreement,
            line_start: Uptime(0),
            from: Uptime(until - 20 * SECOND),
            until: Uptime(until),
            reserved: count,
            count,
            waiting: 0,
        });
        id
    }
}

#[test]
fn a_block_counts_as_long_as_its_last_moment_is_in_the_window() {
    for (length, limit) in [(300, 125), (3_600, 1_200)] {
        // All that the limit leaves, and one more when the first has left the window.
        let last = 10_000 * SECOND;
        let check = |now: i64, count: u64| {
            let mut desk = Desk::new();
            desk.spent(last, limit);
            assert_eq!(
                desk.decide(now, now, 1).count,
                count,
                "{} µs after {length} s",
                now - last - length * SECOND
            );
        };
        check(last + 1, 0);
        check(last + length * SECOND - 1, 0);
        check(last + length * SECOND, 0);
        check(last + length * SECOND + 1, 1);
    }
}

#[test]
fn the_windows_are_those_of_the_blocks_own_begin() {
    let mut desk = Desk::new();
    desk.spent(1_000 * SECOND, 125);
    let due = 1_300 * SECOND + 1;
    assert_eq!(desk.decide(due - 50_000, due, 1).count, 1, "asked a little ahead");
    assert_eq!(desk.decide(due - 50_000, due - 1, 1).count, 0);
    let told = desk.decide(due - 50_000, due - 1, 1).ask_again_at;
    assert!(told >= Uptime(due));
}

#[test]
fn a_block_ends_after_its_release_and_its_validity() {
    let mut desk = Desk::new();
    let decision = desk.decide(SECOND, SECOND, 1);
    // 125 in 303 s are not one in half a second: it goes at once, and is valid for two seconds.
    assert_eq!((decision.from, decision.until), (Uptime(SECOND), Uptime(3 * SECOND)));
}

#[test]
fn what_lies_in_the_far_future_counts_as_just_sent() {
    let mut desk = Desk::new();
    let now = 50_000 * SECOND;
    desk.spent(0, 0);
    let mut entry = desk.book.records().next().unwrap().clone();
    entry.id = BlockId(2);
    entry.count = 125;
    (entry.from, entry.until) = (Uptime(now + 9_000 * SECOND), Uptime(now + 9_003 * SECOND));
    desk.book.enter_foreign(entry, Uptime(now));
    assert_eq!(desk.decide(now, now, 1).count, 0);
    assert_eq!(desk.decide(now, now + 2 * SECOND, 1).count, 0);
    let later = now + 300 * SECOND + 1;
    assert_eq!(desk.decide(later, later, 1).count, 1);
}

#[test]
fn giving_back_never_takes_and_never_gives_twice() {
    let mut desk = Desk::new();
    let id = desk.spent(SECOND, 125);
    desk.book.give_back(id, 130);
    assert_eq!(desk.decide(100 * SECOND, 100 * SECOND, 50).count, 0);
    desk.book.give_back(id, 115);
    desk.book.give_back(id, 120);
    // The bucket holds a message and a fifth of a second's worth.
    assert_eq!(desk.decide(100 * SECOND, 100 * SECOND, 50).count, 1);
    assert_eq!(desk.book.slot.sum_since(Uptime(0)), 115);
    assert_eq!(desk.book.hour.sum_since(Uptime(0)), 115);
}
