//! Counts over some rows.
//!
//! Every core counts its own rows, and tallies are merged; how the rows were divided makes no
//! difference.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use super::mark::Mark;
use crate::compose::RenderFailure;
use crate::template::Fault;

/// Failures kept with their row; all are counted.
const FAILURES_KEPT: usize = 1_000;
/// Different reasons that are counted separately.
const REASONS_KEPT: usize = 200;

/// A row that can't be rendered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FailedRow {
    /// Its number in the plan.
    pub index: u32,
    /// The column at fault, if there is one.
    pub column: Option<String>,
    /// Why, a lowercase fragment.
    pub reason: String,
    /// What to do; `None` where a default for the column would do.
    pub hint: Option<&'static str>,
}

/// Counts over some rows.
#[derive(Debug)]
pub(super) struct Tally {
    pub rows: u64,
    pub bytes: u64,
    pub failed: u64,
    /// The first ones, in the order of the plan.
    pub failures: Vec<FailedRow>,
    /// How many rows failed for each reason, and the first of them.
    pub reasons: BTreeMap<String, (u64, u32)>,
    pub sizes: Histogram<u64>,
    /// Bytes and row of the largest message.
    pub largest: Option<(u64, u32)>,
    pub subjects: Histogram<u64>,
    /// Characters, row and text of the longest subject.
    pub longest_subject: Option<(u64, u32, String)>,
    pub marks: BTreeMap<Mark, Seen>,
    /// The blocks' numbers with the hashes of their messages.
    pub blocks: Vec<(u32, blake3::Hash)>,
}

/// How often a mark was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub rows: u64,
    pub first: u32,
    pub example: String,
}

fn histogram() -> Histogram<u64> {
    Histogram::new(3).expect("three digits are within its limits")
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            rows: 0,
            bytes: 0,
            failed: 0,
            failures: Vec::new(),
            reasons: BTreeMap::new(),
            sizes: histogram(),
            largest: None,
            subjects: histogram(),
            longest_subject: None,
            marks: BTreeMap::new(),
            blocks: Vec::new(),
        }
    }
}

impl Tally {
    pub(super) fn fail(&mut self, index: u32, failure: &RenderFailure) {
        self.rows += 1;
        self.failed += 1;
        let cause = failure.of_either_mail();
        let column = match cause {
            RenderFailure::Template(Fault::NoValue { name, .. }) => Some(name.clone()),
            RenderFailure::Attachment { column, .. }
            | RenderFailure::Local { column, .. }
            | RenderFailure::Language { column, .. } => Some(column.clone()),
            RenderFailure::Template(Fault::Value { .. })
            | RenderFailure::TooLarge { .. }
            | RenderFailure::LargeDocuments { .. }
            | RenderFailure::LongId { .. }
            | RenderFailure::NoDocument { .. }
            | RenderFailure::Ready { .. }
            | RenderFailure::Boundary
            | RenderFailure::UnfitPassword
            | RenderFailure::Password(_) => None,
        };
        let reason = failure.to_string();
        self.count_reason(reason.clone(), 1, index);
        if self.failures.len() < FAILURES_KEPT {
            let wants_default = matches!(cause, RenderFailure::Template(Fault::NoValue { .. }));
            let hint = (!wants_default).then(|| failure.hint());
            self.failures.push(FailedRow { index, column, reason, hint });
        }
    }

    pub(super) fn message(&mut self, index: u32, bytes: u64, subject: &str) {
        self.rows += 1;
        self.bytes += bytes;
        self.sizes.record(bytes).expect("an auto-resizing histogram takes every value");
        self.largest = larger(self.largest, Some((bytes, index)));
        let characters = subject.chars().count() as u64;
        self.subjects.record(characters).expect("an auto-resizing histogram takes every value");
        if self.longest_subject.as_ref().is_none_or(|(longest, ..)| characters > *longest) {
            self.longest_subject = Some((characters, index, subject.to_owned()));
        }
    }

    /// Counts a mark of a row; call it once per row and mark. `example` is called for the first row
    /// only.
    pub(super) fn mark(&mut self, mark: Mark, index: u32, example: impl FnOnce() -> String) {
        self.marks.entry(mark).and_modify(|seen| seen.rows += 1).or_insert_with(|| Seen {
            rows: 1,
            first: index,
            example: example(),
        });
    }

