//! `mailrun results`: writes the result files again, from plan and journal; joined with what came
//! back since, where that is asked for.

use serde_json::json;

use super::common::Common;
use super::diagnostic::Diagnostic;
use super::exit::Exit;
use super::{json, log, runs, summary};
use crate::job::rewrite_results;
use crate::kit::text::grouped;

/// `mailrun results`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Run: its id, the start of it, its directory, or for the latest run of a campaign its id,
    /// file or folder
    run: String,
    /// Also write `with-feedback.parquet` into the run's directory: each row with what came back
    /// since
    #[arg(long)]
    with_feedback: bool,
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
    if !args.with_feedback {
        return summary::print(run.dir(), &manifest, &results, Exit::Ok, args.json);
    }
    let joined = workspace.write_with_feedback(&run)?;
    if args.json {
        let mut shown = summary::run(run.dir(), &manifest, Some(&results));
        json::extend(&mut shown, json!({ "with_feedback": joined }));
        return json::print(Exit::Ok, shown);
    }
    let exit = summary::print(run.dir(), &manifest, &results, Exit::Ok, false)?;
    let counts = [
        (joined.bounced_later, "bounced later"),
        (joined.complained, "complained"),
        (joined.unsubscribed, "unsubscribed"),
        (joined.taken_back, "took a complaint back"),
        (joined.opened, "opened"),
        (joined.clicked, "clicked"),
    ];
    let counts = counts.into_iter().filter(|(rows, _)| *rows > 0);
    let counts: Vec<_> = counts.map(|(rows, what)| format!("{} {what}", grouped(rows))).collect();
    let counts = if counts.is_empty() { "nothing came back".to_owned() } else { counts.join(", ") };
    log::print(&format!("with feedback: {counts}; {}", joined.file.display()));
    Ok(exit)
}
