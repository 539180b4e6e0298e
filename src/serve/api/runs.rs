//! `/v1/runs`: how far runs are, as `mailrun status --json` prints it.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, State};
use serde_json::{Value, json};

use super::super::accounts::Account;
use super::super::problem::Problem;
use super::super::reader::{Reader, visible};
use super::answer::{Answer, versioned};
use crate::job::{ListedRun, Live};
use crate::kit::json::extend;

/// All runs that the account sees, the latest first.
pub(super) async fn list(
    State(reader): State<Reader>,
    Extension(account): Extension<Arc<Account>>,
) -> Answer {
    let runs = reader
        .read(move |workspace| {
            let runs = workspace.runs_alone(|dir, manifest| match manifest {
                Some(manifest) => account.sees(manifest),
                None => account.sees_campaign(dir.campaign_id()),
            })?;
            Ok(runs.iter().map(shown).collect::<Vec<Value>>())
        })
        .await?;
    Ok(versioned(json!({ "runs": runs })))
}

/// One run.
pub(super) async fn one(
    State(reader): State<Reader>,
    Extension(account): Extension<Arc<Account>>,
    id: Result<Path<String>, axum::extract::rejection::PathRejection>,
) -> Answer {
    let Path(id) = id.map_err(|_| Problem::Nothing)?;
    let run = reader
        .read(move |workspace| {
            let (run, _) = visible(workspace, &account, &id)?;
            let listed = workspace.alone(&run);
            let is_running = listed.facts.as_ref().is_ok_and(|facts| facts.running);
            let progress = is_running.then(|| Live::read(run.dir())).flatten();
            let mut answer = shown(&listed);
            extend(&mut answer, json!({ "progress": progress }));
            Ok(answer)
        })
        .await?;
    Ok(versioned(run))
}

/// A run without what concerns this machine only: the next command, and the causes of a failure.
fn shown(run: &ListedRun) -> Value {
    let mut shown = run.json();
    if let Value::Object(keys) = &mut shown {
        keys.shift_remove("next");
        if let Some(problem) = keys.get_mut("problem") {
            *problem = "it can't be read".into();
        }
    }
    shown
}
