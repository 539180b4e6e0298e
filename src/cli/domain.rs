//! `mailrun domain`: who sends in the name of a domain, and what its policy needs.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;

use super::common::Common;
use super::diagnostic::Diagnostic;
use super::exit::Exit;
use super::name_servers::DnsOptions;
use super::output::out;
use super::runtime::runtime;
use super::table::table;
use super::{json, log, moment};
use crate::campaign::Senders;
use crate::domain::{Advice, Evidence, Known, Source, View, advice, percent};
use crate::job::{NameServers, Workspace, name_sources, published_policy};
use crate::kit::file::{self, PRIVATE, create_private_folders};
use crate::kit::outside_text;
use crate::kit::text::{command, counted, grouped};
use crate::mail::{Domain, Timestamp};
use crate::preflight::sender::zone_line;
use crate::report::{self, Page};

/// The sources that people are shown.
const SOURCES: usize = 40;
/// And the weeks.
const WEEKS: usize = 13;
const DAY: Duration = Duration::from_secs(86_400);

/// `mailrun domain`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// What to do.
    #[command(subcommand)]
    command: Command,
}

/// What can be asked of a domain.
#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Show who sends in the name of a domain, from the DMARC reports that `feedback read` has read
    Report(ReportArgs),
    /// Show where a domain is on the way to `p=reject`, what the next step needs, and the record;
    /// changes nothing
    Policy(PolicyArgs),
}

