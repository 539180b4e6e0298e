//! When a run will finish: how long it takes, what limits it, and whether it meets a deadline.
//!
//! Pure arithmetic over the domains of the list. Leaves out retries, stalls and other campaigns on
//! the same account.

use std::time::Duration;

use serde::Serialize;

use super::finding::{Finding, Id};
use super::local_addresses::{self, LocalAddress, Tightest};
use crate::campaign::Capacity;
use crate::kit::text::{counted, duration, grouped};
use crate::mail::Timestamp;
use crate::plan::forecast;

/// A part of the list with a limit of its own, such as the rows of one provider.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Share {
    /// The provider's or the domain's name.
    pub name: String,
    /// Its rows.
    pub rows: u64,
    /// Messages per second that it accepts; `None` where nothing is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_second: Option<f64>,
}

/// What decides when a run finishes; for programs `{"what": "share", "name": "Orange"}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "what", content = "name", rename_all = "snake_case")]
pub(crate) enum Limit {
    /// The agreed capacity.
    Capacity,
    /// The rate that a provider or a relay accepts: the share's name.
    Share(String),
    /// `rate` of the local addresses.
    EgressRate,
    /// `warm-up` of the local addresses.
    WarmUp,
}

impl Limit {
    /// The same for people: `the rate that Orange accepts`.
    pub(crate) fn text(&self, capacity: &Capacity) -> String {
        match self {
            Self::Capacity => format!("the capacity of {} per hour", grouped(capacity.per_hour)),
            Self::Share(name) => format!("the rate that {name} accepts"),
            Self::EgressRate => "the rates of the local addresses (`[[egress]]`)".to_owned(),
            Self::WarmUp => "the warm-up of the local addresses: start a run on each day".to_owned(),
        }
    }
}

/// The expected course of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Estimate {
    /// Messages to send.
    pub rows: u64,
    /// When the first one leaves.
    #[serde(serialize_with = "as_text")]
    pub start: Timestamp,
    /// When the last one leaves.
    #[serde(serialize_with = "as_text")]
    pub finish: Timestamp,
    /// What decides when it finishes.
    pub limited_by: Limit,
    /// The slots in which messages leave, each with its number of messages.
    #[serde(serialize_with = "as_slots")]
    pub slots: Vec<(Timestamp, u64)>,
    /// The parts of the list, the largest first.
    pub shares: Vec<Share>,
    /// As how many messages one counts against the capacity, on average.
    #[serde(skip)]
    pub each: f64,
}

fn as_slots<S: serde::Serializer>(slots: &[(Timestamp, u64)], serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Slot {
        slot: String,
        messages: u64,
    }
    let slot = |(slot, messages): &(Timestamp, u64)| Slot { slot: slot.to_string(), messages: *messages };
    serializer.collect_seq(slots.iter().map(slot))
}

fn as_text<S: serde::Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(at)
}

