//! The summary of results, counted while they are written.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use rustc_hash::FxHashMap;
use serde::{Serialize, Serializer};

use super::columns::{Column, ResultRow};
use super::error::ResultsError;
use super::reader::ResultFiles;
use crate::kit::causes::{self, Causes};
use crate::mail::{Class, Disposition, Timestamp};

/// The domains of a summary.
pub(super) const TOP_DOMAINS: usize = 10;
/// How many domains are counted individually; further ones are ignored to bound memory. A domain
/// that matters appears before that many others.
const MOST_DOMAINS: usize = 65_536;
/// The longest latency that is recorded exactly: one hour, in microseconds.
const LONGEST_LATENCY_US: u64 = 3_600_000_000;
/// Reasons that are listed for a disposition.
const CAUSES_LISTED: usize = 3;
/// How many of the rows that failed last are listed.
const FAILED_LAST: usize = 10;
/// How rows end whose recipients did not get the message, or may not have.
const FAILED: [Disposition; 5] = [
    Disposition::Bounced,
    Disposition::Deferred,
    Disposition::InDoubt,
    Disposition::RenderFailed,
    Disposition::Infected,
];

/// Dispositions whose reasons are counted: what is wrong with rows, not with the world.
const WITH_CAUSES: [Disposition; 3] =
    [Disposition::Invalid, Disposition::RenderFailed, Disposition::Infected];

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
    /// Mails with passwords of secure documents per disposition, where there are any.
    #[serde(serialize_with = "by_word", skip_serializing_if = "Vec::is_empty")]
    pub passwords: Vec<(Disposition, u64)>,
    /// Rows per class, where there are any.
    #[serde(serialize_with = "by_word")]
    pub classes: Vec<(Class, u64)>,
    /// Rows per variant of the letter, where there are several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub variants: Vec<VariantCount>,
    /// Why rows are `invalid`, `render_failed` or `infected`, the most frequent reasons of each
    /// first.
    pub causes: Vec<Cause>,
    /// The rows that failed last, in the order of the list. The result files name all of
    /// them.
    #[serde(skip)]
    pub failed_last: Vec<FailedRow>,
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

/// The rows that get one variant of the letter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VariantCount {
    /// Its name.
    pub variant: String,
    /// Its rows.
    pub rows: u64,
    /// Its rows per disposition, where there are any.
    #[serde(serialize_with = "by_word")]
    pub dispositions: Vec<(Disposition, u64)>,
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

/// A reason, and the rows that it was given for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cause {
    /// What they ended as.
    #[serde(serialize_with = "as_word")]
    pub disposition: Disposition,
    /// The reason, without the value that it names where it was given more than once; `None` for
    /// all reasons that are not listed.
    pub why: Option<String>,
    /// How many.
    pub rows: u64,
    /// The file and row that it was first given for; `None` for reasons that are not listed.
    pub example: Option<String>,
}

/// A row whose recipient did not get the message, or may not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedRow {
    /// When its last attempt began, where there was one.
    pub at: Option<Timestamp>,
    /// The file, as shown.
    pub file: String,
    /// Number of the row in its file, from 1.
    pub row: u64,
    /// What it ended as.
    pub disposition: Disposition,
    /// The last reply, without the address where it repeats that, or else the reason.
    pub why: String,
}

/// Percentiles, within 0.1 percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Latency {
    /// Half took at most this long.
    #[serde(rename = "p50_seconds", serialize_with = "as_seconds")]
    pub p50: Duration,
    /// 90 of 100.
    #[serde(rename = "p90_seconds", serialize_with = "as_seconds")]
    pub p90: Duration,
    /// 99 of 100.
    #[serde(rename = "p99_seconds", serialize_with = "as_seconds")]
    pub p99: Duration,
    /// The longest.
    #[serde(rename = "max_seconds", serialize_with = "as_seconds")]
    pub max: Duration,
}

impl Summary {
    /// Rows with this disposition.
    pub fn count(&self, disposition: Disposition) -> u64 {
        self.dispositions.iter().find(|(other, _)| *other == disposition).map_or(0, |(_, count)| *count)
    }

    /// Rows whose recipients did not get the message, or may not have.
    pub fn failed(&self) -> u64 {
        FAILED.into_iter().map(|disposition| self.count(disposition)).sum()
    }

    /// Mails with passwords that were not accepted, or may not have been; those that another run
    /// sends are its own.
    pub fn passwords_failed(&self) -> u64 {
        let is_well = |of: Disposition| matches!(of, Disposition::Accepted | Disposition::AlreadySent);
        let failed = self.passwords.iter().filter(|(disposition, _)| !is_well(*disposition));
        failed.map(|(_, count)| count).sum()
    }

    /// The summary of results that were written before.
    pub fn of(files: &ResultFiles) -> Result<Self, ResultsError> {
        let mut counts = Counts::new();
        for row in files.rows(&Column::ALL) {
            counts.add(&row?);
        }
        Ok(counts.summary(files.count(), TOP_DOMAINS))
    }
}

type PerDisposition = [u64; Disposition::ALL.len()];

