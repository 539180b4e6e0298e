//! `mailrun feedback`: what comes back.

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use serde::Serialize;
use serde_json::json;

use super::common::Common;
use super::diagnostic::Diagnostic;
use super::exit::Exit;
use super::json;
use super::output::ended_pipe;
use crate::feedback::{Event, Feedback, Found, Reader, Report, Source, content_hash, each_mail};
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

pub(super) fn run(_common: &Common, args: &Args) -> Result<Exit, Diagnostic> {
    let Command::Read { paths, json } = &args.command;
    let reader = Reader::default();
    let mut out = BufWriter::new(io::stdout().lock());
    let mut printed = Ok(());
    each_mail(paths, io::stdin(), |source, mail| {
        let feedback = reader.read(mail.bytes);
        printed = if *json {
            as_json(&mut out, source, mail, &feedback)
        } else {
            as_text(&mut out, source, &feedback)
        };
        printed.is_ok()
    })
    .map_err(|error| Diagnostic::of("feedback can't be read", &error))?;
    printed.and_then(|()| out.flush()).map(|()| Exit::Ok).or_else(ended_pipe)
}

/// A mail as `--json` prints it.
#[derive(Debug, Serialize)]
struct Mail<'a> {
    path: &'a str,
    number: Option<u64>,
    hash: &'a str,
    #[serde(flatten)]
    feedback: &'a Feedback,
    cut: bool,
}

fn as_json(out: &mut impl Write, source: &Source, mail: Found<'_>, feedback: &Feedback) -> io::Result<()> {
    let path = source.path.to_string_lossy();
    let hash = content_hash(mail.bytes);
    let shown = Mail { path: &path, number: source.number, hash: &hash, feedback, cut: mail.is_cut };
    writeln!(out, "{}", json::line(json!(shown)))
}

/// A line for each recipient.
fn as_text(out: &mut impl Write, source: &Source, feedback: &Feedback) -> io::Result<()> {
    let report = feedback.report.iter().map(|report| format!("{}  {}", feedback.kind.as_str(), sums(report)));
    for line in feedback.events.iter().map(line).chain(report) {
        let number = source.number.map_or(String::new(), |number| format!(":{number}"));
        let shown = format!("{}{number}  {line}", source.path.display());
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

/// `bounce  a@b.example  bad_mailbox  5.1.1  hard`.
fn line(event: &Event) -> String {
    let term = match (event.hard, event.permanent) {
        (true, _) => "hard",
        (false, Some(true)) => "permanent",
        (false, Some(false)) => "temporary",
        (false, None) => "",
    };
    let address = event.address.as_deref().unwrap_or("-");
    let class = event.class.map_or("", |class| class.as_str());
    let status = event.status.map(|status| status.to_string()).unwrap_or_default();
    let words = [event.kind.as_str(), address, class, &status, term];
    words.iter().filter(|word| !word.is_empty()).copied().collect::<Vec<_>>().join("  ")
}
