//! `mailrun suppress`: the list of addresses that are not sent to.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::common::Common;
use super::diagnostic::Diagnostic;
use super::exit::Exit;
use super::log;
use super::output::ended_pipe;
use crate::campaign::Span;
use crate::job::Workspace;
use crate::kit::text::{counted, grouped};
use crate::mail::{Address, Timestamp};
use crate::suppression::{AddressKey, Entries, Filter, NewEntry, Reason, Suppressions, Term};

/// `mailrun suppress`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// What to do.
    #[command(subcommand)]
    command: Command,
}

/// What can be done with the suppression list.
#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Add addresses
    Add {
        /// Addresses
        #[arg(required = true)]
        addresses: Vec<Address>,
        /// Reason; entries with `unsubscribe` and `complaint` never expire
        #[arg(long, default_value = "manual")]
        reason: Reason,
        /// How long the entry lasts, such as 45d, or `never` to keep it forever
        #[arg(long, value_name = "SPAN", value_parser = parse_term)]
        r#for: Option<Term>,
    },
    /// Remove addresses
    Remove {
        /// Addresses
        #[arg(required = true)]
        addresses: Vec<Address>,
    },
    /// List the entries that have not expired
    List {
        /// Only entries with this reason
        #[arg(long)]
        reason: Option<Reason>,
        /// Expired entries too
        #[arg(long)]
        expired: bool,
        /// Print JSON lines
        #[arg(long)]
        json: bool,
    },
    /// Add the addresses in CSV or Parquet files
    Import {
        /// Files with a column `email`; `reason`, `source` and `expires` are used if they exist
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Column with the address
        #[arg(long, default_value = "email")]
        column: String,
        /// Reason for rows without one
        #[arg(long, default_value = "manual")]
        reason: Reason,
    },
    /// Write the list to a CSV or Parquet file
    Export {
        /// File; its extension decides the format
        file: PathBuf,
    },
}

pub(super) fn run(common: &Common, args: &Args) -> Result<Exit, Diagnostic> {
    let workspace = common.workspace();
    let list = &*workspace.suppressions()?;
    let now = workspace.clock().wall();
    match &args.command {
        Command::Add { addresses, reason, r#for } => {
            add(list, addresses, reason, r#for.unwrap_or(Term::Default), now)
        }
        Command::Remove { addresses } => remove(list, addresses),
        Command::List { reason, expired, json } => {
            let filter =
                Filter { reason: reason.clone(), live_at: (!expired).then_some(now), ..Filter::default() };
            print(list, filter, *json)
        }
        Command::Import { files, column, reason } => import(&workspace, files, column, reason),
        Command::Export { file } => export(&workspace, file),
    }
}

fn parse_term(text: &str) -> Result<Term, String> {
    match text {
        "never" => Ok(Term::Permanent),
        text => text.parse().map(|Span(span)| Term::For(span)),
    }
}

fn add(
    list: &dyn Suppressions,
    addresses: &[Address],
    reason: &Reason,
    term: Term,
    now: Timestamp,
) -> Result<Exit, Diagnostic> {
    let entry = |address: &Address| NewEntry {
        email: address.to_string(),
        address: address.clone(),
        reason: reason.clone(),
        source: "command line".into(),
        term,
    };
    let counts = list.import(&mut addresses.iter().map(entry), now)?;
    log::print(&format!(
        "{} added, {} renewed, {} already permanent",
        counts.new, counts.renewed, counts.kept
    ));
    Ok(Exit::Ok)
}

fn remove(list: &dyn Suppressions, addresses: &[Address]) -> Result<Exit, Diagnostic> {
    let mut missing = 0;
    for address in addresses {
        if !list.remove(&AddressKey::from(address))? {
            log::print(&format!("`{address}` was not on the list"));
            missing += 1;
        }
    }
    log::print(&format!("{} removed", addresses.len() - missing));
    Ok(if missing == 0 { Exit::Ok } else { Exit::SomeNotAccepted })
}

fn print(list: &dyn Suppressions, filter: Filter, json: bool) -> Result<Exit, Diagnostic> {
    let mut out = BufWriter::new(io::stdout().lock());
    for entry in Entries::new(list, filter) {
        let entry = entry?;
        let expires = entry.expires.map(|at| at.to_string());
        let line = if json {
            serde_json::json!({
                "email": entry.email, "reason": entry.reason.as_str(), "source": entry.source,
                "added": entry.added.to_string(), "expires": expires,
            })
            .to_string()
        } else {
            let until = expires.unwrap_or_else(|| "never expires".into());
            format!("{:<40} {:<12} {:<24} {}", entry.email, entry.reason, until, entry.source)
        };
        if let Err(error) = writeln!(out, "{line}") {
            return ended_pipe(error);
        }
    }
    out.flush().map_or_else(ended_pipe, |()| Ok(Exit::Ok))
}

fn import(
    workspace: &Workspace,
    files: &[PathBuf],
    column: &str,
    reason: &Reason,
) -> Result<Exit, Diagnostic> {
    let refused = |file: &str, row, problem: &str| log::print(&format!("{file}, row {row}: {problem}"));
    let imported = workspace.import_suppressions(files, column, reason, refused)?;
    log::print(&format!(
        "{} read: {} added, {} renewed, {} already permanent, {} refused",
        counted(imported.rows, "row", "rows"),
        grouped(imported.counts.new),
        grouped(imported.counts.renewed),
        grouped(imported.counts.kept),
        grouped(imported.refused)
    ));
    Ok(if imported.refused == 0 { Exit::Ok } else { Exit::SomeNotAccepted })
}

fn export(workspace: &Workspace, file: &Path) -> Result<Exit, Diagnostic> {
    let written = workspace.export_suppressions(file)?;
    log::print(&format!("{} written to {}", counted(written, "entry", "entries"), file.display()));
    Ok(Exit::Ok)
}
