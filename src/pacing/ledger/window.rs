//! A sliding-window sum.

use std::collections::BTreeMap;

use super::BlockId;
use crate::pacing::clock::Uptime;

/// The counts of blocks in the order of one of their moments, and their sum.
#[derive(Debug, Default)]
pub(super) struct Window {
    counts: BTreeMap<(Uptime, BlockId), u64>,
    total: u64,
}

impl Window {
    pub(super) fn insert(&mut self, at: Uptime, id: BlockId, count: u64) {
        let before = self.counts.insert((at, id), count);
        self.total = self.total - before.unwrap_or(0) + count;
    }

    /// Changes a count; one that has left the window is ignored.
    pub(super) fn set(&mut self, at: Uptime, id: BlockId, count: u64) {
        if let Some(known) = self.counts.get_mut(&(at, id)) {
            self.total = self.total - *known + count;
            *known = count;
        }
    }

    /// Forgets the counts before `moment`.
    pub(super) fn expire(&mut self, moment: Uptime) {
        while let Some(first) = self.counts.first_entry().filter(|first| first.key().0 < moment) {
            self.total -= first.remove();
        }
    }

    pub(super) fn clear(&mut self) {
        self.counts.clear();
        self.total = 0;
    }

    /// The sum of the counts at `moment` or later.
    pub(super) fn sum_since(&self, moment: Uptime) -> u64 {
        let before: u64 =
            self.counts.iter().take_while(|((at, _), _)| *at < moment).map(|(_, count)| count).sum();
        self.total - before
    }

    /// The first moment, at `moment` or later, with a count above zero.
    pub(super) fn first_since(&self, moment: Uptime) -> Option<Uptime> {
        self.counts.iter().find(|((at, _), count)| *at >= moment && **count > 0).map(|((at, _), _)| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_what_is_at_the_moment_or_later() {
        let mut window = Window::default();
        for (at, count) in [(10, 1), (20, 2), (20, 4), (30, 8)] {
            window.insert(Uptime(at), BlockId(count), count);
        }
        let sums = |window: &Window| [0, 10, 11, 20, 21, 31].map(|at| window.sum_since(Uptime(at)));
        assert_eq!(sums(&window), [15, 15, 14, 14, 8, 0]);
        window.set(Uptime(20), BlockId(4), 0);
        window.set(Uptime(25), BlockId(4), 100);
        assert_eq!(sums(&window), [11, 11, 10, 10, 8, 0]);
        window.expire(Uptime(20));
        assert_eq!(sums(&window), [10, 10, 10, 10, 8, 0]);
        window.set(Uptime(20), BlockId(2), 0);
        assert_eq!(window.first_since(Uptime(0)), Some(Uptime(30)));
        assert_eq!(window.first_since(Uptime(31)), None);
    }
}
