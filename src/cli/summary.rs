//! The summary of a run on stdout, for people or as JSON.

use std::time::Duration;

use serde_json::{Value, json};

use super::diagnostic::Diagnostic;
use super::exit::Exit;
use super::output::out;
use super::table::table;
use super::terminal::Terminal;
use super::{json, log};
use crate::campaign::ByteSize;
use crate::job::{Conclusion, FrozenRun, Outcome, Percent, chain, run_head};
use crate::kit::outside_text;
use crate::kit::text::{command, counted, duration, grouped};
use crate::mail::Disposition;
use crate::results::{ResultFiles, Summary};
use crate::run_dir::{Manifest, RunDir, RunState};

/// What `retry` is offered for: neither what may send a password twice, nor what first needs an
/// entry removed from the suppression list.
const PASSWORD_RETRIED: [Disposition; 5] = [
    Disposition::Bounced,
    Disposition::Deferred,
    Disposition::RenderFailed,
    Disposition::Infected,
    Disposition::NotAttempted,
];

/// Prints the summary of results just written.
pub(super) fn print(
    dir: &RunDir,
    manifest: &Manifest,
    summary: &Summary,
    exit: Exit,
    as_json: bool,
) -> Result<Exit, Diagnostic> {
    if as_json {
        return json::print(exit, run(dir, manifest, Some(summary)));
    }
    if !log::is_quiet() {
        out(&text(dir, manifest, summary))?;
    }
    Ok(exit)
}

/// Prints how a run ended, and turns it into an exit code.
pub(super) fn print_conclusion(conclusion: &Conclusion, as_json: bool) -> Result<Exit, Diagnostic> {
    let Conclusion { dir, manifest, results, outcome } = conclusion;
    let exit = exit(*outcome);
    warn_of_nobody(manifest);
    if let Some(results) = results {
        return Ok(
            print(dir, manifest, results, exit, as_json).unwrap_or_else(|error| unprinted(&error, exit))
        );
    }
    log::print(&format!(
        "everything known is in the journal; `mailrun results {}` writes the result files",
        dir.name()
    ));
    match as_json {
        true => {
            Ok(json::print(exit, run(dir, manifest, None)).unwrap_or_else(|error| unprinted(&error, exit)))
        }
        false => Ok(exit),
    }
}

/// A run ended as it did, also where stdout takes no summary: another exit code would say that
/// nothing was sent.
fn unprinted(error: &Diagnostic, exit: Exit) -> Exit {
    log::error(&error.to_string());
    exit
}

/// Prints the outcome of a run that had already finished.
pub(super) fn print_finished(
    finished: &FrozenRun,
    fail_above: Percent,
    as_json: bool,
) -> Result<Exit, Diagnostic> {
    let (dir, manifest) = (finished.dir(), &finished.manifest);
    let exit = exit(Outcome::of_finished(manifest, fail_above));
    let when = manifest.finished.map_or(String::new(), |at| format!(" at {at}"));
    log::print(&format!(
        "run {} finished{when}; nothing is sent again (`--again` sends it once more)",
        dir.name()
    ));
    warn_of_nobody(manifest);
    if as_json {
        let summary = ResultFiles::open(&dir.results()).and_then(|files| Summary::of(&files));
        let summary = summary.inspect_err(|error| {
            let way_on = format!("`mailrun results {}` writes the result files again", dir.name());
            log::warn(&format!("warning: {}; {way_on}", chain(error)));
        });
        let printed = json::print(exit, run(dir, manifest, summary.ok().as_ref()));
        return Ok(printed.unwrap_or_else(|error| unprinted(&error, exit)));
    }
    if log::is_quiet() {
        return Ok(exit);
    }
    let rows = Disposition::ALL.into_iter().filter_map(|disposition| {
        let rows = manifest.outcomes.get(disposition.as_str()).filter(|rows| **rows > 0)?;
        Some(vec![disposition.to_string(), grouped(*rows)])
    });
    let printed = out(&format!("{}  results  {}\n", table(&rows.collect::<Vec<_>>()), shown(dir)));
    Ok(printed.map_or_else(|error| unprinted(&error, exit), |()| exit))
}

