//! The suppression list from files, which are lists like those of a target group, and to files:
//! CSV and Parquet.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow_cast::cast;
use arrow_schema::{DataType, Field, Schema, TimeUnit};
use chrono::{DateTime, NaiveDate};

use super::error::{ExportError, JobError};
use super::unsubscribes::Unsubscribes;
use super::workspace::Workspace;
use crate::campaign::{Bare, TargetGroupSource};
use crate::kit::file::Draft;
use crate::kit::outside_text;
use crate::kit::store::StoreError;
use crate::mail::{Address, ListId, Timestamp};
use crate::results::TableWriter;
use crate::suppression::{Entries, Entry, Filter, ImportCounts, NewEntry, Reason, Scope, Term};
use crate::target_group::{self, Place};

/// Entries written to a file at once.
const ENTRIES_PER_BATCH: usize = 8_192;
const DAY_MICROS: i64 = 86_400_000_000;

/// What became of the rows of imported files.
#[derive(Debug, Default)]
pub(crate) struct Imported {
    /// Rows that were read, refused ones included.
    pub rows: u64,
    /// Rows that can't be entries.
    pub refused: u64,
    /// Rows that seem to hold others, which were not read.
    pub stray: u64,
    /// What became of the rest.
    pub counts: ImportCounts,
}

impl Workspace {
    /// Adds the addresses in `column` of these files; with `tokens`, those whose unsubscribe tokens
    /// are there. `reason`, `source`, `expires` and `list_id` are used where such columns exist;
    /// rows without a reason get `reason`, and rows without a list `list_id`. Each row that can't
    /// be an entry, or seems to hold others, is passed to `refused`: its file, its number and the
    /// problem.
    pub(crate) fn import_suppressions(
        &self,
        files: &[PathBuf],
        column: &str,
        tokens: Option<&Unsubscribes<'_>>,
        (reason, list_id): (&Reason, Option<&ListId>),
        mut refused: impl FnMut(&str, u64, &str),
    ) -> Result<Imported, JobError> {
        let (list, now) = (self.suppressions()?, self.clock().wall());
        let names = files.iter().map(|file| file.to_string_lossy().into_owned()).collect();
        let mut source = TargetGroupSource::of_files(names, column);
        source.bare = if tokens.is_some() { Bare::Tokens } else { Bare::Addresses };
        let group = target_group::open(&source)?;
        let schema = group.schema();
        let index = |name: &str| schema.index_of(name).ok();
        let columns = Columns {
            email: group.email_column(),
            reason: index("reason"),
            source: index("source"),
            expires: index("expires"),
            list_id: index("list_id"),
        };
        let given = Given { reason, list_id, tokens, now };
        let mut imported = Imported::default();
        for batch in group.batches() {
            let batch = batch?;
            let file = &group.files()[batch.file].shown;
            for place in &batch.stray {
                imported.stray += 1;
                refused(file, place.row, &swallowed(place));
            }
            let mut refuse = |row: u64, problem: &str| {
                imported.rows += 1;
                imported.refused += 1;
                refused(file, row, problem);
            };
            batch.unreadable.iter().for_each(|bad| refuse(bad.place.row, &bad.reason.to_string()));
            let mut entries = Vec::with_capacity(batch.records.num_rows());
            for (row, place) in batch.places.iter().enumerate() {
                match columns.entry(&batch.records, row, &given, file) {
                    Ok(entry) => entries.push(entry),
                    Err(problem) => refuse(place.row, &problem),
                }
            }
            imported.rows += entries.len() as u64;
            let counts = list.import(&mut entries.into_iter(), now)?;
            imported.counts.new += counts.new;
            imported.counts.renewed += counts.renewed;
            imported.counts.kept += counts.kept;
        }
        Ok(imported)
    }

    /// Writes the list to `file`, whose extension decides the format. Returns how many entries it
    /// has.
    pub(crate) fn export_suppressions(&self, file: &Path) -> Result<u64, JobError> {
        let list = self.suppressions()?;
        let entries = Entries::new(&*list, Filter::default());
        match file.extension().and_then(|extension| extension.to_str()) {
            Some("csv") => write_csv(entries, file),
            Some("parquet") => write_parquet(entries, file),
            Some(_) | None => Err(ExportError::Extension(file.to_owned()).into()),
        }
    }
}

