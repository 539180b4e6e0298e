//! When the rest of a run can be through, and what holds it back most.

use std::collections::HashMap;

use super::Dispatcher;
use crate::kit::text::{counted, grouped};
use crate::mail::Timestamp;
use crate::pacing::{Pacer, Rate};
use crate::run::ids::ProviderId;
use crate::run::lane::Lane;
use crate::run::snapshot::Hold;

/// The latest hold so far.
#[derive(Default)]
struct Latest(Option<Hold>);

impl Latest {
    fn take(&mut self, until: Timestamp, why: impl FnOnce() -> String) {
        let until = Some(until);
        if self.0.as_ref().is_none_or(|hold| hold.until < until) {
            self.0 = Some(Hold { until, why: why() });
        }
    }
}

impl Dispatcher {
    /// What holds the run back most: the capacity, the rates of local addresses, providers and
    /// sites, pauses, and rows that wait for another attempt.
    pub fn hold(&self, now: Timestamp) -> Option<Hold> {
        if let Some(allowance) = self.sources.allowance().filter(|allowance| *allowance < self.to_come()) {
            let why = format!("the warm-up lets {} more leave today", grouped(allowance));
            return Some(Hold { until: None, why });
        }
        if self.pacer.as_ref().is_some_and(Pacer::yields) {
            let why =
                "runs that go first use the capacity account (`[capacity] priority`: alarms before news)";
            return Some(Hold { until: None, why: why.to_owned() });
        }
        if let Some(why) = self.scans.held_by(now) {
            return Some(Hold { until: None, why: format!("nothing leaves unscanned: {why}") });
        }
        if let Some(why) = self.unreachable() {
            return Some(Hold { until: None, why });
        }
        let mut latest = Latest::default();
        let through =
            |rows: u64, per_second: f64, from: Timestamp| from + Rate::per_second(per_second).time_for(rows);
        let stricter = self.pacer.as_ref().and_then(Pacer::stricter);
        let in_force = stricter.map_or(f64::INFINITY, |limits| limits.per_hour as f64 / 3_600.0);
        if let Some(per_second) = self.settings.per_second.map(|own| own.min(in_force)) {
            // A large message counts as several.
            let counted = (self.to_come() as f64 * self.cost_each).ceil() as u64;
            latest.take(through(counted, per_second, now), || {
                format!("the capacity is {} an hour", grouped((per_second * 3_600.0).round() as u64))
            });
        }
        if let Some(per_second) = self.sources.per_second() {
            latest.take(through(self.to_come(), per_second, now), || {
                format!("the local addresses send {per_second:.1}/s")
            });
        }
        let mut of_provider: HashMap<ProviderId, u64> = HashMap::new();
        for lane in self.lanes.iter().filter(|lane| lane.rows() > 0) {
            if let Some(provider) = lane.provider {
                *of_provider.entry(provider).or_default() += lane.rows() as u64;
            }
            self.hold_of(lane, now, &mut latest);
        }
        for (id, rows) in of_provider {
            if let Some((name, per_second)) = self.providers.rate(id) {
                let from = self.providers.paused_until(Some(id)).map_or(now, |until| until.max(now));
                latest.take(through(rows, per_second, from), || format!("`{name}` gets {per_second:.1}/s"));
            }
        }
        latest.0
    }

    /// Why nobody knows when the rest is through: most of it waits for sites that can't be reached.
    fn unreachable(&self) -> Option<String> {
        let dead = || self.lanes.iter().filter(|lane| lane.rows() > 0 && lane.unreachable_since().is_some());
        let rows: u64 = dead().map(|lane| lane.rows() as u64).sum();
        let lane = dead().max_by_key(|lane| lane.rows()).filter(|_| rows >= self.left.div_ceil(2))?;
        let since = lane.unreachable_since()?;
        let why = lane.complaint().map_or(String::new(), |why| format!(": {why}"));
        Some(format!("`{}` is not reachable since {since}{why}", lane.site.name))
    }

    fn hold_of(&self, lane: &Lane, now: Timestamp, latest: &mut Latest) {
        let site = &lane.site.name;
        let paused_until = self.paused_until(lane).filter(|until| now < *until);
        let from = paused_until.unwrap_or(now);
        if let Some(until) = paused_until {
            let why = lane.complaint().map_or(String::new(), |why| format!(": {why}"));
            latest.take(until, || format!("`{site}` is paused until {until}{why}"));
        }
        if let Some(at) = lane.last_retry_at() {
            let rows = lane.retries();
            latest.take(at.max(from), || {
                format!("`{site}` has {} to retry", counted(rows as u64, "row", "rows"))
            });
        }
        if let Some(per_second) = lane.per_second() {
            let until = from + Rate::per_second(per_second).time_for(lane.rows() as u64);
            latest.take(until, || format!("`{site}` gets {per_second:.1}/s"));
        }
    }
}
