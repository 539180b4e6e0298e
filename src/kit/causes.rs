//! How often each of many reasons was given, in bounded memory.

use std::collections::BTreeMap;

/// How many different reasons are counted by themselves: a list with more of them has one for every
/// row, and no use for counts.
const MOST: usize = 64;

/// Reasons, and how often each was given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Causes {
    counts: BTreeMap<Box<str>, u64>,
    /// Those beyond the ones counted by themselves.
    more: u64,
}

impl Causes {
    /// Counts a reason.
    pub(crate) fn add(&mut self, why: &str) {
        if let Some(count) = self.counts.get_mut(why) {
            *count += 1;
        } else if self.counts.len() < MOST {
            self.counts.insert(why.into(), 1);
        } else {
            self.more += 1;
        }
    }

    /// At most so many reasons, the most frequent first, and how often others were given.
    pub(crate) fn top(&self, most: usize) -> (Vec<(&str, u64)>, u64) {
        let mut sorted: Vec<(&str, u64)> = self.counts.iter().map(|(why, count)| (&**why, *count)).collect();
        sorted.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let rest: u64 = sorted.iter().skip(most).map(|(_, count)| count).sum();
        sorted.truncate(most);
        (sorted, self.more + rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_frequent_come_first_and_memory_is_bounded() {
        let mut causes = Causes::default();
        for why in ["no `@`", "too long", "no `@`", "empty"] {
            causes.add(why);
        }
        assert_eq!(causes.top(2), (vec![("no `@`", 2), ("empty", 1)], 1));
        for n in 0..1_000 {
            causes.add(&format!("`{n}` is new"));
        }
        causes.add("too long");
        let (top, more) = causes.top(2);
        assert_eq!((top, more), (vec![("no `@`", 2), ("too long", 2)], 1_001));
        assert_eq!(causes.counts.len(), MOST);
    }
}
