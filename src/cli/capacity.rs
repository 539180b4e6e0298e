//! `mailrun capacity`: what each account has used, and proof from result files.

use serde_json::json;

use super::common::Common;
use super::diagnostic::Diagnostic;
use super::exit::Exit;
use super::output::out;
use super::table::table;
use super::{json, log};
use crate::campaign::Capacity;
use crate::kit::text::{counted, grouped};
use crate::pacing::{Agreement, Audit, Fullest, Usage};

/// `mailrun capacity`.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Args {
    /// What to do; shows the slots of the last hour by default.
    #[command(subcommand)]
    command: Option<Command>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What can be done with the ledger.
#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Apply newly agreed limits now, instead of the strictest of the last hour
    Set {
        /// Capacity account
        account: String,
        /// Messages per hour
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(12..=1_000_000_000))]
        per_hour: u64,
        /// How far five minutes may exceed their share, in percent
        #[arg(long, value_name = "N", default_value_t = 25, value_parser = clap::value_parser!(u32).range(0..=1_100))]
        burst_percent: u32,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Prove from result files alone that no window was exceeded
    Audit {
        /// Runs: ids, starts of ids, campaign ids, or directories
        #[arg(required = true, id = "audited", value_name = "RUN")]
        runs: Vec<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

pub(super) fn run(common: &Common, args: &Args) -> Result<Exit, Diagnostic> {
    match &args.command {
        None => show(common, args.json),
        Some(Command::Set { account, per_hour, burst_percent, json }) => {
            set(common, account, *per_hour, *burst_percent, *json)
        }
        Some(Command::Audit { runs, json }) => audit_runs(common, runs, *json || args.json),
    }
}

fn set(
    common: &Common,
    account: &str,
    per_hour: u64,
    burst_percent: u32,
    as_json: bool,
) -> Result<Exit, Diagnostic> {
    let capacity = Capacity { account: account.to_owned(), per_hour, burst_percent, ..Capacity::default() };
    let limits = Agreement::from(&capacity);
    let ledger = common.workspace().state()?.ledger();
    let changed = ledger.set_limits(account, limits)?;
    let is_known = ledger.usage()?.iter().any(|usage| usage.account == account);
    if as_json {
        return json::print(
            Exit::Ok,
            json!({
                "account": account, "per_hour": limits.per_hour, "per_slot": limits.per_slot,
                "changed": changed > 0, "known": changed > 0 || is_known,
            }),
        );
    }
    log::print(&match (changed, is_known) {
        (0, false) => {
            format!("the account `{account}` was not used within the last hour: campaigns' own limits apply")
        }
        (0, true) => format!("the account `{account}` has these limits already"),
        (_, _) => format!(
            "the account `{account}` has {} an hour, {} in five minutes, from now on; what it sent within the last hour \
             counts, and a run that is sending keeps to its own limits",
            grouped(limits.per_hour),
            grouped(limits.per_slot)
        ),
    });
    Ok(Exit::Ok)
}

fn show(common: &Common, as_json: bool) -> Result<Exit, Diagnostic> {
    let accounts = common.workspace().state()?.ledger().usage()?;
    if as_json {
        let accounts: Vec<_> = accounts.iter().map(account_json).collect();
        return json::print(Exit::Ok, json!({ "accounts": accounts }));
    }
    if accounts.is_empty() {
        out("no account has been used yet\n")?;
    }
    for account in &accounts {
        let mut text = format!(
            "{}: {} an hour, {} in five minutes; last hour {} used, {} free; last five minutes {} used, {} free\n",
            account.account,
            grouped(account.in_force.per_hour),
            grouped(account.in_force.per_slot),
            grouped(account.hour_used),
            grouped(account.hour_free),
            grouped(account.slot_used),
            grouped(account.slot_free)
        );
        if account.disagrees() {
            let named: Vec<String> = account
                .named
                .iter()
                .map(|(campaign, limits)| {
                    format!("{campaign} {} ({})", grouped(limits.per_hour), grouped(limits.per_slot))
                })
                .collect();
            text.push_str(&format!(
                "  warning: campaigns name different limits, the strictest apply: {} an hour (in five minutes)\n",
                named.join(", ")
            ));
        }
        let rows: Vec<Vec<String>> = account
            .slots
            .iter()
            .filter(|slot| slot.used > 0)
            .map(|slot| {
                let by: Vec<String> = slot
                    .by
                    .iter()
                    .map(|(holder, used)| {
                        format!("{} {} ({})", grouped(*used), holder.campaign, holder.process)
                    })
                    .collect();
                vec![slot.start.to_string(), grouped(slot.used), by.join(", ")]
            })
            .collect();
        text.push_str(&table(&rows));
        out(&text)?;
    }
    Ok(Exit::Ok)
}

fn account_json(account: &Usage) -> serde_json::Value {
    let slots: Vec<_> = account
        .slots
        .iter()
        .map(|slot| {
            let by: Vec<_> = slot
                .by
                .iter()
                .map(|(holder, used)| {
                    json!({"campaign": &*holder.campaign, "process": &*holder.process, "used": used})
                })
                .collect();
            json!({"start": slot.start.to_string(), "used": slot.used, "by": by})
        })
        .collect();
    let named: Vec<_> = account
        .named
        .iter()
        .map(|(campaign, limits)| {
            json!({"campaign": campaign, "per_hour": limits.per_hour, "per_slot": limits.per_slot})
        })
        .collect();
    json!({
        "account": account.account, "named": named, "per_hour": account.in_force.per_hour, "per_slot": account.in_force.per_slot,
        "hour_used": account.hour_used, "hour_free": account.hour_free,
        "slot_used": account.slot_used, "slot_free": account.slot_free, "slots": slots,
    })
}

/// The attempts of the runs, per account, held against the agreement.
fn audit_runs(common: &Common, runs: &[String], as_json: bool) -> Result<Exit, Diagnostic> {
    let mut holds = true;
    let mut all = Vec::new();
    for (account, audit) in common.workspace().audit(runs)? {
        holds &= audit.holds();
        if as_json {
            all.push(json!({
                "account": account, "attempts": audit.attempts, "holds": audit.holds(),
                "slot": fullest(&audit, &audit.slot), "hour": fullest(&audit, &audit.hour),
            }));
            continue;
        }
        if audit.attempts == 0 {
            out(&format!("{account}: nothing was attempted\n"))?;
            continue;
        }
        let verdict = if audit.holds() { "kept" } else { "EXCEEDED" };
        out(&format!(
            "{account}: {verdict}; {}\n{}",
            counted(audit.attempts, "attempt", "attempts"),
            table(&[line("fullest 300 s", &audit.slot), line("fullest 3,600 s", &audit.hour)])
        ))?;
    }
    let exit = if holds { Exit::Ok } else { Exit::SomeNotAccepted };
    if as_json {
        return json::print(exit, json!({"holds": holds, "accounts": all}));
    }
    Ok(exit)
}

fn line(name: &str, window: &Fullest) -> Vec<String> {
    vec![
        name.into(),
        grouped(window.count),
        "of".into(),
        grouped(window.limit),
        format!("from {}", window.start),
    ]
}

/// A window; it begins nowhere where nothing was attempted.
fn fullest(audit: &Audit, window: &Fullest) -> serde_json::Value {
    let start = (audit.attempts > 0).then(|| window.start.to_string());
    json!({"count": window.count, "limit": window.limit, "start": start})
}
