//! `mailrun feedback`: what comes back.

use std::path::PathBuf;

use serde_json::json;

use super::common::Common;
use super::diagnostic::Diagnostic;
use super::exit::Exit;
use super::name_servers::DnsOptions;
use super::output::out;
use super::table::table;
use super::{feedback_import, feedback_listen, feedback_read, json, log, moment, owner_mail};
use crate::feedback::Undo;
use crate::job::{FeedbackFilter, FeedbackSummary, Workspace};
use crate::kit::outside_text;
use crate::kit::text::{counted, grouped};
use crate::mail::{Class, Domain, Timestamp};

/// The domains, or days, that people are shown.
const DOMAINS: usize = 20;

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
    /// Read mails that came back, and act on them: bounces, complaints and unsubscribes put their
    /// recipients on the suppression list; a mail that is read twice counts once
    Read(feedback_read::Args),
    /// Read files of providers: events of SES, SendGrid, Mailgun and Postmark, which act as mails
    /// do, and what SNDS and Google's Postmaster Tools say of senders
    Import(feedback_import::Args),
    /// Take what a relay delivers, over LMTP or SMTP, until a signal ends it; a mail is answered
    /// with 250 once it is kept, and nothing is relayed
    Listen(feedback_listen::Args),
    /// Take back what a mail or an import did
    Undo {
        /// Mail: its hash, at least 8 characters of it, or its Message-ID
        #[arg(required_unless_present = "import", value_parser = parse_mail)]
        mail: Option<String>,
        /// Import, with the number that `read` prints
        #[arg(long, value_name = "NUMBER", conflicts_with = "mail")]
        import: Option<u64>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Count what came back
    Summary {
        /// Only mails written at this time or later: a day in UTC (2026-11-02), RFC 3339, or HH:MM
        /// today
        #[arg(long, value_name = "TIME", value_parser = moment::parse_or_day)]
        since: Option<Timestamp>,
        /// Only mails written before this time
        #[arg(long, value_name = "TIME", value_parser = moment::parse_or_day)]
        until: Option<Timestamp>,
        /// Only events that concern this campaign
        #[arg(long, value_name = "ID")]
        campaign: Option<String>,
        /// Only recipients in this domain
        #[arg(long)]
        domain: Option<Domain>,
        /// Only bounces and delays with this class, such as `mailbox_full`
        #[arg(long)]
        class: Option<Class>,
        /// Send what came back yesterday (UTC) to `[report] to` of this campaign, once a day, if
        /// anything came; for cron
        #[arg(long, value_name = "CAMPAIGN", conflicts_with_all = ["since", "until", "campaign", "domain", "class", "json"])]
        mail: Option<PathBuf>,
        /// Where names are looked up.
        #[command(flatten)]
        dns: DnsOptions,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Write all that came back as Parquet tables into the state directory, a folder for each day
    Tables {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

pub(super) fn run(common: &Common, args: &Args) -> Result<Exit, Diagnostic> {
    let workspace = common.workspace();
    match &args.command {
        Command::Read(args) => feedback_read::run(&workspace, args),
        Command::Import(args) => feedback_import::run(&workspace, args),
        Command::Listen(args) => feedback_listen::run(&workspace, args),
        Command::Undo { mail, import, json } => {
            let import = import.map(Undo::Import);
            let what = import.or_else(|| mail.clone().map(Undo::Mail)).expect("clap demands one of both");
            undo(&workspace, &what, *json)
        }
        Command::Summary { mail: Some(campaign), dns, .. } => {
            owner_mail::of_yesterday(&workspace, campaign, dns)
        }
        Command::Summary { since, until, campaign, domain, class, json, .. } => {
            let filter = FeedbackFilter {
                since: *since,
                until: *until,
                campaign: campaign.clone(),
                domain: domain.as_ref().map(|domain| domain.as_str().to_owned()),
                class: *class,
            };
            summary(&workspace, &filter, *json)
        }
        Command::Tables { json } => tables(&workspace, *json),
    }
}

fn parse_mail(text: &str) -> Result<String, String> {
    let text = text.trim().trim_start_matches('<').trim_end_matches('>');
    let is_hash = text.len() >= 8 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    match text {
        text if is_hash => Ok(text.to_ascii_lowercase()),
        text if text.contains('@') => Ok(text.to_owned()),
        _ => Err("use at least 8 characters of a hash, or a Message-ID".to_owned()),
    }
}

fn undo(workspace: &Workspace, what: &Undo, as_json: bool) -> Result<Exit, Diagnostic> {
    let undone = workspace.undo_feedback(what)?;
    let exit = if undone.events == 0 { Exit::SomeNotAccepted } else { Exit::Ok };
    if as_json {
        return json::print(exit, json!({ "events": undone.events, "entries": undone.entries }));
    }
    let entries = counted(undone.entries, "entry", "entries");
    log::print(&format!(
        "{} taken back, {entries} of the suppression list changed",
        counted(undone.events, "event", "events")
    ));
    Ok(exit)
}

fn summary(workspace: &Workspace, filter: &FeedbackFilter, as_json: bool) -> Result<Exit, Diagnostic> {
    let summary = workspace.feedback_summary(filter)?;
    if as_json {
        return json::print(Exit::Ok, json!(summary));
    }
    out(&text(&summary))?;
    Ok(Exit::Ok)
}

fn tables(workspace: &Workspace, as_json: bool) -> Result<Exit, Diagnostic> {
    let tables = workspace.write_feedback_tables()?;
    if as_json {
        let (folder, days, rows) = (tables.folder, tables.days, tables.rows);
        return json::print(Exit::Ok, json!({ "folder": folder, "days": days, "rows": rows }));
    }
    let (rows, days) = (counted(tables.rows, "row", "rows"), counted(tables.days, "day", "days"));
    log::print(&format!("{rows} of {days} written to {}", tables.folder.display()));
    Ok(Exit::Ok)
}

fn text(summary: &FeedbackSummary) -> String {
    let mut text = format!("{}, {} taken back\n", counted(summary.events, "event", "events"), summary.undone);
    let sorted = |counts: &mut dyn Iterator<Item = (String, u64)>| {
        let mut rows: Vec<(String, u64)> = counts.collect();
        rows.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        rows
    };
    let mut part = |title: &str, rows: Vec<(String, u64)>| {
        if !rows.is_empty() {
            let rows = rows.into_iter().take(DOMAINS);
            let rows: Vec<_> = rows
                .map(|(word, count)| vec![format!("  {}", outside_text::line(&word)), grouped(count)])
                .collect();
            text.push_str(&format!("\n{title}\n{}", table(&rows)));
        }
    };
    let plain = |counts: &std::collections::BTreeMap<&'static str, u64>| {
        sorted(&mut counts.iter().map(|(word, count)| ((*word).to_owned(), *count)))
    };
    part("kinds", plain(&summary.kinds));
    part("machines, not counted elsewhere", plain(&summary.machines));
    part("classes", plain(&summary.classes));
    part("effects", plain(&summary.effects));
    // Day by day, the last ones.
    let days = summary
        .days
        .iter()
        .flat_map(|(day, kinds)| kinds.iter().map(move |(kind, count)| (format!("{day}  {kind}"), *count)));
    let days: Vec<_> = days.collect();
    part("days", days[days.len().saturating_sub(DOMAINS)..].to_vec());
    for (title, groups) in [("campaigns", &summary.campaigns), ("domains", &summary.domains)] {
        let each = groups.iter().flat_map(|(name, kinds)| {
            kinds.iter().map(move |(kind, count)| (format!("{name}  {kind}"), *count))
        });
        part(title, sorted(&mut each.into_iter()));
    }
    text
}
