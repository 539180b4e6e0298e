//! `mailrun resend`: one message of a run, composed again and sent once more.

use super::common::Common;
use super::diagnostic::Diagnostic;
use super::exit::Exit;
use super::metrics::Report;
use super::sending::Sending;
use crate::job::{Job, Resend, Selection};
use crate::mail::Address;

/// `mailrun resend`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Run: its id, the start of it, its directory, or for the latest run of a campaign its id,
    /// file or folder
    run: String,
    /// Row: the number that `trace` shows and its Message-ID has, or its recipient
    row: String,
    /// Send it to this address instead; nothing else of the message changes
    #[arg(long, value_name = "ADDRESS")]
    to: Option<Address>,
    /// Send it once more, though it was resent before
    #[arg(long)]
    again: bool,
    /// How to send it.
    #[command(flatten)]
    sending: Sending,
}

pub(super) fn run(common: &Common, args: &Args) -> Result<Exit, Diagnostic> {
    args.sending.report(|report| resend(common, args, report))
}

fn resend(common: &Common, args: &Args, report: &mut Report) -> Result<Exit, Diagnostic> {
    let workspace = common.workspace();
    let resend = Resend::of(&workspace, &args.run, &args.row, args.to.clone(), args.again)?;
    let mut campaign = resend.campaign(&workspace)?;
    let rehearses = args.sending.rehearse(&mut campaign) || resend.is_rehearsal();
    report.leave_out(true);
    args.sending.wait()?;
    let job = Job::open(&workspace, campaign)?.rehearsing(rehearses);
    let selection = Selection::Resend(Box::new(resend));
    args.sending.carry_out(&job, &selection, &args.sending.checks(false), report)
}
