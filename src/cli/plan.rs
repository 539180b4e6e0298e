//! `mailrun plan`: shows what would happen. Sends nothing and leaves nothing behind.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::causes;
use super::common::Common;
use super::diagnostic::Diagnostic;
use super::exit::Exit;
use super::json;
use super::output::out;
use super::reading;
use super::runtime::runtime;
use super::table::table;
use crate::campaign::RouteKind;
use crate::job::{Job, Outlook};
use crate::kit::text::{duration, grouped};
use crate::preflight::finish_time::{Estimate, Limit};
use crate::target_group::SourceFile;

/// Domains and slots that are listed.
const LISTED: usize = 10;

/// `mailrun plan`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Campaign file, or the folder with its `campaign.toml`
    campaign: PathBuf,
    /// The edition of the campaign, as `send` would be given it
    #[arg(long)]
    edition: Option<String>,
    /// Only the first N rows that pass screening
    #[arg(long, value_name = "N")]
    limit: Option<u32>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(common: &Common, args: &Args) -> Result<Exit, Diagnostic> {
    let workspace = common.workspace();
    let mut campaign = workspace.load(&args.campaign)?;
    if args.edition.is_some() {
        campaign.identity.edition.clone_from(&args.edition);
    }
    let job = Job::open(&workspace, campaign)?;
    let outlook = runtime()?.block_on(job.outlook(args.limit.map(u64::from), LISTED))?;
    let files = job.target_group()?.files();
    if args.json {
        return json::print(Exit::Ok, answer(&job, files, &outlook));
    }
    out(&text(&job, files, &outlook))?;
    Ok(Exit::Ok)
}

fn answer(job: &Job<'_>, list: &[SourceFile], outlook: &Outlook) -> Value {
    let Outlook { rows_by_file, counts, invalid, refusals, domains, estimate } = outlook;
    let domains = domains.iter().map(|(domain, rows)| json!({"domain": domain, "rows": rows}));
    let campaign = job.campaign();
    let capacity = &campaign.capacity;
    json!({
        "campaign": campaign.identity.id, "edition": campaign.identity.edition,
        "files": reading::files(list, rows_by_file), "screening": counts,
        "invalid": causes::json(invalid), "refusals": refusals, "domains": domains.collect::<Vec<_>>(),
        "capacity": {
            "account": campaign.capacity_account(), "per_hour": capacity.per_hour,
            "per_slot": capacity.per_slot(), "burst_percent": capacity.burst_percent, "pace": capacity.pace,
        },
        "estimate": estimate, "personalised": campaign.template.personalised,
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
    text.push('\n');
    text.push_str(&reading::list(files, "  "));
    let rows = [
        ("to send", counts.accepted),
        ("invalid", counts.invalid),
        ("duplicate", counts.duplicate),
        ("suppressed", counts.suppressed),
        ("already_sent", counts.already_sent),
        ("capped", counts.capped),
        ("beyond --limit", counts.not_attempted),
    ];
    let shown = rows.iter().filter(|(_, rows)| *rows > 0);
    let shown: Vec<_> = shown.map(|(what, rows)| vec![(*what).into(), grouped(*rows)]).collect();
    if !shown.is_empty() {
        text.push_str(&format!("\n{}", table(&shown)));
    }
    text.push_str(&causes::text("why rows are invalid", invalid));
    if !refusals.is_empty() {
        text.push_str("\n  `mailrun send` refuses this\n");
    }
    for finding in refusals {
        text.push_str(&format!("    {} ({})\n", finding.seen, finding.id));
        text.extend(finding.fix.iter().map(|fix| format!("      {fix}\n")));
    }
    if counts.accepted == 0 {
        text.push_str("\n  nobody to send to\n");
        return text;
    }
    text.push_str(&schedule(job, domains, estimate));
    text
}

/// Where the messages go, and when.
fn schedule(job: &Job<'_>, domains: &[(String, u64)], estimate: &Estimate) -> String {
    let mut text = String::new();
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
    let limited_by = match &estimate.limited_by {
        Limit::Capacity => String::new(),
        other => format!(", limited by {}", other.text(capacity, estimate.held.as_ref())),
    };
    text.push_str(&format!(
        "\n  slots at {} an hour, at most {} in five minutes (pace {}){limited_by}\n",
        grouped(capacity.per_hour),
        grouped(capacity.per_slot()),
        json!(capacity.pace).as_str().unwrap_or_default()
    ));
    if let Some(held) = &estimate.held {
        text.push_str(&format!("  {}\n", held.text()));
    }
    if let Some(basis) = &capacity.size_basis {
        text.push_str(&format!("  a message counts as {:.1} of {basis}\n", estimate.each));
    }
    let slots = estimate.slots.iter().take(LISTED);
    text.push_str(&table(
        &slots.map(|(slot, rows)| vec![format!("  {slot}"), grouped(*rows)]).collect::<Vec<_>>(),
    ));
    let more = estimate.slots.len().saturating_sub(LISTED);
    if more > 0 {
        text.push_str(&format!("    … and {} more\n", grouped(more as u64)));
    }
    let finish = estimate.finish;
    text.push_str(&format!(
        "\n  if started now, the last message leaves at {finish} ({}), limited by {}\n",
        duration(finish.since(estimate.start)),
        estimate.limited_by.text(capacity, estimate.held.as_ref())
    ));
    if job.campaign().delivery.route == RouteKind::Mx {
        text.push_str(
            "  without the limits of providers that DNS would show: `mailrun check` looks them up\n",
        );
    }
    text
}
