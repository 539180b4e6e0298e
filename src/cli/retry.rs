//! `mailrun retry`: the rows of a run that ended with certain dispositions, as a new run.

use super::common::Common;
use super::diagnostic::Diagnostic;
use super::exit::Exit;
use super::log;
use super::metrics::Report;
use super::sending::Sending;
use crate::job::{Job, List, RetrySelection, Selection};
use crate::kit::text::{counted, grouped};
use crate::mail::Disposition;

/// `mailrun retry`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Run: its id, the start of it, its directory, or for the latest run of a campaign its id,
    /// file or folder
    run: String,
    /// Which rows to resend, by how they ended: for example deferred,not_attempted
    #[arg(long, value_name = "D,…", value_delimiter = ',', required = true)]
    disposition: Vec<Disposition>,
    /// How to send them.
    #[command(flatten)]
    sending: Sending,
}

pub(super) fn run(common: &Common, args: &Args) -> Result<Exit, Diagnostic> {
    args.sending.report(|report| retry(common, args, report))
}

fn retry(common: &Common, args: &Args, report: &mut Report) -> Result<Exit, Diagnostic> {
    let workspace = common.workspace();
    let retry = RetrySelection::of(&workspace, &args.run, args.disposition.iter().copied())?;
    let mut campaign = retry.campaign(&workspace)?;
    let rehearses = args.sending.rehearse(&mut campaign) || retry.is_rehearsal();
    report.leave_out(rehearses);
    report.of_campaign(&campaign);
    args.sending.wait()?;
    let job = Job::open(&workspace, campaign)?.rehearsing(rehearses);
    if retry.is_rest_of_list() {
        let list = Selection::List(List::default());
        return args.sending.carry_out(&job, &list, &args.sending.checks(true), report);
    }
    refuse_suppressed(&job, &retry)?;
    args.sending.carry_out(&job, &Selection::Retry(Box::new(retry)), &args.sending.checks(false), report)
}

/// Says how many of the rows get nothing because of the suppression list, and refuses where that is
/// all of them.
fn refuse_suppressed(job: &Job<'_>, retry: &RetrySelection) -> Result<(), Diagnostic> {
    let Some((rows, suppressed)) = job.suppressed_in(retry)? else { return Ok(()) };
    if suppressed == 0 {
        return Ok(());
    }
    let why = "a bounce puts an address there for 45 days";
    let way_on = "`mailrun suppress remove ADDRESS` takes it off";
    if suppressed == rows {
        let all = if rows == 1 { "the only address is" } else { "all addresses are" };
        return Err(Diagnostic::new(format!("{all} on the suppression list: {why}")).hint(way_on));
    }
    let of = counted(rows, "row has", "rows have");
    log::warn(&format!(
        "warning: {} of {of} an address on the suppression list and get nothing: {why}; {way_on}",
        grouped(suppressed)
    ));
    Ok(())
}
