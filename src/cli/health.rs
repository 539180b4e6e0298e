//! `mailrun status --check`: whether the campaigns are well, for a monitoring system. Its answer is
//! the exit code.

use std::collections::HashSet;
use std::path::Path;

use serde_json::{Value, json};

use super::diagnostic::Diagnostic;
use super::exit::Exit;
use super::output::out;
use super::table::table;
use super::{json, log, runs, summary};
use crate::job::{JobError, ListedRun, Outcome, Percent, RunFacts, Workspace, chain};
use crate::run_dir::{RefusedStart, RunDirError, RunState};

pub(super) const EXIT_CODES: &str = "\
Exit codes of --check, the worst of all runs:
  0  well: sending, or finished and every planned recipient accepted (see --fail-above)
  1  finished, some recipients were not accepted
  2  a run can't be found or read
  3  the last start was refused
  4  interrupted or cut off, and no process works on it";

/// From well to worst.
const WORSE: [Exit; 5] = [Exit::Ok, Exit::SomeNotAccepted, Exit::Refused, Exit::Interrupted, Exit::Usage];

/// Looks at one run, or at the latest of each campaign.
pub(super) fn run(
    workspace: &Workspace,
    run: Option<&str>,
    fail_above: Percent,
    as_json: bool,
) -> Result<Exit, Diagnostic> {
    let (looked_at, refused) = match run {
        Some(run) => one(workspace, run)?,
        None => {
            let mut campaigns = HashSet::new();
            let mut latest = workspace.runs()?;
            // Two folders may have campaigns with the same id.
            latest.retain(|run| campaigns.insert(run.dir.path().parent().map(Path::to_owned)));
            (latest, workspace.refused_starts()?)
        }
    };
    let found: Vec<(Exit, &ListedRun)> = looked_at.iter().map(|run| (of(run, fail_above), run)).collect();
    let rank = |exit: &Exit| WORSE.iter().position(|other| other == exit);
    let exits = found.iter().map(|(exit, _)| *exit).chain(refused.iter().map(|_| Exit::Refused));
    let worst = exits.max_by_key(rank).unwrap_or(Exit::Ok);
    if as_json {
        let run = |(exit, run): &(Exit, &ListedRun)| with_exit(run.json(), *exit);
        let start = |start: &RefusedStart| with_exit(json!(start), Exit::Refused);
        let answer = json!({
            "healthy": worst == Exit::Ok, "runs": found.iter().map(run).collect::<Vec<_>>(),
            "refused_starts": refused.iter().map(start).collect::<Vec<_>>(),
        });
        return json::print(worst, answer);
    }
    if !log::is_quiet() {
        out(&text(&found, &refused))?;
    }
    Ok(worst)
}

/// The run that is meant, and the start of its campaign that was refused since.
fn one(workspace: &Workspace, run: &str) -> Result<(Vec<ListedRun>, Vec<RefusedStart>), JobError> {
    match workspace.find_run(run) {
        Ok(found) => {
            Ok((vec![workspace.listed(&found)?], workspace.refused_start(run)?.into_iter().collect()))
        }
        Err(JobError::RunDir(RunDirError::RefusedBefore(start))) => Ok((Vec::new(), vec![*start])),
        Err(error) => Err(error),
    }
}

/// How a run is, as an exit code.
fn of(run: &ListedRun, fail_above: Percent) -> Exit {
    let Ok(RunFacts { manifest, running, .. }) = &run.facts else { return Exit::Usage };
    if *running {
        return Exit::Ok;
    }
    if manifest.refused.is_some() {
        return Exit::Refused;
    }
    match &manifest.state {
        RunState::Planned | RunState::Running | RunState::Interrupted { .. } => Exit::Interrupted,
        RunState::Finished => summary::exit(Outcome::of_finished(manifest, fail_above)),
    }
}

fn with_exit(mut value: Value, exit: Exit) -> Value {
    value["healthy"] = json!(exit == Exit::Ok);
    value["exit_code"] = json!(exit.code());
    value
}

fn text(found: &[(Exit, &ListedRun)], refused: &[RefusedStart]) -> String {
    if found.is_empty() && refused.is_empty() {
        return "no runs yet\n".to_owned();
    }
    let rows = found.iter().map(|(exit, run)| {
        let word = if *exit == Exit::Ok { "well" } else { "not well" };
        let [state, counts, next] = match &run.facts {
            Ok(facts) => {
                let is_well = *exit == Exit::Ok;
                let next = if is_well { String::new() } else { facts.next.command(&run.dir.name()) };
                [facts.manifest.state_word(facts.running).to_owned(), runs::all_counts(facts), next]
            }
            Err(error) => ["unreadable".to_owned(), String::new(), chain(error)],
        };
        vec![word.to_owned(), run.dir.name(), state, counts, next]
    });
    let of_starts = refused.iter().map(|start| {
        ["not well".into(), start.name(), "refused".into(), String::new(), runs::after(start)].to_vec()
    });
    table(&rows.chain(of_starts).collect::<Vec<_>>())
        + &runs::reasons(refused, found.iter().map(|(_, run)| *run))
}
