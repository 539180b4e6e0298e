//! `mailrun status` without a run: all runs, the latest first.

use std::time::Duration;

use serde_json::{Value, json};

use super::diagnostic::Diagnostic;
use super::exit::Exit;
use super::json;
use super::output::out;
use super::table::table;
use crate::job::{ListedRun, NextStep, RunFacts, Workspace, chain};
use crate::kit::outside_text;
use crate::kit::text::{command, duration, grouped, path_from_here};
use crate::mail::Timestamp;
use crate::run_dir::{Refused, RefusedStart};

pub(super) fn run(workspace: &Workspace, as_json: bool) -> Result<Exit, Diagnostic> {
    let (runs, refused) = (workspace.runs()?, workspace.refused_starts()?);
    if as_json {
        let runs: Vec<Value> = runs.iter().map(ListedRun::json).collect();
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
    let age = |at: Timestamp| match now.since(at).as_secs() {
        0 => "just now".to_owned(),
        seconds => format!("{} ago", duration(Duration::from_secs(seconds))),
    };
    rows.extend(refused.iter().map(|start| {
        let at = age(start.refused.at);
        vec![start.name(), "refused".to_owned(), String::new(), at, after(start)]
    }));
    rows.extend(runs.iter().map(|run| {
        let [state, counts, next] = match &run.facts {
            Ok(facts) => [
                facts.manifest.state_word(facts.running).to_owned(),
                all_counts(facts),
                facts.next.command(&run.dir.name()),
            ],
            Err(error) => ["unreadable".to_owned(), String::new(), chain(error)],
        };
        vec![run.dir.name(), state, counts, age(run.created), next]
    }));
    table(&rows) + &reasons(refused, runs.iter())
}

/// Why starts were refused and what that advised, below a table.
pub(super) fn reasons<'r>(starts: &[RefusedStart], runs: impl Iterator<Item = &'r ListedRun>) -> String {
    let of_starts = starts.iter().map(|start| (start.name(), &start.refused, true));
    let of_runs = runs.filter_map(|run| {
        let facts = run.facts.as_ref().ok().filter(|facts| matches!(facts.next, NextStep::Advised(_)))?;
        let manifest = &facts.manifest;
        Some((run.dir.name(), manifest.refused.as_ref()?, manifest.started.is_none()))
    });
    let lines = of_starts.chain(of_runs);
    let lines = lines.map(|(name, refused, unsent)| {
        format!("  {name}: last start {}\n", advised(refused, unsent, "    "))
    });
    let lines: String = lines.collect();
    if lines.is_empty() { lines } else { format!("\n{lines}") }
}

/// When and why a start was refused.
pub(super) fn refused(refused: &Refused, unsent: bool) -> String {
    let sent = if unsent { ", nothing sent" } else { "" };
    format!("refused at {}{sent}: {}", refused.at, outside_text::line(&refused.why))
}

/// The same, and what it advised in a line below that begins with `indent`.
pub(super) fn advised(refused: &Refused, unsent: bool, indent: &str) -> String {
    let hint = refused.hint.as_deref().map(|hint| format!("\n{indent}hint: {}", outside_text::line(hint)));
    self::refused(refused, unsent) + &hint.unwrap_or_default()
}

/// What to do after a refused start: as it advised, or else the command that shows what is wrong.
pub(super) fn after(start: &RefusedStart) -> String {
    match start.refused.hint {
        Some(_) => NextStep::SEE_HINT.to_owned(),
        None => command(["check", &path_from_here(&start.campaign_file)]),
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

/// The rows per word, and with secure documents the passwords, in one line.
pub(super) fn all_counts(facts: &RunFacts) -> String {
    let rows = counts(&facts.counts);
    if facts.passwords.is_empty() { rows } else { format!("{rows}; passwords: {}", counts(&facts.passwords)) }
}

/// What there is per word, in one line.
pub(super) fn counts(counts: &[(String, u64)]) -> String {
    let parts: Vec<String> =
        counts.iter().map(|(word, rows)| format!("{} {}", grouped(*rows), shown(word))).collect();
    parts.join(", ")
}
