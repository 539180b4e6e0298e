//! `mailrun status --check`: whether the campaigns are well, for a monitoring system. Its answer is
//! the exit code.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::diagnostic::Diagnostic;
use super::exit::Exit;
use super::output::out;
use super::table::table;
use super::{log, runs, summary};
use crate::job::{ListedRun, Outcome, Percent, RunFacts, Workspace, chain};
use crate::run_dir::RunState;

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
    let looked_at = match run {
        Some(run) => vec![workspace.listed(&workspace.find_run(run)?)],
        None => {
            let mut campaigns = HashSet::new();
            let mut latest = workspace.runs()?;
            latest.retain(|run| campaigns.insert(run.dir.campaign_id().to_owned()));
            latest
        }
    };
    let found: Vec<(Exit, &ListedRun)> = looked_at.iter().map(|run| (of(run, fail_above), run)).collect();
    let rank = |exit: &Exit| WORSE.iter().position(|other| other == exit);
    let worst = found.iter().map(|(exit, _)| *exit).max_by_key(rank).unwrap_or(Exit::Ok);
    if as_json {
        let runs: Vec<Value> = found.iter().map(|(exit, run)| with_exit(runs::json(run), *exit)).collect();
        out(&format!("{:#}\n", with_exit(json!({ "runs": runs }), worst)))?;
    } else if !log::is_quiet() {
        out(&text(&found))?;
    }
    Ok(worst)
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

fn text(found: &[(Exit, &ListedRun)]) -> String {
    if found.is_empty() {
        return "no runs yet\n".to_owned();
    }
    let rows = found.iter().map(|(exit, run)| {
        let word = if *exit == Exit::Ok { "well" } else { "not well" };
        let [state, counts, next] = match &run.facts {
            Ok(facts) => {
                let is_well = *exit == Exit::Ok;
                let next =
                    if is_well { String::new() } else { runs::next_step(&run.dir.name(), &facts.next) };
                [runs::state(&facts.manifest, facts.running).to_owned(), runs::counts(&facts.counts), next]
            }
            Err(error) => ["unreadable".to_owned(), String::new(), chain(error)],
        };
        vec![word.to_owned(), run.dir.name(), state, counts, next]
    });
    table(&rows.collect::<Vec<_>>())
}
