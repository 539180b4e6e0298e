//! `/v1/usage`: what the runs that an account sees have sent, month by month.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use serde_json::{Value, json};

use super::super::accounts::Account;
use super::super::reader::Reader;
use super::answer::{Answer, versioned};

/// The runs that started in a month.
#[derive(Debug, Default)]
struct Month {
    runs: u64,
    rows: u64,
    counts: BTreeMap<String, u64>,
}

/// The months in UTC in which runs started, the latest first.
pub(super) async fn months(
    State(reader): State<Reader>,
    Extension(account): Extension<Arc<Account>>,
) -> Answer {
    let name = account.name.clone();
    let months = reader
        .read(move |workspace| {
            let is_seen = |manifest: Option<&_>| manifest.is_some_and(|manifest| account.sees(manifest));
            let runs = workspace.runs_alone(|_, manifest| is_seen(manifest))?;
            let mut months: BTreeMap<String, Month> = BTreeMap::new();
            for facts in runs.iter().filter_map(|run| run.facts.as_ref().ok()) {
                let Some(started) = facts.manifest.started else { continue };
                let month = months.entry(started.to_utc().format("%Y-%m").to_string()).or_default();
                month.runs += 1;
                month.rows += facts.manifest.screening.rows;
                for (word, rows) in &facts.counts {
                    *month.counts.entry(word.clone()).or_default() += rows;
                }
            }
            Ok(months)
        })
        .await?;
    let months = months.into_iter().rev().map(|(month, Month { runs, rows, counts })| {
        json!({"month": month, "runs": runs, "rows": rows, "counts": counts})
    });
    Ok(versioned(json!({"account": name, "months": months.collect::<Vec<Value>>()})))
}
