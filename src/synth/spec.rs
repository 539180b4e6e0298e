//! The parameters of a list.

use super::domains::{DomainMix, MOST_DOMAINS};
use super::error::SynthError;
use super::share::Share;

/// The columns with a meaning; further ones are `text_9` and so on.
pub(super) const COLUMNS: [&str; 8] =
    ["customer_id", "email", "full_name", "first_name", "city", "language", "token", "segment"];
/// The most rows that a target group can have.
pub const MOST_ROWS: u64 = u32::MAX as u64 - 1;
/// The number of columns a list can have: at least an id and an address.
pub const COLUMN_RANGE: std::ops::RangeInclusive<usize> = 2..=1_000;

/// The parameters of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// Rows, at most [`MOST_ROWS`].
    pub rows: u64,
    /// A different seed gives a different list.
    pub seed: u64,
    /// Made-up domains, from 1 to [`MOST_DOMAINS`].
    pub domains: u32,
    /// The shares of the domains.
    pub domain_mix: DomainMix,
    /// Columns, in [`COLUMN_RANGE`].
    pub columns: usize,
    /// Rows with the address of an earlier one.
    pub duplicates: Share,
    /// Rows with an address that can't be sent to.
    pub invalid: Share,
    /// Rows with names, and some domains, beyond ASCII.
    pub non_ascii: Share,
    /// Rows with names and local parts beyond ASCII, which need SMTPUTF8 (RFC 6531).
    pub smtputf8: Share,
}

impl Default for Spec {
    fn default() -> Self {
        Self {
            rows: 1_000,
            seed: 1,
            domains: 1_000,
            domain_mix: DomainMix::default(),
            columns: COLUMNS.len(),
            duplicates: Share(10_000),
            invalid: Share(5_000),
            non_ascii: Share(20_000),
            smtputf8: Share(0),
        }
    }
}

impl Spec {
    pub(super) fn check(&self) -> Result<(), SynthError> {
        let (fewest, most) = COLUMN_RANGE.into_inner();
        for (what, given, least, most) in [
            ("the number of rows", self.rows, 0, MOST_ROWS),
            ("the number of domains", u64::from(self.domains), 1, u64::from(MOST_DOMAINS)),
            ("the number of columns", self.columns as u64, fewest as u64, most as u64),
        ] {
            if !(least..=most).contains(&given) {
                return Err(SynthError::OutOfRange { what, least, most, given });
            }
        }
        Ok(())
    }
}

/// The name of a column, by its number from 1.
pub(super) fn column_name(number: usize) -> String {
    COLUMNS.get(number - 1).map_or_else(|| format!("text_{number}"), |name| (*name).to_owned())
}
