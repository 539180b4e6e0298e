//! `[target-group]`: the files with the recipients, and what their columns mean.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use chrono::format::{Item, StrftimeItems};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::error::Mistake;
use super::units::ByteSize;

/// `[target-group]`.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct TargetGroupSource {
    /// Paths or globs of CSV, JSON lines and Parquet files, and of lists of addresses; the text
    /// formats may be compressed with gzip or zstd. Or URLs of such files in an object store. Or,
    /// without `[template]`, of batch SMTP files with ready messages.
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
    /// CSV: quoted fields with line breaks and an address in them.
    #[serde(default, skip_serializing_if = "StrayQuotes::is_usual")]
    pub stray_quotes: StrayQuotes,
    /// The types of CSV columns that are not text.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub types: BTreeMap<String, TypedColumn>,
    /// Which addresses are the same.
    #[serde(default)]
    pub duplicates: Duplicates,
    /// Batch SMTP: the largest message; 20 MB by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub largest: Option<ByteSize>,
    /// The folder of the campaign file; reports show files below it without it.
    #[serde(skip)]
    pub folder: PathBuf,
    /// Who names the files, for messages.
    #[serde(skip)]
    pub files_from: FilesFrom,
    /// Who names the columns, for messages.
    #[serde(skip)]
    pub named_in: NamedIn,
    /// What a list without a header holds.
    #[serde(skip)]
    pub bare: Bare,
    /// The file with what came from stdin, which [`STDIN`] names.
    #[serde(skip)]
    pub stdin: Option<PathBuf>,
}

/// How the URL of a list in an object store begins.
pub const S3: &str = "s3://";

/// Whether a list is in an object store.
pub fn is_object_url(file: &str) -> bool {
    file.starts_with(S3)
}

/// A list that comes from stdin.
pub const STDIN: &str = "-";

/// Where paths of files start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FilesFrom {
    /// In the campaign file's folder: `files`.
    #[default]
    Campaign,
    /// In the current folder: the command line.
    CommandLine,
}

/// What a list without a header holds, one a line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Bare {
    /// Addresses.
    #[default]
    Addresses,
    /// Tokens of unsubscribe links.
    Tokens,
}

/// Where columns are named.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum NamedIn {
    /// In `[target-group]`.
    #[default]
    Campaign,
    /// On the command line, the column with `--column`.
    CommandLine,
}

/// How a CSV file is encoded: one of the encodings of the WHATWG's Encoding Standard, by any of its
/// labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Encoding(&'static encoding_rs::Encoding);

impl Encoding {
    /// UTF-8, with or without a byte order mark.
    pub const UTF_8: Self = Self(encoding_rs::UTF_8);
    /// UTF-16, little endian.
    pub const UTF_16LE: Self = Self(encoding_rs::UTF_16LE);
    /// UTF-16, big endian.
    pub const UTF_16BE: Self = Self(encoding_rs::UTF_16BE);

    /// The encoding that has this table.
    pub fn of(table: &'static encoding_rs::Encoding) -> Self {
        Self(table)
    }

    /// Its table.
    pub fn table(self) -> &'static encoding_rs::Encoding {
        self.0
    }

    /// Its name, as people write it: `windows-1252`.
    pub fn name(self) -> String {
        self.0.name().to_ascii_lowercase()
    }
}

impl FromStr for Encoding {
    type Err = String;

    fn from_str(label: &str) -> Result<Self, String> {
        encoding_rs::Encoding::for_label_no_replacement(label.as_bytes()).map(Self).ok_or_else(|| {
            format!("`{label}` is no encoding that is known here: use a name such as `windows-1252`")
        })
    }
}

impl<'de> Deserialize<'de> for Encoding {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl Serialize for Encoding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.name().serialize(serializer)
    }
}

/// What becomes of quoted fields that seem to hold other rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum StrayQuotes {
    /// A list with such a field is not sent to.
    #[default]
    Refuse,
    /// They are as they should be.
    Allow,
}

