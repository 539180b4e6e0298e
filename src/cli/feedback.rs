//! `mailrun feedback`: what comes back.

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use serde_json::{Value, json};

use super::common::Common;
use super::diagnostic::Diagnostic;
use super::exit::Exit;
use super::json;
use super::output::ended_pipe;
use crate::feedback::{Event, Recipient, Report, each_mail};
use crate::job::{FeedbackRead, JobError, ReadMail};
use crate::kit::outside_text;
use crate::kit::text::{counted, grouped};

/// `mailrun feedback`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// What to do.
    #[command(subcommand)]
    command: Command,
}

/// What can be done with what comes back.
#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Show what mails that came back say: bounces, complaints, unsubscribes, auto-replies, DMARC
    /// and TLS reports; changes nothing
    Read {
        /// Files with one mail, mboxes, Maildirs, folders; `-` reads standard input
        #[arg(required = true)]
        paths: Vec<PathBuf>,
        /// Print a JSON object for each mail
        #[arg(long)]
        json: bool,
    },
}

pub(super) fn run(common: &Common, args: &Args) -> Result<Exit, Diagnostic> {
    let Command::Read { paths, json } = &args.command;
    let workspace = common.workspace();
    let mut read = FeedbackRead::new(&workspace);
    let mut out = BufWriter::new(io::stdout().lock());
    let mut show = |mails: Result<Vec<ReadMail>, JobError>| -> Result<(), Ended> {
        for mail in mails? {
            if *json { as_json(&mut out, &mail) } else { as_text(&mut out, &mail) }?;
        }
        Ok(out.flush()?)
    };
    let mut shown = Ok(());
    each_mail(paths, io::stdin(), |source, mail| {
        shown = show(read.read(source, mail));
        shown.is_ok()
    })
    .map_err(|error| Diagnostic::of("feedback can't be read", &error))?;
    match shown.and_then(|()| show(read.finish())) {
        Ok(()) => Ok(Exit::Ok),
        Err(Ended::Job(error)) => Err(error.into()),
        Err(Ended::Output(error)) => ended_pipe(error),
    }
}

/// Why no more mails are shown.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error(transparent)]
    Job(#[from] JobError),
    #[error(transparent)]
    Output(#[from] io::Error),
}

fn as_json(out: &mut impl Write, mail: &ReadMail) -> io::Result<()> {
    let events = mail.feedback.events.iter().zip(&mail.recipients).map(|(event, recipient)| {
        let mut shown = json!(event);
        json::extend(&mut shown, json!({ "recipient": recipient.as_ref().map(of_recipient) }));
        shown
    });
    let mut shown = json!({
        "path": mail.source.path.to_string_lossy(), "number": mail.source.number, "hash": mail.hash,
        "message_id": mail.traces.message_id, "cut": mail.is_cut,
    });
    json::extend(&mut shown, json!(mail.feedback));
    json::extend(&mut shown, json!({ "events": events.collect::<Vec<_>>() }));
    writeln!(out, "{}", json::line(shown))
}

fn of_recipient(recipient: &Recipient) -> Value {
    json!({
        "campaign": recipient.campaign, "run": recipient.run, "row": recipient.row,
        "address": recipient.address.to_string(), "by": recipient.by.as_str(), "trusted": recipient.trusted,
        "handed_over": recipient.handed_over.map(|at| at.to_string()),
    })
}

/// A line for each recipient.
fn as_text(out: &mut impl Write, mail: &ReadMail) -> io::Result<()> {
    let feedback = &mail.feedback;
    let report = feedback.report.iter().map(|report| format!("{}  {}", feedback.kind.as_str(), sums(report)));
    let events = feedback.events.iter().zip(&mail.recipients);
    for line in events.map(|(event, recipient)| line(event, recipient.as_ref())).chain(report) {
        let number = mail.source.number.map_or(String::new(), |number| format!(":{number}"));
        let shown = format!("{}{number}  {line}", mail.source.path.display());
        writeln!(out, "{}", outside_text::line(&shown))?;
    }
    Ok(())
}

/// `x.example  by google.com  9 mails, 8 pass`.
fn sums(report: &Report) -> String {
    match report {
        Report::Dmarc(report) => {
            let mails = counted(report.messages, "mail", "mails");
            format!("{}  by {}  {mails}, {} pass", report.domain, report.org, grouped(report.dmarc_pass))
        }
        Report::Tls(report) => {
            let sessions = counted(report.ok.saturating_add(report.failed), "session", "sessions");
            format!(
                "{}  by {}  {sessions}, {} failed",
                report.domains.join(", "),
                report.org,
                grouped(report.failed)
            )
        }
    }
}

/// `bounce  a@b.example  bad_mailbox  5.1.1  hard  9x4kq2m8c7t1.7`.
fn line(event: &Event, recipient: Option<&Recipient>) -> String {
    let term = match (event.hard, event.permanent) {
        (true, _) => "hard",
        (false, Some(true)) => "permanent",
        (false, Some(false)) => "temporary",
        (false, None) => "",
    };
    let of_run = recipient.map(|recipient| recipient.address.to_string());
    let address = of_run.as_deref().or(event.address.as_deref()).unwrap_or("-");
    let class = event.class.map_or("", |class| class.as_str());
    let status = event.status.map(|status| status.to_string()).unwrap_or_default();
    // As `status --notification` takes it.
    let row = recipient.and_then(|recipient| Some(format!("{}.{}", recipient.run, recipient.row?)));
    let words = [event.kind.as_str(), address, class, &status, term, row.as_deref().unwrap_or_default()];
    words.iter().filter(|word| !word.is_empty()).copied().collect::<Vec<_>>().join("  ")
}
