//! Reports as tables for programs: CSV, JSON lines and Parquet. Each file appears whole.

use std::error::Error;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, StringArray, TimestampMicrosecondArray, UInt64Array};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use serde_json::{Map, Value};

use crate::kit::file::{Draft, PRIVATE};
use crate::kit::outside_text;
use crate::mail::Timestamp;
use crate::results::TableWriter;
use crate::template::Zone;

/// Rows of a Parquet file that are written at once.
const AT_ONCE: usize = 8_192;

/// How a table is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// With a header; a text that a spreadsheet would take for a formula has `'` before it.
    Csv,
    /// An object a line.
    Json,
    /// Times in UTC.
    Parquet,
}

impl Format {
    /// The extension of its files.
    pub(crate) const fn extension(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Json => "jsonl",
            Self::Parquet => "parquet",
        }
    }
}

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Holds {
    Text,
    Number,
    Time,
}

/// The names of columns and what they hold.
pub(crate) type Head = &'static [(&'static str, Holds)];

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cell {
    Nothing,
    Text(String),
    Number(u64),
    Time(Timestamp),
}

impl Cell {
    /// A text, which others may have written.
    pub(crate) fn text(text: &str) -> Self {
        Self::Text(outside_text::line(text).into_owned())
    }

    /// The same where there is one.
    pub(crate) fn maybe(text: Option<&str>) -> Self {
        text.map_or(Self::Nothing, Self::text)
    }
}

/// Why a table can't be written.
pub(crate) type Failed = Box<dyn Error + Send + Sync>;

/// A table that is being written.
pub(crate) struct Table {
    head: Head,
    zone: Zone,
    file: TableFile,
}

enum TableFile {
    Csv(csv::Writer<BufWriter<Draft>>),
    Json { writer: BufWriter<Draft>, schema_version: u32 },
    Parquet { writer: TableWriter, schema: SchemaRef, rows: Vec<Vec<Cell>> },
}

impl Table {
    /// Starts the file at `path`. Times are shown in `zone`; objects begin with `schema_version`.
    pub(crate) fn create(
        path: &Path,
        format: Format,
        head: Head,
        zone: Zone,
        schema_version: u32,
    ) -> Result<Self, Failed> {
        let draft = || Ok::<_, Failed>(BufWriter::new(Draft::unique(path, PRIVATE)?));
        let file = match format {
            Format::Csv => {
                let mut writer = csv::Writer::from_writer(draft()?);
                writer.write_record(head.iter().map(|(name, _)| name))?;
                TableFile::Csv(writer)
            }
            Format::Json => TableFile::Json { writer: draft()?, schema_version },
            Format::Parquet => {
                let schema = schema(head);
                let writer = TableWriter::create(path, Arc::clone(&schema))?;
                TableFile::Parquet { writer, schema, rows: Vec::new() }
            }
        };
        Ok(Self { head, zone, file })
    }

    /// Adds a row: a value for each column, of its kind or nothing.
    pub(crate) fn add(&mut self, row: Vec<Cell>) -> Result<(), Failed> {
        assert_eq!(row.len(), self.head.len(), "a row has a value for each column");
        match &mut self.file {
            TableFile::Csv(writer) => {
                let cell = |cell: &Cell| match cell {
                    Cell::Nothing => String::new(),
                    Cell::Text(text) => outside_text::csv_cell(text).into_owned(),
                    Cell::Number(number) => number.to_string(),
                    Cell::Time(at) => self.zone.shown(*at),
                };
                writer.write_record(row.iter().map(cell))?;
            }
            TableFile::Json { writer, schema_version } => {
                let mut object = Map::new();
                object.insert("schema_version".to_owned(), (*schema_version).into());
                for ((name, _), cell) in self.head.iter().zip(row) {
                    let value = match cell {
                        Cell::Nothing => Value::Null,
                        Cell::Text(text) => text.into(),
                        Cell::Number(number) => number.into(),
                        Cell::Time(at) => self.zone.shown(at).into(),
                    };
                    object.insert((*name).to_owned(), value);
                }
                writeln!(writer, "{}", outside_text::json(&Value::Object(object).to_string()))?;
            }
            TableFile::Parquet { writer, schema, rows } => {
                rows.push(row);
                if rows.len() >= AT_ONCE {
                    writer.write(&batch(self.head, schema, rows))?;
                    rows.clear();
                }
            }
        }
        Ok(())
    }

    /// Publishes the file.
    pub(crate) fn finish(self) -> Result<(), Failed> {
        match self.file {
            TableFile::Csv(writer) => publish(writer.into_inner().map_err(|error| error.into_error())?),
            TableFile::Json { writer, .. } => publish(writer),
            TableFile::Parquet { mut writer, schema, rows } => {
                if !rows.is_empty() {
                    writer.write(&batch(self.head, &schema, &rows))?;
                }
                Ok(writer.finish()?)
            }
        }
    }
}

fn publish(writer: BufWriter<Draft>) -> Result<(), Failed> {
    let draft = writer.into_inner().map_err(|error| error.into_error())?;
    Ok(draft.publish()?)
}

fn schema(head: Head) -> SchemaRef {
    let field = |(name, holds): &(&str, Holds)| {
        let holds = match holds {
            Holds::Text => DataType::Utf8,
            Holds::Number => DataType::UInt64,
            Holds::Time => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        };
        Field::new(*name, holds, true)
    };
    Arc::new(Schema::new(head.iter().map(field).collect::<Vec<_>>()))
}

fn batch(head: Head, schema: &SchemaRef, rows: &[Vec<Cell>]) -> RecordBatch {
    let column = |(number, (_, holds)): (usize, &(&str, Holds))| -> ArrayRef {
        let cells = rows.iter().map(|row| &row[number]);
        match holds {
            Holds::Text => Arc::new(StringArray::from_iter(cells.map(|cell| match cell {
                Cell::Text(text) => Some(text.as_str()),
                Cell::Nothing | Cell::Number(_) | Cell::Time(_) => None,
            }))),
            Holds::Number => Arc::new(UInt64Array::from_iter(cells.map(|cell| match cell {
                Cell::Number(number) => Some(*number),
                Cell::Nothing | Cell::Text(_) | Cell::Time(_) => None,
            }))),
            Holds::Time => Arc::new(
                TimestampMicrosecondArray::from_iter(cells.map(|cell| match cell {
                    Cell::Time(at) => Some(at.0),
                    Cell::Nothing | Cell::Text(_) | Cell::Number(_) => None,
                }))
                .with_timezone("UTC"),
            ),
        }
    };
    let columns = head.iter().enumerate().map(column).collect();
    RecordBatch::try_new(Arc::clone(schema), columns).expect("the columns are made for this schema")
}
