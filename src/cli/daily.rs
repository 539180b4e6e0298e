//! `mailrun report --day`: what messages ended as on a day, for programs that book it.

use std::fs;
use std::io;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use chrono::{Days, NaiveDate};
use tempfile::TempDir;

use super::diagnostic::Diagnostic;
use super::exit::Exit;
use super::log;
use crate::events::Event;
use crate::job::{FinalState, SCHEMA_VERSION, Workspace};
use crate::kit::file::{self, PRIVATE, create_private_folders};
use crate::kit::text::{counted, grouped};
use crate::kit::zip;
use crate::mail::Timestamp;
use crate::report::{Cell, Format, Head, Holds, Table};
use crate::run_dir::Manifest;
use crate::template::Zone;

/// The options of `mailrun report` that are about days.
#[derive(Debug, clap::Args)]
pub(super) struct DayArgs {
    /// What messages of all runs ended as on this day: a date, or `yesterday`
    #[arg(long, value_name = "DATE")]
    day: Option<Day>,
    /// The time zone in which the day begins and ends, and in which times are shown
    #[arg(long, requires = "day", default_value = "UTC", value_parser = Zone::parse)]
    zone: Zone,
    /// Only this campaign
    #[arg(long, value_name = "ID", requires = "day")]
    campaign: Option<String>,
    /// Begin another file after this many rows
    #[arg(long, value_name = "NUMBER", requires = "day")]
    rows: Option<NonZeroU64>,
    /// Put each file into a ZIP of its own
    #[arg(long, requires = "day")]
    zip: bool,
}

/// A day as it is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Day {
    Yesterday,
    Date(NaiveDate),
}

impl FromStr for Day {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "yesterday" => Ok(Self::Yesterday),
            _ => NaiveDate::parse_from_str(text, "%Y-%m-%d")
                .map(Self::Date)
                .map_err(|_| "use a date, such as 2026-12-31, or `yesterday`".to_owned()),
        }
    }
}

/// The largest file that is zipped: it is held in memory.
const MOST_ZIPPED: u64 = 512 << 20;

const COLUMNS: Head = &[
    ("at", Holds::Time),
    ("status", Holds::Text),
    ("event", Holds::Text),
    ("campaign", Holds::Text),
    ("run", Holds::Text),
    ("notification", Holds::Text),
    ("message_id", Holds::Text),
    ("sender", Holds::Text),
    ("recipient", Holds::Text),
    ("kind", Holds::Text),
    ("class", Holds::Text),
    ("reply", Holds::Text),
    ("detail", Holds::Text),
    ("attempts", Holds::Number),
];

/// A file that is being written.
struct Part {
    table: Table,
    /// Where it is written,
    path: PathBuf,
    /// and what it becomes.
    target: PathBuf,
    rows: u64,
}

/// The files of one day, one after the other.
struct Parts<'a> {
    args: &'a DayArgs,
    folder: &'a Path,
    format: Format,
    day: NaiveDate,
    /// Where files are written that become ZIPs.
    aside: TempDir,
    open: Option<Part>,
    written: Vec<PathBuf>,
    rows: u64,
    errors: u64,
}

