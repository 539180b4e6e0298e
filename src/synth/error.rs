//! Why a list can't be written.

use std::io;
use std::path::PathBuf;

use parquet::errors::ParquetError;

/// No list was written.
#[derive(Debug, thiserror::Error)]
pub enum SynthError {
    /// A number is out of range.
    #[error("{what} must be from {least} to {most}, not {given}")]
    OutOfRange {
        /// Which.
        what: &'static str,
        /// The smallest allowed.
        least: u64,
        /// The largest allowed.
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
    /// The file exists.
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
    /// What the user can do, if anything.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::TooMuch { .. } => Some("the shares may add up to 100%".to_owned()),
            Self::NothingToRepeat => Some("leave some rows that are valid and ASCII".to_owned()),
            Self::Exists(_) => Some("name another file, or replace it with `--force`".to_owned()),
            Self::OutOfRange { .. } | Self::Io { .. } | Self::Parquet { .. } => None,
        }
    }
}