/// What is wrong with a row between two stray quotes.
fn swallowed(place: &Place) -> String {
    let line = place.line.map_or_else(String::new, |line| format!(" on line {line}"));
    format!(
        "a quoted field goes over several lines and seems to hold other rows, which are not read; look for \
         a stray quote{line}"
    )
}

/// The columns of a file that are used.
struct Columns {
    email: usize,
    reason: Option<usize>,
    source: Option<usize>,
    expires: Option<usize>,
    list_id: Option<usize>,
}

/// What holds for all rows.
struct Given<'a> {
    reason: &'a Reason,
    list_id: Option<&'a ListId>,
    tokens: Option<&'a Unsubscribes<'a>>,
    now: Timestamp,
}

impl Columns {
    /// The entry in a row of `records`, or why there is none.
    fn entry(
        &self,
        records: &RecordBatch,
        row: usize,
        given: &Given<'_>,
        file: &str,
    ) -> Result<NewEntry, String> {
        let text = |column: usize| -> Option<&str> {
            let array = records.column(column).as_any().downcast_ref::<StringArray>()?;
            let text = array.is_valid(row).then(|| outside_text::from_csv_cell(array.value(row)).trim());
            text.filter(|text| !text.is_empty())
        };
        let named = text(self.email).unwrap_or_default();
        let (address, email, source, scope) = match given.tokens {
            None => {
                let address = Address::parse(named);
                let address = address.map_err(|error| format!("invalid address `{named}`: {error}"))?;
                (address, named.to_owned(), file.to_owned(), Scope::All)
            }
            Some(tokens) => {
                let unsubscribed = tokens.read(named).map_err(|refused| refused.to_string())?;
                let email = unsubscribed.address.to_string();
                (unsubscribed.address.clone(), email, unsubscribed.run(), unsubscribed.scope)
            }
        };
        let said = self.reason.and_then(text).map(|text| {
            let Ok(reason) = text.parse::<Reason>();
            reason
        });
        let reason = said.unwrap_or_else(|| given.reason.clone());
        let term = match self.expires {
            // Whatever is there: who complained or unsubscribed must not be lost for a typing
            // error.
            _ if reason.is_permanent() => Term::Permanent,
            Some(column) => term_of(records.column(column), row, given.now)?,
            None => Term::Default,
        };
        let list_id = match self.list_id.and_then(text) {
            Some(text) => Some(text.parse().map_err(|error| format!("`{text}` is {error}"))?),
            None => given.list_id.cloned(),
        };
        Ok(NewEntry {
            address,
            scope: list_id.map_or(scope, Scope::List),
            email,
            reason,
            source: self.source.and_then(text).map_or(source, str::to_owned),
            term,
        })
    }
}

/// The term that ends at the moment in a cell: a day, to its end in UTC, RFC 3339 or `never` as
/// text, or a date or a timestamp. An empty text is the usual term; a date or a timestamp that is
/// null never ends, as an export writes it.
fn term_of(array: &ArrayRef, row: usize, now: Timestamp) -> Result<Term, String> {
    let until = |micros: i64| Term::For(Timestamp(micros).since(now));
    match array.data_type() {
        DataType::Utf8 => {}
        DataType::Null => return Ok(Term::Default),
        DataType::Date32 | DataType::Timestamp(..) if array.is_null(row) => return Ok(Term::Permanent),
        DataType::Date32 => {
            return Ok(until((i64::from(array.as_primitive::<Date32Type>().value(row)) + 1) * DAY_MICROS));
        }
        DataType::Timestamp(..) => {
            let wanted = DataType::Timestamp(TimeUnit::Microsecond, None);
            let times = cast(&array.slice(row, 1), &wanted).map_err(|error| error.to_string())?;
            return Ok(until(times.as_primitive::<TimestampMicrosecondType>().value(0)));
        }
        other => return Err(format!("`expires` is {other}, which is no time")),
    }
    let text = array.as_string::<i32>();
    match if text.is_valid(row) { text.value(row).trim() } else { "" } {
        "" => Ok(Term::Default),
        "never" => Ok(Term::Permanent),
        text => {
            if let Ok(day) = text.parse::<NaiveDate>() {
                let days = i64::from(day.to_epoch_days());
                return Ok(until((days + 1) * DAY_MICROS));
            }
            let at = DateTime::parse_from_rfc3339(text).map_err(|_| {
                format!(
                    "`{text}` is not a time: use 2026-12-31, RFC 3339 such as 2026-12-31T12:00:00Z, or `never`"
                )
            })?;
            Ok(until(at.timestamp_micros()))
        }
    }
}

