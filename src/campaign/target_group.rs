//! `[target-group]`: the files with the recipients, and what their columns mean.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::Mistake;

/// `[target-group]`.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct TargetGroupSource {
    /// Paths or globs of CSV, JSON lines and Parquet files, and of lists of addresses; the text
    /// formats may be compressed with gzip or zstd.
    pub files: Vec<String>,
    /// The column with the address.
    #[serde(default = "default_email")]
    pub email: String,
    /// The column that identifies the recipient in results; file and row by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The column with the display name for `To`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// CSV: one of `,` `;` `|` or tab; detected by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delimiter: Option<char>,
    /// CSV: the encoding; detected by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoding: Option<Encoding>,
    /// The types of CSV columns that are not text.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub types: BTreeMap<String, ColumnType>,
    /// Which addresses are the same.
    #[serde(default)]
    pub duplicates: Duplicates,
    /// The folder of the campaign file; reports show files below it without it.
    #[serde(skip)]
    pub folder: PathBuf,
    /// Who names the files and the columns, for messages.
    #[serde(skip)]
    pub named_in: NamedIn,
}

/// Where files and their columns are named.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum NamedIn {
    /// In `[target-group]`.
    #[default]
    Campaign,
    /// On the command line, the column with `--column`.
    CommandLine,
}

/// How a CSV file is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Encoding {
    /// UTF-8, with or without a byte order mark.
    #[serde(rename = "utf-8")]
    Utf8,
    /// UTF-16, little endian.
    #[serde(rename = "utf-16le")]
    Utf16Le,
    /// UTF-16, big endian.
    #[serde(rename = "utf-16be")]
    Utf16Be,
    /// Windows-1252.
    #[serde(rename = "windows-1252")]
    Windows1252,
}

/// The type of a CSV column. A value that does not parse makes its row `invalid`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ColumnType {
    /// Text, as is.
    Text,
    /// A whole number.
    Integer,
    /// A number with a decimal point.
    Number,
    /// `true`/`false`, `yes`/`no`, `1`/`0`.
    Boolean,
    /// `2026-05-31`.
    Date,
    /// RFC 3339, or `2026-05-31 12:00:00` in UTC.
    Timestamp,
}

/// When two addresses are the same. Domains are always compared in lower case.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Duplicates {
    /// `Bob@` and `bob@` are the same.
    #[default]
    IgnoreCase,
    /// `Bob@` and `bob@` differ.
    ExactLocalPart,
    /// Duplicates are kept: every row gets a message.
    Keep,
}

fn default_email() -> String {
    "email".into()
}

impl TargetGroupSource {
    /// These files of a command line, with the addresses in the column `email` and default
    /// settings; duplicates are kept.
    pub fn of_files(files: Vec<String>, email: &str) -> Self {
        Self {
            files,
            email: email.to_owned(),
            id: None,
            name: None,
            delimiter: None,
            encoding: None,
            types: BTreeMap::new(),
            duplicates: Duplicates::Keep,
            folder: PathBuf::new(),
            named_in: NamedIn::CommandLine,
        }
    }

    pub(super) fn resolve_paths(&mut self, folder: &Path) {
        self.folder = folder.to_owned();
        for file in &mut self.files {
            *file = folder.join(&*file).to_string_lossy().into_owned();
        }
    }

    pub(super) fn check(&self) -> Result<(), Mistake> {
        if self.files.is_empty() {
            return Err(Mistake::new("target-group.files", "`files` is empty", "name at least one file"));
        }
        match self.delimiter {
            None | Some(',' | ';' | '\t' | '|') => Ok(()),
            Some(other) => Err(Mistake::new(
                "target-group.delimiter",
                format!("`{other}` can't be a delimiter"),
                "use one of `,` `;` `|` and `\\t`, or leave the key out",
            )),
        }
    }
}
