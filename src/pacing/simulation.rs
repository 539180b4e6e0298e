//! A world for tests: processes that send over one account, in simulated time, as badly as they are
//! allowed to.
//!
//! Every message begins at a moment of its admission's interval that the world picks to hurt, and
//! every window over what was sent is checked. Time is the truth here; what the processes read from
//! their clocks is derived from it.

pub(crate) mod model;
mod pacing;
mod world;

use std::time::Duration;

pub(crate) use world::{Fate, World};
use world::{Flow, Plan, Supply};

use super::agreement::{Agreement, HOUR, SLOT, micros};
use super::clock::Clock;
use super::ledger::{Account, Holder, Ledger, MemoryLedger};
use crate::campaign::{Capacity, Pace};

/// An hour in microseconds.
pub(crate) const HOUR_MICROS: i64 = 3_600_000_000;

/// How many rounds a test makes; `MAILRUN_TEST_ROUNDS` multiplies them.
pub(crate) fn rounds(usual: u32) -> u32 {
    let factor = std::env::var("MAILRUN_TEST_ROUNDS").ok().and_then(|factor| factor.parse().ok());
    usual * factor.unwrap_or(1)
}

/// What was sent, in the order of time.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Sent {
    /// True microseconds, and how many messages began then.
    pub(crate) at: Vec<(i64, u64)>,
}

impl Sent {
    /// What began at `from` or later and before `to`.
    pub(crate) fn between(&self, from: i64, to: i64) -> u64 {
        let start = self.at.partition_point(|(at, _)| *at < from);
        self.at[start..].iter().take_while(|(at, _)| *at < to).map(|(_, count)| count).sum()
    }

    /// What began in the hour `number`, from 0.
    fn hour(&self, number: i64) -> u64 {
        self.between(number * HOUR_MICROS, (number + 1) * HOUR_MICROS)
    }

    /// The most in any closed window of `length`, and where it begins.
    fn worst(&self, length: Duration) -> (u64, i64) {
        let length = i64::try_from(micros(length)).unwrap();
        let (mut worst, mut sum, mut first) = ((0, 0), 0, 0);
        for &(at, count) in &self.at {
            sum += count;
            while self.at[first].0 < at - length {
                sum -= self.at[first].1;
                first += 1;
            }
            worst = worst.max((sum, self.at[first].0));
        }
        worst
    }

    /// Each window keeps its limit.
    pub(crate) fn check(&self, capacity: &Capacity) {
        assert!(self.at.is_sorted());
        let limits = Agreement::from(capacity);
        for (length, limit) in [(SLOT, limits.per_slot), (HOUR, limits.per_hour)] {
            let (count, start) = self.worst(length);
            assert!(count <= limit, "{count} of {limit} in the {length:?} from {start}");
        }
    }
}

pub(crate) fn capacity(per_hour: u64, burst_percent: u32, pace: Pace) -> Capacity {
    Capacity { per_hour, burst_percent, pace, ..Capacity::default() }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn holder(process: &str) -> Holder {
    Holder::new("news", process)
}

/// A process's access to its account.
fn join(ledger: &dyn Ledger, process: &str, capacity: &Capacity) -> Box<dyn Account> {
    ledger.join(holder(process), capacity.into()).unwrap()
}

/// A world with one process.
fn alone(capacity: &Capacity, plan: Plan) -> World {
    let mut world = World::new(1);
    let account = join(&MemoryLedger::new(world.clock()), "1", capacity);
    world.start(account, capacity, plan);
    world
}
