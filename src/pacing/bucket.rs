//! Keeps the release smooth: in any stretch of time no more than the rate allows, plus a fifth of a
//! second's worth and one message.

use std::time::Duration;

use super::agreement::{Rate, micros};
use crate::mail::Timestamp;

/// What may leave at once besides the message that is due: this much time at the rate, since a tick
/// may be late.
const DEPTH: Duration = Duration::from_millis(200);

/// A token bucket in whole numbers.
#[derive(Debug, Clone)]
pub struct Bucket {
    rate: Rate,
    /// In messages times `rate.micros`.
    credit: u64,
    /// What was taken beyond the credit, in the same unit: it fills up first.
    owed: u64,
    at: Timestamp,
}

impl Bucket {
    /// A full bucket.
    pub fn new(rate: Rate, now: Timestamp) -> Self {
        let mut bucket = Self { rate, credit: 0, owed: 0, at: now };
        bucket.credit = bucket.capacity();
        bucket
    }

    /// The rate at which it fills.
    pub fn rate(&self) -> Rate {
        self.rate
    }

    /// Fills at another rate from now on.
    pub fn set_rate(&mut self, rate: Rate) {
        // Fractions of a message too: a rate may change with each one.
        let scaled = |amount: u64| {
            let scaled = u128::from(amount) * u128::from(rate.micros) / u128::from(self.rate.micros);
            u64::try_from(scaled).unwrap_or(u64::MAX)
        };
        let (credit, owed) = (scaled(self.credit), scaled(self.owed));
        self.rate = rate;
        self.credit = credit.min(self.capacity());
        self.owed = owed;
    }

    /// Below 1e18 for any agreement of up to a thousand million.
    fn capacity(&self) -> u64 {
        self.rate.micros + self.rate.tokens * micros(DEPTH)
    }

    /// How many messages may leave at `now`.
    pub fn refill(&mut self, now: Timestamp) -> u64 {
        if now > self.at {
            let elapsed = micros(now.since(self.at));
            let filled = elapsed.saturating_mul(self.rate.tokens).saturating_add(self.credit);
            self.fill(filled);
            self.at = now;
        }
        self.tokens()
    }

    /// Takes as many as [`Self::refill`] returned, or fewer. More are owed: nothing else leaves
    /// before they are paid.
    pub fn take(&mut self, count: u64) {
        let amount = count.saturating_mul(self.rate.micros);
        self.owed = self.owed.saturating_add(amount.saturating_sub(self.credit));
        self.credit = self.credit.saturating_sub(amount);
    }

    /// The credit is `filled`, less what is owed.
    fn fill(&mut self, filled: u64) {
        let paid = self.owed.min(filled);
        self.owed -= paid;
        self.credit = (filled - paid).min(self.capacity());
    }

    /// Takes one at `now`; if there is none, returns when there will be one.
    pub fn take_one(&mut self, now: Timestamp) -> Result<(), Timestamp> {
        self.take_up_to(1, now).map(drop)
    }

    /// Takes what is available at `now`, up to `most`; if nothing is, returns when one will be.
    pub fn take_up_to(&mut self, most: u64, now: Timestamp) -> Result<u64, Timestamp> {
        let count = self.refill(now).min(most);
        if count == 0 {
            return Err(self.time_of(1));
        }
        self.take(count);
        Ok(count)
    }

    /// Puts back what was taken and not used.
    pub fn put_back(&mut self, count: u64) {
        self.fill(self.credit.saturating_add(count.saturating_mul(self.rate.micros)));
    }

    /// When `count` messages may leave.
    pub fn time_of(&self, count: u64) -> Timestamp {
        let wanted = count.saturating_mul(self.rate.micros).min(self.capacity());
        let short = wanted.saturating_add(self.owed).saturating_sub(self.credit);
        self.at + Duration::from_micros(short.div_ceil(self.rate.tokens.max(1)))
    }

    fn tokens(&self) -> u64 {
        self.credit / self.rate.micros
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fills_at_its_rate_and_holds_one_and_a_fifth_of_a_second() {
        let at = |millis: i64| Timestamp(millis * 1_000);
        let mut bucket = Bucket::new(Rate { tokens: 100, micros: 1_000_000 }, at(0));
        assert_eq!(bucket.refill(at(0)), 21);
        bucket.take(21);
        assert_eq!((bucket.refill(at(9)), bucket.refill(at(10))), (0, 1));
        assert_eq!(bucket.time_of(3), at(30));
        assert_eq!(bucket.refill(at(60_000)), 21);

        // Five leave together a second later, and are paid off first.
        let mut owing = Bucket::new(Rate { tokens: 1, micros: 1_000_000 }, at(0));
        owing.take(5);
        assert_eq!((owing.refill(at(4_799)), owing.time_of(1)), (0, at(4_800)));
        assert_eq!(owing.refill(at(4_800)), 1);

        let mut slow = Bucket::new(Rate { tokens: 1, micros: 300_000_000 }, at(0));
        assert_eq!(slow.refill(at(0)), 1);
        slow.take(1);
        assert_eq!((slow.refill(at(299_799)), slow.refill(at(299_800))), (0, 1));
        slow.take(1);
        assert_eq!(slow.time_of(1), at(599_800));
        assert_eq!(slow.take_one(at(300_000)), Err(at(599_800)));
        slow.put_back(1);
        assert_eq!(slow.take_one(at(300_000)), Ok(()));
    }
}
