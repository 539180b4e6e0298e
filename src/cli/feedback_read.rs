//! `mailrun feedback read`: mails that came back, and what they did.

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use serde_json::{Value, json};

use super::diagnostic::Diagnostic;
use super::exit::Exit;
use super::output::ended_pipe;
use super::runtime::runtime;
use super::{json, log};
use crate::feedback::mailbox::Mailbox;
use crate::feedback::{Effect, Event, Recipient, Report, each_mail};
use crate::job::{FeedbackRead, FetchError, JobError, ReadMail, Workspace};
use crate::kit::outside_text;
use crate::kit::text::{counted, grouped};

/// `mailrun feedback read`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Files with one mail, mboxes, Maildirs, folders; `-` reads standard input; without any, the
    /// IMAP mailboxes in feedback.toml are read
    paths: Vec<PathBuf>,
    /// Show what would be done, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Print a JSON object for each mail
    #[arg(long)]
    json: bool,
}

pub(super) fn run(workspace: &Workspace, args: &Args) -> Result<Exit, Diagnostic> {
    let mailboxes = if args.paths.is_empty() { workspace.feedback_mailboxes()? } else { Vec::new() };
    if args.paths.is_empty() && mailboxes.is_empty() {
        let file = workspace.feedback_settings_file()?;
        let hint = "name files or folders, or describe mailboxes as `[[feedback.mailbox]]` in this file";
        return Err(Diagnostic::new("there is nothing to read").at(file.display()).hint(hint));
    }
    let names = match args.paths.is_empty() {
        false => args.paths.iter().map(|path| path.to_string_lossy().into_owned()).collect::<Vec<_>>(),
        true => mailboxes.iter().map(ToString::to_string).collect(),
    };
    let mut read = FeedbackRead::new(workspace, &names.join(" "), args.dry_run)?;
    let mut out = BufWriter::new(io::stdout().lock());
    let (mut mails_read, mut suppressed) = (0, 0);
    let mut show = |mails: Vec<ReadMail>| -> io::Result<()> {
        for mail in mails {
            mails_read += 1;
            suppressed += mail.effects.iter().filter(|effect| **effect == Effect::Suppressed).count() as u64;
            if args.json { as_json(&mut out, &mail) } else { as_text(&mut out, &mail) }?;
        }
        out.flush()
    };
    let ended = match args.paths.is_empty() {
        false => from_files(&mut read, &args.paths, &mut show),
        true => from_mailboxes(&mut read, &mailboxes, args.dry_run, &mut show),
    };
    if let Some(import) = read.import().filter(|_| !args.dry_run) {
        let mails = counted(mails_read, "mail", "mails");
        log::print(&format!("{mails} read, {} suppressed: import {import}", grouped(suppressed)));
    }
    match ended {
        Ok(()) if read.left_out() > 0 => {
            let left_out = counted(read.left_out(), "mail", "mails");
            log::warn(&format!("{left_out} not kept: read again once the runs can be read"));
            Ok(Exit::Busy)
        }
        Ok(()) => Ok(Exit::Ok),
        Err(Ended::Job(error)) => Err((*error).into()),
        Err(Ended::Output(error)) => ended_pipe(error),
        Err(Ended::Source(error)) => Err(*error),
    }
}

fn from_files(
    read: &mut FeedbackRead<'_>,
    paths: &[PathBuf],
    show: &mut impl FnMut(Vec<ReadMail>) -> io::Result<()>,
) -> Result<(), Ended> {
    let mut shown = Ok(());
    let found = each_mail(paths, io::stdin(), |source, mail| {
        let done = read.read(source, mail).map_err(Ended::from);
        shown = done.and_then(|mails| Ok(show(mails)?));
        shown.is_ok()
    });
    // What was read before a path that can't be read counts.
    shown?;
    show(read.finish()?)?;
    found.map_err(|error| Ended::source(Diagnostic::of("feedback can't be read", &error)))
}

/// All mailboxes: one that can't be read keeps no other from being read.
fn from_mailboxes(
    read: &mut FeedbackRead<'_>,
    mailboxes: &[Mailbox],
    dry_run: bool,
    show: &mut impl FnMut(Vec<ReadMail>) -> io::Result<()>,
) -> Result<(), Ended> {
    let runtime = runtime().map_err(Ended::source)?;
    let mut first = None;
    for mailbox in mailboxes {
        match runtime.block_on(read.fetch(mailbox, dry_run, show)) {
            Ok(()) => {}
            Err(FetchError::Job(error)) => return Err((*error).into()),
            Err(FetchError::Shown(error)) => return Err(error.into()),
            Err(FetchError::Mailbox(error)) => {
                let failed = Diagnostic::of("feedback can't be read", &error);
                match first {
                    None => first = Some(failed),
                    Some(_) => log::print(&failed.to_string()),
                }
            }
        }
    }
    first.map_or(Ok(()), |error| Err(Ended::source(error)))
}

/// Why no more mails are shown.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error(transparent)]
    Job(Box<JobError>),
    #[error(transparent)]
    Output(#[from] io::Error),
    /// The mails can't be read.
    #[error("{0}")]
    Source(Box<Diagnostic>),
}

impl Ended {
    fn source(error: Diagnostic) -> Self {
        Self::Source(Box::new(error))
    }
}

impl From<JobError> for Ended {
    fn from(error: JobError) -> Self {
        Self::Job(Box::new(error))
    }
}

/// A JSON object.
pub(super) fn as_json(out: &mut impl Write, mail: &ReadMail) -> io::Result<()> {
    let events = mail.feedback.events.iter().zip(&mail.recipients).zip(&mail.effects);
    let events = events.map(|((event, recipient), effect)| {
        let mut shown = json!(event);
        let recipient = recipient.as_ref().map(of_recipient);
        json::extend(&mut shown, json!({ "recipient": recipient, "effect": effect.as_str() }));
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
        "address": recipient.address.to_string(), "list_id": recipient.list_id, "by": recipient.by.as_str(), "trusted": recipient.trusted,
        "handed_over": recipient.handed_over.map(|at| at.to_string()),
    })
}

/// A line for each recipient.
pub(super) fn as_text(out: &mut impl Write, mail: &ReadMail) -> io::Result<()> {
    let feedback = &mail.feedback;
    let report = feedback.report.iter().map(|report| format!("{}  {}", feedback.kind.as_str(), sums(report)));
    let events = feedback.events.iter().zip(&mail.recipients).zip(&mail.effects);
    let events = events.map(|((event, recipient), effect)| line(event, recipient.as_ref(), *effect));
    for line in events.chain(report) {
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

/// `bounce  a@b.example  bad_mailbox  5.1.1  hard  9x4kq2m8c7t1.7  suppressed`.
fn line(event: &Event, recipient: Option<&Recipient>, effect: Effect) -> String {
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
    let row = row.as_deref().unwrap_or_default();
    let effect = if effect == Effect::None { "" } else { effect.as_str() };
    let words = [event.kind.as_str(), address, class, &status, term, row, effect];
    words.iter().filter(|word| !word.is_empty()).copied().collect::<Vec<_>>().join("  ")
}
