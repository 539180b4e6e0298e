//! `/v1/search`: messages in the runs that an account sees.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::Uri;
use serde_json::{Value, json};

use super::super::accounts::Account;
use super::super::problem::Problem;
use super::super::query::{pairs, word};
use super::super::reader::Reader;
use super::answer::{Answer, versioned};
use super::limit;
use crate::job::{Found, Search};
use crate::mail::Timestamp;

/// What is known of the messages.
const KNOWN: [&str; 8] =
    ["message-id", "sender", "recipient", "class", "campaign", "since", "until", "limit"];

/// Searches at once: each may read in many runs.
pub(super) const AT_ONCE: usize = 2;

/// What `mailrun search --json` prints, of the runs of the account.
pub(super) async fn page(
    State(reader): State<Reader>,
    Extension(account): Extension<Arc<Account>>,
    uri: Uri,
) -> Answer {
    let (search, most) = wanted(&uri)?;
    let answer = reader
        .read(move |workspace| {
            let searched = workspace.search(&search, most, Some(&|manifest| account.sees(manifest)))?;
            for (run, why) in &searched.left_out {
                workspace.warn(format!("run `{run}` could not be searched: {why}"));
            }
            let found: Vec<Value> = searched.found.iter().map(Found::json).collect();
            let left_out =
                searched.left_out.iter().map(|(run, _)| json!({"run": run, "why": "it can't be read"}));
            let left_out: Vec<Value> = left_out.collect();
            Ok(json!({"found": found, "has_more": searched.has_more, "left_out": left_out}))
        })
        .await?;
    Ok(versioned(answer))
}

fn wanted(uri: &Uri) -> Result<(Search, usize), Problem> {
    let (mut search, mut most) = (Search::default(), limit::DEFAULT);
    for (name, value) in pairs(uri, &KNOWN)? {
        match name.as_str() {
            "message-id" => search.message_id = Some(value),
            "sender" => search.sender = Some(word(&value)?),
            "recipient" => search.recipient = Some(value),
            "class" => search.class = Some(word(&value)?),
            "campaign" => search.campaign = Some(value),
            "since" => search.since = Some(time(&value)?),
            "until" => search.until = Some(time(&value)?),
            _ => most = limit::of(&value)?,
        }
    }
    Ok((search, most))
}

/// A time in RFC 3339, or the begin of a day in UTC.
fn time(text: &str) -> Result<Timestamp, Problem> {
    let problem = || Problem::Bad(format!("`{text}` is no time: write 2026-12-31 or 2026-12-31T18:00:00Z"));
    Timestamp::parse_or_day(text).ok_or_else(problem)
}