    /// The counts of both; either may have the earlier rows.
    pub(super) fn merge(mut self, other: Self) -> Self {
        self.rows += other.rows;
        self.bytes += other.bytes;
        self.failed += other.failed;
        self.failures.extend(other.failures);
        self.failures.sort_by_key(|failure| failure.index);
        self.failures.truncate(FAILURES_KEPT);
        for (reason, (rows, first)) in other.reasons {
            self.count_reason(reason, rows, first);
        }
        self.sizes.add(&other.sizes).expect("an auto-resizing histogram takes every value");
        self.subjects.add(&other.subjects).expect("an auto-resizing histogram takes every value");
        self.largest = larger(self.largest, other.largest);
        self.longest_subject = match (self.longest_subject, other.longest_subject) {
            (Some(a), Some(b)) if (b.0, a.1) > (a.0, b.1) => Some(b),
            (Some(a), _) => Some(a),
            (None, b) => b,
        };
        for (mark, seen) in other.marks {
            match self.marks.get_mut(&mark) {
                Some(own) => {
                    let rows = own.rows + seen.rows;
                    if seen.first < own.first {
                        *own = seen;
                    }
                    own.rows = rows;
                }
                None => {
                    self.marks.insert(mark, seen);
                }
            }
        }
        self.blocks.extend(other.blocks);
        self
    }

    fn count_reason(&mut self, reason: String, rows: u64, first: u32) {
        let known = self.reasons.contains_key(&reason);
        let reason = if known || self.reasons.len() < REASONS_KEPT { reason } else { "other reasons".into() };
        let entry = self.reasons.entry(reason).or_insert((0, first));
        entry.0 += rows;
        entry.1 = entry.1.min(first);
    }
}

/// The larger message; of two equal ones the earlier row's.
fn larger(a: Option<(u64, u32)>, b: Option<(u64, u32)>) -> Option<(u64, u32)> {
    match (a, b) {
        (Some(a), Some(b)) => Some(if (b.0, a.1) > (a.0, b.1) { b } else { a }),
        (a, b) => a.or(b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tally of these rows: number, bytes, subject, marked.
    fn tally(rows: &[(u32, u64, &str, bool)]) -> Tally {
        let mut tally = Tally::default();
        for &(index, bytes, subject, marked) in rows {
            tally.message(index, bytes, subject);
            if marked {
                tally.mark(Mark::HttpLink, index, || format!("http://{index}"));
            }
        }
        tally
    }

    #[test]
    fn it_makes_no_difference_how_rows_are_divided() {
        let rows = [(0, 10, "ab", false), (1, 30, "abc", true), (2, 30, "xyz", true), (3, 5, "", false)];
        for cut in 0..=rows.len() {
            let (a, b) = rows.split_at(cut);
            for merged in [tally(a).merge(tally(b)), tally(b).merge(tally(a))] {
                assert_eq!((merged.rows, merged.bytes), (4, 75));
                assert_eq!(merged.largest, Some((30, 1)));
                assert_eq!(merged.longest_subject, Some((3, 1, "abc".into())));
                let seen = Seen { rows: 2, first: 1, example: "http://1".into() };
                assert_eq!(merged.marks[&Mark::HttpLink], seen);
                assert_eq!(merged.sizes.max(), 30);
            }
        }
    }

    #[test]
    fn failures_are_counted_in_full_and_kept_in_part() {
        let failing = |rows: std::ops::Range<u32>| {
            let mut tally = Tally::default();
            for index in rows {
                tally.fail(index, &RenderFailure::TooLarge { bytes: u64::from(index), largest: 1 });
            }
            tally
        };
        let merged = failing(5_000..9_000).merge(failing(0..5_000));
        assert_eq!((merged.failed, merged.failures.len()), (9_000, FAILURES_KEPT));
        assert_eq!(merged.failures[0].index, 0);
        assert!(merged.reasons.len() <= REASONS_KEPT * 2 + 1, "{}", merged.reasons.len());
        assert_eq!(merged.reasons.values().map(|(rows, _)| rows).sum::<u64>(), 9_000);
    }
}