impl Parts<'_> {
    fn add(&mut self, manifest: &Manifest, event: &Event, state: FinalState) -> Result<(), Diagnostic> {
        let most = self.args.rows.map_or(u64::MAX, NonZeroU64::get);
        if self.open.as_ref().is_some_and(|part| part.rows >= most) {
            self.finish()?;
        }
        if self.open.is_none() {
            self.begin()?;
        }
        let is_error = state != FinalState::Delivered;
        self.rows += 1;
        self.errors += u64::from(is_error);
        if let Some(part) = &mut self.open {
            part.rows += 1;
            let row = row(manifest, event, state, is_error);
            part.table.add(row).map_err(|error| failed(error.as_ref()).at(part.path.display()))?;
        }
        Ok(())
    }

    fn begin(&mut self) -> Result<(), Diagnostic> {
        let number = self.written.len() + 1;
        let part = self.args.rows.map_or(String::new(), |_| format!("-{number:03}"));
        let name = format!("{}{part}.{}", self.day, self.format.extension());
        let path = if self.args.zip { self.aside.path().join(&name) } else { self.folder.join(&name) };
        let target = self.folder.join(format!("{name}{}", self.end()));
        let table = Table::create(&path, self.format, COLUMNS, self.args.zone, SCHEMA_VERSION)
            .map_err(|error| failed(error.as_ref()).at(path.display()))?;
        self.written.push(target.clone());
        self.open = Some(Part { table, path, target, rows: 0 });
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Diagnostic> {
        let Some(Part { table, path, target, .. }) = self.open.take() else { return Ok(()) };
        table.finish().map_err(|error| failed(error.as_ref()).at(path.display()))?;
        if !self.args.zip {
            return Ok(());
        }
        let zip = || {
            if fs::metadata(&path)?.len() > MOST_ZIPPED {
                return Err(io::Error::other("it has more than 512 MiB: `--rows` makes smaller files"));
            }
            let content = fs::read(&path)?;
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            file::replace(&target, &zip::of_files([(&*name, &content[..])]), PRIVATE)?;
            fs::remove_file(&path)
        };
        zip().map_err(|error| failed(&error).at(target.display()))
    }

    /// What follows a file's extension.
    fn end(&self) -> &'static str {
        if self.args.zip { ".zip" } else { "" }
    }

    /// Removes what an earlier report of the day wrote, and this one did not.
    fn remove_others(&self) -> io::Result<()> {
        let (day, end) = (self.day.to_string(), format!(".{}{}", self.format.extension(), self.end()));
        for entry in fs::read_dir(self.folder)? {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str());
            let part = name.and_then(|name| name.strip_prefix(&day)?.strip_suffix(&end));
            let is_part = |part: &str| match part.strip_prefix('-') {
                Some(number) => number.bytes().all(|byte| byte.is_ascii_digit()),
                None => part.is_empty(),
            };
            if part.is_some_and(is_part) && !self.written.contains(&path) {
                fs::remove_file(&path)?;
            }
        }
        Ok(())
    }
}

fn row(manifest: &Manifest, event: &Event, state: FinalState, is_error: bool) -> Vec<Cell> {
    vec![
        Cell::Time(event.at),
        Cell::text(if is_error { "ERROR" } else { "OK" }),
        Cell::text(state.as_str()),
        Cell::text(&manifest.campaign_id),
        Cell::text(manifest.run_id.as_str()),
        Cell::maybe(event.notification.as_deref()),
        Cell::maybe(event.message_id.as_deref()),
        Cell::text(&manifest.campaign.sender.from.address.to_string()),
        Cell::maybe(event.recipient.as_deref()),
        Cell::text(event.kind.as_str()),
        Cell::maybe(event.class.map(|class| class.as_str())),
        Cell::maybe(event.reply.as_deref()),
        Cell::maybe(event.detail.as_deref()),
        event.attempt.map_or(Cell::Nothing, |attempt| Cell::Number(attempt.into())),
    ]
}

/// Writes the files of the day into `folder`.
pub(super) fn run(
    workspace: &Workspace,
    args: &DayArgs,
    folder: &Path,
    format: Format,
) -> Result<Exit, Diagnostic> {
    let now = Timestamp::wall();
    let yesterday = || args.zone.day_of(now).checked_sub_days(Days::new(1)).unwrap_or_default();
    let day = match args.day {
        Some(Day::Date(day)) => day,
        Some(Day::Yesterday) | None => yesterday(),
    };
    let next = day.checked_add_days(Days::new(1)).unwrap_or(day);
    let period = args.zone.start_of(day)..args.zone.start_of(next);
    if period.end > now {
        log::warn(&format!(
            "warning: {day} is not over in the time zone {}: this is what messages ended as until now",
            args.zone
        ));
    }
    let aside = create_private_folders(folder).and_then(|()| TempDir::new_in(folder));
    let aside = aside.map_err(|error| failed(&error).at(folder.display()))?;
    let mut parts =
        Parts { args, folder, format, day, aside, open: None, written: Vec::new(), rows: 0, errors: 0 };
    workspace.final_states(&period, args.campaign.as_deref(), &mut |manifest, event, state| {
        parts.add(manifest, event, state)
    })?;
    // Who waits for the day's file gets one on a day without messages too.
    if parts.written.is_empty() {
        parts.begin()?;
    }
    parts.finish()?;
    parts.remove_others().map_err(|error| failed(&error).at(folder.display()))?;
    let (messages, files) =
        (counted(parts.rows, "message", "messages"), counted(parts.written.len() as u64, "file", "files"));
    log::print(&format!("{day}: {messages}, {} of them not delivered; {files}", grouped(parts.errors)));
    Ok(Exit::Ok)
}

pub(super) fn failed(error: &(dyn std::error::Error + 'static)) -> Diagnostic {
    Diagnostic::of("can't write the report", error)
}
