//! What happened to one recipient in a run, from its plan and its journal.

use super::error::{JobError, SelectionError};
use super::secret::token_secret;
use super::workspace::Workspace;
use crate::compose::return_path;
use crate::journal::{Attempt, Verdict};
use crate::mail::{Address, Disposition, Timestamp};
use crate::plan::{self, ScreenedRows};
use crate::run_dir::{Manifest, RunDir};

/// One thing that happened.
pub(crate) struct Step {
    /// Its status code as a notification.
    pub code: &'static str,
    /// What was seen.
    pub text: String,
    /// When.
    pub at: Timestamp,
}

/// What happened to one row.
pub(crate) struct History {
    /// Its id as a notification.
    pub notification: String,
    /// File and row.
    pub place: String,
    /// The address.
    pub recipient: String,
    /// In the order of time.
    pub steps: Vec<Step>,
}

/// The recipient whose return path in the run in `dir` this is.
pub(crate) fn recipient_of_return_path(
    workspace: &Workspace,
    dir: &RunDir,
    manifest: &Manifest,
    return_path: &Address,
) -> Result<Address, JobError> {
    let secret = token_secret(workspace, manifest.campaign.unsubscribe.as_ref())?;
    let plan = manifest.open_plan(&dir.plan())?;
    let row = return_path::decode(&secret, manifest.run_id.as_str(), return_path);
    let row = row.filter(|row| *row < plan.len());
    let no_such = || SelectionError::NoReturnPath { address: return_path.clone(), run: dir.name() };
    Ok(row.map(|row| plan.address(row)).ok_or_else(no_such)?)
}

/// What happened to the rows of a run with this address.
pub(crate) fn histories(
    workspace: &Workspace,
    dir: &RunDir,
    manifest: &Manifest,
    address: &Address,
) -> Result<Vec<History>, JobError> {
    let plan = manifest.open_plan(&dir.plan())?;
    let state = workspace.state()?;
    let journal = state.has_journal(dir).then(|| state.read_journal(dir)).transpose()?;
    let received = manifest.planned.unwrap_or(manifest.created);
    let same = |email: &str| Address::parse(email).is_ok_and(|other| is_same(&other, address));
    let shown = |file: usize| manifest.shown(file);
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

/// What one attempt amounts to: handed to the channel, accepted by it, and how that ended.
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
            let text = format!("retry at {at}: {why}");
            steps.push(Step { code: "CH_RECEIVED", text, at: outcome.at });
        }
        Verdict::Withdrawn => {
            steps.push(Step {
                code: "CAAS_RECEIVED",
                text: "not started, waiting again".into(),
                at: outcome.at,
            });
        }
    }
    steps
}