/// Says why a run had nobody to send to: its exit code is 1.
fn warn_of_nobody(manifest: &Manifest) {
    let screening = &manifest.screening;
    if screening.accepted + screening.already_sent > 0 {
        return;
    }
    let why = if screening.rows == 0 {
        "the list has no rows".to_owned()
    } else {
        let reasons = [
            (screening.invalid, Disposition::Invalid),
            (screening.duplicate, Disposition::Duplicate),
            (screening.suppressed, Disposition::Suppressed),
            (screening.capped, Disposition::Capped),
            (screening.not_attempted, Disposition::NotAttempted),
        ];
        let reasons = reasons.into_iter().filter(|(rows, _)| *rows > 0);
        let reasons: Vec<_> = reasons.map(|(rows, why)| format!("{} {why}", grouped(rows))).collect();
        let of = counted(screening.rows, "row", "rows");
        format!("of {of} none can be sent to: {}", reasons.join(", "))
    };
    log::warn(&format!("warning: nothing was sent: {why}"));
}

/// What `send`, `retry` and `results` print of a run; without a summary where there are no results.
pub(super) fn run(dir: &RunDir, manifest: &Manifest, summary: Option<&Summary>) -> Value {
    let mut run = run_head(dir, manifest);
    json::extend(&mut run, json!({"results": summary.map(|_| dir.results()), "summary": summary}));
    run
}

/// The exit code of a run that ended so.
pub(super) fn exit(outcome: Outcome) -> Exit {
    match outcome {
        Outcome::AllAccepted => Exit::Ok,
        Outcome::SomeNotAccepted => Exit::SomeNotAccepted,
        Outcome::Interrupted => Exit::Interrupted,
    }
}

fn shown(dir: &RunDir) -> String {
    let results = dir.results();
    format!("{}/*.parquet", results.strip_prefix(".").unwrap_or(&results).display())
}

/// How a run is, in words.
pub(super) fn how(manifest: &Manifest) -> String {
    match &manifest.state {
        RunState::Planned => "planned".to_owned(),
        RunState::Running => "running".to_owned(),
        RunState::Interrupted { reason } => format!("interrupted: {reason}"),
        RunState::Finished => "finished".to_owned(),
    }
}

fn text(dir: &RunDir, manifest: &Manifest, summary: &Summary) -> String {
    let mut text = format!("\n{}  {}\n\n", dir.name(), how(manifest));
    match summary.count(Disposition::AlreadySent) {
        0 => {}
        rows => text.push_str(&format!(
            "  {} of recipients who got this edition before: not sent again\n\n",
            counted(rows, "row", "rows")
        )),
    }
    let share = |rows: u64| format!("{:.1} %", rows as f64 * 100.0 / summary.rows.max(1) as f64);
    let mut rows: Vec<Vec<String>> = summary
        .dispositions
        .iter()
        .filter(|(_, rows)| *rows > 0)
        .map(|(disposition, rows)| vec![disposition.to_string(), grouped(*rows), share(*rows)])
        .collect();
    rows.push(vec!["rows in total".into(), grouped(summary.rows)]);
    text.push_str(&table(&rows));
    if !summary.seeds.is_empty() {
        let seeds: Vec<String> =
            summary.seeds.iter().map(|(word, rows)| format!("{} {word}", grouped(*rows))).collect();
        text.push_str(&format!("\n  seeds     {}\n", seeds.join(", ")));
    }
    if !summary.passwords.is_empty() {
        let passwords: Vec<String> =
            summary.passwords.iter().map(|(word, rows)| format!("{} {word}", grouped(*rows))).collect();
        text.push_str(&format!("\n  passwords {}\n", passwords.join(", ")));
        text.extend(untold(dir, manifest, summary));
    }
    if !summary.variants.is_empty() {
        let variants = summary.variants.iter().map(|variant| {
            let ends: Vec<String> = variant
                .dispositions
                .iter()
                .map(|(word, rows)| format!("{} {word}", grouped(*rows)))
                .collect();
            vec![format!("  {}", variant.variant), grouped(variant.rows), ends.join(", ")]
        });
        text.push_str(&format!("\n  variants\n{}", table(&variants.collect::<Vec<_>>())));
    }
    if !summary.classes.is_empty() {
        let classes: Vec<String> =
            summary.classes.iter().map(|(class, rows)| format!("{} {class}", grouped(*rows))).collect();
        text.push_str(&format!("\n  why       {}\n", classes.join(", ")));
    }
    text.push_str(&reasons(summary));
    text.push_str(&format!("\n  domains   {} in total\n", grouped(summary.distinct_domains)));
    let domains: Vec<Vec<String>> = summary
        .domains
        .iter()
        .take(5)
        .map(|domain| {
            let parts: Vec<String> =
                domain.dispositions.iter().map(|(what, rows)| format!("{} {what}", grouped(*rows))).collect();
            vec![format!("  {}", domain.domain), grouped(domain.rows), parts.join(", ")]
        })
        .collect();
    text.push_str(&table(&domains));
    if let (Some(latency), Some(first), Some(last)) =
        (summary.latency, summary.first_attempt_at, summary.last_attempt_at)
    {
        text.push_str(&format!(
            "\n  sent      {}, {}, {} to {} ({})\n",
            counted(summary.attempts, "attempt", "attempts"),
            ByteSize(summary.bytes),
            first,
            last,
            duration(last.since(first)),
        ));
        if let Some(per_second) = summary.per_second {
            text.push_str(&format!(
                "  rate      {per_second:.1}/s; {} used, at most {} in five minutes\n",
                counted(summary.slots_used, "slot", "slots"),
                counted(summary.fullest_slot, "attempt", "attempts")
            ));
        }
        text.push_str(&format!(
            "  latency   p50 {}, p90 {}, p99 {}, longest {}\n",
            short(latency.p50),
            short(latency.p90),
            short(latency.p99),
            short(latency.max)
        ));
    }
    if summary.archive_refused > 0 {
        text.push_str(&format!(
            "  archive   the copies of {} were refused: see `archive` in the results\n",
            counted(summary.archive_refused, "accepted message", "accepted messages")
        ));
    }
    text.push_str(&format!("  results   {}\n", shown(dir)));
    text
}

