//! `/metrics`: the runs that an account sees, for Prometheus. No recipient and no domain is a
//! label.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::IntoResponse;

use super::super::accounts::Account;
use super::super::reader::Reader;
use super::answer::Answer;
use crate::job::{ListedRun, Live};
use crate::kit::exposition::{Exposition, label};
use crate::run_dir::RunState;

/// The states of runs, as the label has them.
const STATES: [&str; 4] = ["planned", "running", "interrupted", "finished"];

/// All of it.
pub(super) async fn all(State(reader): State<Reader>, Extension(account): Extension<Arc<Account>>) -> Answer {
    let text = reader
        .read(move |workspace| {
            let runs = workspace.runs_alone(|dir, manifest| match manifest {
                Some(manifest) => account.sees(manifest),
                None => account.sees_campaign(dir.campaign_id()),
            })?;
            Ok(exposition(&runs))
        })
        .await?;
    let head = [(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8"), (CACHE_CONTROL, "no-store")];
    Ok((head, text).into_response())
}

/// Runs, the latest first.
fn exposition(runs: &[ListedRun]) -> String {
    let mut states: BTreeMap<(String, &str), u64> = BTreeMap::new();
    let (mut unreadable, mut latest) = (0_u64, BTreeMap::new());
    for run in runs {
        let Ok(facts) = &run.facts else {
            unreadable += 1;
            continue;
        };
        let campaign = &facts.manifest.campaign_id;
        let state = match facts.manifest.state {
            _ if facts.running => "running",
            RunState::Planned => "planned",
            // Whoever was sending it was killed.
            RunState::Running | RunState::Interrupted { .. } => "interrupted",
            RunState::Finished => "finished",
        };
        for other in STATES {
            *states.entry((campaign.clone(), other)).or_default() += u64::from(other == state);
        }
        latest.entry(campaign.as_str()).or_insert((run, facts));
    }
    let mut exposition = Exposition::default();
    let version = label("version", env!("CARGO_PKG_VERSION"));
    exposition.gauge(
        "mailrun_build_info",
        "The version that answers; always 1.",
        &[(version, "1".to_owned())],
    );
    let help = "Runs that can't be read.";
    exposition.gauge("mailrun_runs_unreadable", help, &[(String::new(), unreadable.to_string())]);
    let of = |campaign: &str, name: &str, value: &str| {
        format!("{},{}", label("campaign", campaign), label(name, value))
    };
    let samples: Vec<_> = states
        .iter()
        .map(|((campaign, state), runs)| (of(campaign, "state", state), runs.to_string()))
        .collect();
    exposition.gauge("mailrun_runs", "Runs by state.", &samples);
    let samples: Vec<_> = latest
        .iter()
        .flat_map(|(campaign, (_, facts))| {
            facts.counts.iter().map(|(word, rows)| (of(campaign, "disposition", word), rows.to_string()))
        })
        .collect();
    let help = "Rows of the latest run by disposition; waiting, to_retry and in_flight while it goes on.";
    exposition.gauge("mailrun_run_rows", help, &samples);
    let samples: Vec<_> = latest
        .iter()
        .filter_map(|(campaign, (_, facts))| {
            let started = facts.manifest.started?.0 as f64 / 1e6;
            Some((label("campaign", campaign), started.to_string()))
        })
        .collect();
    exposition.gauge("mailrun_run_started_timestamp_seconds", "When the latest run started.", &samples);
    let samples: Vec<_> = latest
        .iter()
        .filter(|(_, (_, facts))| facts.running)
        .filter_map(|(campaign, (run, _))| {
            let live = Live::read(&run.dir)?;
            Some((label("campaign", campaign), live.snapshot.per_second.to_string()))
        })
        .collect();
    let help = "Outcomes a second of the run that is being sent, over the last ten seconds.";
    exposition.gauge("mailrun_run_messages_per_second", help, &samples);
    exposition.into_text()
}
