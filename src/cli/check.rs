//! `mailrun check`: everything that can be known before sending. Sends nothing; leaves the manifest
//! of what it saw.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::common::Common;
use super::diagnostic::Diagnostic;
use super::exit::Exit;
use super::json;
use super::moment;
use super::name_servers::DnsOptions;
use super::output::out_painted;
use super::reading;
use super::runtime::runtime;
use super::table::table;
use super::terminal::{Colour, Terminal};
use crate::campaign::RouteKind;
use crate::job::{CheckOptions, CheckReport, Job, chain};
use crate::kit::outside_text;
use crate::kit::text::{counted, duration, grouped};
use crate::mail::Timestamp;
use crate::preflight::Level;
use crate::preflight::finish_time::Estimate;
use crate::preflight::list::FailedRow;
use crate::target_group::SourceFile;

/// Slots and shares that are listed.
const LISTED: usize = 8;
/// Failing rows named in the report; `--json` has more.
const FAILURES_NAMED: usize = 10;

/// `mailrun check`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Campaign file, or the folder with its `campaign.toml`
    campaign: PathBuf,
    /// Only the first N rows that pass screening
    #[arg(long, value_name = "N")]
    limit: Option<u32>,
    /// Where DNS is asked.
    #[command(flatten)]
    dns: DnsOptions,
    /// Check for a rehearsal: problems with the sender's domains become notes
    #[arg(long)]
    sandbox: bool,
    /// Refuse on warnings too (exit code 3)
    #[arg(long)]
    strict: bool,
    /// Refuse if the last message would leave after this time (RFC 3339, or HH:MM today)
    #[arg(long, value_name = "TIME", value_parser = moment::parse)]
    deadline: Option<Timestamp>,
    /// Write the manifest of what was checked to this file [default: `approval.json` beside the
    /// campaign's runs]
    #[arg(long, value_name = "FILE")]
    manifest: Option<PathBuf>,
    /// Ask neither the relay nor DNS, unless --dns-zone or --dns-server is given
    #[arg(long)]
    offline: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(common: &Common, args: &Args) -> Result<Exit, Diagnostic> {
    let workspace = common.workspace();
    let mut campaign = workspace.load(&args.campaign)?;
    if args.sandbox {
        campaign.delivery.route = RouteKind::Sandbox;
    }
    let job = Job::open(&workspace, campaign)?;
    let options = CheckOptions {
        limit: args.limit.map(u64::from),
        name_servers: args.dns.clone().into(),
        offline: args.offline,
        deadline: args.deadline,
    };
    let report = runtime()?.block_on(job.check(&options))?;
    let manifest = args.manifest.clone().unwrap_or_else(|| job.approval_file());
    report.inspection.approval.write(&manifest).map_err(|error| {
        Diagnostic::new(chain(&error))
            .at(manifest.display())
            .hint("choose another place with `--manifest FILE`")
    })?;
    let refused = report.findings.refuse(args.strict);
    let exit = if refused { Exit::Refused } else { Exit::Ok };
    if args.json {
        return json::print(exit, answer(&job, &report, refused)?);
    }
    out_painted(&text(job.target_group()?.files(), &report, refused, Terminal::of_stdout()))?;
    Ok(exit)
}

