//! `mailrun sender`: the registry of senders against DNS, with a note of when each was last right,
//! and addresses verified by a mail with a token.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::common::Common;
use super::diagnostic::Diagnostic;
use super::exit::Exit;
use super::name_servers::DnsOptions;
use super::output::out;
use super::runtime::runtime;
use super::{json, log, signals, summary};
use crate::campaign::{RegisteredSender, Senders};
use crate::dkim::Signer;
use crate::job::{
    Checks, Job, List, NameServers, Outcome, Percent, Selection, SendOptions, Workspace, campaign_file,
};
use crate::journal::InDoubt;
use crate::kit::text::command;
use crate::mail::{Address, Domain};
use crate::preflight::sender::{self, Sender};
use crate::preflight::{Findings, Level};
use crate::route::Resolver;

/// The campaign whose ways a mail with a token takes.
const CAMPAIGN: &str = "campaign.toml";

/// `mailrun sender`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// What to do.
    #[command(subcommand)]
    command: Command,
}

/// What can be done with the registry of senders.
#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Check the domains and keys of every registered sender, and note when each last passed; with
    /// --address, verify that mail to an address arrives
    Verify(Verify),
}

/// `mailrun sender verify`.
#[derive(Debug, clap::Args)]
struct Verify {
    /// Registry [default: the one of --campaign, or `senders.toml` here or in the state directory]
    #[arg(long, value_name = "FILE")]
    senders: Option<PathBuf>,
    /// Send a mail with a token to this registered address, which is pending until the token is
    /// given
    #[arg(long, value_name = "ADDRESS", conflicts_with = "strict")]
    address: Option<Address>,
    /// With --address: the token of the mail
    #[arg(long, value_name = "TOKEN", requires = "address", allow_hyphen_values = true)]
    token: Option<String>,
    /// With --address: campaign file whose relay or route sends the mail [default: `campaign.toml`
    /// here]
    #[arg(long, value_name = "FILE", requires = "address", conflicts_with = "token")]
    campaign: Option<PathBuf>,
    /// Where DNS is asked.
    #[command(flatten)]
    dns: DnsOptions,
    /// Fail on warnings too
    #[arg(long)]
    strict: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(common: &Common, args: &Args) -> Result<Exit, Diagnostic> {
    match &args.command {
        Command::Verify(args) => match (&args.address, &args.token) {
            (Some(address), Some(token)) => confirm(&common.workspace(), address, token, args.json),
            (Some(address), None) => ask(&common.workspace(), args, address),
            (None, _) => verify(&common.workspace(), args),
        },
    }
}

/// The registry that is meant.
fn load(workspace: &Workspace, args: &Verify) -> Result<(PathBuf, Senders), Diagnostic> {
    let file = match &args.senders {
        Some(file) => file.clone(),
        None => registry(workspace, args.campaign.as_deref())?,
    };
    let registry = Senders::load(&file)?;
    Ok((file, registry))
}

/// Sends a mail with a token to an address.
fn ask(workspace: &Workspace, args: &Verify, address: &Address) -> Result<Exit, Diagnostic> {
    let (_, registry) = load(workspace, args)?;
    let campaign = args.campaign.as_deref().map_or_else(|| CAMPAIGN.into(), campaign_file);
    if args.campaign.is_none() && !campaign.is_file() {
        return Err(Diagnostic::new("no campaign says which relay sends the mail").hint(
            "name one with `--campaign FILE`; with the token of an earlier mail, use `--token TOKEN`",
        ));
    }
    let job = Job::open(workspace, workspace.verification(&campaign, &registry, address)?)?.verifying();
    let mut run = job.freeze_or_resume(&Selection::List(List::default()))?;
    let options = SendOptions {
        in_doubt: InDoubt::Keep,
        unpaced: false,
        not_after: None,
        deadline: None,
        name_servers: args.dns.clone().into(),
        sandbox_keep: None,
        sandbox_record: None,
    };
    let end = runtime()?.block_on(async {
        job.gate(&mut run, &Checks::default()).await?;
        Ok::<_, Diagnostic>(job.send(&mut run, &options, signals::listen()?).await?)
    })?;
    let conclusion = job.conclude(run, &end, Percent::default())?;
    let exit = summary::exit(conclusion.outcome);
    if args.json {
        let state = if exit == Exit::Ok { "pending" } else { "not verified" };
        return json::print(
            exit,
            json!({"address": address.to_string(), "state": state, "run": conclusion.dir.name()}),
        );
    }
    match conclusion.outcome {
        Outcome::AllAccepted => log::print(&format!(
            "a mail with a token was sent to {address}: it is pending until `{}`",
            command(["sender", "verify", "--address", &address.to_string(), "--token", "TOKEN"])
        )),
        Outcome::SomeNotAccepted => log::warn(&format!(
            "the mail to {address} was not accepted; `mailrun results {}` shows why",
            conclusion.dir.name()
        )),
        Outcome::Interrupted => {}
    }
    Ok(exit)
}

fn confirm(workspace: &Workspace, address: &Address, token: &str, as_json: bool) -> Result<Exit, Diagnostic> {
    workspace.confirm_sender(address, token)?;
    if as_json {
        return json::print(
            Exit::Ok,
            json!({"address": address.to_string(), "state": "verified", "run": null}),
        );
    }
    log::print(&format!("{address} is verified"));
    Ok(Exit::Ok)
}

fn verify(workspace: &Workspace, args: &Verify) -> Result<Exit, Diagnostic> {
    let (file, registry) = load(workspace, args)?;
    let resolver = NameServers::from(args.dns.clone()).resolver_over(&[])?;
    let mut notes = workspace.sender_notes()?;
    let runtime = runtime()?;
    let now = workspace.clock().wall().to_string();
    let (mut text, mut values, mut wrong) = (String::new(), Vec::new(), 0);
    for registered in &registry.senders {
        let name = name(registered);
        let mut findings = Findings::default();
        findings.extend(runtime.block_on(look(registered, &resolver))?);
        let refused = findings.refuse(args.strict);
        wrong += usize::from(refused);
        let address = registered.address.as_ref().map(|address| notes.of_address(address));
        let note = notes.of(&name);
        note.looked = Some(now.clone());
        if !refused {
            note.last_right = Some(now.clone());
        }
        let last_right = note.last_right.as_deref().unwrap_or("never");
        let state = if refused { "wrong" } else { "right" };
        let address = address.map(|note| note.state().unwrap_or("not verified"));
        let verified = address.map_or(String::new(), |state| format!("; address {state}"));
        text.push_str(&format!("{name}: {state}, last right {last_right}{verified}\n"));
        for finding in findings.iter().filter(|finding| finding.level >= Level::Warning) {
            text.push_str(&format!("  {:<7}  {} ({})\n", finding.level, finding.seen, finding.id));
        }
        let findings: Vec<_> = findings.iter().collect();
        values.push(json!({
            "sender": name, "right": !refused, "last_right": note.last_right, "address": address,
            "findings": findings,
        }));
    }
    notes.write()?;
    let addresses = || notes.iter().filter_map(|(name, note)| Some((name, note.state()?)));
    for (name, state) in addresses().filter(|(name, _)| !is_listed(&registry, name)) {
        text.push_str(&format!("{name}: address {state}\n"));
    }
    let exit = if wrong > 0 { Exit::Refused } else { Exit::Ok };
    if args.json {
        let addresses = addresses().map(|(address, state)| json!({"address": address, "state": state}));
        let addresses: Vec<_> = addresses.collect();
        let answer = json!({"registry": file, "senders": values, "addresses": addresses});
        return json::print(exit, answer);
    }
    out(&text)?;
    Ok(exit)
}

/// The registry of the campaign, where one is named; `senders.toml` in this folder or in the state
/// directory.
fn registry(workspace: &Workspace, campaign: Option<&Path>) -> Result<PathBuf, Diagnostic> {
    if let Some(registry) = campaign.map(|file| workspace.registry_named_by(file)).transpose()?.flatten() {
        return Ok(registry);
    }
    let here = Path::new("senders.toml");
    if here.is_file() {
        return Ok(here.to_owned());
    }
    workspace.registry_of(None)?.ok_or_else(|| {
        Diagnostic::new("no `senders.toml` here or in the state directory")
            .hint("choose a registry with `--senders FILE`")
    })
}

/// Whether the registry has an entry of its own for an address.
fn is_listed(registry: &Senders, address: &str) -> bool {
    let own = registry.senders.iter().filter_map(|sender| sender.address.as_ref());
    own.into_iter().any(|own| own.to_string().eq_ignore_ascii_case(address))
}

fn name(sender: &RegisteredSender) -> String {
    match (&sender.address, &sender.domain) {
        (Some(address), _) => address.to_string(),
        (None, Some(domain)) => domain.to_string(),
        (None, None) => unreachable!("a registry is checked when it is read"),
    }
}

async fn look(
    registered: &RegisteredSender,
    resolver: &Resolver,
) -> Result<Vec<crate::preflight::Finding>, Diagnostic> {
    let from: &Domain = match (&registered.address, &registered.domain) {
        (Some(address), _) => address.domain(),
        (None, Some(domain)) => domain,
        (None, None) => unreachable!("a registry is checked when it is read"),
    };
    let signer = Signer::load(&registered.dkim)?;
    let return_path = registered.return_path.as_ref().map_or(from, |path| path.domain());
    let sender =
        Sender { from, return_path, signer: &signer, egress: &[], relays: Vec::new(), message: None };
    Ok(sender::check(&sender, resolver).await)
}
