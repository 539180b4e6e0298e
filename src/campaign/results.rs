//! `[results]`: how result files are written.

use serde::{Deserialize, Serialize};

use super::units::Span;

/// `[results]`.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Results {
    /// Parquet's page compression.
    pub compression: Compression,
    /// How long after its end `mailrun status` answers for single recipients of a run.
    pub status_retention: Span,
}

impl Default for Results {
    fn default() -> Self {
        Self { compression: Compression::default(), status_retention: Span::seconds(7 * 86_400) }
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
