//! `mailrun retry`: the rows of a run that ended with certain dispositions, as a new run.

use super::common::Common;
use super::diagnostic::Diagnostic;
use super::exit::Exit;
use super::sending::Sending;
use crate::job::{Job, RetrySelection, Selection};
use crate::mail::Disposition;

/// `mailrun retry`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Run: its id, the start of it, its campaign's id, its directory, or a campaign file for its
    /// latest run
    run: String,
    /// Which rows to resend
    #[arg(long, value_name = "D,…", value_delimiter = ',', required = true)]
    disposition: Vec<Disposition>,
    /// How to send them.
    #[command(flatten)]
    sending: Sending,
}

pub(super) fn run(common: &Common, args: &Args) -> Result<Exit, Diagnostic> {
    let workspace = common.workspace();
    let retry = RetrySelection::of(&workspace, &args.run, args.disposition.iter().copied())?;
    let mut campaign = retry.campaign(&workspace)?;
    args.sending.rehearse(&mut campaign);
    args.sending.wait()?;
    let job = Job::open(&workspace, campaign)?;
    args.sending.carry_out(&job, &Selection::Retry(Box::new(retry)), &args.sending.checks(false))
}
