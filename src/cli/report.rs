//! `mailrun report`: a run for people and for programs, and what messages ended as on a day.

use std::path::{Path, PathBuf};

use clap::ValueEnum;

use super::common::Common;
use super::daily::{self, DayArgs, failed};
use super::diagnostic::Diagnostic;
use super::exit::Exit;
use super::summary;
use crate::job::SCHEMA_VERSION;
use crate::kit::file::{self, PRIVATE, create_private_folders};
use crate::mail::Timestamp;
use crate::report::{self, FIGURES, Failed, Page, RunFacts, Table};
use crate::template::Zone;

/// `mailrun report`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Run: its id, the start of it, its directory, or for the latest run of a campaign its id,
    /// file or folder
    #[arg(required_unless_present = "day", conflicts_with = "day")]
    run: Option<String>,
    /// Write a page to this file: one self-contained HTML file, with its charts
    #[arg(long, value_name = "FILE", conflicts_with = "day")]
    html: Option<PathBuf>,
    #[command(flatten)]
    daily: DayArgs,
    /// Write a table to this file; with --day its files into this folder
    #[arg(long, value_name = "PATH", required_unless_present = "html")]
    output: Option<PathBuf>,
    /// The table's format
    #[arg(long, value_enum, default_value_t = Format::Csv)]
    format: Format,
}

/// How tables are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// With a header; what a spreadsheet would take for a formula begins with `'`
    Csv,
    /// An object a line
    Json,
    Parquet,
}

impl From<Format> for report::Format {
    fn from(format: Format) -> Self {
        match format {
            Format::Csv => Self::Csv,
            Format::Json => Self::Json,
            Format::Parquet => Self::Parquet,
        }
    }
}

pub(super) fn run(common: &Common, args: &Args) -> Result<Exit, Diagnostic> {
    let workspace = common.workspace();
    let Some(name) = &args.run else {
        let folder = args.output.as_deref().unwrap_or(Path::new("."));
        return daily::run(&workspace, &args.daily, folder, args.format.into());
    };
    let run = workspace.find_run(name)?;
    let found = workspace.report(&run)?;
    let capacity = &found.manifest.campaign.capacity;
    let name = run.dir().name();
    let facts = RunFacts {
        name: &name,
        state: summary::how(&found.manifest),
        summary: &found.summary,
        slots: &found.slots,
        came_back: &found.came_back,
        per_hour: capacity.per_hour,
        per_slot: capacity.per_slot(),
        at: Timestamp::wall(),
    };
    if let Some(html) = &args.html {
        write_page(&facts, html).map_err(|error| failed(&error).at(html.display()))?;
    }
    if let Some(output) = &args.output {
        write_table(&facts, output, args.format.into())
            .map_err(|error| failed(error.as_ref()).at(output.display()))?;
    }
    Ok(Exit::Ok)
}

fn write_page(facts: &RunFacts<'_>, path: &Path) -> std::io::Result<()> {
    let mut page = Page::start(Vec::new(), facts.name)?;
    page.add(&report::run(facts))?;
    let page = page.end()?;
    create_private_folders(path.parent().unwrap_or(path))?;
    file::replace(path, &page, PRIVATE)
}

fn write_table(facts: &RunFacts<'_>, path: &Path, format: report::Format) -> Result<(), Failed> {
    create_private_folders(path.parent().unwrap_or(path))?;
    let mut table = Table::create(path, format, FIGURES, Zone::Utc, SCHEMA_VERSION)?;
    for row in report::figures(facts) {
        table.add(row)?;
    }
    table.finish()
}