/// The counts while rows come in.
pub(super) struct Counts {
    rows: u64,
    dispositions: PerDisposition,
    seeds: PerDisposition,
    passwords: PerDisposition,
    classes: BTreeMap<Class, u64>,
    causes: BTreeMap<Disposition, Causes>,
    /// With their numbers in the whole list.
    failed_last: Vec<(u64, FailedRow)>,
    domains: FxHashMap<Box<str>, PerDisposition>,
    variants: BTreeMap<String, PerDisposition>,
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
            passwords: [0; Disposition::ALL.len()],
            classes: BTreeMap::new(),
            causes: BTreeMap::new(),
            failed_last: Vec::new(),
            domains: FxHashMap::default(),
            variants: BTreeMap::new(),
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
        if let Some(password) = row.password_disposition {
            self.passwords[password as usize] += 1;
        }
        if let Some(class) = row.class {
            *self.classes.entry(class).or_default() += 1;
        }
        self.add_failure(row);
        if let Some(variant) = row.variant.as_deref() {
            match self.variants.get_mut(variant) {
                Some(counts) => counts[disposition] += 1,
                None => {
                    let mut counts = [0; Disposition::ALL.len()];
                    counts[disposition] = 1;
                    self.variants.insert(variant.to_owned(), counts);
                }
            }
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

    /// Why it failed, if it did.
    fn add_failure(&mut self, row: &ResultRow<'_>) {
        if WITH_CAUSES.contains(&row.disposition) {
            let causes = self.causes.entry(row.disposition).or_default();
            let place = || format!("{}, row {}", row.source_file, row.row);
            causes.add(row.detail.as_deref().unwrap_or_default(), place);
        }
        if FAILED.contains(&row.disposition) {
            self.add_failed(row);
        }
    }

    fn add_failed(&mut self, row: &ResultRow<'_>) {
        // Of two at the same time the one further down the list is later.
        let place = self.failed_last.partition_point(|(_, other)| other.at > row.last_attempt_at);
        if place < FAILED_LAST {
            self.failed_last.insert(place, (self.rows, failed(row)));
            self.failed_last.truncate(FAILED_LAST);
        }
    }

    /// What was sent for it.
    fn add_transmissions(&mut self, row: &ResultRow<'_>) {
        let others = row.archive_attempts_at.len() + row.password_attempts_at.len();
        self.attempts += u64::from(row.attempts) + others as u64;
        self.bytes += u64::from(row.bytes.unwrap_or(0)) + u64::from(row.password_bytes.unwrap_or(0));
        let refused = row.archive.as_ref().is_some_and(|reply| !reply.starts_with('2'));
        self.archive_refused += u64::from(refused && row.disposition == Disposition::Accepted);
        if let Some(latency) = row.latency_us {
            self.latency.saturating_record(latency);
        }
        for (at, _) in row.transmissions() {
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
            passwords: Disposition::ALL
                .into_iter()
                .zip(self.passwords)
                .filter(|(_, count)| *count > 0)
                .collect(),
            classes: self.classes.into_iter().collect(),
            variants: self.variants.into_iter().map(variant_count).collect(),
            causes: self.causes.iter().flat_map(|(word, causes)| listed(*word, causes)).collect(),
            failed_last: in_order(self.failed_last),
            distinct_domains: self.domains.len() as u64,
            more_domains: self.more_domains,
            domains: top(self.domains, top_domains),
            attempts: self.attempts,
            bytes: self.bytes,
            archive_refused: self.archive_refused,
            latency: (!self.latency.is_empty()).then(|| Latency {
                p50: Duration::from_micros(self.latency.value_at_quantile(0.5)),
                p90: Duration::from_micros(self.latency.value_at_quantile(0.9)),
                p99: Duration::from_micros(self.latency.value_at_quantile(0.99)),
                max: Duration::from_micros(self.latency.max()),
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

fn variant_count((variant, counts): (String, PerDisposition)) -> VariantCount {
    let dispositions = Disposition::ALL.into_iter().zip(counts).filter(|(_, count)| *count > 0).collect();
    VariantCount { variant, rows: counts.iter().sum(), dispositions }
}

fn in_order(mut failed: Vec<(u64, FailedRow)>) -> Vec<FailedRow> {
    failed.sort_by_key(|(number, _)| *number);
    failed.into_iter().map(|(_, row)| row).collect()
}

fn failed(row: &ResultRow<'_>) -> FailedRow {
    let reply = row.smtp_code.map(|code| {
        let enhanced = row.enhanced_status.map_or(String::new(), |status| format!(" {status}"));
        format!("{code}{enhanced} {}", row.reply.as_deref().unwrap_or_default())
    });
    let reply = reply.map(|reply| match row.email.as_deref() {
        Some(email) if !email.is_empty() => reply.replace(email, "…"),
        Some(_) | None => reply,
    });
    FailedRow {
        at: row.last_attempt_at,
        file: row.source_file.clone().into_owned(),
        row: row.row,
        disposition: row.disposition,
        why: reply.unwrap_or_else(|| row.detail.clone().unwrap_or_default().into_owned()),
    }
}

/// The most frequent reasons, and all others together.
fn listed(disposition: Disposition, causes: &Causes) -> Vec<Cause> {
    let (top, more) = causes.top(CAUSES_LISTED);
    let cause = |cause: causes::Cause<'_>| Cause {
        disposition,
        why: Some(cause.why.to_owned()),
        rows: cause.rows,
        example: Some(cause.example.to_owned()),
    };
    let mut listed: Vec<Cause> = top.into_iter().map(cause).collect();
    if more > 0 {
        listed.push(Cause { disposition, why: None, rows: more, example: None });
    }
    listed
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

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn as_word<S: Serializer>(disposition: &Disposition, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(disposition)
}

fn as_seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}

fn as_text<S: Serializer>(at: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => serializer.collect_str(at),
        None => serializer.serialize_none(),
    }
}
