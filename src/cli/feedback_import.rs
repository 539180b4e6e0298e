//! `mailrun feedback import`: files of providers, and what they did.

use std::io;
use std::path::PathBuf;

use serde_json::json;

use super::diagnostic::Diagnostic;
use super::exit::Exit;
use super::{json, log};
use crate::feedback::import::{Format, ImportOptions};
use crate::job::Workspace;
use crate::kit::outside_text;
use crate::kit::text::{counted, grouped};
use crate::mail::Domain;

/// So many places that can't be read are shown.
const FAULTS: u64 = 20;

/// `mailrun feedback import`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Files with events as JSON, or with reputations as CSV; `-` reads standard input
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// What the files are, where their content does not tell: ses, sendgrid, mailgun, postmark,
    /// snds or postmaster
    #[arg(long, value_name = "PROVIDER")]
    from: Option<Format>,
    /// The domain that a CSV of postmaster is about, where no column names one
    #[arg(long)]
    domain: Option<Domain>,
    /// Count what would be done, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(workspace: &Workspace, args: &Args) -> Result<Exit, Diagnostic> {
    let options = ImportOptions { format: args.from, domain: args.domain.clone() };
    let mut shown = 0;
    let imported =
        workspace.import_feedback(&args.files, io::stdin(), &options, args.dry_run, |file, line, why| {
            shown += 1;
            if shown <= FAULTS {
                let fault = format!("{}:{line}: {why}", file.display());
                log::warn(&outside_text::line(&fault));
            }
        })?;
    if imported.faults > FAULTS {
        log::warn(&format!("{} more can't be read", grouped(imported.faults - FAULTS)));
    }
    let exit = match (imported.left_out, imported.faults) {
        (0, 0) => Exit::Ok,
        (0, _) => Exit::SomeNotAccepted,
        _ => Exit::Busy,
    };
    if args.json {
        return json::print(
            exit,
            json!({
                "events": imported.events, "readings": imported.readings, "skipped": imported.skipped,
                "known": imported.known, "faults": imported.faults, "suppressed": imported.suppressed,
                "effects": imported.effects, "import": imported.import,
            }),
        );
    }
    let counts = [
        (imported.readings, "day of a sender", "days of senders"),
        (imported.skipped, "other event skipped", "other events skipped"),
        (imported.known, "read before", "read before"),
        (imported.left_out, "not kept: its run can't be read", "not kept: their runs can't be read"),
        (imported.faults, "that can't be read", "that can't be read"),
    ];
    let mut parts = vec![counted(imported.events, "event", "events")];
    parts.extend(
        counts
            .into_iter()
            .filter(|(count, ..)| *count > 0)
            .map(|(count, one, more)| counted(count, one, more)),
    );
    parts.push(format!("{} suppressed", grouped(imported.suppressed)));
    let import = imported.import.map_or(String::new(), |import| format!(": import {import}"));
    log::print(&format!("{}{import}", parts.join(", ")));
    Ok(exit)
}