/// `mailrun domain report`.
#[derive(Debug, clap::Args)]
struct ReportArgs {
    /// Domain; what is below it counts too
    domain: Domain,
    /// Only reports whose time begins at this time or later: RFC 3339, or HH:MM today
    #[arg(long, value_name = "TIME", value_parser = moment::parse)]
    since: Option<Timestamp>,
    /// Only reports whose time begins before this time
    #[arg(long, value_name = "TIME", value_parser = moment::parse)]
    until: Option<Timestamp>,
    /// Look the sources up in reverse DNS
    #[arg(long)]
    ptr: bool,
    /// Where the registry is.
    #[command(flatten)]
    registry: Registry,
    /// Where DNS is asked.
    #[command(flatten)]
    dns: DnsOptions,
    /// Write the report as a page to this file: one self-contained HTML file, with its charts
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// `mailrun domain policy`.
#[derive(Debug, clap::Args)]
struct PolicyArgs {
    /// Domain
    domain: Domain,
    /// Add `pct=0` to a policy that is being tested, for receivers that know no `t=y`
    #[arg(long)]
    pct: bool,
    /// Where the registry is.
    #[command(flatten)]
    registry: Registry,
    /// Where DNS is asked.
    #[command(flatten)]
    dns: DnsOptions,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Where the registry is.
#[derive(Debug, clap::Args)]
struct Registry {
    /// Registry with own keys and platforms [default: `senders.toml` here or in the state
    /// directory, if there is one]
    #[arg(long, value_name = "FILE")]
    senders: Option<PathBuf>,
}

impl Registry {
    fn load(&self, workspace: &Workspace) -> Result<Known, Diagnostic> {
        let here = Path::new("senders.toml");
        let path = match &self.senders {
            Some(path) => Some(path.clone()),
            None if here.is_file() => Some(here.to_owned()),
            None => workspace.registry_of(None)?,
        };
        let senders = path.map(|path| Senders::load(&path)).transpose()?;
        Ok(Known::new(senders.as_ref()))
    }
}

pub(super) fn run(common: &Common, args: &Args) -> Result<Exit, Diagnostic> {
    let workspace = common.workspace();
    match &args.command {
        Command::Report(args) => report(&workspace, args),
        Command::Policy(args) => policy(&workspace, args),
    }
}

fn report(workspace: &Workspace, args: &ReportArgs) -> Result<Exit, Diagnostic> {
    let known = args.registry.load(workspace)?;
    let mut view = workspace.domain_view(&args.domain, args.since, args.until, &known)?;
    if args.ptr {
        let resolver = NameServers::from(args.dns.clone()).resolver_over(&[])?;
        runtime()?.block_on(name_sources(&mut view, &resolver));
    }
    if let Some(file) = &args.html {
        write_page(&view, file)?;
    }
    if view.reports == 0 {
        log::print(&format!(
            "no DMARC reports on {} were read in this time; `mailrun feedback read` reads them",
            args.domain
        ));
    }
    if args.json {
        return json::print(Exit::Ok, json!(view));
    }
    if args.html.is_none() {
        out(&outside_text::lines(&text(&view)))?;
    }
    Ok(Exit::Ok)
}

fn write_page(view: &View, file: &Path) -> Result<(), Diagnostic> {
    let page = Page::start(Vec::new(), &view.domain).and_then(|mut page| {
        page.add(&report::domain(view, Timestamp::wall()))?;
        page.end()
    });
    let folder = file.parent().unwrap_or(file);
    page.and_then(|page| {
        create_private_folders(folder)?;
        file::replace(file, &page, PRIVATE)
    })
    .map_err(|error| Diagnostic::of("can't write the report", &error).at(file.display()))
}

fn share(part: u64, whole: u64) -> String {
    format!("{:.1} %", percent(part, whole))
}

fn day(at: Timestamp) -> String {
    at.to_utc().format("%Y-%m-%d").to_string()
}

fn text(view: &View) -> String {
    let mut text = format!("{}: ", view.domain);
    let times = view.since.zip(view.until);
    let times = times.map(|(since, until)| format!(" from {} to {}", day(since), day(until)));
    text.push_str(&format!(
        "{} in {}{}\n",
        counted(view.all.messages, "mail", "mails"),
        counted(view.reports, "report", "reports"),
        times.unwrap_or_default()
    ));
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    if !view.classes.is_empty() {
        let mut rows = vec![words(&["who", "mails", "DKIM", "SPF", "DMARC"])];
        rows.extend(view.classes.iter().map(|(class, all)| {
            vec![
                class.as_str().to_owned(),
                grouped(all.messages),
                share(all.dkim_aligned, all.messages),
                share(all.spf_aligned, all.messages),
                share(all.dmarc_pass, all.messages),
            ]
        }));
        text.push_str(&format!("\naligned by\n{}", table(&rows)));
    }
    let left_out = view.weeks.len().saturating_sub(WEEKS);
    if !view.weeks.is_empty() {
        let mut rows = vec![words(&["week from", "mails", "DKIM", "DMARC"])];
        rows.extend(view.weeks[left_out..].iter().map(|week| {
            vec![
                day(week.start),
                grouped(week.all.messages),
                share(week.all.dkim_aligned, week.all.messages),
                share(week.all.dmarc_pass, week.all.messages),
            ]
        }));
        text.push_str(&format!("\nweeks\n{}", table(&rows)));
    }
    if !view.sources.is_empty() {
        let mut rows = vec![words(&["who", "mails", "DMARC", "from", "organisation", "SPF", "DKIM"])];
        rows.extend(view.sources.iter().take(SOURCES).map(source));
        text.push_str(&format!("\nsources\n{}", table(&rows)));
        let more = view.sources.len().saturating_sub(SOURCES) + view.sources_left_out;
        if more > 0 {
            text.push_str(&format!("  and {} more\n", grouped(more as u64)));
        }
    }
    if !view.tls.is_empty() {
        let rows = view.tls.iter().map(|tls| {
            let failed = format!("{} failed", grouped(tls.failed));
            let sessions = counted(tls.ok.saturating_add(tls.failed), "session", "sessions");
            vec![tls.domain.clone(), tls.policy.clone(), sessions, failed]
        });
        text.push_str(&format!("\nTLS\n{}", table(&rows.collect::<Vec<_>>())));
    }
    text
}

fn source(source: &Source) -> Vec<String> {
    let or_dash = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
    let signature = match (source.dkim_domain.as_str(), source.selector.as_str()) {
        ("", _) => "-".to_owned(),
        (domain, "") => domain.to_owned(),
        (domain, selector) => format!("{domain} ({selector})"),
    };
    let from = match &source.ptr {
        Some(ptr) => format!("{} {ptr}", source.network),
        None => or_dash(&source.network),
    };
    vec![
        source.class.as_str().to_owned(),
        grouped(source.all.messages),
        share(source.all.dmarc_pass, source.all.messages),
        from,
        or_dash(&source.organisation),
        or_dash(&source.spf_domain),
        signature,
    ]
}

fn policy(workspace: &Workspace, args: &PolicyArgs) -> Result<Exit, Diagnostic> {
    let known = args.registry.load(workspace)?;
    let now = Timestamp::wall();
    let since = |days: u32| workspace.domain_view(&args.domain, Some(now - DAY * days), None, &known);
    let all = workspace.domain_view(&args.domain, None, None, &known)?;
    let (month, week) = (since(30)?, since(7)?);
    let resolver = NameServers::from(args.dns.clone()).resolver_over(&[])?;
    let published = runtime()?
        .block_on(published_policy(&args.domain, &resolver))
        .map_err(|error| Diagnostic::of("the policy can't be looked up", &error))?;
    let platforms = known.names().map(str::to_owned).collect();
    let evidence = Evidence { all: &all, month: &month, week: &week, platforms, now };
    let advice = advice(args.domain.as_str(), &published, &evidence, args.pct);
    if args.json {
        return json::print(Exit::Ok, json!(advice));
    }
    out(&outside_text::lines(&advised(&advice, published.texts.len())))?;
    Ok(Exit::Ok)
}

fn advised(advice: &Advice, records: usize) -> String {
    let Advice { domain, name, record, .. } = advice;
    let mut text = format!("{domain}: {}\n", advice.stage.as_str().replace('_', " "));
    match (&advice.published, &advice.at) {
        (Some(published), Some(at)) => text.push_str(&format!("  _dmarc.{at}: {published}\n")),
        _ if records > 1 => text.push_str(&format!("  {records} records at {name} are none: keep one\n")),
        _ => {}
    }
    match (advice.next, advice.step_back) {
        (None, _) => text.push_str("\nThis is the end of the way.\n"),
        (Some(next), true) => {
            let next = next.as_str().replace('_', " ");
            text.push_str(&format!("\nMore than 0.5 % of own mail fails: a step back to {next} is due.\n"));
        }
        (Some(next), false) => {
            let is_ready = if advice.ready { ", which is due" } else { "" };
            text.push_str(&format!("\nThe next step is {}{is_ready}.\n", next.as_str().replace('_', " ")));
        }
    }
    let needs = advice.needs.iter();
    let needs: Vec<Vec<String>> = needs
        .map(|need| vec![if need.met { "ok" } else { "missing" }.to_owned(), need.seen.clone()])
        .collect();
    text.push_str(&table(&needs));
    if advice.published.as_ref() == Some(record) {
        text.push_str("\nThe record is right for today.\n");
    } else {
        text.push_str(&format!("\nThe record for today:\n  {}\n", zone_line(name, record)));
    }
    if let Some(next) = &advice.next_record {
        text.push_str(&format!("\nThe record then:\n  {}\n", zone_line(name, next)));
    }
    if !advice.needs.is_empty() && !advice.ready {
        text.push_str(&format!(
            "\n`{}` shows what is behind it.\n",
            command(["mailrun", "domain", "report", domain])
        ));
    }
    text
}
