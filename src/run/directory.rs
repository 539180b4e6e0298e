//! The domains whose site is not known yet, each with its rows, the largest first.
//!
//! A row costs four bytes here and a domain twelve, however long its name: names are read from the
//! plan when needed.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::ids::DomainId;
use super::lane::Segment;
use super::task::Task;
use crate::mail::Timestamp;
use crate::suppression::{FingerprintMap, Fingerprinter};

/// The first wait after a failed lookup; it doubles with each further failure.
const FIRST_WAIT: Duration = Duration::from_secs(30);
/// The longest wait between lookups of one domain.
const LONGEST_WAIT: Duration = Duration::from_secs(15 * 60);

/// The rows of a run by domain.
#[derive(Debug)]
pub struct Directory {
    rows: Arc<[u32]>,
    domains: Vec<DomainRows>,
    /// Rows of domains that have no lane yet.
    left: u64,
    /// Rows that were tried before, by domain.
    tried: HashMap<DomainId, Vec<(Task, Timestamp)>>,
    /// The next domain that was never looked up.
    next: u32,
    /// Domains to look up again, and when.
    put_off: BinaryHeap<Reverse<(Timestamp, DomainId)>>,
    /// Failed lookups of those domains, and the time of the first.
    failures: HashMap<DomainId, (u32, Timestamp)>,
}

/// A range of the rows.
#[derive(Debug, Clone, Copy)]
struct DomainRows {
    start: u32,
    end: u32,
    /// Any row of the domain, for its name.
    sample: u32,
}

/// A domain while its rows are counted.
struct Size {
    fresh: u32,
    tried: u32,
    /// Any row of it.
    sample: u32,
}

/// The rows of one domain, to be added to a lane.
#[derive(Debug)]
pub struct Taken {
    /// Rows that were never tried.
    pub fresh: Segment,
    /// Rows that were tried before, and when they are due.
    pub tried: Vec<(Task, Timestamp)>,
}

impl Directory {
    /// A directory without rows: all of them have their lane.
    pub fn empty() -> Self {
        Self::new(Vec::new(), Vec::new(), |_| "")
    }

