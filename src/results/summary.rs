//! The summary of results, counted while they are written.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use rustc_hash::FxHashMap;
use serde::{Serialize, Serializer};

use super::columns::ResultRow;
use crate::mail::{Class, Disposition, Timestamp};

/// How many domains are counted individually; further ones are ignored to bound memory. A domain
/// that matters appears before that many others.
const MOST_DOMAINS: usize = 65_536;
/// The longest latency that is recorded exactly: one hour, in microseconds.
const LONGEST_LATENCY_US: u64 = 3_600_000_000;

/// The summary of results.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// All input rows. Copies for seed addresses are none, and only what was sent counts them.
    pub rows: u64,
    /// Rows per disposition, in the order of reports, zeros included.
    #[serde(serialize_with = "by_word")]
    pub dispositions: Vec<(Disposition, u64)>,
    /// Copies for seed addresses per disposition, where there are any.
    #[serde(serialize_with = "by_word", skip_serializing_if = "Vec::is_empty")]
    pub seeds: Vec<(Disposition, u64)>,
    /// Rows per class, where there are any.
    #[serde(serialize_with = "by_word")]
    pub classes: Vec<(Class, u64)>,
    /// The domains with the most rows.
    pub domains: Vec<DomainCount>,
    /// Distinct domains, including those not listed.
    pub distinct_domains: u64,
    /// Whether `distinct_domains` is only a lower bound.
    pub more_domains: bool,
    /// Transmissions.
    pub attempts: u64,
    /// Bytes of the messages' last attempts.
    pub bytes: u64,
    /// Durations of the last attempts; `None` when there are none.
    pub latency: Option<Latency>,
    /// Accepted messages whose copy the archive refused.
    pub archive_refused: u64,
    /// Five-minute slots with at least one transmission.
    pub slots_used: u64,
    /// Transmissions in the fullest of them.
    pub fullest_slot: u64,
    /// The first transmission.
    #[serde(serialize_with = "as_text")]
    pub first_attempt_at: Option<Timestamp>,
    /// The last one.
    #[serde(serialize_with = "as_text")]
    pub last_attempt_at: Option<Timestamp>,
    /// Transmissions per second from the first to the last; `None` with fewer than two.
    pub per_second: Option<f64>,
    /// Result files.
    pub files: u32,
}

/// The rows of one domain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DomainCount {
    /// In A-labels.
    pub domain: String,
    /// Its rows.
    pub rows: u64,
    /// Its rows per disposition, where there are any.
    #[serde(serialize_with = "by_word")]
    pub dispositions: Vec<(Disposition, u64)>,
}

/// Percentiles in microseconds, within 0.1 percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Latency {
    /// Half took at most this long.
    pub p50_us: u64,
    /// 90 of 100.
    pub p90_us: u64,
    /// 99 of 100.
    pub p99_us: u64,
    /// The longest.
    pub max_us: u64,
}

impl Summary {
    /// Rows with this disposition.
    pub fn count(&self, disposition: Disposition) -> u64 {
        self.dispositions.iter().find(|(other, _)| *other == disposition).map_or(0, |(_, count)| *count)
    }
}

type PerDisposition = [u64; Disposition::ALL.len()];

/// The counts while rows come in.
pub(super) struct Counts {
    rows: u64,
    dispositions: PerDisposition,
    seeds: PerDisposition,
    classes: BTreeMap<Class, u64>,
    domains: FxHashMap<Box<str>, PerDisposition>,
    more_domains: bool,
    attempts: u64,
    bytes: u64,
    archive_refused: u64,
    latency: Histogram<u64>,
    slots: BTreeMap<Timestamp, u64>,
    first: Option<Timestamp>,
    last: Option<Timestamp>,
}

impl Counts {
    pub(super) fn new() -> Self {
        Self {
            rows: 0,
            dispositions: [0; Disposition::ALL.len()],
            seeds: [0; Disposition::ALL.len()],
            classes: BTreeMap::new(),
            domains: FxHashMap::default(),
            more_domains: false,
            attempts: 0,
            bytes: 0,
            archive_refused: 0,
            latency: Histogram::new_with_max(LONGEST_LATENCY_US, 3)
                .expect("an hour and 3 digits are in range"),
            slots: BTreeMap::new(),
            first: None,
            last: None,
        }
    }

