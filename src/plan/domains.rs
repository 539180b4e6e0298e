//! The destination domains with the most rows, counted in bounded memory.

use rustc_hash::FxHashMap;

use super::Plan;

/// How many domains are counted at once. A domain with more than one row in this many is never
/// missed.
const COUNTERS: usize = 8_192;

/// Finds the frequent domains among any number of them (Misra and Gries, "Finding repeated
/// elements", 1982): each domain has a counter; when all counters are taken, each is decremented.
#[derive(Debug, Default)]
pub struct TopDomains {
    counters: FxHashMap<Box<str>, u64>,
    lost: bool,
}

impl TopDomains {
    /// Counts a row of `domain`.
    pub fn add(&mut self, domain: &str) {
        if let Some(count) = self.counters.get_mut(domain) {
            *count += 1;
        } else if self.counters.len() < COUNTERS {
            self.counters.insert(domain.into(), 1);
        } else {
            self.lost = true;
            self.counters.retain(|_, count| {
                *count -= 1;
                *count > 0
            });
        }
    }

    /// True when every domain has been counted in full.
    pub fn is_exact(&self) -> bool {
        !self.lost
    }

    /// The `most` domains with the most rows, largest first; `None` unless every domain was counted
    /// in full.
    pub fn exact(&self, most: usize) -> Option<Vec<(String, u64)>> {
        self.is_exact().then(|| largest(self.counts().collect(), most))
    }

    /// The remaining domains with their counts, which are too low unless [`Self::is_exact`].
    pub fn counts(&self) -> impl Iterator<Item = (&str, u64)> {
        self.counters.iter().map(|(domain, count)| (domain.as_ref(), *count))
    }
}

/// The `most` domains with the most rows of a plan, largest first. The counts are exact; among more
/// than 8,192 domains, those with hardly any rows may be missing.
pub fn top_domains(plan: &Plan, most: usize) -> Vec<(String, u64)> {
    top(|| plan.domains().map(|(_, domain)| domain), most)
}

fn top<'a, I: Iterator<Item = &'a str>>(rows: impl Fn() -> I, most: usize) -> Vec<(String, u64)> {
    let mut domains = TopDomains::default();
    rows().for_each(|domain| domains.add(domain));
    if let Some(exact) = domains.exact(most) {
        return exact;
    }
    // A second pass gives the true counts of the remaining domains.
    let mut counts: FxHashMap<&str, u64> = domains.counts().map(|(domain, _)| (domain, 0)).collect();
    for domain in rows() {
        if let Some(count) = counts.get_mut(domain) {
            *count += 1;
        }
    }
    largest(counts.into_iter().collect(), most)
}

fn largest(mut counts: Vec<(&str, u64)>, most: usize) -> Vec<(String, u64)> {
    counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
    counts.into_iter().take(most).map(|(domain, count)| (domain.to_owned(), count)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_come_first_and_equal_ones_by_name() {
        let rows = ["b.example", "a.example", "c.example", "c.example"];
        let expected = [("c.example".to_owned(), 2), ("a.example".to_owned(), 1)];
        assert_eq!(top(|| rows.into_iter(), 2), expected);
    }

    #[test]
    fn frequent_domains_are_exact_among_a_hundred_thousand() {
        let mut rows = Vec::new();
        for n in 0..100_000 {
            rows.push(format!("d{n}.example"));
            if n % 10 == 0 {
                rows.push("large.example".to_owned());
            }
            if n % 100 == 0 {
                rows.push("small.example".to_owned());
            }
        }
        let mut domains = TopDomains::default();
        rows.iter().for_each(|domain| domains.add(domain));
        assert!(!domains.is_exact() && domains.counts().count() <= COUNTERS);
        let expected = [("large.example".to_owned(), 10_000), ("small.example".to_owned(), 1_000)];
        assert_eq!(top(|| rows.iter().map(String::as_str), 2), expected);
    }
}
