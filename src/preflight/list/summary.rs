//! What a dry run found: figures and findings.

use std::cmp::Reverse;
use std::time::Duration;

use super::super::finding::{Finding, Id};
use super::tally::{FailedRow, Tally};
use crate::campaign::{ByteSize, Kind};
use crate::kit::text::{counted, grouped};

/// Reasons named in a finding.
const REASONS_NAMED: usize = 5;

/// What a dry run found.
#[derive(Debug)]
pub(crate) struct DryRun {
    pub(super) tally: Tally,
    /// The BLAKE3 hash over all messages with their recipients, in the order of the plan.
    pub hash: blake3::Hash,
    /// How long it took.
    pub took: Duration,
    kind: Kind,
}

/// Message sizes in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Sizes {
    /// The median.
    pub p50: u64,
    /// 90 % are not larger.
    pub p90: u64,
    /// 99 % are not larger.
    pub p99: u64,
    /// The largest.
    pub largest: u64,
    /// The sum.
    pub total: u64,
}

impl DryRun {
    pub(super) fn new(tally: Tally, hash: blake3::Hash, took: Duration, kind: Kind) -> Self {
        Self { tally, hash, took, kind }
    }

    /// Rows looked at.
    pub(crate) fn rows(&self) -> u64 {
        self.tally.rows
    }

    /// Rows that can't be rendered.
    pub(crate) fn failed(&self) -> u64 {
        self.tally.failed
    }

    /// The first rows that can't be rendered, in the order of the plan; at most 1,000.
    pub(crate) fn failures(&self) -> &[FailedRow] {
        &self.tally.failures
    }

    /// Rows per second.
    pub(crate) fn rate(&self) -> f64 {
        self.tally.rows as f64 / self.took.as_secs_f64().max(1e-6)
    }

    /// The sizes of the messages with their signatures; `None` if there is no message.
    pub(crate) fn sizes(&self) -> Option<Sizes> {
        let (largest, _) = self.tally.largest?;
        // The histogram is exact to three digits, but no percentile is above the largest.
        let at = |percentile| self.tally.sizes.value_at_percentile(percentile).min(largest);
        Some(Sizes { p50: at(50.0), p90: at(90.0), p99: at(99.0), largest, total: self.tally.bytes })
    }

    /// What the rows showed. `place` gives a row of the plan as people name it: file and row
    /// number.
    pub(crate) fn findings(&self, place: impl Fn(u32) -> String) -> Vec<Finding> {
        let mut findings = vec![self.rendering(&place)];
        findings.extend(self.size_findings(&place));
        for (mark, seen) in &self.tally.marks {
            let messages = messages(seen.rows, self.tally.rows - self.tally.failed);
            findings.push(mark.finding(&messages, &seen.example, &place(seen.first), self.kind));
        }
        findings
    }

    fn rendering(&self, place: &impl Fn(u32) -> String) -> Finding {
        let Tally { rows, failed, .. } = self.tally;
        if failed == 0 {
            let seen = format!("{} of {} can be rendered", grouped(rows), counted(rows, "row", "rows"));
            return Finding::new(Id::Render, seen);
        }
        let mut reasons: Vec<_> = self.tally.reasons.iter().collect();
        reasons.sort_by_key(|(_, (count, first))| (Reverse(*count), *first));
        let named: Vec<String> = reasons
            .iter()
            .take(REASONS_NAMED)
            .map(|(reason, (count, first))| {
                format!("{}: {reason} (first: {})", grouped(*count), place(*first))
            })
            .collect();
        let more = reasons.len().saturating_sub(REASONS_NAMED);
        let more = match more {
            0 => String::new(),
            more => format!("; and {}", counted(more as u64, "other reason", "other reasons")),
        };
        let seen = format!(
            "{} of {} can't be rendered: {}{more}",
            grouped(failed),
            counted(rows, "row", "rows"),
            named.join("; ")
        );
        let first = self.tally.failures.first();
        let fix = match first.and_then(|failure| Some((failure.column.as_deref()?, failure.hint))) {
            Some((column, None)) => format!("[template.defaults]\n{column} = \"…\""),
            Some((_, Some(hint))) => hint.into(),
            None => {
                first.and_then(|failure| failure.hint).unwrap_or("correct the template or the rows").into()
            }
        };
        let id = if failed == rows { Id::RenderNone } else { Id::RenderFailed };
        Finding::new(id, seen).fix(fix)
    }

    fn size_findings(&self, place: &impl Fn(u32) -> String) -> Option<Finding> {
        let sizes = self.sizes()?;
        let (_, row) = self.tally.largest?;
        let (longest, ..) = self.tally.longest_subject.as_ref()?;
        let [p50, p99, largest] = [sizes.p50, sizes.p99, sizes.largest].map(ByteSize);
        let seen = format!(
            "message sizes: median {p50}, p99 {p99}, largest {largest} ({}); longest subject: {longest} characters",
            place(row)
        );
        Some(Finding::new(Id::Sizes, seen))
    }
}

fn messages(rows: u64, all: u64) -> String {
    if rows == all && all > 1 { "all messages".into() } else { counted(rows, "message", "messages") }
}
