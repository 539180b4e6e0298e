//! How much of an answer is wanted.

use super::super::problem::Problem;

/// Where nothing is said,
pub(super) const DEFAULT: usize = 100;
/// and at most.
const MOST: usize = 1_000;

/// What `limit` says.
pub(super) fn of(value: &str) -> Result<usize, Problem> {
    let limit = value.parse().ok().filter(|limit| (1..=MOST).contains(limit));
    limit.ok_or_else(|| Problem::Bad(format!("`limit` is a number from 1 to {MOST}")))
}