impl StrayQuotes {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    fn is_usual(&self) -> bool {
        *self == Self::default()
    }
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

/// What `[target-group.types]` says of a column: `"date"`, or with the way in which values are
/// written: `{ type = "date", format = "%d.%m.%Y" }`, `{ type = "number", decimal = "," }`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypedColumn {
    /// Its type.
    pub kind: ColumnType,
    /// Of dates and timestamps: a strftime pattern; ISO 8601 by default.
    pub format: Option<String>,
    /// Of numbers: what comes before the decimals; a point by default.
    pub decimal: Option<char>,
}

/// The long way to write a [`TypedColumn`].
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct LongTypedColumn {
    #[serde(rename = "type")]
    kind: ColumnType,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    format: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    decimal: Option<char>,
}

impl<'de> Deserialize<'de> for TypedColumn {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> de::Visitor<'de> for Either {
            type Value = TypedColumn;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a type such as \"date\", or { type = \"date\", format = \"%d.%m.%Y\" }")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<TypedColumn, E> {
                let kind = ColumnType::deserialize(de::value::StrDeserializer::new(text))?;
                Ok(TypedColumn { kind, format: None, decimal: None })
            }

            fn visit_map<M: de::MapAccess<'de>>(self, map: M) -> Result<TypedColumn, M::Error> {
                let long = LongTypedColumn::deserialize(de::value::MapAccessDeserializer::new(map))?;
                Ok(TypedColumn { kind: long.kind, format: long.format, decimal: long.decimal })
            }
        }

        deserializer.deserialize_any(Either)
    }
}

impl Serialize for TypedColumn {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { kind, format, decimal } = self;
        match (format, decimal) {
            (None, None) => kind.serialize(serializer),
            _ => LongTypedColumn { kind: *kind, format: format.clone(), decimal: *decimal }
                .serialize(serializer),
        }
    }
}

impl TypedColumn {
    fn check(&self, name: &str) -> Result<(), Mistake> {
        let is_time = matches!(self.kind, ColumnType::Date | ColumnType::Timestamp);
        let is_number = matches!(self.kind, ColumnType::Integer | ColumnType::Number);
        let wrong =
            |problem: String, hint: &'static str| Err(Mistake::new("target-group.types", problem, hint));
        match (&self.format, self.decimal) {
            (Some(_), _) if !is_time => wrong(
                format!("column `{name}` has a `format` and is neither date nor timestamp"),
                "leave it out",
            ),
            (_, Some(_)) if !is_number => {
                wrong(format!("column `{name}` has a `decimal` and is no number"), "leave it out")
            }
            (_, Some(other)) if ![',', '.'].contains(&other) => {
                wrong(format!("`{other}` can't come before decimals"), "use `,` or `.`")
            }
            (Some(format), _) if StrftimeItems::new(format).any(|item| matches!(item, Item::Error)) => wrong(
                format!("`{format}` of column `{name}` is not a date pattern"),
                "see https://docs.rs/chrono/latest/chrono/format/strftime/index.html",
            ),
            _ => Ok(()),
        }
    }
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
            stray_quotes: StrayQuotes::default(),
            types: BTreeMap::new(),
            duplicates: Duplicates::Keep,
            largest: None,
            folder: PathBuf::new(),
            files_from: FilesFrom::CommandLine,
            named_in: NamedIn::CommandLine,
            bare: Bare::default(),
            stdin: None,
        }
    }

    pub(super) fn resolve_paths(&mut self, folder: &Path) {
        self.folder = folder.to_owned();
        for file in self.files.iter_mut().filter(|file| !is_object_url(file)) {
            *file = folder.join(&*file).to_string_lossy().into_owned();
        }
    }

    pub(super) fn check(&self) -> Result<(), Mistake> {
        if self.files.is_empty() {
            return Err(Mistake::new("target-group.files", "`files` is empty", "name at least one file"));
        }
        self.types.iter().try_for_each(|(name, column)| column.check(name))?;
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
