//! `mailrun suppress`: the list of addresses that are not sent to.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde_json::json;

use super::common::Common;
use super::diagnostic::Diagnostic;
use super::exit::Exit;
use super::output::ended_pipe;
use super::{json, log};
use crate::campaign::Span;
use crate::job::{JobError, Unsubscribed, Unsubscribes, Workspace};
use crate::kit::outside_text;
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
        #[arg(required_unless_present = "token")]
        addresses: Vec<Address>,
        /// Token of an unsubscribe link, instead of an address; can be repeated
        #[arg(long, value_name = "TOKEN", allow_hyphen_values = true)]
        token: Vec<String>,
        /// With --token: campaign, or the folder with its `campaign.toml`, whose `[unsubscribe]`
        /// names the secret [default: the secret in the state directory]
        #[arg(long, value_name = "CAMPAIGN", requires = "token")]
        campaign: Vec<PathBuf>,
        /// Reason [default: `manual`; `unsubscribe` for tokens]; entries with `unsubscribe` and
        /// `complaint` never expire
        #[arg(long)]
        reason: Option<Reason>,
        /// How long the entry lasts, such as 45d, or `never` to keep it forever
        #[arg(long, value_name = "SPAN", value_parser = parse_term)]
        r#for: Option<Term>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Remove addresses
    Remove {
        /// Addresses
        #[arg(required = true)]
        addresses: Vec<Address>,
        /// Print JSON
        #[arg(long)]
        json: bool,
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
    /// Add the addresses in files: CSV, JSON lines, Parquet or one address a line
    Import {
        /// Files with a column `email`, or `token` with --tokens; `reason`, `source` and `expires`
        /// are used if they exist. A bare list of addresses or tokens needs no header; gzip and
        /// zstd are unpacked
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Column with the address [default: `email`; `token` with --tokens]
        #[arg(long)]
        column: Option<String>,
        /// The column holds tokens of unsubscribe links instead of addresses
        #[arg(long)]
        tokens: bool,
        /// With --tokens: campaign, or the folder with its `campaign.toml`, whose `[unsubscribe]`
        /// names the secret [default: the secret in the state directory]
        #[arg(long, value_name = "CAMPAIGN", requires = "tokens")]
        campaign: Vec<PathBuf>,
        /// Reason for rows without one [default: `manual`; `unsubscribe` for tokens]
        #[arg(long)]
        reason: Option<Reason>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Write the list to a CSV or Parquet file
    Export {
        /// File; its extension decides the format
        file: PathBuf,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

pub(super) fn run(common: &Common, args: &Args) -> Result<Exit, Diagnostic> {
    let workspace = common.workspace();
    let list = &*workspace.suppressions()?;
    let now = workspace.clock().wall();
    match &args.command {
        Command::Add { addresses, token, campaign, reason, r#for, json } => {
            let unsubscribed = read_tokens(&workspace, token, campaign)?;
            let (reason, term) = (reason.as_ref(), r#for.unwrap_or(Term::Default));
            add(list, addresses, &unsubscribed, reason, term, now, *json)
        }
        Command::Remove { addresses, json } => remove(list, addresses, *json),
        Command::List { reason, expired, json } => {
            let filter =
                Filter { reason: reason.clone(), live_at: (!expired).then_some(now), ..Filter::default() };
            print(list, filter, *json)
        }
        Command::Import { files, column, tokens, campaign, reason, json } => {
            let tokens = tokens.then(|| Unsubscribes::open(&workspace, campaign)).transpose()?;
            import(&workspace, files, column.as_deref(), tokens.as_ref(), reason.as_ref(), *json)
        }
        Command::Export { file, json } => export(&workspace, file, *json),
    }
}

fn parse_term(text: &str) -> Result<Term, String> {
    match text {
        "never" => Ok(Term::Permanent),
        text => text.parse().map(|Span(span)| Term::For(span)),
    }
}

/// Whom these tokens unsubscribe. One that can't be read refuses them all.
fn read_tokens(
    workspace: &Workspace,
    tokens: &[String],
    campaigns: &[PathBuf],
) -> Result<Vec<Unsubscribed>, Diagnostic> {
    if tokens.is_empty() {
        return Ok(Vec::new());
    }
    let unsubscribes = Unsubscribes::open(workspace, campaigns)?;
    tokens.iter().map(|token| Ok(unsubscribes.read(token).map_err(JobError::from)?)).collect()
}

fn add(
    list: &dyn Suppressions,
    addresses: &[Address],
    unsubscribed: &[Unsubscribed],
    reason: Option<&Reason>,
    term: Term,
    now: Timestamp,
    as_json: bool,
) -> Result<Exit, Diagnostic> {
    let entry = |address: &Address, by_default: Reason, source: String| NewEntry {
        email: address.to_string(),
        address: address.clone(),
        reason: reason.cloned().unwrap_or(by_default),
        source,
        term,
    };
    let named = addresses.iter().map(|address| entry(address, Reason::Manual, "command line".into()));
    let by_token = unsubscribed.iter().map(|one| entry(&one.address, Reason::Unsubscribe, one.run()));
    let counts = list.import(&mut named.chain(by_token), now)?;
    if as_json {
        let by_token = unsubscribed.iter().map(|one| {
            json!({
                "email": one.address.to_string(), "run": one.run(), "row": one.token.row,
                "recipient": one.token.recipient,
            })
        });
        let by_token: Vec<_> = by_token.collect();
        return json::print(
            Exit::Ok,
            json!({
                "added": counts.new, "renewed": counts.renewed, "permanent": counts.kept, "tokens": by_token,
            }),
        );
    }
    for one in unsubscribed {
        let row = one.token.row.map_or(String::new(), |row| format!(", row {} of its plan", row + 1));
        log::print(&format!("{}: run {}{row}, recipient `{}`", one.address, one.run(), one.token.recipient));
    }
    log::print(&format!(
        "{} added, {} renewed, {} already permanent",
        counts.new, counts.renewed, counts.kept
    ));
    Ok(Exit::Ok)
}

fn remove(list: &dyn Suppressions, addresses: &[Address], as_json: bool) -> Result<Exit, Diagnostic> {
    let mut missing = Vec::new();
    for address in addresses {
        if !list.remove(&AddressKey::from(address))? {
            log::warn(&format!("`{address}` was not on the list"));
            missing.push(address.to_string());
        }
    }
    let removed = addresses.len() - missing.len();
    let exit = if missing.is_empty() { Exit::Ok } else { Exit::SomeNotAccepted };
    if as_json {
        return json::print(exit, json!({"removed": removed, "missing": missing}));
    }
    log::print(&format!("{removed} removed"));
    Ok(exit)
}

fn print(list: &dyn Suppressions, filter: Filter, as_json: bool) -> Result<Exit, Diagnostic> {
    let mut out = BufWriter::new(io::stdout().lock());
    for entry in Entries::new(list, filter) {
        let entry = entry?;
        let expires = entry.expires.map(|at| at.to_string());
        let line = if as_json {
            json::line(json!({
                "email": entry.email, "reason": entry.reason.as_str(), "source": entry.source,
                "added": entry.added.to_string(), "expires": expires,
            }))
        } else {
            let until = expires.unwrap_or_else(|| "never expires".into());
            let line = format!("{:<40} {:<12} {:<24} {}", entry.email, entry.reason, until, entry.source);
            outside_text::line(&line).into_owned()
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
    column: Option<&str>,
    tokens: Option<&Unsubscribes<'_>>,
    reason: Option<&Reason>,
    as_json: bool,
) -> Result<Exit, Diagnostic> {
    let (usual_column, usual_reason) =
        if tokens.is_some() { ("token", Reason::Unsubscribe) } else { ("email", Reason::Manual) };
    let (column, reason) = (column.unwrap_or(usual_column), reason.unwrap_or(&usual_reason));
    let refused = |file: &str, row, problem: &str| {
        log::warn(&outside_text::line(&format!("{file}, row {row}: {problem}")))
    };
    let imported = workspace.import_suppressions(files, column, tokens, reason, refused)?;
    let exit = if imported.refused == 0 && imported.stray == 0 { Exit::Ok } else { Exit::SomeNotAccepted };
    if as_json {
        let counts = &imported.counts;
        return json::print(
            exit,
            json!({
                "rows": imported.rows, "added": counts.new, "renewed": counts.renewed,
                "permanent": counts.kept, "refused": imported.refused, "stray_quotes": imported.stray,
            }),
        );
    }
    log::print(&format!(
        "{} read: {} added, {} renewed, {} already permanent, {} refused",
        counted(imported.rows, "row", "rows"),
        grouped(imported.counts.new),
        grouped(imported.counts.renewed),
        grouped(imported.counts.kept),
        grouped(imported.refused)
    ));
    Ok(exit)
}

fn export(workspace: &Workspace, file: &Path, as_json: bool) -> Result<Exit, Diagnostic> {
    let written = workspace.export_suppressions(file)?;
    if as_json {
        return json::print(Exit::Ok, json!({"file": file, "entries": written}));
    }
    log::print(&format!("{} written to {}", counted(written, "entry", "entries"), file.display()));
    Ok(Exit::Ok)
}
