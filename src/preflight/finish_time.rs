//! When a run will finish: how long it takes, what limits it, and whether it meets a deadline.
//!
//! Pure arithmetic over the domains of the list. Leaves out retries, stalls and other campaigns on
//! the same account.

use std::time::Duration;

use serde::Serialize;

use super::finding::{Finding, Id};
use super::local_addresses::{self, Departures, LocalAddress, Tightest};
use crate::campaign::Capacity;
use crate::kit::text::{command, counted, duration, grouped};
use crate::mail::Timestamp;
use crate::plan::{Forecast, forecast, forecast_at, slots};

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

/// Limits of the capacity account that are stricter than the campaign's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Held {
    /// The account.
    pub account: String,
    /// Messages in any hour.
    pub per_hour: u64,
    /// Messages in any five minutes.
    pub per_slot: u64,
    /// Until when they hold if nobody names them again.
    #[serde(serialize_with = "as_text")]
    pub until: Timestamp,
}

impl Held {
    /// For people, a sentence without its full stop.
    pub(crate) fn text(&self) -> String {
        let Self { account, per_hour, per_slot, until } = self;
        format!(
            "the account `{account}` is held to {} an hour, {} in five minutes, until {until} at least: it was used with \
             these limits within the last hour",
            grouped(*per_hour),
            grouped(*per_slot)
        )
    }

    /// The command that applies the campaign's own limits now.
    pub(crate) fn way_out(&self, own: &Capacity) -> String {
        let (per_hour, percent) = (own.per_hour.to_string(), own.burst_percent.to_string());
        let words = ["capacity", "set", &self.account, "--per-hour", &per_hour, "--burst-percent", &percent];
        command(words)
    }
}

/// The capacity of a run: the campaign's own, and what holds on its account instead for a while.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Allowed<'a> {
    /// The campaign's own.
    pub own: &'a Capacity,
    /// Stricter limits of the account.
    pub held: Option<&'a Held>,
}

/// The course of a run by its capacity alone.
struct Course {
    /// At the stricter limits of the account, and at its own afterwards.
    parts: Vec<Forecast>,
}

impl Allowed<'_> {
    /// The course of as many messages as `counted`, from `start` on.
    fn course(&self, counted: u64, start: Timestamp) -> Course {
        let Self { own, held } = self;
        let Some(held) = held.filter(|held| start < held.until) else {
            return Course { parts: vec![forecast(counted, own, start)] };
        };
        let strict = |rows| forecast_at(rows, own.pace, held.per_hour, held.per_slot, start);
        let gone = strict(counted).gone_before(held.until);
        let mut parts = vec![strict(gone)];
        if gone < counted {
            parts.push(forecast(counted - gone, own, held.until));
        }
        Course { parts }
    }
}

impl Course {
    fn finish(&self) -> Timestamp {
        self.parts.last().expect("there is always one").finish()
    }

    /// How many messages leave before a moment.
    fn gone_before(&self, moment: Timestamp) -> u64 {
        self.parts.iter().map(|part| part.gone_before(moment)).sum()
    }
}