    /// A directory of rows that were never tried (`fresh`) and of rows that were, with the times
    /// when they are due (`tried`). `domain` returns a row's domain.
    ///
    /// While it is built, a row costs eight bytes more and a domain 40: names are compared by their
    /// fingerprints.
    pub fn new<'a>(fresh: Vec<u32>, tried: Vec<(Task, Timestamp)>, domain: impl Fn(u32) -> &'a str) -> Self {
        let fingerprinter = Fingerprinter::default();
        let mut by_name = FingerprintMap::default();
        let mut sizes: Vec<Size> = Vec::new();
        let mut number = |row: u32, sizes: &mut Vec<Size>| {
            let next = sizes.len() as u32;
            by_name.insert(fingerprinter.of(domain(row)), next).unwrap_or_else(|| {
                sizes.push(Size { fresh: 0, tried: 0, sample: row });
                next
            })
        };
        let mut numbers: Vec<u32> = Vec::with_capacity(fresh.len());
        for row in &fresh {
            let domain = number(*row, &mut sizes);
            sizes[domain as usize].fresh += 1;
            numbers.push(domain);
        }
        let mut numbered = Vec::with_capacity(tried.len());
        for (task, at) in tried {
            let domain = number(task.row, &mut sizes);
            sizes[domain as usize].tried += 1;
            numbered.push((domain, task, at));
        }
        drop(by_name);

        // The largest first: they take longest.
        let mut order: Vec<u32> = (0..sizes.len() as u32).collect();
        order.sort_unstable_by_key(|domain| {
            let size = &sizes[*domain as usize];
            (Reverse(size.fresh + size.tried), *domain)
        });
        let mut domains = Vec::with_capacity(order.len());
        let mut place_of = vec![0_u32; order.len()];
        let mut start = 0;
        for (place, domain) in order.into_iter().enumerate() {
            let Size { fresh, sample, .. } = sizes[domain as usize];
            domains.push(DomainRows { start, end: start, sample });
            place_of[domain as usize] = place as u32;
            start += fresh;
        }
        drop(sizes);
        let mut rows = vec![0_u32; fresh.len()];
        for (row, number) in fresh.into_iter().zip(numbers) {
            let domain = &mut domains[place_of[number as usize] as usize];
            rows[domain.end as usize] = row;
            domain.end += 1;
        }
        let mut tried = HashMap::<DomainId, Vec<(Task, Timestamp)>>::new();
        for (number, task, at) in numbered {
            tried.entry(DomainId(place_of[number as usize])).or_default().push((task, at));
        }
        let left = rows.len() + tried.values().map(Vec::len).sum::<usize>();
        Self {
            rows: rows.into(),
            domains,
            left: left as u64,
            tried,
            next: 0,
            put_off: BinaryHeap::new(),
            failures: HashMap::new(),
        }
    }

    /// Rows of the domains that have no lane yet.
    pub fn rows(&self) -> u64 {
        self.left
    }

    /// The next domain to look up, with one of its rows.
    pub fn next(&mut self, now: Timestamp) -> Option<(DomainId, u32)> {
        let due = self.put_off.peek().filter(|Reverse((at, _))| *at <= now);
        let id = if due.is_some() {
            let Reverse((_, id)) = self.put_off.pop().expect("it was looked at");
            id
        } else if (self.next as usize) < self.domains.len() {
            self.next += 1;
            DomainId(self.next - 1)
        } else {
            return None;
        };
        Some((id, self.domains[id.0 as usize].sample))
    }

    /// When the next domain is to be looked up again.
    pub fn wake_at(&self) -> Option<Timestamp> {
        self.put_off.peek().map(|Reverse((at, _))| *at)
    }

    /// Takes the rows of a domain out of the directory.
    pub fn take(&mut self, id: DomainId) -> Taken {
        self.failures.remove(&id);
        let domain = self.domains[id.0 as usize];
        let fresh = Segment::new(Arc::clone(&self.rows), domain.start..domain.end);
        let tried = self.tried.remove(&id).unwrap_or_default();
        self.left -= (fresh.rows() + tried.len()) as u64;
        Taken { fresh, tried }
    }

    /// Notes a transient failure of a domain's lookup. False when lookups have failed for
    /// `give_up_after`: then take its rows, to end them.
    pub fn put_off(&mut self, id: DomainId, now: Timestamp, give_up_after: Duration) -> bool {
        let (failures, since) = self.failures.entry(id).or_insert((0, now));
        *failures += 1;
        let wait = FIRST_WAIT.saturating_mul(1 << (*failures - 1).min(10)).min(LONGEST_WAIT);
        if now.since(*since) + wait > give_up_after {
            return false;
        }
        self.put_off.push(Reverse((now + wait, id)));
        true
    }
}

impl Taken {
    /// All rows, as tasks.
    pub fn into_tasks(self) -> impl Iterator<Item = Task> {
        self.tried.into_iter().map(|(task, _)| task).chain(self.fresh.map(Task::fresh))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIVE_UP_AFTER: Duration = Duration::from_secs(4 * 3_600);

    #[test]
    fn the_largest_domain_comes_first_with_its_rows_in_order() {
        let names = ["a", "b", "b", "c", "b", "a", "e", "e", "d", "c"];
        let tried =
            vec![(Task { attempts: 1, ..Task::fresh(9) }, Timestamp(5)), (Task::fresh(8), Timestamp(6))];
        let mut directory = Directory::new((0..6).collect(), tried, |row| names[row as usize]);
        assert_eq!(directory.rows(), 8);
        let mut seen = Vec::new();
        while let Some((id, _)) = directory.next(Timestamp(0)) {
            seen.push(directory.take(id).into_tasks().map(|task| task.row).collect::<Vec<_>>());
        }
        assert_eq!(seen, [vec![1, 2, 4], vec![0, 5], vec![9, 3], vec![8]]);
    }

    #[test]
    fn a_failed_lookup_is_tried_again_until_the_time_is_over() {
        let mut directory = Directory::new(vec![0], Vec::new(), |_| "a");
        let mut now = Timestamp(0);
        let mut lookups = 0;
        loop {
            let (id, _) = directory.next(now).unwrap();
            lookups += 1;
            if !directory.put_off(id, now, GIVE_UP_AFTER) {
                break;
            }
            assert_eq!(directory.next(now), None);
            now = directory.wake_at().unwrap();
        }
        assert!(now.since(Timestamp(0)) > Duration::from_secs(3 * 3_600), "{now}");
        assert!((15..30).contains(&lookups), "{lookups}");
    }
}