/// Estimates sending `rows` messages from `start` on. `shares` are parts of the list with their
/// limits, `addresses` those that it leaves from: the slowest of them, or the capacity, decides
/// when the run finishes. Against the capacity, a message counts as `each`.
pub(crate) fn estimate(
    rows: u64,
    each: f64,
    capacity: &Capacity,
    shares: Vec<Share>,
    addresses: &[LocalAddress<'_>],
    start: Timestamp,
) -> Estimate {
    let forecast = forecast(counted_as(rows, each), capacity, start);
    let mut estimate = Estimate {
        rows,
        start,
        finish: forecast.finish(),
        limited_by: Limit::Capacity,
        slots: forecast.slots().map(|slot| (slot.slot, slot.rows)).collect(),
        shares,
        each,
    };
    for share in &estimate.shares {
        let Some(per_second) = share.per_second else { continue };
        let seconds = (share.rows.saturating_sub(1)) as f64 / per_second.max(1e-9);
        let finish = start + Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
        if finish > estimate.finish {
            estimate.finish = finish;
            estimate.limited_by = Limit::Share(share.name.clone());
        }
    }
    if let Some((finish, tightest)) = local_addresses::finish(addresses, rows, start)
        && finish > estimate.finish
    {
        estimate.finish = finish;
        estimate.limited_by = match tightest {
            Tightest::Rate => Limit::EgressRate,
            Tightest::WarmUp => Limit::WarmUp,
        };
    }
    estimate
}

/// As how many messages so many count.
fn counted_as(rows: u64, each: f64) -> u64 {
    (rows as f64 * each).ceil() as u64
}

impl Estimate {
    /// When the run finishes and whether that is before `deadline`; if not, what it would take.
    pub(crate) fn finding(&self, capacity: &Capacity, deadline: Option<Timestamp>) -> Finding {
        let took = self.finish.since(self.start);
        let seen = format!(
            "{} from {} to {} ({}), limited by {}",
            counted(self.rows, "message", "messages"),
            self.start,
            self.finish,
            duration(took),
            self.limited_by.text(capacity)
        );
        let seen = match &capacity.size_basis {
            Some(basis) => format!("{seen}; a message counts as {:.1} of {basis}", self.each),
            None => seen,
        };
        let Some(deadline) = deadline else { return Finding::new(Id::Finish, seen) };
        if self.finish <= deadline {
            return Finding::new(Id::DeadlineMet, format!("{seen}; the deadline is {deadline}"));
        }
        let left = deadline.since(self.start);
        let late = duration(self.finish.since(deadline));
        let seen = format!("{seen}; that is {late} after the deadline {deadline}");
        let finding = Finding::new(Id::DeadlineMissed, seen);
        if left.is_zero() {
            return finding.fix("name a later --deadline: this one passes before the first message leaves");
        }
        match &self.limited_by {
            Limit::Capacity => {}
            Limit::Share(name) => {
                return finding.fix(format!("start {late} earlier, or send fewer messages to {name}"));
            }
            Limit::EgressRate => {
                return finding
                    .fix(format!("start {late} earlier, or raise `rate` of an `[[egress]]` entry"));
            }
            Limit::WarmUp => {
                return finding.fix(
                    "name a later --deadline and start a run on each day, or let addresses that are \
                     warmed up serve the sender",
                );
            }
        }
        let needed = (counted_as(self.rows, self.each) as f64 * 3_600.0 / left.as_secs_f64()).ceil() as u64;
        finding.fix(format!(
            "[capacity]\nper-hour = {needed}    # if the provider agrees; or start {late} earlier, or --limit {}",
            self.possible(capacity, deadline)
        ))
    }

    /// The number of messages that leave before `deadline`.
    fn possible(&self, capacity: &Capacity, deadline: Timestamp) -> u64 {
        let (mut low, mut high) = (0, self.rows);
        while low < high {
            let middle = low + (high - low).div_ceil(2);
            if forecast(counted_as(middle, self.each), capacity, self.start).finish() <= deadline {
                low = middle;
            } else {
                high = middle - 1;
            }
        }
        low
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;

    const NOON: Timestamp = Timestamp(1_780_056_000_000_000);

    fn after(seconds: u64) -> Timestamp {
        NOON + Duration::from_secs(seconds)
    }

    fn share(name: &str, rows: u64, per_second: Option<f64>) -> Share {
        Share { name: name.into(), rows, per_second }
    }

    #[test]
    fn the_slowest_part_decides() {
        let capacity = Capacity::default();
        let all = estimate(150_001, 1.0, &capacity, vec![share("Google", 9_000, Some(10.0))], &[], NOON);
        assert_eq!((all.finish, &all.limited_by), (after(3_600), &Limit::Capacity));
        let slow = estimate(150_001, 1.0, &capacity, vec![share("Orange", 9_001, Some(2.0))], &[], NOON);
        assert_eq!((slow.finish, &slow.limited_by), (after(4_500), &Limit::Share("Orange".into())));
        let unknown = estimate(150_001, 1.0, &capacity, vec![share("Orange", 9_001, None)], &[], NOON);
        assert_eq!(unknown.finish, after(3_600));
        assert_eq!(all.slots.iter().map(|(_, rows)| rows).sum::<u64>(), 150_001);
    }

    #[test]
    fn the_local_addresses_count_too() {
        let egress = toml::from_str("address = \"192.0.2.1\"\nrate = \"1/s\"").unwrap();
        let addresses = [LocalAddress { egress: &egress, used_today: 0 }];
        let slow = estimate(2_000, 1.0, &Capacity::default(), Vec::new(), &addresses, NOON);
        assert_eq!((slow.finish, &slow.limited_by), (after(1_999), &Limit::EgressRate));
        let late = slow.finding(&Capacity::default(), Some(after(120)));
        assert_eq!(late.level, Level::Refused);
        assert!(late.seen.contains("limited by the rates of the local addresses"), "{}", late.seen);
        assert!(late.fix.unwrap().contains("raise `rate`"));
    }

    #[test]
    fn large_messages_take_the_time_of_several() {
        let size_basis = Some(crate::campaign::ByteSize(200_000));
        let capacity = Capacity { size_basis, ..Capacity::default() };
        let large = estimate(30_000, 5.0, &capacity, Vec::new(), &[], NOON);
        assert_eq!(large.finish, estimate(150_000, 1.0, &capacity, Vec::new(), &[], NOON).finish);
        assert_eq!(large.slots.iter().map(|(_, counted)| counted).sum::<u64>(), 150_000);
        let late = large.finding(&capacity, Some(after(1_800)));
        assert!(late.seen.contains("counts as 5.0 of 200.0 kB"), "{}", late.seen);
        let fix = late.fix.unwrap();
        assert!(fix.contains("per-hour = 300000") && fix.contains("--limit 15000"), "{fix}");
    }

    #[test]
    fn a_deadline_that_is_missed_is_refused_with_what_it_would_take() {
        let capacity = Capacity::default();
        let all = estimate(300_000, 1.0, &capacity, Vec::new(), &[], NOON);
        assert_eq!(all.finding(&capacity, None).id, Id::Finish);
        assert_eq!(all.finding(&capacity, Some(after(7_200))).level, Level::Ok);
        let late = all.finding(&capacity, Some(after(3_600)));
        assert_eq!(late.level, Level::Refused);
        let fix = late.fix.unwrap();
        assert!(fix.contains("per-hour = 300000") && fix.contains("--limit 150001"), "{fix}");
        assert!(late.seen.contains("that is 59m 59s after the deadline"), "{}", late.seen);
        let over = all.finding(&capacity, Some(NOON - Duration::from_secs(1)));
        assert!(over.fix.unwrap().contains("later --deadline"));
    }
}
