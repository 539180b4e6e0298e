//! `mailrun send`: the main job.

use std::path::PathBuf;

use serde_json::json;

use super::common::Common;
use super::diagnostic::Diagnostic;
use super::exit::Exit;
use super::metrics::Report;
use super::output::out;
use super::sending::Sending;
use super::{json, log};
use crate::campaign::ByteSize;
use crate::job::{DryRunTotals, Job, List, Selection, TestMessage};
use crate::kit::text::{counted, grouped};
use crate::mail::Address;
use crate::run_dir::RunId;

/// `mailrun send`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Campaign file, or the folder with its `campaign.toml`
    campaign: PathBuf,
    /// Only the first N rows that pass screening
    #[arg(long, value_name = "N")]
    limit: Option<u32>,
    /// How to send them.
    #[command(flatten)]
    sending: Sending,
    /// Name a deliberate new run; by default the run id is derived from the content
    #[arg(long, value_name = "ID")]
    run_id: Option<RunId>,
    /// Start a new run even if one with different content is unfinished
    #[arg(long)]
    new_run: bool,
    /// The edition of the campaign: nobody gets one edition twice
    #[arg(long, value_name = "NAME", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    edition: Option<String>,
    /// With changed templates: send only to those who did not get this edition yet
    #[arg(long, conflicts_with = "again")]
    only_new: bool,
    /// Send to everybody, also to those who got this edition already
    #[arg(long)]
    again: bool,
    /// Send one row to these addresses instead: a test message
    #[arg(long, value_name = "ADDRESS,…", value_delimiter = ',')]
    to: Vec<Address>,
    /// With --to: the Nth row that passes screening, counted from 1
    #[arg(long, value_name = "N", requires = "to")]
    row: Option<u32>,
    /// Everything but SMTP: screen, compose and sign every row, send nothing
    #[arg(long, conflicts_with = "to")]
    dry_run: bool,
    /// Send only what `mailrun check` gave this hash; refuse if anything that reaches a recipient
    /// differs
    #[arg(long, value_name = "HASH", conflicts_with = "to", value_parser = parse_hash)]
    approved: Option<blake3::Hash>,
    /// Skip the checks of the sender's domains and of a sample of the messages. A newsletter
    /// without `[unsubscribe]` is still refused
    #[arg(long, conflicts_with = "approved")]
    no_check: bool,
}

impl Args {
    fn limit(&self) -> Option<u64> {
        self.limit.map(u64::from)
    }

    fn selection(&self) -> Selection {
        match self.to.as_slice() {
            [_, ..] => Selection::Test(TestMessage { row: self.row.unwrap_or(1), to: self.to.clone() }),
            [] => Selection::List(List {
                limit: self.limit(),
                run_id: self.run_id.clone(),
                new_run: self.new_run,
                only_new: self.only_new,
                again: self.again,
            }),
        }
    }
}

fn parse_hash(text: &str) -> Result<blake3::Hash, String> {
    blake3::Hash::from_hex(text.trim()).map_err(|_| {
        "a hash has 64 hexadecimal digits: copy it from the output of `mailrun check`".to_owned()
    })
}

pub(super) fn run(common: &Common, args: &Args) -> Result<Exit, Diagnostic> {
    args.sending.report(|report| send(common, args, report))
}

fn send(common: &Common, args: &Args, report: &mut Report) -> Result<Exit, Diagnostic> {
    let is_real = !args.sending.is_rehearsal() && !args.dry_run && args.to.is_empty();
    report.leave_out(!is_real);
    let workspace = common.workspace();
    let start = workspace.start(&args.campaign, is_real);
    let mut campaign = start.keep(workspace.load(&args.campaign))?;
    if args.edition.is_some() {
        campaign.identity.edition.clone_from(&args.edition);
    }
    let rehearses = args.sending.rehearse(&mut campaign);
    report.of_campaign(&campaign);
    args.sending.wait()?;
    let job = start.keep(Job::open(&workspace, campaign))?.rehearsing(rehearses);
    if args.dry_run {
        return print_dry_run(&job, &job.dry_run(args.limit())?, args.sending.is_json());
    }
    if let Some(hash) = args.approved {
        start.keep(job.gate_approved(args.limit(), hash))?;
    }
    args.sending.carry_out(&job, &args.selection(), &args.sending.checks(!args.no_check), report)
}

fn print_dry_run(job: &Job<'_>, totals: &DryRunTotals, as_json: bool) -> Result<Exit, Diagnostic> {
    let exit = if totals.failed == 0 { Exit::Ok } else { Exit::SomeNotAccepted };
    let per_second = totals.composed as f64 / totals.took.as_secs_f64().max(1e-6);
    if as_json {
        let failures = totals.failures.iter();
        let failures = failures.map(|(place, reason)| json!({"place": place, "reason": reason}));
        let campaign = &job.campaign().identity;
        return json::print(
            exit,
            json!({
                "campaign": campaign.id, "edition": campaign.edition, "dry_run": true,
                "screening": totals.counts, "composed": totals.composed, "failed": totals.failed,
                "failures": failures.collect::<Vec<_>>(), "bytes": totals.bytes,
                "largest_bytes": totals.largest, "took_seconds": totals.took.as_secs_f64(),
                "per_second": per_second,
            }),
        );
    }
    for (place, reason) in &totals.failures {
        log::warn(&format!("{place}: {reason}"));
    }
    let more = totals.failed.saturating_sub(totals.failures.len() as u64);
    if more > 0 {
        log::warn(&format!("… and {} more", grouped(more)));
    }
    let counts = &totals.counts;
    out(&format!(
        "{}: {} composed and signed, {} render_failed, {} invalid, {} duplicate, {} suppressed\n\
         {} in total, largest message {}, {:.0} messages/s on one core; nothing was sent\n",
        counted(counts.rows, "row", "rows"),
        grouped(totals.composed),
        grouped(totals.failed),
        grouped(counts.invalid),
        grouped(counts.duplicate),
        grouped(counts.suppressed),
        ByteSize(totals.bytes),
        counted(totals.largest, "byte", "bytes"),
        per_second
    ))?;
    Ok(exit)
}
