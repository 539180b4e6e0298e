//! What came back as Parquet tables, derived from the log; each file appears whole.
//!
//! `feedback/day=2026-11-02/part-00000.parquet` in the state directory has the events that were
//! read on that day, in UTC. The log only grows, so an event is always in the same file: a kill
//! between two files leaves no event in both, and the next call writes all of them.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::{
    ArrayRef, BooleanArray, RecordBatch, StringArray, TimestampMicrosecondArray, UInt32Array, UInt64Array,
};
use arrow_schema::{DataType, Field, Schema, TimeUnit};

use super::error::{ExportError, JobError, WorkspaceError};
use super::feedback_places::{InputPlace, InputPlaces};
use super::workspace::Workspace;
use crate::feedback::{By, Logged};
use crate::kit::file::create_private_folders;
use crate::results::TableWriter;

/// Records read and written at once.
const PAGE: usize = 5_000;
/// The folder in the state directory.
pub(super) const FOLDER: &str = "feedback";
/// The file in it that whoever writes the tables has locked.
const LOCK: &str = ".lock";

/// Tables that were written.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct FeedbackTables {
    /// Their folder.
    pub folder: PathBuf,
    /// How many days they have,
    pub days: u64,
    /// and how many rows.
    pub rows: u64,
}

impl Workspace {
    /// Writes the tables of all that came back, in place of those that exist.
    pub(crate) fn write_feedback_tables(&self) -> Result<FeedbackTables, JobError> {
        let folder = self.state_dir()?.join(FOLDER);
        create_private_folders(&folder)
            .map_err(|source| failed("create a folder for tables", &folder, source))?;
        let lock = folder.join(LOCK);
        // Others wait until these tables are whole, and write theirs.
        let locked = File::create(&lock).and_then(|file| file.lock().map(|()| file));
        let _locked = locked.map_err(|source| failed("lock the folder of tables", &lock, source))?;
        let log = self.state()?.feedback()?;
        let (sources, places) = (log.imports()?, InputPlaces::new(self));
        // The log is in the order of reading: one file at a time is open. A clock that was set back
        // begins another part of a day.
        let mut parts: BTreeMap<String, u32> = BTreeMap::new();
        let mut open: Option<(String, PathBuf, TableWriter)> = None;
        let (mut after, mut rows) = (0, 0);
        loop {
            let page = log.page(after, PAGE)?;
            let places = places.of(&page)?;
            let mut start = 0;
            for events in page.chunk_by(|one, next| day(one) == day(next)) {
                let day = day(&events[0]);
                if open.as_ref().is_none_or(|(of, ..)| *of != day) {
                    finish(open.take())?;
                    let part = parts.entry(day.clone()).or_default();
                    let path = folder.join(&day).join(part_name(*part));
                    *part += 1;
                    open = Some((day, path.clone(), begin(&path)?));
                }
                let batch = batch(events, &places[start..start + events.len()], &sources);
                if let Some((_, path, writer)) = &mut open {
                    writer.write(&batch).map_err(ExportError::write(path))?;
                }
                start += events.len();
            }
            rows += page.len() as u64;
            match page.last() {
                Some(last) if page.len() == PAGE => after = last.id,
                Some(_) | None => break,
            }
        }
        finish(open)?;
        remove_others(&folder, &parts)?;
        Ok(FeedbackTables { folder, days: parts.len() as u64, rows })
    }
}

/// The folder of a record.
fn day(logged: &Logged) -> String {
    logged.read.to_utc().format("day=%Y-%m-%d").to_string()
}

fn part_name(number: u32) -> String {
    format!("part-{number:05}.parquet")
}

fn begin(path: &Path) -> Result<TableWriter, JobError> {
    let folder = path.parent().expect("a part is in the folder of its day");
    create_private_folders(folder).map_err(|source| failed("create a folder for tables", folder, source))?;
    Ok(TableWriter::create(path, schema()).map_err(ExportError::write(path))?)
}

fn finish(open: Option<(String, PathBuf, TableWriter)>) -> Result<(), JobError> {
    let Some((_, path, writer)) = open else { return Ok(()) };
    Ok(writer.finish().map_err(ExportError::write(&path))?)
}

