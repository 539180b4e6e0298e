//! `[results]`: how result files are written.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::error::Mistake;
use super::units::{Span, text};

/// `[results]`.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Results {
    /// Parquet's page compression.
    pub compression: Compression,
    /// Who can read the result files: permissions as `chmod` takes them. Whoever can read them can
    /// list the folders that lead there.
    #[serde(with = "text", skip_serializing_if = "FileMode::is_default")]
    pub mode: FileMode,
    /// How long after its end `mailrun status` answers for single recipients of a run.
    pub status_retention: Span,
    /// Columns of the target group that every result row carries, with their types.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
}

impl Results {
    pub(super) fn check(&self) -> Result<(), Mistake> {
        for (at, column) in self.columns.iter().enumerate() {
            if self.columns[..at].iter().any(|other| other.eq_ignore_ascii_case(column)) {
                let problem = format!("`{column}` is named twice");
                return Err(Mistake::new("results.columns", problem, "name each column once"));
            }
        }
        Ok(())
    }
}

impl Default for Results {
    fn default() -> Self {
        Self {
            compression: Compression::default(),
            mode: FileMode::default(),
            status_retention: Span::seconds(7 * 86_400),
            columns: Vec::new(),
        }
    }
}

/// The permissions of a file: three octal digits, the owner's `rw` among them. By default nobody
/// else can read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileMode(u32);

impl FileMode {
    /// As the file system takes them.
    pub fn bits(self) -> u32 {
        self.0
    }

    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Default for FileMode {
    fn default() -> Self {
        Self(0o600)
    }
}

impl FromStr for FileMode {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bits =
            u32::from_str_radix(text, 8).ok().filter(|bits| bits & !0o666 == 0 && bits & 0o600 == 0o600);
        bits.map(Self).ok_or("not the permissions of a file: write \"0600\", \"0640\" or \"0644\"")
    }
}

impl fmt::Display for FileMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

/// Compression of result files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Compression {
    /// Zstandard, level 3.
    #[default]
    Zstd,
    /// Snappy.
    Snappy,
    /// No compression.
    None,
}