impl Limit {
    /// The same for people: `the rate that Orange accepts`.
    pub(crate) fn text(&self, capacity: &Capacity, held: Option<&Held>) -> String {
        match (self, held) {
            (Self::Capacity, Some(held)) => format!(
                "the capacity of {} per hour, to which the account `{}` is held until {}",
                grouped(held.per_hour),
                held.account,
                held.until
            ),
            (Self::Capacity, None) => format!("the capacity of {} per hour", grouped(capacity.per_hour)),
            (Self::Share(name), _) => format!("the rate that {name} accepts"),
            (Self::EgressRate, _) => "the rates of the local addresses (`[[egress]]`)".to_owned(),
            (Self::WarmUp, _) => "the warm-up of the local addresses: start a run on each day".to_owned(),
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
    /// The slots in which messages leave, each with its number of messages: as the capacity counts
    /// them, with all limits.
    #[serde(serialize_with = "as_slots")]
    pub slots: Vec<(Timestamp, u64)>,
    /// The parts of the list, the largest first.
    pub shares: Vec<Share>,
    /// Stricter limits of the account, which hold instead of the campaign's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held: Option<Held>,
    /// As how many messages one counts against the capacity, on average.
    #[serde(skip)]
    pub each: f64,
    /// How many messages a row has.
    #[serde(skip)]
    pub per_row: u64,
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
    allowed: Allowed<'_>,
    shares: Vec<Share>,
    addresses: &[LocalAddress<'_>],
    start: Timestamp,
) -> Estimate {
    let course = allowed.course(counted_as(rows, each), start);
    let mut estimate = Estimate {
        rows,
        start,
        finish: course.finish(),
        limited_by: Limit::Capacity,
        slots: Vec::new(),
        shares,
        held: allowed.held.cloned(),
        each,
        per_row: 1,
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
    let mut departures = Departures::new(addresses, start);
    let gone_before = |moment: Timestamp| {
        if moment > estimate.finish {
            return u64::MAX;
        }
        let by_address = departures.gone_before(moment).unwrap_or(u64::MAX);
        let by_limit = by_address.min(gone_by_share(rows, &estimate.shares, moment.since(start)));
        course.gone_before(moment).min(counted_as(by_limit, each))
    };
    let slots = slots(counted_as(rows, each), start, gone_before);
    estimate.slots = slots.map(|slot| (slot.slot, slot.rows)).collect();
    estimate
}

/// As [`estimate`], where each row has a second message, which follows the first and counts as one.
pub(crate) fn estimate_of_two(
    rows: u64,
    each: f64,
    allowed: Allowed<'_>,
    mut shares: Vec<Share>,
    addresses: &[LocalAddress<'_>],
    start: Timestamp,
) -> Estimate {
    shares.iter_mut().for_each(|share| share.rows *= 2);
    let mut estimate = estimate(2 * rows, (each + 1.0) / 2.0, allowed, shares, addresses, start);
    estimate.shares.iter_mut().for_each(|share| share.rows /= 2);
    estimate.per_row = 2;
    estimate
}

/// How many of `rows` have left so long after the start, as far as the parts with limits say.
fn gone_by_share(rows: u64, shares: &[Share], elapsed: Duration) -> u64 {
    let held = |share: &Share| {
        let gone = share.per_second.map(|rate| (elapsed.as_secs_f64() * rate).ceil() as u64);
        share.rows.saturating_sub(gone.unwrap_or(u64::MAX))
    };
    rows.saturating_sub(shares.iter().map(held).sum())
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
            self.limited_by.text(capacity, self.held.as_ref())
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
            Limit::Capacity => {
                let own = forecast(counted_as(self.rows, self.each), capacity, self.start);
                if let Some(held) = self.held.as_ref().filter(|_| own.finish() <= deadline) {
                    let (set, per_hour) = (held.way_out(capacity), grouped(capacity.per_hour));
                    return finding.fix(format!(
                        "`{set}`, if the provider has agreed to the campaign's {per_hour} an hour; or start {late} \
                         earlier, or --limit {}",
                        self.possible(capacity, deadline)
                    ));
                }
            }
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

    /// The number of rows whose messages leave before `deadline`.
    fn possible(&self, capacity: &Capacity, deadline: Timestamp) -> u64 {
        let (mut low, mut high) = (0, self.rows);
        while low < high {
            let middle = low + (high - low).div_ceil(2);
            let allowed = Allowed { own: capacity, held: self.held.as_ref() };
            if allowed.course(counted_as(middle, self.each), self.start).finish() <= deadline {
                low = middle;
            } else {
                high = middle - 1;
            }
        }
        low / self.per_row
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

    fn own(capacity: &Capacity) -> Allowed<'_> {
        Allowed { own: capacity, held: None }
    }

    fn share(name: &str, rows: u64, per_second: Option<f64>) -> Share {
        Share { name: name.into(), rows, per_second }
    }

    #[test]
    fn the_slowest_part_decides() {
        let capacity = Capacity::default();
        let all = estimate(150_001, 1.0, own(&capacity), vec![share("Google", 9_000, Some(10.0))], &[], NOON);
        assert_eq!((all.finish, &all.limited_by), (after(3_600), &Limit::Capacity));
        let slow = estimate(150_001, 1.0, own(&capacity), vec![share("Orange", 9_001, Some(2.0))], &[], NOON);
        assert_eq!((slow.finish, &slow.limited_by), (after(4_500), &Limit::Share("Orange".into())));
        let unknown = estimate(150_001, 1.0, own(&capacity), vec![share("Orange", 9_001, None)], &[], NOON);
        assert_eq!(unknown.finish, after(3_600));
        assert_eq!(all.slots.iter().map(|(_, rows)| rows).sum::<u64>(), 150_001);
    }

    #[test]
    fn the_local_addresses_count_too() {
        let egress = toml::from_str("address = \"192.0.2.1\"\nrate = \"1/s\"").unwrap();
        let addresses = [LocalAddress { egress: &egress, used_today: 0 }];
        let slow = estimate(2_000, 1.0, own(&Capacity::default()), Vec::new(), &addresses, NOON);
        assert_eq!((slow.finish, &slow.limited_by), (after(1_999), &Limit::EgressRate));
        let counts: Vec<u64> = slow.slots.iter().map(|(_, rows)| *rows).collect();
        assert_eq!(counts, [300, 300, 300, 300, 300, 300, 200]);
        let mixed = estimate(
            700,
            2.0,
            own(&Capacity::default()),
            vec![share("Orange", 400, Some(1.0)), share("rest", 300, None)],
            &[],
            NOON,
        );
        let counts: Vec<u64> = mixed.slots.iter().map(|(_, rows)| *rows).collect();
        assert_eq!(counts, [2 * 600, 2 * 100], "a message counts as two");
        let late = slow.finding(&Capacity::default(), Some(after(120)));
        assert_eq!(late.level, Level::Refused);
        assert!(late.seen.contains("limited by the rates of the local addresses"), "{}", late.seen);
        assert!(late.fix.unwrap().contains("raise `rate`"));
    }

    #[test]
    fn what_the_account_is_held_to_counts_for_as_long_as_it_is() {
        let capacity = Capacity::default();
        let held = |until| Held { account: "a".into(), per_hour: 36_000, per_slot: 3_750, until };
        let sends = |rows, held: &Held| {
            estimate(rows, 1.0, Allowed { own: &capacity, held: Some(held) }, Vec::new(), &[], NOON)
        };
        // 10 a second for half an hour, then 150,000 an hour.
        let half = held(after(1_800));
        let all = sends(93_001, &half);
        assert_eq!(all.finish, after(1_800 + 1_800));
        assert_eq!(
            all.slots.iter().map(|(_, rows)| *rows).collect::<Vec<_>>()[5..8],
            [3_000, 12_500, 12_500]
        );
        assert_eq!(all.slots.iter().map(|(_, rows)| rows).sum::<u64>(), 93_001);
        assert_eq!(sends(9_001, &half).finish, after(900), "it is through before");
        let over = sends(150_001, &held(NOON));
        assert_eq!((over.finish, over.held.is_some()), (after(3_600), true));

        let late = sends(72_001, &held(after(36_000))).finding(&capacity, Some(after(3_600)));
        assert!(
            late.seen.contains("36,000 per hour, to which the account `a` is held until "),
            "{}",
            late.seen
        );
        let fix = late.fix.unwrap();
        let set = "`mailrun capacity set a --per-hour 150000 --burst-percent 25`";
        assert!(fix.starts_with(set) && fix.ends_with("or --limit 36001"), "{fix}");
    }

    #[test]
    fn a_second_message_takes_its_time_too() {
        let capacity = Capacity::default();
        let shares = || vec![share("Orange", 9_000, Some(2.0))];
        let two = estimate_of_two(75_000, 1.0, own(&capacity), shares(), &[], NOON);
        assert_eq!((two.rows, &two.shares), (150_000, &shares()));
        assert_eq!(two.limited_by, Limit::Share("Orange".into()), "18,000 at 2 a second are 2.5 hours");
        let two = estimate_of_two(75_000, 1.0, own(&capacity), Vec::new(), &[], NOON);
        assert_eq!(two.finish, estimate(150_000, 1.0, own(&capacity), Vec::new(), &[], NOON).finish);
        let fix = two.finding(&capacity, Some(after(1_800))).fix.unwrap();
        assert!(fix.contains("--limit 37500"), "{fix}");
        let large = estimate_of_two(30_000, 4.0, own(&capacity), Vec::new(), &[], NOON);
        assert_eq!(large.finish, estimate(150_000, 1.0, own(&capacity), Vec::new(), &[], NOON).finish);
    }

    #[test]
    fn large_messages_take_the_time_of_several() {
        let size_basis = Some(crate::campaign::ByteSize(200_000));
        let capacity = Capacity { size_basis, ..Capacity::default() };
        let large = estimate(30_000, 5.0, own(&capacity), Vec::new(), &[], NOON);
        assert_eq!(large.finish, estimate(150_000, 1.0, own(&capacity), Vec::new(), &[], NOON).finish);
        assert_eq!(large.slots.iter().map(|(_, counted)| counted).sum::<u64>(), 150_000);
        let late = large.finding(&capacity, Some(after(1_800)));
        assert!(late.seen.contains("counts as 5.0 of 200.0 kB"), "{}", late.seen);
        let fix = late.fix.unwrap();
        assert!(fix.contains("per-hour = 300000") && fix.contains("--limit 15000"), "{fix}");
    }

    #[test]
    fn a_deadline_that_is_missed_is_refused_with_what_it_would_take() {
        let capacity = Capacity::default();
        let all = estimate(300_000, 1.0, own(&capacity), Vec::new(), &[], NOON);
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