/// Removes the files of days that were not written now, and the days without any.
fn remove_others(folder: &Path, written: &BTreeMap<String, u32>) -> Result<(), JobError> {
    for day in names(folder)?.into_iter().filter(|name| name.starts_with("day=")) {
        let (parts, of_day) = (written.get(&day).copied().unwrap_or(0), folder.join(&day));
        let own: Vec<String> = (0..parts).map(part_name).collect();
        for name in names(&of_day)?.into_iter().filter(|name| !own.contains(name)) {
            let path = of_day.join(name);
            fs::remove_file(&path).map_err(|source| failed("remove an earlier table", &path, source))?;
        }
        if parts == 0 {
            fs::remove_dir(&of_day).map_err(|source| failed("remove an empty folder", &of_day, source))?;
        }
    }
    Ok(())
}

fn names(folder: &Path) -> Result<Vec<String>, JobError> {
    let read = || fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>();
    let names = read().map_err(|source| failed("read a folder of tables", folder, source))?;
    Ok(names.iter().map(|name| name.to_string_lossy().into_owned()).collect())
}

fn failed(action: &'static str, path: &Path, source: io::Error) -> JobError {
    WorkspaceError::Io { action, path: path.to_owned(), source }.into()
}

fn schema() -> Arc<Schema> {
    let time = |name, nullable| {
        Field::new(name, DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), nullable)
    };
    let text = |name, nullable| Field::new(name, DataType::Utf8, nullable);
    Arc::new(Schema::new(vec![
        text("campaign", true),
        text("run", true),
        Field::new("plan_row", DataType::UInt32, true),
        text("source_file", true),
        Field::new("row", DataType::UInt64, true),
        text("recipient", true),
        text("address", true),
        text("kind", false),
        text("machine", true),
        text("class", true),
        text("status", true),
        Field::new("hard", DataType::Boolean, false),
        text("text", true),
        time("at", false),
        time("read_at", false),
        text("found_by", true),
        Field::new("trusted", DataType::Boolean, false),
        text("effect", false),
        text("list_id", true),
        time("undone_at", true),
        text("hash", false),
        text("message_id", true),
        Field::new("import", DataType::UInt64, false),
        text("source", true),
    ]))
}

fn batch(events: &[Logged], places: &[Option<InputPlace>], sources: &BTreeMap<u64, String>) -> RecordBatch {
    let text = |of: &dyn Fn(&Logged) -> Option<String>| -> ArrayRef {
        Arc::new(events.iter().map(of).collect::<StringArray>())
    };
    let time = |of: &dyn Fn(&Logged) -> Option<i64>| -> ArrayRef {
        Arc::new(events.iter().map(of).collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
    };
    let truth = |of: &dyn Fn(&Logged) -> bool| -> ArrayRef {
        Arc::new(events.iter().map(|logged| Some(of(logged))).collect::<BooleanArray>())
    };
    let files = places.iter().map(|place| place.as_ref().map(|(file, _)| file.as_str()));
    let rows = places.iter().map(|place| place.as_ref().map(|(_, row)| *row));
    let columns: Vec<ArrayRef> = vec![
        text(&|logged| logged.record.campaign.clone()),
        text(&|logged| logged.record.run.clone()),
        Arc::new(events.iter().map(|logged| logged.record.row).collect::<UInt32Array>()),
        Arc::new(files.collect::<StringArray>()),
        Arc::new(rows.collect::<UInt64Array>()),
        text(&|logged| logged.record.address.as_ref().map(ToString::to_string)),
        text(&|logged| logged.record.named.clone()),
        text(&|logged| Some(logged.record.kind.as_str().to_owned())),
        text(&|logged| logged.record.machine.map(|machine| machine.as_str().to_owned())),
        text(&|logged| logged.record.class.map(|class| class.as_str().to_owned())),
        text(&|logged| logged.record.status.clone()),
        truth(&|logged| logged.record.hard),
        text(&|logged| logged.record.text.clone()),
        time(&|logged| Some(logged.record.at.0)),
        time(&|logged| Some(logged.read.0)),
        text(&|logged| logged.record.by.map(By::as_str).map(str::to_owned)),
        truth(&|logged| logged.record.trusted),
        text(&|logged| Some(logged.effect.as_str().to_owned())),
        text(&|logged| logged.record.scope.list().map(ToString::to_string)),
        time(&|logged| logged.undone.map(|(at, _)| at.0)),
        text(&|logged| Some(logged.record.mail.clone())),
        text(&|logged| logged.record.message_id.clone()),
        Arc::new(events.iter().map(|logged| Some(logged.import)).collect::<UInt64Array>()),
        text(&|logged| sources.get(&logged.import).cloned()),
    ];
    RecordBatch::try_new(schema(), columns).expect("the columns are made for this schema")
}
