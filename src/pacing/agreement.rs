//! The agreement, and the rates that keep to it.

use std::time::Duration;

use crate::campaign::{Capacity, Pace};

/// A slot, and every sliding window as long as one.
pub const SLOT: Duration = Duration::from_secs(300);
/// The hour of the agreement, and every sliding window as long.
pub const HOUR: Duration = Duration::from_secs(3_600);

/// The two limits, in messages: for any 300 s and for any 3,600 s.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Agreement {
    /// The most in any window of 3,600 s.
    pub per_hour: u64,
    /// The most in any window of 300 s.
    pub per_slot: u64,
}

impl Agreement {
    /// The lower of each limit.
    pub fn strictest(self, other: Self) -> Self {
        Self { per_hour: self.per_hour.min(other.per_hour), per_slot: self.per_slot.min(other.per_slot) }
    }

    /// The highest rate at which messages are released: a little above [`burst`](Self::burst), so
    /// that what was reserved at that rate never queues up.
    pub(super) fn peak(self) -> Rate {
        Rate { tokens: self.per_slot, micros: micros(SLOT) }
    }

    /// The rate of `pace = "burst"` and of catching up.
    pub(super) fn burst(self) -> Rate {
        Rate { tokens: self.per_slot, micros: micros(SLOT + self.grain().loss()) }
    }

    /// The rate of `pace = "even"`.
    pub(super) fn nominal(self) -> Rate {
        let hourly = Rate { tokens: self.per_hour, micros: micros(HOUR + self.grain().loss()) };
        hourly.min(self.burst())
    }

    /// How long blocks and admissions are, for these limits.
    pub(super) fn grain(self) -> Grain {
        let loss = micros(ROOMY.loss());
        let slot = Rate { tokens: self.per_slot, micros: micros(SLOT) + loss };
        let hour = Rate { tokens: self.per_hour, micros: micros(HOUR) + loss };
        if slot.min(hour) == hour { ROOMY } else { TIGHT }
    }
}

impl From<&Capacity> for Agreement {
    fn from(capacity: &Capacity) -> Self {
        Self { per_hour: capacity.per_hour, per_slot: capacity.per_slot() }
    }
}

/// What one campaign asks for: its account, the limits as it knows them, and its pace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// The capacity account.
    pub account: String,
    /// The limits as this campaign knows them.
    pub agreement: Agreement,
    /// How it uses the hour.
    pub pace: Pace,
    /// Who goes first on the account: the higher number.
    pub priority: u8,
}

impl From<&Capacity> for Terms {
    fn from(capacity: &Capacity) -> Self {
        Self {
            account: capacity.account.clone(),
            agreement: capacity.into(),
            pace: capacity.pace,
            priority: capacity.priority.unwrap_or(0),
        }
    }
}

/// How long blocks and admissions are.
///
/// A block's tokens may be sent at any moment of its interval (release plus validity), so each
/// window counts the block for longer than the window is. Each window loses [`Grain::loss`] to
/// that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Grain {
    /// The time over which one block is released.
    pub block: Duration,
    /// The time that a block's last message may take from its admission to its first byte.
    pub validity: Duration,
}

/// Where the burst leaves room in the slots, the hour is the tighter limit: 3 s of 3,600 are 0.08
/// %.
const ROOMY: Grain = Grain { block: Duration::from_millis(500), validity: Duration::from_millis(2_000) };
/// Without a burst, the slot is the tighter limit: 1.3 s of 300 are 0.43 %.
const TIGHT: Grain = Grain { block: Duration::from_millis(400), validity: Duration::from_millis(500) };

impl Grain {
    /// How much of every window is lost. The block's own release counts twice: once in its
    /// interval, and once because windows are checked block by block.
    const fn loss(self) -> Duration {
        self.block.saturating_mul(2).saturating_add(self.validity)
    }
}

/// A number of messages in a number of microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Messages.
    pub tokens: u64,
    /// The time that they take, in microseconds.
    pub micros: u64,
}

