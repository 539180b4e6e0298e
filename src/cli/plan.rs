//! `mailrun plan`: shows what would happen. Sends nothing and leaves nothing behind.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::causes;
use super::common::Common;
use super::diagnostic::Diagnostic;
use super::exit::Exit;
use super::output::{out, out_json};
use super::reading;
use super::runtime::runtime;
use super::table::table;
use crate::campaign::RouteKind;
use crate::job::{Job, Outlook};
use crate::kit::text::{duration, grouped};
use crate::preflight::finish_time::Limit;
use crate::target_group::SourceFile;

/// Domains and slots that are listed.
const LISTED: usize = 10;

/// `mailrun plan`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Campaign file, or the folder with its `campaign.toml`
    campaign: PathBuf,
    /// Only the first N rows that pass screening
    #[arg(long, value_name = "N")]
    limit: Option<u32>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(common: &Common, args: &Args) -> Result<Exit, Diagnostic> {
    let workspace = common.workspace();
    let job = Job::open(&workspace, workspace.load(&args.campaign)?)?;
    let outlook = runtime()?.block_on(job.outlook(args.limit.map(u64::from), LISTED))?;
    let files = job.target_group()?.files();
    if args.json {
        out_json(&json(&job, files, &outlook))?;
    } else {
        out(&text(&job, files, &outlook))?;
    }
    Ok(Exit::Ok)
}

fn json(job: &Job<'_>, files: &[SourceFile], outlook: &Outlook) -> Value {
    let estimate = &outlook.estimate;
    let slots = estimate.slots.iter();
    let slots: Vec<_> =
        slots.map(|(slot, messages)| json!({"slot": slot.to_string(), "messages": messages})).collect();
    let files: Vec<_> = files
        .iter()
        .zip(&outlook.rows_by_file)
        .map(|(file, rows)| {
            let mut shown = reading::file(file);
            shown["rows"] = json!(rows);
            shown
        })
        .collect();
    let domains = outlook.domains.iter();
    let domains: Vec<_> = domains.map(|(domain, rows)| json!({"domain": domain, "rows": rows})).collect();
    let campaign = job.campaign();
    json!({
        "campaign": campaign.identity.id, "files": files, "screening": outlook.counts,
        "domains": domains, "capacity": campaign.capacity, "start": estimate.start.to_string(),
        "finish": estimate.finish.to_string(), "limited_by": estimate.limited_by, "slots": slots,
        "personalised": campaign.template.personalised, "refusals": outlook.refusals,
        "invalid": causes::json(&outlook.invalid),
    })
}

fn text(job: &Job<'_>, files: &[SourceFile], outlook: &Outlook) -> String {
    let Outlook { rows_by_file, counts, invalid, refusals, domains, estimate } = outlook;
    let mut text = String::new();
    let rows = |rows: u64| if rows == 1 { "row" } else { "rows" }.to_owned();
    let counted = files.iter().zip(rows_by_file);
    text.push_str(&table(
        &counted.map(|(file, n)| vec![file.shown.clone(), grouped(*n), rows(*n)]).collect::<Vec<_>>(),
    ));
    text.push_str(&reading::list(files));
    let rows = [
        ("to send", counts.accepted),
        ("invalid", counts.invalid),
        ("duplicate", counts.duplicate),
        ("suppressed", counts.suppressed),
        ("already_sent", counts.already_sent),
        ("beyond --limit", counts.not_attempted),
    ];
    let shown = rows.iter().filter(|(_, rows)| *rows > 0);
    text.push('\n');
    text.push_str(&table(
        &shown.map(|(what, rows)| vec![(*what).into(), grouped(*rows)]).collect::<Vec<_>>(),
    ));
    text.push_str(&causes::text("why rows are invalid", invalid));
    if !refusals.is_empty() {
        text.push_str("\n  `mailrun send` refuses this list\n");
    }
    for finding in refusals {
        text.push_str(&format!("    {} ({})\n", finding.seen, finding.id));
        text.extend(finding.fix.iter().map(|fix| format!("      {fix}\n")));
    }
    if !job.campaign().template.personalised {
        text.push_str(
            "\n  one text for everybody: a message is signed once for many recipients of a site; each recipient counts\n",
        );
    }
    text.push_str("\n  top domains\n");
    text.push_str(&table(
        &domains.iter().map(|(domain, rows)| vec![format!("  {domain}"), grouped(*rows)]).collect::<Vec<_>>(),
    ));
    let capacity = &job.campaign().capacity;
    text.push_str(&format!(
        "\n  slots at {} an hour, at most {} in five minutes (pace {})\n",
        grouped(capacity.per_hour),
        grouped(capacity.per_slot()),
        json!(capacity.pace).as_str().unwrap_or_default()
    ));
    if estimate.limited_by == Limit::Capacity {
        let slots = estimate.slots.iter().take(LISTED);
        text.push_str(&table(
            &slots.map(|(slot, rows)| vec![format!("  {slot}"), grouped(*rows)]).collect::<Vec<_>>(),
        ));
        let more = estimate.slots.len().saturating_sub(LISTED);
        if more > 0 {
            text.push_str(&format!("    … and {} more\n", grouped(more as u64)));
        }
    }
    let finish = estimate.finish;
    text.push_str(&format!(
        "\n  if started now, the last message leaves at {finish} ({}), limited by {}\n",
        duration(finish.since(estimate.start)),
        estimate.limited_by.text(capacity)
    ));
    if job.campaign().delivery.route == RouteKind::Mx {
        text.push_str(
            "  without the limits of providers that DNS would show: `mailrun check` looks them up\n",
        );
    }
    text
}