fn text(files: &[SourceFile], report: &CheckReport, refused: bool, terminal: Terminal) -> String {
    let CheckReport { findings, estimate, inspection } = report;
    let columns = terminal.columns.unwrap_or(usize::MAX);
    let mut text = findings.report(columns, &|level, word| terminal.painted(colour(level), word));
    text.push_str(&reading::list(files, ""));
    text.push('\n');
    let failures = inspection.dry_run.failures();
    if !failures.is_empty() {
        text.push_str("rows that can't be rendered\n");
        let line = |failed: &FailedRow| {
            let line = format!("  {}: {}", inspection.place(failed.index), failed.reason);
            outside_text::line(&line).into_owned() + "\n"
        };
        text.extend(failures.iter().take(FAILURES_NAMED).map(line));
        let more = inspection.dry_run.failed().saturating_sub(FAILURES_NAMED as u64);
        if more > 0 {
            text.push_str(&format!("  … and {} more; --json names up to 1,000\n", grouped(more)));
        }
        text.push('\n');
    }
    text.push_str(&schedule(estimate, inspection.counts.accepted));
    let words = [Level::Refused, Level::Warning, Level::Note, Level::Ok].map(|level| {
        let number = findings.count(level);
        let words = match level {
            Level::Refused => format!("{number} refused"),
            Level::Warning => counted(number as u64, "warning", "warnings"),
            Level::Note => counted(number as u64, "note", "notes"),
            Level::Ok => format!("{number} ok"),
        };
        (number > 0).then_some(words)
    });
    let words: Vec<String> = words.into_iter().flatten().collect();
    text.push_str(&format!(
        "{}: {}\n{} rendered in {}, {:.0}/s\napproval {}\n",
        if refused {
            terminal.painted(Colour::Bad, "refused")
        } else {
            terminal.painted(Colour::Good, "nothing refused")
        },
        words.join(", "),
        counted(inspection.dry_run.rows(), "row", "rows"),
        duration(inspection.dry_run.took),
        inspection.dry_run.rate(),
        inspection.approval.hash
    ));
    text
}

fn colour(level: Level) -> Colour {
    match level {
        Level::Ok => Colour::Good,
        Level::Note => Colour::Faint,
        Level::Warning => Colour::Doubtful,
        Level::Refused => Colour::Bad,
    }
}

/// Slots as a small table, and the parts of a list of so many rows by their share.
fn schedule(estimate: &Estimate, listed: u64) -> String {
    if estimate.slots.is_empty() {
        return String::new();
    }
    let mut text = "schedule\n".to_owned();
    let mut rows: Vec<Vec<String>> = (estimate.slots.iter().take(LISTED))
        .map(|(slot, messages)| vec![slot.to_string(), grouped(*messages)])
        .collect();
    if let Some((last, messages)) = estimate.slots.last()
        && estimate.slots.len() > LISTED
    {
        rows.push(vec![format!(
            "… {} in total, the last:",
            counted(estimate.slots.len() as u64, "slot", "slots")
        )]);
        rows.push(vec![last.to_string(), grouped(*messages)]);
    }
    text.push_str(&table(&rows));
    let share = |rows: u64| format!("{:.1} %", rows as f64 * 100.0 / listed.max(1) as f64);
    let rows: Vec<_> = (estimate.shares.iter().take(LISTED))
        .map(|part| {
            let limit = part.per_second.map_or(String::new(), |rate| format!("at most {rate:.0}/s"));
            vec![outside_text::line(&part.name).into_owned(), grouped(part.rows), share(part.rows), limit]
        })
        .collect();
    text.push_str("\nshares of the list\n");
    text.push_str(&table(&rows));
    text.push('\n');
    text
}

fn answer(job: &Job<'_>, report: &CheckReport, refused: bool) -> Result<Value, Diagnostic> {
    let CheckReport { findings, estimate, inspection } = report;
    let dry_run = &inspection.dry_run;
    let failures = dry_run.failures().iter().map(|failed| {
        let (file, row) = inspection.file_and_row(failed.index);
        json!({"file": file, "row": row, "column": failed.column, "reason": failed.reason})
    });
    Ok(json!({
        "campaign": job.campaign().identity.id, "edition": job.campaign().identity.edition,
        "refused": refused,
        "findings": findings.iter().collect::<Vec<_>>(),
        "files": reading::files(job.target_group()?.files(), &inspection.rows_by_file),
        "screening": inspection.counts, "suppressed": inspection.suppressed,
        "rendering": {
            "rows": dry_run.rows(), "failed": dry_run.failed(), "failures": failures.collect::<Vec<_>>(),
            "message_bytes": dry_run.sizes(), "took_seconds": dry_run.took.as_secs_f64(),
            "rows_per_second": dry_run.rate(),
        },
        "estimate": estimate,
        "approval": inspection.approval.hash,
    }))
}
