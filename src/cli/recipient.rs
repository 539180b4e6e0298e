//! `mailrun status --recipient`: one recipient's whole history.
//!
//! As JSON it is a notification status: what was received, what was handed to the channel, and what
//! the channel did with it. After the retention time there is nothing but an empty object.

use serde_json::{Value, json};

use super::diagnostic::Diagnostic;
use super::exit::Exit;
use super::output::out;
use crate::job::{History, Workspace, histories};
use crate::mail::Address;
use crate::run_dir::{Manifest, RunDir};

pub(super) fn run(
    workspace: &Workspace,
    dir: &RunDir,
    manifest: &Manifest,
    address: &Address,
    as_json: bool,
) -> Result<Exit, Diagnostic> {
    let kept = manifest.campaign.results.status_retention.0;
    let over = manifest.finished.is_some_and(|at| workspace.clock().wall().since(at) > kept);
    if over {
        out(if as_json { "{}\n" } else { "" })?;
        return Ok(Exit::Ok);
    }
    let histories = histories(workspace, dir, manifest, address)?;
    if as_json {
        let values: Vec<Value> = histories.iter().map(notification).collect();
        let value = match <[Value; 1]>::try_from(values) {
            Ok([one]) => one,
            Err(none) if none.is_empty() => json!({}),
            Err(several) => json!(several),
        };
        out(&format!("{value:#}\n"))?;
        return Ok(Exit::Ok);
    }
    if histories.is_empty() {
        return Err(Diagnostic::new(format!("run `{}` has no row with the address `{address}`", dir.name())));
    }
    for history in &histories {
        let mut text = format!("{}  {}\n", history.recipient, history.place);
        for step in &history.steps {
            text.push_str(&format!("  {}  {:<13}  {}\n", step.at, step.code, step.text));
        }
        out(&text)?;
    }
    Ok(Exit::Ok)
}

fn notification(history: &History) -> Value {
    let status: Vec<Value> = history
        .steps
        .iter()
        .map(|step| {
            json!({
                "statusCode": step.code, "statusText": step.text, "channel": "email",
                "recipient": format!("email:{}", history.recipient), "timestamp": step.at.to_string(),
            })
        })
        .collect();
    json!({"notificationId": history.notification, "status": status})
}
