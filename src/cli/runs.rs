//! `mailrun status` without a run: all runs, the latest first.

use serde_json::{Map, Value, json};

use super::diagnostic::Diagnostic;
use super::exit::Exit;
use super::output::out;
use super::table::table;
use super::{json, summary};
use crate::job::{ListedRun, NextStep, RunFacts, Workspace, chain};
use crate::kit::outside_text;
use crate::kit::text::{command, duration, grouped};
use crate::mail::Timestamp;
use crate::run_dir::{Manifest, RefusedStart, RunDir, RunState};

pub(super) fn run(workspace: &Workspace, as_json: bool) -> Result<Exit, Diagnostic> {
    let (runs, refused) = (workspace.runs()?, workspace.refused_starts()?);
    if as_json {
        let runs: Vec<Value> = runs.iter().map(listed).collect();
        return json::print(Exit::Ok, json!({ "runs": runs, "refused_starts": refused }));
    }
    out(&text(&runs, &refused, workspace.clock().wall()))?;
    Ok(Exit::Ok)
}

fn text(runs: &[ListedRun], refused: &[RefusedStart], now: Timestamp) -> String {
    if runs.is_empty() && refused.is_empty() {
        return "no runs yet: `mailrun send CAMPAIGN` starts one\n".to_owned();
    }
    let mut rows = vec![["run", "state", "rows", "age", "next step"].map(String::from).to_vec()];
    let age = |at: Timestamp| format!("{} ago", duration(now.since(at)));
    rows.extend(refused.iter().map(|start| {
        let at = age(start.refused.at);
        vec![start.name(), "refused".to_owned(), String::new(), at, check(start)]
    }));
    rows.extend(runs.iter().map(|run| {
        let [state, counts, next] = match &run.facts {
            Ok(facts) => [
                state(&facts.manifest, facts.running).to_owned(),
                counts(&facts.counts),
                next_step(&run.dir.name(), &facts.next),
            ],
            Err(error) => ["unreadable".to_owned(), String::new(), chain(error)],
        };
        vec![run.dir.name(), state, counts, age(run.created), next]
    }));
    table(&rows) + &reasons(refused)
}

/// Why starts were refused, a line each below a table.
pub(super) fn reasons(refused: &[RefusedStart]) -> String {
    let lines =
        refused.iter().map(|start| format!("  {}: last start {}\n", start.name(), self::refused(start)));
    let lines: String = lines.collect();
    if lines.is_empty() { lines } else { format!("\n{lines}") }
}

/// When and why a start was refused.
pub(super) fn refused(start: &RefusedStart) -> String {
    let why = outside_text::line(&start.refused.why);
    format!("refused at {}, nothing sent: {why}", start.refused.at)
}

/// The command that shows what is wrong with a campaign.
pub(super) fn check(start: &RefusedStart) -> String {
    command(["check", &start.campaign_file.to_string_lossy()])
}

/// The state in a word or two.
pub(super) fn state(manifest: &Manifest, running: bool) -> &'static str {
    if manifest.refused.is_some() && !running {
        return "refused";
    }
    match manifest.state {
        RunState::Planned | RunState::Running | RunState::Interrupted { .. } if running => "running",
        RunState::Planned => "planned",
        RunState::Running => "cut off",
        RunState::Interrupted { .. } => "interrupted",
        RunState::Finished => "finished",
    }
}

/// The word for people. Dispositions are written as in the results.
pub(super) fn shown(word: &str) -> &str {
    match word {
        "to_retry" => "to retry",
        "in_flight" => "in flight",
        word => word,
    }
}

/// The rows per word, in one line.
pub(super) fn counts(counts: &[(String, u64)]) -> String {
    let parts: Vec<String> =
        counts.iter().map(|(word, rows)| format!("{} {}", grouped(*rows), shown(word))).collect();
    parts.join(", ")
}

/// The command to continue with.
pub(super) fn next_step(run: &str, next: &NextStep) -> String {
    match next {
        NextStep::Watch => command(["status", run]),
        NextStep::Resume(args) => command(args.iter().map(String::as_str)),
        NextStep::Retry(dispositions) => {
            let words: Vec<String> = dispositions.iter().map(ToString::to_string).collect();
            command(["retry", run, "--disposition", &words.join(",")])
        }
        NextStep::Nothing => "–".to_owned(),
    }
}

/// What is known of a run, for programs.
pub(super) fn listed(run: &ListedRun) -> Value {
    match &run.facts {
        Ok(facts) => known(&run.dir, facts),
        Err(error) => json!({
            "run": run.dir.name(), "created": run.created.to_string(), "problem": chain(error),
        }),
    }
}

/// How far a run is, for programs.
pub(super) fn known(dir: &RunDir, facts: &RunFacts) -> Value {
    let RunFacts { manifest, running, counts, next } = facts;
    let mut run = summary::head(dir, manifest);
    let counts: Map<_, _> = counts.iter().map(|(word, rows)| (word.clone(), json!(rows))).collect();
    let next = match next {
        NextStep::Nothing => None,
        NextStep::Watch | NextStep::Resume(_) | NextStep::Retry(_) => Some(next_step(&dir.name(), next)),
    };
    json::extend(&mut run, json!({"running": running, "counts": counts, "next": next}));
    run
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_next_step_can_be_pasted_into_a_shell() {
        let args = ["send", "it's here/campaign.toml", "--limit", "5"].map(String::from).to_vec();
        let step = next_step("spring/abc", &NextStep::Resume(args));
        assert_eq!(step, "mailrun send \"it's here/campaign.toml\" --limit 5");
    }
}
