//! `mailrun plan`: what would happen. Sends nothing and leaves nothing.

use serde_json::json;

use super::args::{self, Common};
use super::diagnostic::Diagnostic;
use super::exit::Exit;
use super::job::{self, Job};
use super::text::{count, duration, table};
use super::{out, paths};
use crate::mail::Timestamp;
use crate::plan::{Plan, forecast, top_domains};

/// Domains and slots that are listed.
const LISTED: usize = 10;

pub fn run(common: &Common, args: &args::Plan) -> Result<Exit, Diagnostic> {
    let job = Job::open(common, job::load(common, &args.selection.campaign)?)?;
    let list = paths::state(common)?.suppressions()?;
    let (_folder, dir, screening) = job.freeze_aside(&list, args.selection.limit.map(u64::from), None)?;
    let counts = screening.counts;
    let domains = match screening.domains.exact(LISTED) {
        Some(domains) => domains,
        None => top_domains(&Plan::open(&dir.plan())?, LISTED),
    };
    let start = Timestamp::wall();
    let capacity = &job.materials.campaign.capacity;
    let forecast = forecast(counts.accepted, capacity, start);
    let finish = forecast.finish();

    if args.json {
        let slots: Vec<_> = forecast
            .slots()
            .map(|slot| json!({"slot": slot.slot.to_string(), "messages": slot.rows}))
            .collect();
        let files: Vec<_> = job
            .group
            .files()
            .iter()
            .zip(&screening.rows_by_file)
            .map(|(file, rows)| json!({"file": file.shown, "rows": rows, "bytes": file.bytes}))
            .collect();
        let domains: Vec<_> =
            domains.iter().map(|(domain, rows)| json!({"domain": domain, "rows": rows})).collect();
        let value = json!({
            "campaign": job.materials.campaign.identity.id, "files": files, "screening": counts,
            "domains": domains, "capacity": capacity, "start": start.to_string(),
            "finish": finish.to_string(), "slots": slots,
            "personalised": job.materials.campaign.template.personalised,
        });
        out(&format!("{value:#}\n"))?;
        return Ok(Exit::Ok);
    }
    let mut text = String::new();
    let files = job.group.files().iter().zip(&screening.rows_by_file);
    text.push_str(&table(
        &files.map(|(file, rows)| vec![file.shown.clone(), count(*rows), "rows".into()]).collect::<Vec<_>>(),
    ));
    let rows = [
        ("to send", counts.accepted),
        ("invalid", counts.invalid),
        ("duplicate", counts.duplicate),
        ("suppressed", counts.suppressed),
        ("beyond --limit", counts.not_attempted),
    ];
    let shown = rows.iter().filter(|(_, rows)| *rows > 0);
    text.push('\n');
    text.push_str(&table(&shown.map(|(what, rows)| vec![(*what).into(), count(*rows)]).collect::<Vec<_>>()));
    if !job.materials.campaign.template.personalised {
        text.push_str("\n  one text for all: a message is signed once for many recipients of a site, and each of them counts\n");
    }
    text.push_str("\n  top domains\n");
    text.push_str(&table(
        &domains.iter().map(|(domain, rows)| vec![format!("  {domain}"), count(*rows)]).collect::<Vec<_>>(),
    ));
    text.push_str(&format!(
        "\n  slots at {} an hour, at most {} in five minutes (pace {})\n",
        count(capacity.per_hour),
        count(capacity.per_slot()),
        json!(capacity.pace).as_str().unwrap_or_default()
    ));
    let slots: Vec<_> = forecast.slots().take(LISTED).collect();
    text.push_str(&table(
        &slots.iter().map(|slot| vec![format!("  {}", slot.slot), count(slot.rows)]).collect::<Vec<_>>(),
    ));
    let more = forecast.slots().count().saturating_sub(slots.len());
    if more > 0 {
        text.push_str(&format!("    … and {} more\n", count(more as u64)));
    }
    text.push_str(&format!(
        "\n  started now, the last one leaves at {finish} ({})\n",
        duration(finish.since(start))
    ));
    out(&text)?;
    Ok(Exit::Ok)
}
