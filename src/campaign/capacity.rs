//! `[capacity]`: the agreement on how many messages may leave.

use serde::{Deserialize, Serialize};

use super::error::Mistake;
use super::units::ByteSize;
use crate::kit::text::counted;

/// `[capacity]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Capacity {
    /// The account that messages count against; campaigns with the same account share the
    /// agreement.
    pub account: String,
    /// Transmission attempts per hour; retries count.
    pub per_hour: u64,
    /// How far a five-minute slot may exceed its twelfth of the hour, in percent.
    pub burst_percent: u32,
    /// How messages are spread over the hour.
    pub pace: Pace,
    /// Who goes first on a shared account, 0 to 9; by default 5 for alarms and 0 for other mail.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<u8>,
    /// The size of a message that the agreement assumes: a larger one counts as so many as it has
    /// such sizes, begun ones included. By default each counts as one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size_basis: Option<ByteSize>,
}

/// The smallest `size-basis`, in bytes.
const SMALLEST_BASIS: u64 = 1_000;

/// The highest priority.
const HIGHEST_PRIORITY: u8 = 9;

/// How messages are spread over the hour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pace {
    /// At the nominal rate; the burst is used only to catch up after a stall.
    #[default]
    Even,
    /// At the burst rate until the hour is spent.
    Burst,
}

impl Default for Capacity {
    fn default() -> Self {
        Self {
            account: "default".into(),
            per_hour: 150_000,
            burst_percent: 25,
            pace: Pace::Even,
            priority: None,
            size_basis: None,
        }
    }
}

impl Capacity {
    /// The most messages that any window of 300 s may carry: `floor(per_hour / 12 × (1 + burst))`.
    pub fn per_slot(&self) -> u64 {
        let share = u128::from(self.per_hour) * (100 + u128::from(self.burst_percent)) / 1_200;
        u64::try_from(share).unwrap_or(u64::MAX)
    }

    /// As how many messages one of so many bytes counts. What alone is more than a slot may carry
    /// takes a whole slot.
    pub fn cost(&self, bytes: u64) -> u64 {
        let basis = self.size_basis.as_ref().map_or(u64::MAX, |basis| basis.0.max(1));
        bytes.div_ceil(basis).clamp(1, self.per_slot().max(1))
    }

    pub(super) fn check(&self) -> Result<(), Mistake> {
        if self.account.is_empty() {
            return Err(Mistake::new(
                "capacity.account",
                "the account is empty",
                "name it, or leave the key out",
            ));
        }
        if self.per_slot() == 0 {
            return Err(Mistake::new(
                "capacity.per-hour",
                format!(
                    "{} less than one per five-minute slot",
                    counted(self.per_hour, "message per hour is", "messages per hour are")
                ),
                "use at least 12",
            ));
        }
        if self.per_hour > 1_000_000_000 {
            return Err(Mistake::new("capacity.per-hour", "more than 1,000,000,000 messages per hour", ""));
        }
        if self.priority.is_some_and(|priority| priority > HIGHEST_PRIORITY) {
            return Err(Mistake::new("capacity.priority", "a priority is 0 to 9", "9 goes first"));
        }
        if self.size_basis.as_ref().is_some_and(|basis| basis.0 < SMALLEST_BASIS) {
            return Err(Mistake::new(
                "capacity.size-basis",
                "a message has at least a kilobyte",
                "write the size that the agreement assumes, such as \"200 kB\"",
            ));
        }
        if self.burst_percent > 1_100 {
            return Err(Mistake::new(
                "capacity.burst-percent",
                "a slot can't carry more than the hour",
                "25 is usual",
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_a_twelfth_of_the_hour_and_the_burst() {
        let check = |per_hour, burst_percent, slot| {
            let capacity = Capacity { per_hour, burst_percent, ..Capacity::default() };
            assert_eq!(capacity.per_slot(), slot);
        };
        check(150_000, 25, 15_625);
        check(150_000, 0, 12_500);
        check(100, 25, 10);
    }

    #[test]
    fn a_message_counts_as_one_for_each_basis_begun() {
        let check = |basis: Option<u64>, bytes, cost| {
            let size_basis = basis.map(ByteSize);
            let capacity = Capacity { per_hour: 1_200, burst_percent: 0, size_basis, ..Capacity::default() };
            assert_eq!(capacity.cost(bytes), cost, "{bytes} bytes");
        };
        check(None, 20_000_000, 1);
        for (bytes, cost) in [(0, 1), (200_000, 1), (200_001, 2), (400_000, 2), (1_000_000, 5)] {
            check(Some(200_000), bytes, cost);
        }
        check(Some(200_000), 100_000_000, 100);
    }
}
