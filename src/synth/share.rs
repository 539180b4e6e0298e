//! Numbers and shares of rows, as people write them.

use std::fmt;
use std::str::FromStr;

/// A number of rows as people write it: `10M`, `500k`, `1_000_000`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowCount(pub u64);

impl FromStr for RowCount {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("`{text}` is not a number of rows: write 1_000_000, 500k or 10M");
        let plain = text.trim().replace(['_', ','], "");
        let (digits, factor) = match plain.to_ascii_lowercase().strip_suffix(['k', 'm']) {
            Some(digits) if plain.ends_with(['k', 'K']) => (digits.to_owned(), 1_000),
            Some(digits) => (digits.to_owned(), 1_000_000),
            None => (plain, 1),
        };
        let millionths = millionths(&digits).and_then(|number| number.checked_mul(factor)).ok_or_else(bad)?;
        if !millionths.is_multiple_of(1_000_000) {
            return Err(bad());
        }
        Ok(Self(millionths / 1_000_000))
    }
}

/// A share of the rows, in millionths of all: `1%`, `0.5 %`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Share(pub(super) u32);

impl Share {
    /// This share of `rows`, rounded to the nearest.
    pub fn of(self, rows: u64) -> u64 {
        let millionths = u128::from(rows) * u128::from(self.0);
        u64::try_from((millionths + 500_000) / 1_000_000).expect("a share is at most the whole")
    }
}

impl FromStr for Share {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("`{text}` is not a share: write 1% or 0.5%, up to 100%");
        let number = text.trim().strip_suffix('%').ok_or_else(bad)?;
        let parts = millionths(number.trim()).ok_or_else(bad)? / 100;
        u32::try_from(parts).ok().filter(|parts| *parts <= 1_000_000).map(Self).ok_or_else(bad)
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / 10_000, self.0 % 10_000);
        match format!("{rest:04}").trim_end_matches('0') {
            "" => write!(f, "{whole}%"),
            digits => write!(f, "{whole}.{digits}%"),
        }
    }
}

/// A number with at most six decimals, in millionths: no float, so the same on every machine.
pub(super) fn millionths(text: &str) -> Option<u64> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(decimals) || decimals.len() > 6 {
        return None;
    }
    let decimals: u64 = format!("{decimals:0<6}").parse().ok()?;
    whole.parse::<u64>().ok()?.checked_mul(1_000_000)?.checked_add(decimals)
}
