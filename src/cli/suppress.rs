//! `mailrun suppress`: the list of addresses that are not sent to.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::common::Common;
use super::diagnostic::Diagnostic;
use super::exit::Exit;
use super::output::{ended_pipe, out};
use super::{json, log};
use crate::campaign::Span;
use crate::job::{JobError, Unsubscribed, Unsubscribes, Workspace};
use crate::kit::outside_text;
use crate::kit::text::{counted, grouped};
use crate::mail::{Address, ListId, Timestamp};
use crate::suppression::{
    AddressKey, Entries, Entry, Filter, ImportCounts, NewEntry, Reason, Scope, Suppressions, Term, why,
};

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
        /// Block only mail with this `list-id` [default: all mail; for tokens, that of the list
        /// whose mail had the link]
        #[arg(long, value_name = "ID")]
        list_id: Option<ListId>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Remove addresses
    Remove {
        /// Addresses
        #[arg(required = true)]
        addresses: Vec<Address>,
        /// Remove the entries for mail with this `list-id` [default: those for all mail]
        #[arg(long, value_name = "ID")]
        list_id: Option<ListId>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show what mail to addresses is blocked: exit code 1 if any is
    Check {
        /// Addresses
        #[arg(required = true)]
        addresses: Vec<Address>,
        /// Only what blocks mail with this `list-id` [default: all entries]
        #[arg(long, value_name = "ID")]
        list_id: Option<ListId>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// List the entries that have not expired
    List {
        /// Only entries with this reason
        #[arg(long)]
        reason: Option<Reason>,
        /// Only entries for mail with this `list-id`
        #[arg(long, value_name = "ID")]
        list_id: Option<ListId>,
        /// Expired entries too
        #[arg(long)]
        expired: bool,
        /// Print JSON lines
        #[arg(long)]
        json: bool,
    },
    /// Add the addresses in files: CSV, JSON lines, Parquet or one address a line
    Import {
        /// Files with a column `email`, or `token` with --tokens; `reason`, `source`, `expires` and
        /// `list_id` are used if they exist. A bare list of addresses or tokens needs no header;
        /// gzip and zstd are unpacked
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
        /// For rows without a `list_id`: block only mail with this one [default: all mail; for
        /// tokens, that of the list whose mail had the link]
        #[arg(long, value_name = "ID")]
        list_id: Option<ListId>,
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
        Command::Add { addresses, token, campaign, reason, r#for, list_id, json } => {
            let unsubscribed = read_tokens(&workspace, token, campaign)?;
            let entry = |address: &Address, scope: &Scope, by_default: Reason, source: String| NewEntry {
                email: address.to_string(),
                address: address.clone(),
                scope: list_id.clone().map_or_else(|| scope.clone(), Scope::List),
                reason: reason.clone().unwrap_or(by_default),
                source,
                term: r#for.unwrap_or(Term::Default),
            };
            let named = addresses
                .iter()
                .map(|address| entry(address, &Scope::All, Reason::Manual, "command line".into()));
            let by_token = unsubscribed
                .iter()
                .map(|one| entry(&one.address, &one.scope, Reason::Unsubscribe, one.run()));
            let counts = list.import(&mut named.chain(by_token), now)?;
            added(counts, &unsubscribed, list_id.as_ref(), *json)
        }
        Command::Remove { addresses, list_id, json } => {
            remove(list, addresses, &Scope::of(list_id.clone()), now, *json)
        }
        Command::Check { addresses, list_id, json } => check(list, addresses, list_id.as_ref(), now, *json),
        Command::List { reason, list_id, expired, json } => {
            let filter = Filter {
                reason: reason.clone(),
                scope: list_id.clone().map(Scope::List),
                live_at: (!expired).then_some(now),
                ..Filter::default()
            };
            print(list, filter, *json)
        }
        Command::Import { files, column, tokens, campaign, reason, list_id, json } => {
            let tokens = tokens.then(|| Unsubscribes::open(&workspace, campaign)).transpose()?;
            let for_all = (reason.as_ref(), list_id.as_ref());
            import(&workspace, files, column.as_deref(), tokens.as_ref(), for_all, *json)
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

/// Shows what was added; `list_id` is the list that the command names.
fn added(
    counts: ImportCounts,
    unsubscribed: &[Unsubscribed],
    list_id: Option<&ListId>,
    as_json: bool,
) -> Result<Exit, Diagnostic> {
    let list_of = |one: &Unsubscribed| list_id.or(one.scope.list()).cloned();
    if as_json {
        let by_token = unsubscribed.iter().map(|one| {
            json!({
                "email": one.address.to_string(), "run": one.run(), "row": one.token.row,
                "recipient": one.token.recipient, "list_id": list_of(one),
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
        let scope = Scope::of(list_of(one));
        let (address, run, recipient) = (&one.address, one.run(), &one.token.recipient);
        log::print(&format!("{address}: run {run}{row}, recipient `{recipient}`{scope}"));
    }
    log::print(&format!(
        "{} added, {} renewed, {} already permanent",
        counts.new, counts.renewed, counts.kept
    ));
    Ok(Exit::Ok)
}

fn remove(
    list: &dyn Suppressions,
    addresses: &[Address],
    scope: &Scope,
    now: Timestamp,
    as_json: bool,
) -> Result<Exit, Diagnostic> {
    let mut missing = Vec::new();
    for address in addresses {
        let key = AddressKey::from(address);
        if !list.remove(&key, scope)? {
            log::warn(&format!("`{address}` was not on the list{scope}"));
            missing.push(address.to_string());
        }
        for left in list.of_address(key.as_str())?.iter().filter(|entry| entry.is_live(now)) {
            let option = left.scope.list().map(|list| format!(" --list-id {list}")).unwrap_or_default();
            let line = format!(
                "`{address}` is still on the list: {left}; to remove that too: `mailrun suppress remove{option} \
                 {address}`"
            );
            log::warn(&outside_text::line(&line));
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

fn check(
    list: &dyn Suppressions,
    addresses: &[Address],
    list_id: Option<&ListId>,
    now: Timestamp,
    as_json: bool,
) -> Result<Exit, Diagnostic> {
    let mut blocked = 0;
    let (mut shown, mut text) = (Vec::new(), String::new());
    for address in addresses {
        let key = AddressKey::from(address);
        let mut entries = match list_id {
            Some(_) => list.blocking(key.as_str(), list_id, now)?,
            None => list.of_address(key.as_str())?,
        };
        entries.retain(|entry| entry.is_live(now));
        blocked += usize::from(!entries.is_empty());
        let why = why(&entries).unwrap_or_else(|| "not on the list".to_owned());
        text.push_str(&format!("{}\n", outside_text::line(&format!("{address}: {why}"))));
        let entries: Vec<_> = entries.iter().map(as_value).collect();
        shown.push(json!({ "email": address.to_string(), "entries": entries }));
    }
    let exit = if blocked == 0 { Exit::Ok } else { Exit::SomeNotAccepted };
    if as_json {
        return json::print(exit, json!({ "blocked": blocked, "addresses": shown }));
    }
    out(&text)?;
    Ok(exit)
}

/// An entry in JSON.
fn as_value(entry: &Entry) -> Value {
    json!({
        "email": entry.email, "reason": entry.reason.as_str(), "source": entry.source,
        "added": entry.added.to_string(), "expires": entry.expires.map(|at| at.to_string()),
        "list_id": entry.scope.list(),
    })
}

fn print(list: &dyn Suppressions, filter: Filter, as_json: bool) -> Result<Exit, Diagnostic> {
    let mut out = BufWriter::new(io::stdout().lock());
    for entry in Entries::new(list, filter) {
        let entry = entry?;
        let line = if as_json {
            json::line(as_value(&entry))
        } else {
            let until = entry.expires.map_or_else(|| "never expires".into(), |at| at.to_string());
            let (email, reason, source, scope) = (&entry.email, &entry.reason, &entry.source, &entry.scope);
            let line = format!("{email:<40} {reason:<12} {until:<24} {source}{scope}");
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
    (reason, list_id): (Option<&Reason>, Option<&ListId>),
    as_json: bool,
) -> Result<Exit, Diagnostic> {
    let (usual_column, usual_reason) =
        if tokens.is_some() { ("token", Reason::Unsubscribe) } else { ("email", Reason::Manual) };
    let (column, reason) = (column.unwrap_or(usual_column), reason.unwrap_or(&usual_reason));
    let refused = |file: &str, row, problem: &str| {
        log::warn(&outside_text::line(&format!("{file}, row {row}: {problem}")))
    };
    let imported = workspace.import_suppressions(files, column, tokens, (reason, list_id), refused)?;
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
