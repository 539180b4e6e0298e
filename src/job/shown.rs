//! Runs and rows as programs see them: on stdout with `--json`, and over HTTP.

use serde_json::{Map, Value, json};

use super::error::chain;
use super::history::History;
use super::runs::{ListedRun, NextStep, RunFacts};
use crate::kit::json::extend;
use crate::kit::text::command;
use crate::mail::Timestamp;
use crate::run_dir::{Manifest, RunDir};

/// What each command says first of a run.
pub(crate) fn run_head(dir: &RunDir, manifest: &Manifest) -> Value {
    json!({
        "run": dir.name(), "campaign": manifest.campaign_id, "edition": manifest.campaign.identity.edition,
        "state": manifest.state, "refused": manifest.refused,
        "rows": manifest.screening.rows, "planned": manifest.screening.accepted,
        "created": manifest.created.to_string(),
        "started": manifest.started.map(|at| at.to_string()),
        "finished": manifest.finished.map(|at| at.to_string()),
    })
}

impl NextStep {
    /// The next step where a hint says it, which is below the table.
    pub(crate) const SEE_HINT: &str = "see the hint below";

    /// The command to continue with.
    pub(crate) fn command(&self, run: &str) -> String {
        match self {
            Self::Watch => command(["status", run]),
            Self::Advised(_) => Self::SEE_HINT.to_owned(),
            Self::Resume(args) => command(args.iter().map(String::as_str)),
            Self::Retry(dispositions) => {
                let words: Vec<String> = dispositions.iter().map(ToString::to_string).collect();
                command(["retry", run, "--disposition", &words.join(",")])
            }
            Self::Nothing => "–".to_owned(),
        }
    }
}

impl RunFacts {
    /// How far the run in `dir` is.
    pub(crate) fn json(&self, dir: &RunDir) -> Value {
        let Self { manifest, running, counts, passwords, next } = self;
        let mut run = run_head(dir, manifest);
        let of = |counts: &[(String, u64)]| -> Map<String, Value> {
            counts.iter().map(|(word, rows)| (word.clone(), json!(rows))).collect()
        };
        let next = match next {
            // `refused` has the hint.
            NextStep::Nothing | NextStep::Advised(_) => None,
            NextStep::Watch | NextStep::Resume(_) | NextStep::Retry(_) => Some(next.command(&dir.name())),
        };
        extend(&mut run, json!({"running": running, "counts": of(counts), "next": next}));
        if manifest.campaign.secure_documents.is_some() {
            extend(&mut run, json!({"passwords": of(passwords)}));
        }
        run
    }
}

impl ListedRun {
    /// What is known of it.
    pub(crate) fn json(&self) -> Value {
        match &self.facts {
            Ok(facts) => facts.json(&self.dir),
            Err(error) => json!({
                "run": self.dir.name(), "created": self.created.to_string(), "problem": chain(error),
            }),
        }
    }
}

impl History {
    /// What happened to the row, in the form of notification services; `time` writes times.
    pub(crate) fn statuses(&self, time: fn(Timestamp) -> String) -> Vec<Value> {
        let recipient = self.recipient.as_ref().map(|recipient| format!("email:{recipient}"));
        let status = self.steps.iter().map(|step| {
            json!({
                "statusCode": step.code, "statusText": step.text, "channel": "email",
                "recipient": recipient, "timestamp": time(step.at),
            })
        });
        status.collect()
    }
}

/// A notification with its statuses; where there are none, an empty one.
pub(crate) fn notification(id: &str, statuses: Vec<Value>) -> Value {
    if statuses.is_empty() {
        return json!({"SAPnotification": {}});
    }
    json!({"SAPnotification": {"notificationId": id, "status": statuses}})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_next_step_can_be_pasted_into_a_shell() {
        let args = ["send", "it's here/campaign.toml", "--limit", "5"].map(String::from).to_vec();
        let step = NextStep::Resume(args).command("spring/abc");
        assert_eq!(step, "mailrun send \"it's here/campaign.toml\" --limit 5");
    }
}