    pub(super) fn add(&mut self, row: &ResultRow<'_>) {
        if row.is_seed {
            self.seeds[row.disposition as usize] += 1;
        } else {
            self.add_outcome(row);
        }
        self.add_transmissions(row);
    }

    /// What became of a row of the input.
    fn add_outcome(&mut self, row: &ResultRow<'_>) {
        let disposition = row.disposition as usize;
        self.rows += 1;
        self.dispositions[disposition] += 1;
        if let Some(class) = row.class {
            *self.classes.entry(class).or_default() += 1;
        }
        if let Some(domain) = row.domain.as_deref() {
            if let Some(counts) = self.domains.get_mut(domain) {
                counts[disposition] += 1;
            } else if self.domains.len() < MOST_DOMAINS {
                let mut counts = [0; Disposition::ALL.len()];
                counts[disposition] = 1;
                self.domains.insert(domain.into(), counts);
            } else {
                self.more_domains = true;
            }
        }
    }

    /// What was sent for it.
    fn add_transmissions(&mut self, row: &ResultRow<'_>) {
        self.attempts += u64::from(row.attempts);
        self.bytes += u64::from(row.bytes.unwrap_or(0));
        let refused = row.archive.as_ref().is_some_and(|reply| !reply.starts_with('2'));
        self.archive_refused += u64::from(refused && row.disposition == Disposition::Accepted);
        if let Some(latency) = row.latency_us {
            self.latency.saturating_record(latency);
        }
        for &at in &row.attempts_at {
            *self.slots.entry(at.slot()).or_default() += 1;
            self.first = Some(self.first.map_or(at, |first| first.min(at)));
            self.last = Some(self.last.map_or(at, |last| last.max(at)));
        }
    }

    pub(super) fn summary(self, files: u32, top_domains: usize) -> Summary {
        let seconds = match (self.first, self.last) {
            (Some(first), Some(last)) => last.since(first).as_secs_f64(),
            _ => 0.0,
        };
        Summary {
            rows: self.rows,
            dispositions: Disposition::ALL.into_iter().zip(self.dispositions).collect(),
            seeds: Disposition::ALL.into_iter().zip(self.seeds).filter(|(_, count)| *count > 0).collect(),
            classes: self.classes.into_iter().collect(),
            distinct_domains: self.domains.len() as u64,
            more_domains: self.more_domains,
            domains: top(self.domains, top_domains),
            attempts: self.attempts,
            bytes: self.bytes,
            archive_refused: self.archive_refused,
            latency: (!self.latency.is_empty()).then(|| Latency {
                p50_us: self.latency.value_at_quantile(0.5),
                p90_us: self.latency.value_at_quantile(0.9),
                p99_us: self.latency.value_at_quantile(0.99),
                max_us: self.latency.max(),
            }),
            slots_used: self.slots.len() as u64,
            fullest_slot: self.slots.values().copied().max().unwrap_or(0),
            first_attempt_at: self.first,
            last_attempt_at: self.last,
            per_second: (seconds > 0.0).then(|| (self.attempts - 1) as f64 / seconds),
            files,
        }
    }
}

/// The domains with the most rows; equal ones by name.
fn top(domains: FxHashMap<Box<str>, PerDisposition>, most: usize) -> Vec<DomainCount> {
    let mut domains: Vec<(u64, Box<str>, PerDisposition)> =
        domains.into_iter().map(|(domain, counts)| (counts.iter().sum(), domain, counts)).collect();
    domains.sort_unstable_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    domains.truncate(most);
    domains
        .into_iter()
        .map(|(rows, domain, counts)| DomainCount {
            domain: domain.into(),
            rows,
            dispositions: Disposition::ALL.into_iter().zip(counts).filter(|(_, count)| *count > 0).collect(),
        })
        .collect()
}

fn by_word<K: ToString, S: Serializer>(counts: &[(K, u64)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(counts.iter().map(|(key, count)| (key.to_string(), count)))
}

fn as_text<S: Serializer>(at: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => serializer.collect_str(at),
        None => serializer.serialize_none(),
    }
}
