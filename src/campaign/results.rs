//! `[results]`: how result files are written.

use serde::{Deserialize, Serialize};

use super::error::Mistake;
use super::units::Span;

/// `[results]`.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Results {
    /// Parquet's page compression.
    pub compression: Compression,
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
            status_retention: Span::seconds(7 * 86_400),
            columns: Vec::new(),
        }
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