fn write_parquet(
    entries: impl Iterator<Item = Result<Entry, StoreError>>,
    file: &Path,
) -> Result<u64, JobError> {
    let mut writer = TableWriter::create(file, schema()).map_err(ExportError::write(file))?;
    let mut written = 0;
    let mut batch = Vec::with_capacity(ENTRIES_PER_BATCH);
    for entry in entries {
        batch.push(entry?);
        written += 1;
        if batch.len() == ENTRIES_PER_BATCH {
            writer.write(&record_batch(&batch)).map_err(ExportError::write(file))?;
            batch.clear();
        }
    }
    writer.write(&record_batch(&batch)).map_err(ExportError::write(file))?;
    writer.finish().map_err(ExportError::write(file))?;
    Ok(written)
}

fn write_csv(entries: impl Iterator<Item = Result<Entry, StoreError>>, file: &Path) -> Result<u64, JobError> {
    let draft = Draft::create(file).map_err(ExportError::write(file))?;
    let mut out = csv::Writer::from_writer(draft.handle().map_err(ExportError::write(file))?);
    let header = ["email", "reason", "source", "added", "expires", "list_id"];
    out.write_record(header).map_err(ExportError::write(file))?;
    let mut written = 0;
    for entry in entries {
        let entry = entry?;
        let expires = entry.expires.map_or("never".into(), |at| at.to_string());
        let (added, reason) = (entry.added.to_string(), entry.reason.as_str());
        let record = [&entry.email, reason, &entry.source, &added, &expires, entry.scope.as_str()];
        out.write_record(record.map(|cell| outside_text::csv_cell(cell).into_owned()))
            .map_err(ExportError::write(file))?;
        written += 1;
    }
    out.flush().map_err(ExportError::write(file))?;
    draft.publish().map_err(ExportError::write(file))?;
    Ok(written)
}

fn schema() -> Arc<Schema> {
    let time = || DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    Arc::new(Schema::new(vec![
        Field::new("email", DataType::Utf8, false),
        Field::new("reason", DataType::Utf8, false),
        Field::new("source", DataType::Utf8, false),
        Field::new("added", time(), false),
        Field::new("expires", time(), true),
        Field::new("list_id", DataType::Utf8, true),
    ]))
}

fn record_batch(entries: &[Entry]) -> RecordBatch {
    let text =
        |of: fn(&Entry) -> &str| Arc::new(StringArray::from_iter_values(entries.iter().map(of))) as ArrayRef;
    let added = TimestampMicrosecondArray::from_iter_values(entries.iter().map(|entry| entry.added.0));
    let expires: TimestampMicrosecondArray =
        entries.iter().map(|entry| entry.expires.map(|at| at.0)).collect();
    let lists: StringArray = entries.iter().map(|entry| entry.scope.list().map(ListId::as_str)).collect();
    let columns: Vec<ArrayRef> = vec![
        text(|entry| &entry.email),
        text(|entry| entry.reason.as_str()),
        text(|entry| &entry.source),
        Arc::new(added.with_timezone("UTC")),
        Arc::new(expires.with_timezone("UTC")),
        Arc::new(lists),
    ];
    RecordBatch::try_new(schema(), columns).expect("the columns are made for this schema")
}
