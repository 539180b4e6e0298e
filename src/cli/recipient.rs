//! `mailrun status --recipient`: one recipient's whole history.
//!
//! As JSON it is a notification status: what was received, what was handed to the channel, and what the channel did
//! with it. After the retention time there is nothing but an empty object.

use serde_json::{Value, json};

use super::args::Common;
use super::diagnostic::Diagnostic;
use super::exit::Exit;
use super::{job, out};
use crate::compose::return_path;
use crate::journal::{Attempt, Reader, Verdict};
use crate::mail::{Address, Disposition, Timestamp};
use crate::plan::{self, ScreenedRows};
use crate::run_dir::{Manifest, RunDir};

/// One thing that happened.
struct Step {
    code: &'static str,
    text: String,
    at: Timestamp,
}

/// What happened to one row.
struct History {
    notification: String,
    place: String,
    recipient: String,
    steps: Vec<Step>,
}

/// The recipient whose return path this is.
pub fn of_return_path(
    common: &Common,
    dir: &RunDir,
    manifest: &Manifest,
    return_path: &Address,
) -> Result<Address, Diagnostic> {
    let secret = job::token_secret(common, manifest.campaign.unsubscribe.as_ref())?;
    let plan = manifest.open_plan(&dir.plan())?;
    let row = return_path::decode(&secret, manifest.run_id.as_str(), return_path);
    row.filter(|row| *row < plan.len()).map(|row| plan.address(row)).ok_or_else(|| {
        Diagnostic::new(format!("`{return_path}` is no return path of run `{}`", dir.name()))
            .hint("its token names another run, was made with another secret, or was changed on the way")
    })
}

pub fn run(dir: &RunDir, manifest: &Manifest, address: &Address, as_json: bool) -> Result<Exit, Diagnostic> {
    let kept = manifest.campaign.results.status_retention.0;
    let over = manifest.finished.is_some_and(|at| Timestamp::wall().since(at) > kept);
    if over {
        out(if as_json { "{}\n" } else { "" })?;
        return Ok(Exit::Ok);
    }
    let histories = histories(dir, manifest, address)?;
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

fn histories(dir: &RunDir, manifest: &Manifest, address: &Address) -> Result<Vec<History>, Diagnostic> {
    let plan = manifest.open_plan(&dir.plan())?;
    let journal = if dir.journal().exists() { Some(Reader::open(&dir.journal())?) } else { None };
    let received = manifest.planned.unwrap_or(manifest.created);
    let same = |email: &str| Address::parse(email).is_ok_and(|other| is_same(&other, address));
    let shown = |file: usize| manifest.inputs.get(file).map_or("", |input| input.shown.as_str());
    let mut found = Vec::new();
    for row in plan::input_order(&plan, ScreenedRows::open(&dir.screened())?) {
        match row? {
            plan::InputRow::Planned(index) => {
                if !is_same(&plan.address(index), address) {
                    continue;
                }
                let (file, row) = plan.place(index);
                let mut steps = vec![Step { code: "CAAS_RECEIVED", text: "planned".into(), at: received }];
                if let Some(journal) = &journal {
                    for attempt in journal.attempts(index)? {
                        steps.extend(steps_of(&attempt));
                    }
                }
                found.push(History {
                    notification: format!("{}.{index}", manifest.run_id),
                    place: format!("{}, row {row}", shown(file as usize)),
                    recipient: address.to_string(),
                    steps,
                });
            }
            plan::InputRow::Screened(screened) => {
                let Some(email) = screened.email.as_deref().filter(|email| same(email)) else { continue };
                let text = format!("{}: {}", screened.disposition, screened.detail);
                found.push(History {
                    notification: format!("{}.{}.{}", manifest.run_id, screened.file, screened.place.row),
                    place: format!("{}, row {}", shown(screened.file), screened.place.row),
                    recipient: email.trim().to_owned(),
                    steps: vec![Step { code: "CAAS_RECEIVED", text, at: received }],
                });
            }
        }
    }
    Ok(found)
}

fn is_same(one: &Address, other: &Address) -> bool {
    one.domain() == other.domain() && one.local().to_lowercase() == other.local().to_lowercase()
}

/// What one attempt amounts to: handed to the channel, taken up by it, and how that ended.
fn steps_of(attempt: &Attempt) -> Vec<Step> {
    let mut steps = Vec::new();
    if let Some(intent) = &attempt.intent {
        let text = format!("attempt {}, message {}", intent.attempt, intent.message_id);
        steps.push(Step { code: "CAAS_SENT", text, at: intent.at });
    }
    let Some(outcome) = &attempt.outcome else {
        return steps;
    };
    let why = match (&outcome.reply, &outcome.detail) {
        (Some(reply), _) => reply.to_string(),
        (None, Some(detail)) => detail.clone(),
        (None, None) => String::new(),
    };
    match outcome.verdict {
        Verdict::Final(Disposition::Accepted) => {
            let started = outcome.last_attempt_at.unwrap_or(outcome.at);
            steps.push(Step { code: "CH_RECEIVED", text: "handed to the next hop".into(), at: started });
            steps.push(Step { code: "CH_SENT", text: format!("accepted: {why}"), at: outcome.at });
        }
        Verdict::Final(disposition) if attempt.intent.is_some() => {
            steps.push(Step { code: "CH_RECEIVED", text: format!("{disposition}: {why}"), at: outcome.at });
        }
        Verdict::Final(disposition) => {
            steps.push(Step { code: "CAAS_RECEIVED", text: format!("{disposition}: {why}"), at: outcome.at });
        }
        Verdict::Retry { at } => {
            let text = format!("to be tried again at {at}: {why}");
            steps.push(Step { code: "CH_RECEIVED", text, at: outcome.at });
        }
        Verdict::Withdrawn => {
            steps.push(Step {
                code: "CAAS_RECEIVED",
                text: "not started, waits again".into(),
                at: outcome.at,
            });
        }
    }
    steps
}
