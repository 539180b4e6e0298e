//! `/v1/runs/{id}/rows`: the result rows of a run, page after page.

use std::sync::Arc;

use axum::Extension;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::Uri;
use serde_json::json;

use super::super::accounts::Account;
use super::super::problem::Problem;
use super::super::query::{pairs, word};
use super::super::reader::{Reader, Unread, visible};
use super::answer::{Answer, versioned};
use super::limit;
use crate::mail::{Class, Disposition};
use crate::run_dir::RunState;

/// What is asked for.
#[derive(Debug, Default)]
struct Wanted {
    disposition: Option<Disposition>,
    class: Option<Class>,
    after: u64,
    limit: Option<usize>,
}

/// The rows of a run behind a cursor.
pub(super) async fn page(
    State(reader): State<Reader>,
    Extension(account): Extension<Arc<Account>>,
    id: Result<Path<String>, PathRejection>,
    uri: Uri,
) -> Answer {
    let Path(id) = id.map_err(|_| Problem::Nothing)?;
    let Wanted { disposition, class, after, limit: most } = wanted(&uri)?;
    let answer = reader
        .read(move |workspace| {
            let (run, manifest) = visible(workspace, &account, &id)?;
            match manifest.state {
                RunState::Finished => {}
                RunState::Planned | RunState::Running | RunState::Interrupted { .. } => {
                    return Err(Unread::Problem(Problem::Early));
                }
            }
            let page = workspace.row_page(&run, disposition, class, after, most.unwrap_or(limit::DEFAULT))?;
            let (name, next) = (run.dir().name(), page.next.to_string());
            Ok(json!({"run": name, "rows": page.rows, "after": next, "has_more": page.has_more}))
        })
        .await?;
    Ok(versioned(answer))
}

fn wanted(uri: &Uri) -> Result<Wanted, Problem> {
    let mut wanted = Wanted::default();
    for (name, value) in pairs(uri, &["disposition", "class", "after", "limit"])? {
        match name.as_str() {
            "disposition" => wanted.disposition = Some(word(&value)?),
            "class" => wanted.class = Some(word(&value)?),
            "after" => {
                let bad = |_| Problem::Bad("`after` is no cursor".to_owned());
                wanted.after = value.parse::<u32>().map_err(bad)?.into();
            }
            _ => wanted.limit = Some(limit::of(&value)?),
        }
    }
    Ok(wanted)
}
