//! `mailrun suppress`: the list of addresses that are not sent to.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow_schema::{DataType, Field, Schema, TimeUnit};

use super::common::Common;
use super::diagnostic::Diagnostic;
use super::exit::Exit;
use super::log;
use super::output::ended_pipe;
use crate::campaign::{Span, TargetGroupSource};
use crate::kit::store::StoreError;
use crate::kit::text::{counted, grouped};
use crate::mail::{Address, Timestamp};
use crate::results;
use crate::suppression::{AddressKey, Entries, Entry, Filter, NewEntry, Reason, Suppressions, Term};
use crate::target_group;

/// Entries written to a file at once.
const ENTRIES_PER_BATCH: usize = 8_192;

/// `mailrun suppress`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// What to do.
    #[command(subcommand)]
    command: Command,
}

/// What can be done with the suppression list.
#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Add addresses
    Add {
        /// Addresses
        #[arg(required = true)]
        addresses: Vec<Address>,
        /// Reason; entries with `unsubscribe` and `complaint` never expire
        #[arg(long, default_value = "manual")]
        reason: Reason,
        /// How long the entry lasts, such as 45d, or `never` to keep it forever
        #[arg(long, value_name = "SPAN", value_parser = parse_term)]
        r#for: Option<Term>,
    },
    /// Remove addresses
    Remove {
        /// Addresses
        #[arg(required = true)]
        addresses: Vec<Address>,
    },
    /// List the entries that have not expired
    List {
        /// Only entries with this reason
        #[arg(long)]
        reason: Option<Reason>,
        /// Expired entries too
        #[arg(long)]
        expired: bool,
        /// Print JSON lines
        #[arg(long)]
        json: bool,
    },
    /// Add the addresses in CSV or Parquet files
    Import {
        /// Files with a column `email`; `reason`, `source` and `expires` are used if they exist
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Column with the address
        #[arg(long, default_value = "email")]
        column: String,
        /// Reason for rows without one
        #[arg(long, default_value = "manual")]
        reason: Reason,
    },
    /// Write the list to a CSV or Parquet file
    Export {
        /// File; its extension decides the format
        file: PathBuf,
    },
}

