//! `mailrun status` for single recipients: one, or each of a run with its whole history.
//!
//! As JSON each row is a line with its notification status, in the form of services such as SAP's:
//! what was received, what was handed to the channel, and what the channel did with it. After the
//! retention time there is nothing but an empty object.

use std::io::{self, BufWriter, Write};

use serde_json::Value;

use super::diagnostic::Diagnostic;
use super::exit::Exit;
use super::output::ended_pipe;
use crate::job::{Asked, History, Workspace, histories, notification};
use crate::kit::outside_text;
use crate::mail::Timestamp;
use crate::run_dir::{Manifest, RunDir};

pub(super) fn run(
    workspace: &Workspace,
    dir: &RunDir,
    manifest: &Manifest,
    asked: &Asked,
    as_json: bool,
) -> Result<Exit, Diagnostic> {
    let mut out = BufWriter::new(io::stdout().lock());
    let mut written = Ok(());
    let mut found = 0_u64;
    let kept = manifest.campaign.results.status_retention.0;
    let is_over = manifest.finished.is_some_and(|at| workspace.clock().wall().since(at) > kept);
    if !is_over {
        histories(workspace, dir, manifest, asked, &mut |history| {
            found += 1;
            let shown = if as_json { as_notification(&history).to_string() } else { text(&history) };
            let safe = if as_json { outside_text::json(&shown) } else { outside_text::lines(&shown) };
            written = writeln!(out, "{safe}");
            written.is_ok()
        })?;
    }
    if found == 0 && as_json {
        written = writeln!(out, "{}", notification("", Vec::new()));
    } else if found == 0 && !is_over {
        return Err(nobody(dir, asked));
    }
    written.and_then(|()| out.flush()).map_or_else(ended_pipe, |()| Ok(Exit::Ok))
}

fn nobody(dir: &RunDir, asked: &Asked) -> Diagnostic {
    let what = match asked {
        Asked::Everybody => String::new(),
        Asked::Address(address) => format!(" with the address `{address}`"),
        Asked::Text(text) => format!(" with the address `{}`", outside_text::line(text)),
        Asked::Notification(id) => format!(" with the notification id `{}`", outside_text::line(id)),
        Asked::Any(_) => " that was asked for".to_owned(),
    };
    Diagnostic::new(format!("run `{}` has no row{what}", dir.name()))
}

fn text(history: &History) -> String {
    let recipient = outside_text::line(history.recipient.as_deref().unwrap_or("(no address)"));
    let mut text = format!("{recipient}  {}  {}", history.place, history.notification);
    for step in &history.steps {
        text.push_str(&format!("\n  {}  {:<13}  {}", step.at, step.code, outside_text::line(&step.text)));
    }
    text
}

fn as_notification(history: &History) -> Value {
    notification(&history.notification, history.statuses(|at: Timestamp| at.to_string()))
}
