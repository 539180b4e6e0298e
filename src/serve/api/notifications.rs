//! `/in365-api`: what happened to recipients, in the form of a notification service such as SAP's.

use std::sync::Arc;

use axum::Extension;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::Uri;

use super::super::accounts::Account;
use super::super::problem::Problem;
use super::super::query::pairs;
use super::super::reader::{Reader, Unread, visible};
use super::answer::{Answer, plain};
use crate::job::{Asked, Workspace, histories, notification};
use crate::mail::Timestamp;
use crate::run_dir::{Manifest, StoredRun};

/// Recipients that can be asked for at once.
const MOST_RECIPIENTS: usize = 100;

/// The statuses of a notification, or of the recipients of a run whose id it is.
pub(super) async fn by_id(
    State(reader): State<Reader>,
    Extension(account): Extension<Arc<Account>>,
    path: Result<Path<(String, String)>, PathRejection>,
    uri: Uri,
) -> Answer {
    let Path((name, id)) = path.map_err(|_| Problem::Nothing)?;
    if name != account.name {
        return Err(Problem::Nothing);
    }
    let recipients: Vec<Asked> =
        pairs(&uri, &["recipient"])?.iter().map(|(_, value)| Asked::recipient(value)).collect();
    if recipients.len() > MOST_RECIPIENTS {
        return Err(Problem::Bad(format!("at most {MOST_RECIPIENTS} recipients can be asked for at once")));
    }
    let answer = reader
        .read(move |workspace| {
            let (run, manifest, is_row) = run_of(workspace, &account, &id)?;
            if !is_row && recipients.is_empty() {
                let problem =
                    "this is the id of a run: name recipients, as in `?recipient=email:a@b.example`";
                return Err(Unread::Problem(Problem::Bad(problem.to_owned())));
            }
            let asked = if is_row { Asked::Notification(id.clone()) } else { Asked::Any(recipients.clone()) };
            let (mut statuses, mut is_over) = (Vec::new(), false);
            let kept = manifest.campaign.results.status_retention.0;
            if let Some(finished) = manifest.finished {
                is_over = workspace.clock().wall().since(finished) > kept;
            }
            if !is_over {
                histories(workspace, run.dir(), &manifest, &asked, &mut |history| {
                    let named = history.recipient.as_deref().unwrap_or_default();
                    if !is_row || recipients.is_empty() || recipients.iter().any(|asked| asked.is_for(named))
                    {
                        statuses.extend(history.statuses(time));
                    }
                    true
                })?;
            }
            Ok(notification(&id, statuses))
        })
        .await?;
    Ok(plain(&answer))
}

/// The run that an id is about, and whether it names a row of it: the run's id, then one or two
/// numbers behind dots.
fn run_of(workspace: &Workspace, account: &Account, id: &str) -> Result<(StoredRun, Manifest, bool), Unread> {
    let of_rows = id.rmatch_indices('.').take(2).map(|(dot, _)| (&id[..dot], &id[dot + 1..]));
    for (run, row) in of_rows {
        if row.split('.').all(|number| number.parse::<u64>().is_ok()) && !run.contains('/') {
            match visible(workspace, account, run) {
                Ok((run, manifest)) => return Ok((run, manifest, true)),
                Err(Unread::Problem(_)) => {}
                Err(failed) => return Err(failed),
            }
        }
    }
    visible(workspace, account, id).map(|(run, manifest)| (run, manifest, false))
}

/// A time as the notification service writes it: UTC, in milliseconds.
fn time(at: Timestamp) -> String {
    at.to_string().replace('T', " ").trim_end_matches('Z').to_owned()
}
