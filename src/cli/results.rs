//! `mailrun results`: writes the result files again, from plan and journal.

use super::common::Common;
use super::diagnostic::Diagnostic;
use super::exit::Exit;
use super::{log, runs, summary};
use crate::job::rewrite_results;

/// `mailrun results`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Run: its id, the start of it, its directory, or for the latest run of a campaign its id,
    /// file or folder
    run: String,
    /// Print the summary as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(common: &Common, args: &Args) -> Result<Exit, Diagnostic> {
    let workspace = common.workspace();
    let run = workspace.find_run(&args.run)?;
    let (manifest, results) = rewrite_results(&workspace, &run)?;
    if let Some(start) = workspace.refused_start(&args.run)? {
        let (name, refused) = (start.name(), runs::refused(&start.refused, true));
        log::warn(&format!(
            "warning: the last start of {name} was {refused}; these are the results before it"
        ));
    }
    summary::print(run.dir(), &manifest, &results, Exit::Ok, args.json)
}
