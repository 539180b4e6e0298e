//! `mailrun status`: how far a run is, also from another terminal while it is sending; without a
//! run, all runs.

use serde_json::json;

use super::common::Common;
use super::diagnostic::Diagnostic;
use super::exit::Exit;
use super::output::out;
use super::table::table;
use super::{health, json, recipient, runs};
use crate::job::{Asked, JobError, Live, Percent, RunFacts, Workspace, recipient_of_return_path};
use crate::kit::text::{counted, duration, grouped};
use crate::mail::{Address, Timestamp};
use crate::run_dir::{Manifest, RefusedStart, RunDir, RunDirError, RunState};

/// `mailrun status`.
#[derive(Debug, clap::Args)]
#[command(after_help = health::EXIT_CODES)]
pub(super) struct Args {
    /// Run: its id, the start of it, its directory, or for the latest run of a campaign its id,
    /// file or folder; without it, all runs are listed
    run: Option<String>,
    /// Show the whole history of one recipient: an address, `email:` and an address, or the text
    /// of a row whose address is invalid
    #[arg(long, value_name = "ADDRESS", requires = "run")]
    recipient: Option<String>,
    /// The same, for the recipient whose return path (with `verp = true`) a bounce came back to
    #[arg(long, value_name = "ADDRESS", requires = "run", conflicts_with = "recipient")]
    return_path: Option<Address>,
    /// The same, for the `notificationId` that --json prints; the run is found by it
    #[arg(long, value_name = "ID", conflicts_with_all = ["recipient", "return_path"])]
    notification: Option<String>,
    /// The same, for every row of the run
    #[arg(long, requires = "run", conflicts_with_all = ["recipient", "return_path", "notification"])]
    all_recipients: bool,
    /// Only say whether the run, or the latest one of each campaign, is well: see the exit codes
    #[arg(long, conflicts_with_all = ["recipient", "return_path", "notification", "all_recipients"])]
    check: bool,
    /// With --check: well also if at most this share of the planned recipients was not accepted
    #[arg(long, value_name = "PERCENT", requires = "check", default_value = "0%", hide_default_value = true)]
    fail_above: Percent,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(common: &Common, args: &Args) -> Result<Exit, Diagnostic> {
    let workspace = common.workspace();
    if args.check {
        return health::run(&workspace, args.run.as_deref(), args.fail_above, args.json);
    }
    let run = match (&args.run, &args.notification) {
        (Some(run), _) => match workspace.find_run(run) {
            Err(JobError::RunDir(RunDirError::RefusedBefore(start))) => {
                return print_refused(&start, args.json);
            }
            found => found?,
        },
        (None, Some(id)) => workspace.find_notified(id)?,
        (None, None) => return runs::run(&workspace, args.json),
    };
    let refused = args.run.as_ref().map(|run| workspace.refused_start(run)).transpose()?.flatten();
    let (dir, manifest) = (run.dir(), run.manifest()?);
    if let Some(asked) = asked(&workspace, dir, &manifest, args)? {
        return recipient::run(&workspace, dir, &manifest, &asked, args.json);
    }
    let facts = workspace.listed(&run)?.facts?;
    let live = facts.running.then(|| Live::read(dir)).flatten();
    if args.json {
        let mut answer = facts.json(dir);
        json::extend(&mut answer, json!({"progress": live, "refused_start": refused}));
        return json::print(Exit::Ok, answer);
    }
    let RunFacts { manifest, running, counts, passwords, .. } = &facts;
    let mut text = format!("{}  {}\n\n", dir.name(), describe(manifest, *running));
    text.push_str(&table(
        &counts
            .iter()
            .map(|(word, rows)| vec![runs::shown(word).to_owned(), grouped(*rows)])
            .collect::<Vec<_>>(),
    ));
    if counts.is_empty() {
        text.push_str(&format!("  {}\n", counted(manifest.screening.rows, "row", "rows")));
    }
    if !passwords.is_empty() {
        text.push_str(&format!("\n  passwords {}\n", runs::counts(passwords)));
    }
    text.extend(live.as_ref().map(|live| progress(live, workspace.clock().wall())));
    text.extend(
        refused.map(|start| format!("\n  last start {}\n", runs::advised(&start.refused, true, "  "))),
    );
    out(&text)?;
    Ok(Exit::Ok)
}

/// A campaign that has no run, since its start was refused.
fn print_refused(start: &RefusedStart, as_json: bool) -> Result<Exit, Diagnostic> {
    if as_json {
        return json::print(Exit::Ok, json!({"run": null, "refused_start": start}));
    }
    out(&format!("{}  {}\n", start.name(), runs::advised(&start.refused, true, "")))?;
    Ok(Exit::Ok)
}

/// The rows that are asked for, if single ones are.
fn asked(
    workspace: &Workspace,
    dir: &RunDir,
    manifest: &Manifest,
    args: &Args,
) -> Result<Option<Asked>, Diagnostic> {
    if let Some(path) = &args.return_path {
        return Ok(Some(Asked::Address(recipient_of_return_path(workspace, dir, manifest, path)?)));
    }
    let recipient = args.recipient.as_deref().map(Asked::recipient);
    let notification = args.notification.clone().map(Asked::Notification);
    Ok(recipient.or(notification).or(args.all_recipients.then_some(Asked::Everybody)))
}

/// Rate, finish and lanes of a running process.
fn progress(live: &Live, now: Timestamp) -> String {
    let snapshot = &live.snapshot;
    let mut text = format!("\n  rate      {:.1}/s, slot {}\n", snapshot.per_second, live.slot);
    if let Some(left) = snapshot.time_left {
        text.push_str(&format!("  finish    {} ({})\n", now + left, duration(left)));
    }
    if let Some(why) = &snapshot.held_by {
        text.push_str(&format!("  held by   {why}\n"));
    }
    text.push_str("\n  lanes\n");
    let lanes = snapshot.lanes.iter().map(|lane| {
        vec![
            format!("  {}", lane.site),
            grouped(lane.waiting),
            "waiting".into(),
            grouped(lane.connections),
            if lane.connections == 1 { "connection" } else { "connections" }.into(),
            lane.state.clone(),
        ]
    });
    text + &table(&lanes.collect::<Vec<_>>())
}

fn describe(manifest: &Manifest, running: bool) -> String {
    if let Some(refused) = manifest.refused.as_ref().filter(|_| !running) {
        return runs::advised(refused, manifest.started.is_none(), "");
    }
    match &manifest.state {
        RunState::Planned | RunState::Running | RunState::Interrupted { .. } if running => "running".into(),
        RunState::Planned => "planned, nothing sent".into(),
        RunState::Running => "cut off; the same command resumes".into(),
        RunState::Interrupted { reason } => format!("interrupted: {reason}; the same command resumes"),
        RunState::Finished => {
            format!("finished{}", manifest.finished.map_or(String::new(), |at| format!(" at {at}")))
        }
    }
}