pub(super) fn run(common: &Common, args: &Args) -> Result<Exit, Diagnostic> {
    let list = &*common.workspace().suppressions()?;
    let now = Timestamp::wall();
    match &args.command {
        Command::Add { addresses, reason, r#for } => {
            add(list, addresses, reason, r#for.unwrap_or(Term::Default), now)
        }
        Command::Remove { addresses } => remove(list, addresses),
        Command::List { reason, expired, json } => {
            let filter =
                Filter { reason: reason.clone(), live_at: (!expired).then_some(now), ..Filter::default() };
            print(list, filter, *json)
        }
        Command::Import { files, column, reason } => import(list, files, column, reason, now),
        Command::Export { file } => export(list, file),
    }
}

fn parse_reason(text: &str) -> Reason {
    let Ok(reason) = text.parse();
    reason
}

fn parse_term(text: &str) -> Result<Term, String> {
    match text {
        "never" => Ok(Term::Permanent),
        text => text.parse().map(|Span(span)| Term::For(span)),
    }
}

fn add(
    list: &dyn Suppressions,
    addresses: &[Address],
    reason: &Reason,
    term: Term,
    now: Timestamp,
) -> Result<Exit, Diagnostic> {
    let entry = |address: &Address| NewEntry {
        email: address.to_string(),
        address: address.clone(),
        reason: reason.clone(),
        source: "command line".into(),
        term,
    };
    let counts = list.import(&mut addresses.iter().map(entry), now)?;
    log::print(&format!(
        "{} added, {} renewed, {} already permanent",
        counts.new, counts.renewed, counts.kept
    ));
    Ok(Exit::Ok)
}

fn remove(list: &dyn Suppressions, addresses: &[Address]) -> Result<Exit, Diagnostic> {
    let mut missing = 0;
    for address in addresses {
        if !list.remove(&AddressKey::from(address))? {
            log::print(&format!("`{address}` was not on the list"));
            missing += 1;
        }
    }
    log::print(&format!("{} removed", addresses.len() - missing));
    Ok(if missing == 0 { Exit::Ok } else { Exit::SomeNotAccepted })
}

fn print(list: &dyn Suppressions, filter: Filter, json: bool) -> Result<Exit, Diagnostic> {
    let mut out = BufWriter::new(io::stdout().lock());
    for entry in Entries::new(list, filter) {
        let entry = entry?;
        let expires = entry.expires.map(|at| at.to_string());
        let line = if json {
            serde_json::json!({
                "email": entry.email, "reason": entry.reason.as_str(), "source": entry.source,
                "added": entry.added.to_string(), "expires": expires,
            })
            .to_string()
        } else {
            let until = expires.unwrap_or_else(|| "never expires".into());
            format!("{:<40} {:<12} {:<24} {}", entry.email, entry.reason, until, entry.source)
        };
        if let Err(error) = writeln!(out, "{line}") {
            return ended_pipe(error);
        }
    }
    out.flush().map_or_else(ended_pipe, |()| Ok(Exit::Ok))
}

fn import(
    list: &dyn Suppressions,
    files: &[PathBuf],
    column: &str,
    reason: &Reason,
    now: Timestamp,
) -> Result<Exit, Diagnostic> {
    let names = files.iter().map(|file| file.to_string_lossy().into_owned()).collect();
    let group = target_group::open(&TargetGroupSource::of_files(names, column))?;
    let schema = group.schema();
    let (reasons, sources, expiries) =
        (schema.index_of("reason").ok(), schema.index_of("source").ok(), schema.index_of("expires").ok());
    let (mut rows, mut refused) = (0_u64, 0_u64);
    let mut counts = (0, 0, 0);
    for batch in group.batches() {
        let batch = batch?;
        let file = &group.files()[batch.file].shown;
        for bad in &batch.unreadable {
            log::print(&format!("{file}, row {}: {}", bad.place.row, bad.reason));
        }
        refused += batch.unreadable.len() as u64;
        let text = |column: usize, row: usize| -> Option<&str> {
            let array = batch.records.column(column).as_any().downcast_ref::<StringArray>()?;
            array.is_valid(row).then(|| array.value(row).trim()).filter(|text| !text.is_empty())
        };
        let mut entries = Vec::with_capacity(batch.records.num_rows());
        for (row, place) in batch.places.iter().enumerate() {
            let email = text(group.email_column(), row).unwrap_or_default();
            let of = |column: Option<usize>| column.and_then(|column| text(column, row));
            let term = match expiries.map(|column| batch.records.column(column)) {
                Some(array) => term_of(array, row, now),
                None => Ok(Term::Default),
            };
            match (Address::parse(email), term) {
                (Ok(address), Ok(term)) => entries.push(NewEntry {
                    address,
                    email: email.to_owned(),
                    reason: of(reasons).map_or_else(|| reason.clone(), parse_reason),
                    source: of(sources).unwrap_or(file).to_owned(),
                    term,
                }),
                (Err(error), _) => {
                    refused += 1;
                    log::print(&format!("{file}, row {}: invalid address `{email}`: {error}", place.row));
                }
                (_, Err(problem)) => {
                    refused += 1;
                    log::print(&format!("{file}, row {}: {problem}", place.row));
                }
            }
        }
        rows += entries.len() as u64;
        let done = list.import(&mut entries.into_iter(), now)?;
        counts = (counts.0 + done.new, counts.1 + done.renewed, counts.2 + done.kept);
    }
    eprintln!(
        "{} read: {} added, {} renewed, {} already permanent, {} refused",
        counted(rows + refused, "row", "rows"),
        grouped(counts.0),
        grouped(counts.1),
        grouped(counts.2),
        grouped(refused)
    );
    Ok(if refused == 0 { Exit::Ok } else { Exit::SomeNotAccepted })
}

/// The term that ends at the moment in a cell: RFC 3339 or `never` as text, or a timestamp. An
/// empty text is the usual term; a timestamp that is null never ends, as `export` writes it.
fn term_of(array: &ArrayRef, row: usize, now: Timestamp) -> Result<Term, String> {
    if let Some(times) = array.as_any().downcast_ref::<TimestampMicrosecondArray>() {
        let until = |at: i64| Term::For(Timestamp(at).since(now));
        return Ok(if times.is_valid(row) { until(times.value(row)) } else { Term::Permanent });
    }
    let text = array.as_any().downcast_ref::<StringArray>().filter(|texts| texts.is_valid(row));
    match text.map(|texts| texts.value(row).trim()) {
        None | Some("") => Ok(Term::Default),
        Some("never") => Ok(Term::Permanent),
        Some(text) => {
            let at = chrono::DateTime::parse_from_rfc3339(text).map_err(|_| {
                format!("`{text}` is not a time: use RFC 3339, such as 2026-12-31T00:00:00Z, or `never`")
            })?;
            Ok(Term::For(Timestamp(at.timestamp_micros()).since(now)))
        }
    }
}

fn export(list: &dyn Suppressions, file: &Path) -> Result<Exit, Diagnostic> {
    let failed =
        |error: &dyn std::error::Error| Diagnostic::of("can't write the list", error).at(file.display());
    let entries = Entries::new(list, Filter::default());
    let written = match file.extension().and_then(|extension| extension.to_str()) {
        Some("csv") => export_csv(entries, file)?,
        Some("parquet") => {
            let mut writer =
                results::TableWriter::create(file, export_schema()).map_err(|error| failed(&error))?;
            let mut written = 0;
            let mut batch = Vec::with_capacity(ENTRIES_PER_BATCH);
            for entry in entries {
                batch.push(entry?);
                written += 1;
                if batch.len() == ENTRIES_PER_BATCH {
                    writer.write(&record_batch(&batch)).map_err(|error| failed(&error))?;
                    batch.clear();
                }
            }
            writer.write(&record_batch(&batch)).map_err(|error| failed(&error))?;
            writer.finish().map_err(|error| failed(&error))?;
            written
        }
        Some(_) | None => {
            return Err(Diagnostic::new("the file's extension decides the format")
                .at(file.display())
                .hint("use `.csv` or `.parquet`"));
        }
    };
    log::print(&format!("{} written to {}", counted(written, "entry", "entries"), file.display()));
    Ok(Exit::Ok)
}

fn export_csv(
    entries: impl Iterator<Item = Result<Entry, StoreError>>,
    file: &Path,
) -> Result<u64, Diagnostic> {
    let failed = |error: csv::Error| Diagnostic::of("can't write the list", &error).at(file.display());
    let out = File::create(file).map_err(|error| failed(error.into()))?;
    let mut out = csv::Writer::from_writer(out);
    out.write_record(["email", "reason", "source", "added", "expires"]).map_err(failed)?;
    let mut written = 0;
    for entry in entries {
        let entry = entry?;
        let expires = entry.expires.map_or("never".into(), |at| at.to_string());
        let (added, reason) = (entry.added.to_string(), entry.reason.as_str());
        out.write_record([&entry.email, reason, &entry.source, &added, &expires]).map_err(failed)?;
        written += 1;
    }
    out.flush().map_err(|error| failed(error.into()))?;
    Ok(written)
}

fn export_schema() -> Arc<Schema> {
    let time = || DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    Arc::new(Schema::new(vec![
        Field::new("email", DataType::Utf8, false),
        Field::new("reason", DataType::Utf8, false),
        Field::new("source", DataType::Utf8, false),
        Field::new("added", time(), false),
        Field::new("expires", time(), true),
    ]))
}

fn record_batch(entries: &[Entry]) -> RecordBatch {
    let text =
        |of: fn(&Entry) -> &str| Arc::new(StringArray::from_iter_values(entries.iter().map(of))) as ArrayRef;
    let added = TimestampMicrosecondArray::from_iter_values(entries.iter().map(|entry| entry.added.0));
    let expires: TimestampMicrosecondArray =
        entries.iter().map(|entry| entry.expires.map(|at| at.0)).collect();
    let columns: Vec<ArrayRef> = vec![
        text(|entry| &entry.email),
        text(|entry| entry.reason.as_str()),
        text(|entry| &entry.source),
        Arc::new(added.with_timezone("UTC")),
        Arc::new(expires.with_timezone("UTC")),
    ];
    RecordBatch::try_new(export_schema(), columns).expect("the columns are made for this schema")
}
