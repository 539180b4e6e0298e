//! How many rows there are of each kind.

use super::error::SynthError;
use super::share::Share;
use super::spec::Spec;

/// What a row is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Invalid,
    Duplicate,
    Smtputf8,
    NonAscii,
    Plain,
}

/// Rows of each kind; the rest are plain.
#[derive(Debug, Clone, Copy)]
pub(super) struct Quotas {
    pub(super) invalid: u64,
    pub(super) duplicates: u64,
    pub(super) smtputf8: u64,
    pub(super) non_ascii: u64,
}

impl Quotas {
    pub(super) fn new(spec: &Spec) -> Result<Self, SynthError> {
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
    pub(super) fn kind(&self, place: u64) -> Kind {
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
