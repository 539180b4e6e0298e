//! `mailrun report`: a run as a page for people.

use std::path::PathBuf;

use super::common::Common;
use super::diagnostic::Diagnostic;
use super::exit::Exit;
use super::summary;
use crate::kit::file::{self, PRIVATE, create_private_folders};
use crate::mail::Timestamp;
use crate::report::{self, Page, RunFacts};

/// `mailrun report`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Run: its id, the start of it, its directory, or for the latest run of a campaign its id,
    /// file or folder
    run: String,
    /// Write the page to this file: one self-contained HTML file, with its charts
    #[arg(long, value_name = "FILE")]
    html: PathBuf,
}

pub(super) fn run(common: &Common, args: &Args) -> Result<Exit, Diagnostic> {
    let workspace = common.workspace();
    let run = workspace.find_run(&args.run)?;
    let found = workspace.report(&run)?;
    let capacity = &found.manifest.campaign.capacity;
    let name = run.dir().name();
    let facts = RunFacts {
        name: &name,
        state: summary::how(&found.manifest),
        summary: &found.summary,
        slots: &found.slots,
        per_hour: capacity.per_hour,
        per_slot: capacity.per_slot(),
        at: Timestamp::wall(),
    };
    let page = Page::start(Vec::new(), &name).and_then(|mut page| {
        page.add(&report::run(&facts))?;
        page.end()
    });
    let folder = args.html.parent().unwrap_or(&args.html);
    page.and_then(|page| {
        create_private_folders(folder)?;
        file::replace(&args.html, &page, PRIVATE)
    })
    .map_err(|error| Diagnostic::of("can't write the report", &error).at(args.html.display()))?;
    Ok(Exit::Ok)
}
