//! What a run is made of: the files of its target group, and the options that choose among their
//! rows.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::run_id::RunId;
use crate::target_group::ObjectVersion;

/// A file of the target group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// Its path.
    pub path: PathBuf,
    /// Its name in results.
    pub shown: String,
    /// Its size.
    pub bytes: u64,
    /// BLAKE3, in hexadecimal digits.
    pub hash: String,
    /// What the object store said of it, where it comes from one; then the path is its URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<ObjectVersion>,
    /// The columns that the names of its folders give all its rows.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub partition: BTreeMap<String, Option<String>>,
    /// The number of its rows, known once it was screened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
}

/// The options of the command line that choose rows or recipients.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunOptions {
    /// `--limit`: at most this many rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// `--to`: one row's message goes to these addresses, joined with commas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// `--again`: also to those who got the edition, for the nth time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again: Option<u32>,
    /// `--dry-run`: everything except SMTP.
    #[serde(default, skip_serializing_if = "is_false")]
    pub dry_run: bool,
    /// For a run that resends rows of another run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<RetryOf>,
}

/// The rows of another run that are resent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetryOf {
    /// The other run.
    pub run_id: RunId,
    /// Their dispositions there.
    pub dispositions: Vec<String>,
    /// The one row that is sent once more as it was, whatever its disposition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row: Option<u32>,
}

fn is_false(value: &bool) -> bool {
    !*value
}
