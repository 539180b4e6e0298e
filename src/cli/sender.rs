//! `mailrun sender`: the registry of senders against DNS, with a note of when each was last right.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::common::Common;
use super::diagnostic::Diagnostic;
use super::exit::Exit;
use super::name_servers::DnsOptions;
use super::output::out;
use super::runtime::runtime;
use crate::campaign::{RegisteredSender, Senders};
use crate::dkim::Signer;
use crate::job::{NameServers, Workspace};
use crate::kit::file::{self, PRIVATE};
use crate::mail::Domain;
use crate::preflight::sender::{self, Sender};
use crate::preflight::{Findings, Level};
use crate::route::Resolver;

/// Where it is noted, in the state directory.
const NOTES: &str = "senders.json";

/// What is known of a sender.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Note {
    /// When it was looked at.
    looked: String,
    /// When all was right; nothing where it never was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_right: Option<String>,
}

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
    /// Check the domains and keys of every registered sender, and note when each last passed
    Verify(Verify),
}

/// `mailrun sender verify`.
#[derive(Debug, clap::Args)]
struct Verify {
    /// Registry [default: `senders.toml` here or in the state directory]
    #[arg(long, value_name = "FILE")]
    senders: Option<PathBuf>,
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
        Command::Verify(args) => verify(&common.workspace(), args),
    }
}

fn verify(workspace: &Workspace, args: &Verify) -> Result<Exit, Diagnostic> {
    let file = match &args.senders {
        Some(file) => file.clone(),
        None => registry(workspace)?,
    };
    let registry = Senders::load(&file)?;
    let resolver = NameServers::from(args.dns.clone()).resolver_over(&[])?;
    let notes_file = workspace.state_dir()?.join(NOTES);
    let mut notes = read_notes(&notes_file);
    let runtime = runtime()?;
    let now = workspace.clock().wall().to_string();
    let (mut text, mut values, mut wrong) = (String::new(), Vec::new(), 0);
    for registered in &registry.senders {
        let name = name(registered);
        let mut findings = Findings::default();
        findings.extend(runtime.block_on(look(registered, &resolver))?);
        let refused = findings.refuse(args.strict);
        wrong += usize::from(refused);
        let note = notes.entry(name.clone()).or_default();
        note.looked.clone_from(&now);
        if !refused {
            note.last_right = Some(now.clone());
        }
        let last_right = note.last_right.as_deref().unwrap_or("never");
        let state = if refused { "wrong" } else { "right" };
        text.push_str(&format!("{name}: {state}, last right {last_right}\n"));
        for finding in findings.iter().filter(|finding| finding.level >= Level::Warning) {
            text.push_str(&format!("  {:<7}  {} ({})\n", finding.level, finding.seen, finding.id));
        }
        let findings: Vec<_> = findings.iter().collect();
        values.push(
            json!({"sender": name, "right": !refused, "last-right": note.last_right, "findings": findings}),
        );
    }
    write_notes(&notes_file, &notes)?;
    if args.json {
        out(&format!("{:#}\n", json!({"registry": file, "senders": values})))?;
    } else {
        out(&text)?;
    }
    Ok(if wrong > 0 { Exit::Refused } else { Exit::Ok })
}

/// `senders.toml` in this folder or in the state directory.
fn registry(workspace: &Workspace) -> Result<PathBuf, Diagnostic> {
    let here = Path::new("senders.toml");
    if here.is_file() {
        return Ok(here.to_owned());
    }
    workspace.registry_of(None)?.ok_or_else(|| {
        Diagnostic::new("no `senders.toml` here or in the state directory")
            .hint("choose a registry with `--senders FILE`")
    })
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

/// A file that can't be read says nothing: it is written again.
fn read_notes(path: &Path) -> BTreeMap<String, Note> {
    fs::read(path).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
}

fn write_notes(path: &Path, notes: &BTreeMap<String, Note>) -> Result<(), Diagnostic> {
    let text = serde_json::to_vec_pretty(notes).expect("texts in a map can be written as JSON");
    file::replace(path, &text, PRIVATE)
        .map_err(|error| Diagnostic::of("can't save the findings", &error).at(path.display()))
}