impl Rate {
    /// Messages a second, with up to three decimal places; at least one of them.
    pub fn per_second(messages: f64) -> Self {
        Self { tokens: ((messages * 1_000.0).round() as u64).max(1), micros: 1_000_000_000 }
    }

    /// The time that `messages` take.
    pub fn time_for(self, messages: u64) -> Duration {
        Duration::from_micros(self.micros_for(messages))
    }

    /// Messages a second, with their fraction.
    pub fn in_a_second(self) -> f64 {
        self.tokens_of(1_000_000)
    }

    /// Whole messages in `micros`.
    pub fn tokens_in(self, micros: u64) -> u64 {
        let tokens = u128::from(self.tokens) * u128::from(micros) / u128::from(self.micros);
        u64::try_from(tokens).unwrap_or(u64::MAX)
    }

    /// Microseconds until `tokens` whole messages are due.
    pub fn micros_for(self, tokens: u64) -> u64 {
        let micros = (u128::from(tokens) * u128::from(self.micros)).div_ceil(u128::from(self.tokens.max(1)));
        u64::try_from(micros).unwrap_or(u64::MAX)
    }

    /// Messages in `micros`, with their fraction.
    pub fn tokens_of(self, micros: u64) -> f64 {
        self.tokens as f64 * micros as f64 / self.micros as f64
    }

    /// Microseconds for `tokens` messages.
    pub fn micros_of(self, tokens: f64) -> f64 {
        tokens * self.micros as f64 / self.tokens.max(1) as f64
    }

    /// The lower of the two.
    pub fn min(self, other: Self) -> Self {
        let slower = u128::from(self.tokens) * u128::from(other.micros)
            <= u128::from(other.tokens) * u128::from(self.micros);
        if slower { self } else { other }
    }
}

/// A duration in microseconds; `u64::MAX` for one that is too long.
pub(crate) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The most that an hour can carry when each of its slots keeps its limit: less than `per_hour`
    /// where a slot holds only a few whole messages (13/h with a slot of 1 is 12).
    pub(crate) fn reachable_per_hour(agreement: Agreement) -> u64 {
        agreement.per_hour.min(agreement.per_slot.saturating_mul(12))
    }

    fn agreement(per_hour: u64, burst_percent: u32) -> Agreement {
        Agreement::from(&Capacity { per_hour, burst_percent, ..Capacity::default() })
    }

    #[test]
    fn the_nominal_rate_uses_995_thousandths_of_what_the_windows_allow() {
        for burst_percent in [0, 1, 5, 25, 100, 1_100] {
            for per_hour in [12, 13, 24, 100, 1_000, 150_000, 10_000_000, 1_000_000_000] {
                let agreement = agreement(per_hour, burst_percent);
                // Of a million hours, so that whole messages don't blur it.
                let sent = agreement.nominal().tokens_in(3_600_000_000 * 1_000_000);
                let reachable = reachable_per_hour(agreement) * 1_000_000;
                assert!(sent <= reachable, "{agreement:?}");
                assert!(u128::from(sent) * 1_000 >= u128::from(reachable) * 995, "{agreement:?}: {sent}");
            }
        }
    }

    #[test]
    fn the_grain_is_fine_only_where_the_slot_binds() {
        let check = |per_hour, burst_percent, grain| {
            assert_eq!(agreement(per_hour, burst_percent).grain(), grain, "{per_hour}/h, {burst_percent} %");
        };
        check(150_000, 25, ROOMY);
        check(150_000, 2, ROOMY);
        check(150_000, 0, TIGHT);
        check(100, 25, ROOMY);
        check(12, 25, TIGHT);
    }

    #[test]
    fn a_rate_counts_and_waits_in_whole_messages() {
        let rate = Rate { tokens: 3, micros: 10 };
        assert_eq!((rate.tokens_in(3), rate.tokens_in(4), rate.tokens_in(10)), (0, 1, 3));
        assert_eq!((rate.micros_for(0), rate.micros_for(1), rate.micros_for(3)), (0, 4, 10));
    }
}
