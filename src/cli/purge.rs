//! `mailrun purge`: runs whose time is over, and one person's data.

use serde_json::{Value, json};

use super::common::Common;
use super::diagnostic::Diagnostic;
use super::exit::Exit;
use super::json;
use super::output::out;
use crate::campaign::Span;
use crate::job::{OfPerson, OldRuns, Workspace};
use crate::kit::text::counted;
use crate::mail::Address;
use crate::suppression::Scope;

/// `mailrun purge`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Remove runs that finished longer ago than this [default: for each run the longer one of its
    /// `[keep] recover` and `[results] status-retention`; runs without `[keep] recover` stay]
    #[arg(long, value_name = "SPAN", conflicts_with = "recipient")]
    older_than: Option<Span>,
    /// Remove the data of the person with this address instead; the rows stay, without it
    #[arg(long, value_name = "ADDRESS")]
    recipient: Option<Address>,
    /// With --recipient: remove the entries of the suppression list too, so that the person can get
    /// mail again
    #[arg(long, requires = "recipient")]
    with_suppression: bool,
    /// Remove it; without this option nothing is removed, only listed
    #[arg(short, long)]
    yes: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(common: &Common, args: &Args) -> Result<Exit, Diagnostic> {
    let workspace = common.workspace();
    match &args.recipient {
        Some(recipient) => person(&workspace, args, recipient),
        None => old(&workspace, args),
    }
}

fn old(workspace: &Workspace, args: &Args) -> Result<Exit, Diagnostic> {
    let found = workspace.old_runs(args.older_than.map(|span| span.0))?;
    let OldRuns { runs, owner_mails } = &found;
    let mut lines: Vec<String> =
        runs.iter().map(|(run, at)| format!("run {}, finished {at}", run.dir().name())).collect();
    lines.extend(owner_mails.iter().map(|mail| format!("mail to the owner {}", mail.display())));
    say(args, &lines, "no run is old enough")?;
    if args.yes {
        workspace.remove_old(&found)?;
    }
    let runs: Vec<Value> = runs
        .iter()
        .map(|(run, at)| json!({"run": run.dir().name(), "finished": at.to_string(), "rows": null}))
        .collect();
    end(
        args,
        lines.is_empty(),
        json!({"recipient": null, "runs": runs, "owner_mails": owner_mails, "feedback": 0,
        "suppressed": 0}),
    )
}

fn person(workspace: &Workspace, args: &Args, recipient: &Address) -> Result<Exit, Diagnostic> {
    let found = workspace.of_person(recipient)?;
    let OfPerson { runs, feedback, owner_mails, suppressed, .. } = &found;
    let mut lines: Vec<String> = runs
        .iter()
        .map(|(run, rows)| format!("run {}: {}", run.dir().name(), counted(*rows, "row", "rows")))
        .collect();
    lines.extend(owner_mails.iter().map(|mail| format!("mail to the owner {}", mail.display())));
    if *feedback > 0 {
        lines.push(format!("{} of feedback", counted(*feedback, "record", "records")));
    }
    let scope = |scope: &Scope| match scope {
        Scope::All => "all mail".to_owned(),
        Scope::List(id) => format!("mail of {id}"),
    };
    if args.with_suppression {
        lines.extend(suppressed.iter().map(|one| format!("suppression entry for {}", scope(one))));
    }
    say(args, &lines, "nothing is known of this person")?;
    if !args.with_suppression && !suppressed.is_empty() && !args.json {
        out(&format!(
            "{} stays on the suppression list, so that no mail goes there again; --with-suppression removes that too\n",
            found.key().as_str()
        ))?;
    }
    if args.yes {
        workspace.remove_person(&found, args.with_suppression)?;
    }
    let runs: Vec<Value> = runs
        .iter()
        .map(|(run, rows)| json!({"run": run.dir().name(), "finished": null, "rows": rows}))
        .collect();
    end(
        args,
        lines.is_empty(),
        json!({"recipient": found.key().as_str(), "runs": runs, "owner_mails": owner_mails,
        "feedback": feedback, "suppressed": suppressed.len()}),
    )
}

/// Lists what is removed, before it is.
fn say(args: &Args, lines: &[String], nothing: &str) -> Result<(), Diagnostic> {
    if args.json {
        return Ok(());
    }
    match lines {
        [] => out(&format!("{nothing}\n")),
        lines => lines.iter().try_for_each(|line| out(&format!("{line}\n"))),
    }
}

fn end(args: &Args, is_empty: bool, mut answer: Value) -> Result<Exit, Diagnostic> {
    if args.json {
        json::extend(&mut answer, json!({"removed": args.yes}));
        return json::print(Exit::Ok, answer);
    }
    out(match (is_empty, args.yes) {
        (true, _) => "",
        (false, true) => "removed\n",
        (false, false) => "nothing was removed: --yes removes this\n",
    })?;
    Ok(Exit::Ok)
}
