//! `/v1/events`: what happened to the recipients of a run, page after page.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::Uri;
use serde_json::{Value, json};

use super::super::accounts::Account;
use super::super::problem::Problem;
use super::super::query::pairs;
use super::super::reader::{Reader, Unread, visible};
use super::answer::{Answer, versioned};
use super::limit;
use crate::events::Cursor;
use crate::kit::json::extend;

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
struct Wanted {
    run: Option<String>,
    after: Option<Cursor>,
    limit: usize,
}

/// The events of a run behind a cursor, as `mailrun events` prints them.
pub(super) async fn page(
    State(reader): State<Reader>,
    Extension(account): Extension<Arc<Account>>,
    uri: Uri,
) -> Answer {
    let Wanted { run, after, limit } = wanted(&uri)?;
    let answer = reader
        .read(move |workspace| {
            let of_cursor = after.as_ref().map(|cursor| cursor.run.clone());
            let Some(text) = run.clone().or_else(|| of_cursor.clone()) else {
                let problem = "name a run, as in `?run=ID`, or the cursor of an event, as in `?after=CURSOR`";
                return Err(Unread::Problem(Problem::Bad(problem.to_owned())));
            };
            let (run, _) = visible(workspace, &account, &text)?;
            let own = run.dir().run_id();
            if of_cursor.is_some_and(|of| of != own) {
                let problem = Problem::Bad("the cursor is not one of this run".to_owned());
                return Err(Unread::Problem(problem));
            }
            let mut cursor = after.unwrap_or_else(|| Cursor::start(own));
            // One more than wanted, which says that there are more.
            let mut found: Vec<(Value, Cursor)> = Vec::new();
            workspace.events(&run, &mut cursor, false, &mut |page| {
                let left = limit + 1 - found.len();
                found.extend(page.iter().take(left).map(|(event, cursor)| (event.json(), cursor.clone())));
                found.len() <= limit
            })?;
            let has_more = found.len() > limit;
            if has_more {
                found.truncate(limit);
                cursor = found.last().map_or(cursor, |(_, cursor)| cursor.clone());
            }
            let events = found.into_iter().map(|(mut event, cursor)| {
                extend(&mut event, json!({ "cursor": cursor.to_string() }));
                event
            });
            let events: Vec<Value> = events.collect();
            Ok(json!({"events": events, "after": cursor.to_string(), "has_more": has_more}))
        })
        .await?;
    Ok(versioned(answer))
}

fn wanted(uri: &Uri) -> Result<Wanted, Problem> {
    let mut wanted = Wanted { run: None, after: None, limit: limit::DEFAULT };
    for (name, value) in pairs(uri, &["run", "after", "limit"])? {
        match name.as_str() {
            "run" => wanted.run = Some(value),
            "after" => {
                let cursor = value.parse().map_err(|_| Problem::Bad("`after` is no cursor".to_owned()))?;
                wanted.after = Some(cursor);
            }
            _ => wanted.limit = limit::of(&value)?,
        }
    }
    Ok(wanted)
}