/// The recipients who got documents and no password, and what to do.
fn untold(dir: &RunDir, manifest: &Manifest, summary: &Summary) -> Option<String> {
    let failed = summary.passwords_failed();
    if failed == 0 {
        return None;
    }
    let who = format!("{} documents and no password", counted(failed, "recipient has", "recipients have"));
    let way_on = match manifest.state {
        RunState::Finished => {
            let words =
                summary.passwords.iter().map(|(of, _)| *of).filter(|of| PASSWORD_RETRIED.contains(of));
            match words.map(Disposition::as_str).collect::<Vec<_>>().join(",") {
                words if words.is_empty() => command(["status", &dir.name(), "--all-recipients"]),
                words => command(["retry", &dir.name(), "--disposition", &words]),
            }
        }
        RunState::Planned | RunState::Running | RunState::Interrupted { .. } => {
            "the same command goes on with them".to_owned()
        }
    };
    Some(format!("            {who}: {way_on}\n"))
}

/// Why rows are `invalid`, `render_failed` or `infected`, and what failed last.
fn reasons(summary: &Summary) -> String {
    let mut text = String::new();
    let terminal = Terminal::of_stdout();
    let cut = |rows: Vec<Vec<String>>| -> String {
        table(&rows).lines().map(|line| terminal.cut(line) + "\n").collect()
    };
    if !summary.causes.is_empty() {
        let causes = summary.causes.iter().map(|cause| {
            let mut why = cause.why.as_deref().unwrap_or("other reasons").to_owned();
            why.extend(cause.example.iter().map(|example| format!(", as in {example}")));
            let why = outside_text::line(&why).into_owned();
            vec![format!("  {}", cause.disposition), grouped(cause.rows), why]
        });
        text.push_str(&format!("\n  reasons\n{}", cut(causes.collect())));
    }
    if !summary.failed_last.is_empty() {
        let failed = summary.failed_last.iter().map(|row| {
            let place = format!("  {}, row {}", outside_text::line(&row.file), row.row);
            vec![place, row.disposition.to_string(), outside_text::line(&row.why).into_owned()]
        });
        let shown = summary.failed_last.len() as u64;
        let heading = match summary.failed() {
            all if all > shown => format!("failed last ({shown} of {})", grouped(all)),
            _ => "failed".to_owned(),
        };
        text.push_str(&format!("\n  {heading}\n{}", cut(failed.collect())));
    }
    text
}

/// A duration that may be less than a millisecond.
fn short(time: Duration) -> String {
    match time.as_micros() {
        us @ 0..=999 => format!("{us} µs"),
        us @ 1_000..=999_999 => format!("{:.1} ms", us as f64 / 1e3),
        _ => duration(time),
    }
}
