//! The local addresses that mail leaves from, their weights and rates.

use super::ids::SourceId;
use super::limits::SourceLimits;
use crate::mail::Timestamp;
use crate::pacing::Bucket;

/// Why a message has no place now. Sorted by when it may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum NoPlace {
    /// Rate-limited until this time.
    Until(Timestamp),
    /// The allowance of the local address is spent: never in this run.
    Spent,
}

/// The local addresses of a run, at least one: without `[[egress]]`, the system's choice.
#[derive(Debug)]
pub struct Sources {
    list: Vec<Source>,
}

#[derive(Debug)]
struct Source {
    weight: u32,
    bucket: Option<Bucket>,
    allowance: Option<u64>,
}

impl Sources {
    /// Sources with these limits, numbered in order.
    ///
    /// # Panics
    /// When there is none.
    pub fn new(limits: &[SourceLimits], now: Timestamp) -> Self {
        assert!(!limits.is_empty(), "mail leaves from somewhere");
        let source = |limits: &SourceLimits| Source {
            weight: limits.weight.max(1),
            bucket: limits.rate.map(|rate| Bucket::new(rate, now)),
            allowance: limits.allowance,
        };
        Self { list: limits.iter().map(source).collect() }
    }

    /// The one to open the next connection from: of those that may still send, the one with the
    /// fewest connections in proportion to its weight. `open` counts a source's connections.
    pub fn choose(&self, open: impl Fn(SourceId) -> usize) -> Option<SourceId> {
        let ids = (0..self.list.len()).map(SourceId).filter(|id| self.list[id.0].allowance != Some(0));
        // Compared as fractions: open / weight, in whole numbers.
        ids.min_by(|a, b| {
            let load = |id: SourceId, other: SourceId| open(id) as u64 * u64::from(self.list[other.0].weight);
            load(*a, *b).cmp(&load(*b, *a))
        })
    }

    /// True when none may send any more in this run.
    pub fn are_spent(&self) -> bool {
        self.list.iter().all(|source| source.allowance == Some(0))
    }

    /// For each, the rest of its allowance; `None` without a limit.
    pub fn allowances(&self) -> Vec<Option<u64>> {
        self.list.iter().map(|source| source.allowance).collect()
    }

    /// Messages a second of all that may still send; `None` when one of them has no limit.
    pub(super) fn per_second(&self) -> Option<f64> {
        let living = self.list.iter().filter(|source| source.allowance != Some(0));
        living.map(|source| source.bucket.as_ref().map(|bucket| bucket.rate().in_a_second())).sum()
    }

    /// Messages that all of them may still send; `None` when one of them has no limit.
    pub(super) fn allowance(&self) -> Option<u64> {
        self.list.iter().map(|source| source.allowance).sum()
    }

    /// True when this one may send no more in this run.
    pub fn is_spent(&self, id: SourceId) -> bool {
        self.list[id.0].allowance == Some(0)
    }

    /// Takes places for up to `most` recipients, at least one.
    pub fn take(&mut self, id: SourceId, most: usize, now: Timestamp) -> Result<usize, NoPlace> {
        let source = &mut self.list[id.0];
        let most = source.allowance.map_or(most as u64, |allowance| allowance.min(most as u64));
        if most == 0 {
            return Err(NoPlace::Spent);
        }
        let taken = match &mut source.bucket {
            Some(bucket) => bucket.take_up_to(most, now).map_err(NoPlace::Until)?,
            None => most,
        };
        if let Some(allowance) = &mut source.allowance {
            *allowance -= taken;
        }
        Ok(taken as usize)
    }

    /// Returns places that were taken and not used.
    pub fn put_back(&mut self, id: SourceId, count: usize) {
        let source = &mut self.list[id.0];
        if let Some(bucket) = &mut source.bucket {
            bucket.put_back(count as u64);
        }
        if let Some(allowance) = &mut source.allowance {
            *allowance += count as u64;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pacing::Rate;

    #[test]
    fn connections_are_shared_out_by_weight() {
        let limits = [1, 3].map(|weight| SourceLimits { weight, ..SourceLimits::default() });
        let sources = Sources::new(&limits, Timestamp(0));
        let mut open = [0_usize; 2];
        for _ in 0..8 {
            let id = sources.choose(|id| open[id.0]).unwrap();
            open[id.0] += 1;
        }
        assert_eq!(open, [2, 6]);
    }

    #[test]
    fn what_several_recipients_take_is_no_more_than_the_allowance() {
        let limits = [SourceLimits { allowance: Some(150), ..SourceLimits::default() }];
        let mut sources = Sources::new(&limits, Timestamp(0));
        assert_eq!(sources.take(SourceId(0), 100, Timestamp(0)), Ok(100));
        assert_eq!(sources.take(SourceId(0), 100, Timestamp(0)), Ok(50));
        assert!(sources.are_spent());
        sources.put_back(SourceId(0), 30);
        assert_eq!(sources.allowances(), [Some(30)]);
    }

    #[test]
    fn a_source_keeps_its_rate_and_its_allowance() {
        let rate = Rate { tokens: 10, micros: 1_000_000 };
        let limits = SourceLimits { rate: Some(rate), allowance: Some(4), ..SourceLimits::default() };
        let mut sources = Sources::new(&[limits], Timestamp(0));
        let id = SourceId(0);
        for _ in 0..3 {
            assert_eq!(sources.take(id, 1, Timestamp(0)), Ok(1));
        }
        assert_eq!(sources.take(id, 1, Timestamp(0)), Err(NoPlace::Until(Timestamp(100_000))));
        sources.put_back(id, 1);
        assert_eq!(sources.take(id, 100, Timestamp(0)), Ok(1), "as many as the rate has");
        assert_eq!(sources.take(id, 1, Timestamp(100_000)), Ok(1));
        assert_eq!(sources.take(id, 1, Timestamp(9_000_000)), Err(NoPlace::Spent));
        assert!(sources.are_spent());
        assert_eq!(sources.choose(|_| 0), None);
    }
}
