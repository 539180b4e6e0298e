//! Target groups of any size for load tests: the same arguments give the same bytes on every machine, in constant memory.
//!
//! Shares are exact, rounded to whole rows, and screening finds just those duplicates and invalid addresses. Unless a mix
//! names others, all addresses are in domains that RFC 2606 keeps from everybody. Never reads anything, and never makes half a
//! file: it is written beside its place, and moved there when it is whole.

mod domains;
mod people;
mod random;
#[cfg(test)]
mod tests;
mod writer;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use parquet::errors::ParquetError;
use serde::Serialize;

pub use domains::{DomainMix, MOST_DOMAINS};

use crate::kit::file::{Draft, ORDINARY};
use crate::target_group::FileKind;
use people::{COLUMNS, People, Row};
use writer::ListWriter;

/// Rows that a target group can have.
pub const MOST_ROWS: u64 = u32::MAX as u64 - 1;
/// Columns that a list can have: an id and an address at least.
pub const COLUMN_RANGE: std::ops::RangeInclusive<usize> = 2..=1_000;

/// What kind of list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// Rows, at most [`MOST_ROWS`].
    pub rows: u64,
    /// Another seed is another list.
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
pub struct Share(u32);

impl Share {
    /// So many of these rows, rounded to the nearest.
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
fn millionths(text: &str) -> Option<u64> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(decimals) || decimals.len() > 6 {
        return None;
    }
    let decimals: u64 = format!("{decimals:0<6}").parse().ok()?;
    whole.parse::<u64>().ok()?.checked_mul(1_000_000)?.checked_add(decimals)
}

/// What a row is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Invalid,
    Duplicate,
    Smtputf8,
    NonAscii,
    Plain,
}

/// Rows of each kind; the others are plain.
#[derive(Debug, Clone, Copy)]
struct Quotas {
    invalid: u64,
    duplicates: u64,
    smtputf8: u64,
    non_ascii: u64,
}

impl Quotas {
    fn new(spec: &Spec) -> Result<Self, SynthError> {
        let of = |share: Share| share.of(spec.rows);
        let quotas = Self {
            invalid: of(spec.invalid),
            duplicates: of(spec.duplicates),
            smtputf8: of(spec.smtputf8),
            non_ascii: of(spec.non_ascii),
        };
        let special = quotas.invalid + quotas.duplicates + quotas.smtputf8 + quotas.non_ascii;
        if special > spec.rows {
            return Err(SynthError::TooMuch { rows: spec.rows, special });
        }
        if quotas.duplicates > 0 && special == spec.rows {
            return Err(SynthError::NothingToRepeat);
        }
        Ok(quotas)
    }

    /// The kind of the row at this place of the shuffle.
    fn kind(&self, place: u64) -> Kind {
        let mut end = 0;
        let kinds = [
            (self.invalid, Kind::Invalid),
            (self.duplicates, Kind::Duplicate),
            (self.smtputf8, Kind::Smtputf8),
            (self.non_ascii, Kind::NonAscii),
        ];
        for (rows, kind) in kinds {
            end += rows;
            if place < end {
                return kind;
            }
        }
        Kind::Plain
    }
}

/// What was written, as counted on the way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Written {
    /// All rows.
    pub rows: u64,
    /// With the address of an earlier row.
    pub duplicates: u64,
    /// With an address that can't be sent to.
    pub invalid: u64,
    /// With a character beyond ASCII, those that need SMTPUTF8 included.
    pub non_ascii: u64,
    /// With a local part beyond ASCII.
    pub smtputf8: u64,
    /// Different domains of addresses that can be sent to.
    pub domains: u64,
    /// The file's size.
    pub bytes: u64,
}

/// No list was written.
#[derive(Debug, thiserror::Error)]
pub enum SynthError {
    /// The spec has a number out of its range.
    #[error("{what} must be from {least} to {most}, not {given}")]
    OutOfRange {
        /// Which.
        what: &'static str,
        /// The smallest that is possible.
        least: u64,
        /// The largest.
        most: u64,
        /// What was asked for.
        given: u64,
    },
    /// The shares add up to more than the whole.
    #[error("{special} of {rows} rows would be duplicates, invalid or not ASCII")]
    TooMuch {
        /// All.
        rows: u64,
        /// The sum of the shares.
        special: u64,
    },
    /// No plain row is left.
    #[error("no plain row is left for the duplicates to repeat")]
    NothingToRepeat,
    /// The file is there.
    #[error("`{0}` exists")]
    Exists(PathBuf),
    /// It can't be written.
    #[error("can't write `{path}`")]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It can't be written.
    #[error("can't write `{path}`")]
    Parquet {
        /// Where.
        path: PathBuf,
        /// Why.
        source: ParquetError,
    },
}

impl SynthError {
    /// What to do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::TooMuch { .. } => Some("the shares may add up to 100%".to_owned()),
            Self::NothingToRepeat => Some("leave some rows that are valid and ASCII".to_owned()),
            Self::Exists(_) => Some("name another file, or replace it with `--force`".to_owned()),
            Self::OutOfRange { .. } | Self::Io { .. } | Self::Parquet { .. } => None,
        }
    }
}

impl Spec {
    fn check(&self) -> Result<(), SynthError> {
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

/// Writes a list to `path`, which must not exist unless it may be replaced; `seen` is told the number of rows from time to time.
pub fn write(
    spec: &Spec,
    path: &Path,
    kind: FileKind,
    replace: bool,
    mut seen: impl FnMut(u64),
) -> Result<Written, SynthError> {
    let failed = |source: io::Error| SynthError::Io { path: path.to_owned(), source };
    spec.check()?;
    let quotas = Quotas::new(spec)?;
    if !replace && path.symlink_metadata().is_ok() {
        return Err(SynthError::Exists(path.to_owned()));
    }
    let draft = Draft::unique(path, ORDINARY).map_err(failed)?;
    let people = People::new(spec, quotas);
    let header: Vec<String> = (1..=spec.columns).map(column_name).collect();
    let mut writer =
        ListWriter::create(draft.handle().map_err(failed)?, kind, &header).map_err(|error| error.at(path))?;
    let mut row = Row { kind: Kind::Plain, domain: None, cells: vec![String::new(); spec.columns] };
    let mut known = vec![false; people.domains()];
    let mut written = Written { rows: spec.rows, ..Written::default() };
    for number in 0..spec.rows {
        people.make(number, &mut row);
        match row.kind {
            Kind::Plain => {}
            Kind::Invalid => written.invalid += 1,
            Kind::Duplicate => written.duplicates += 1,
            Kind::NonAscii => written.non_ascii += 1,
            Kind::Smtputf8 => {
                written.non_ascii += 1;
                written.smtputf8 += 1;
            }
        }
        if let Some(domain) = row.domain {
            known[domain] = true;
        }
        writer.push(&row.cells).map_err(|error| error.at(path))?;
        if number % 4_096 == 4_095 {
            seen(number + 1);
        }
    }
    writer.finish().map_err(|error| error.at(path))?;
    written.domains = known.into_iter().filter(|known| *known).count() as u64;
    written.bytes = draft.bytes().map_err(failed)?;
    let published = if replace { draft.publish() } else { draft.publish_new() };
    published.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => SynthError::Exists(path.to_owned()),
        _ => failed(error),
    })?;
    Ok(written)
}

/// The name of a column, by its number from 1.
fn column_name(number: usize) -> String {
    COLUMNS.get(number - 1).map_or_else(|| format!("text_{number}"), |name| (*name).to_owned())
}
