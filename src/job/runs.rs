//! All runs in the folders that are known: how far they are, and what to do next.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::error::JobError;
use super::standing::{Standing, standing};
use super::workspace::Workspace;
use crate::mail::{Disposition, Timestamp};
use crate::run_dir::{Manifest, RunDir, RunState, RunStore, StoredRun, run_id};
use crate::state;

/// Dispositions that `retry` is offered for.
const WORTH_RETRYING: [Disposition; 3] =
    [Disposition::Deferred, Disposition::RenderFailed, Disposition::NotAttempted];

/// One of all runs.
pub(crate) struct ListedRun {
    /// The run.
    pub dir: RunDir,
    /// When it was created, as far as that is known.
    pub created: Timestamp,
    /// What is known of it.
    pub facts: Result<RunFacts, JobError>,
}

/// How far a run is.
pub(crate) struct RunFacts {
    /// Its manifest.
    pub manifest: Manifest,
    /// Whether a process works on it.
    pub running: bool,
    /// Its rows per word, as [`standing`] names them.
    pub counts: Vec<(String, u64)>,
    /// Its mails with passwords that are due, in the same way.
    pub passwords: Vec<(String, u64)>,
    /// What to do next.
    pub next: NextStep,
}

/// What to do next with a run.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NextStep {
    /// A process works on it: watch it.
    Watch,
    /// What the refusal of its last start advised.
    Advised(String),
    /// The arguments of `mailrun` that resume it.
    Resume(Vec<String>),
    /// Some rows can be sent again: those with these dispositions.
    Retry(Vec<Disposition>),
    /// It is over.
    Nothing,
}

impl Workspace {
    /// All runs in the folders that are known, the latest first. What can't be read is among them.
    pub(crate) fn runs(&self) -> Result<Vec<ListedRun>, JobError> {
        let mut found = Vec::new();
        for folder in self.known_runs()? {
            found.extend(self.runs_in(&state::runs(&folder))?);
        }
        found.sort_by(|a, b| b.created.cmp(&a.created).then_with(|| a.dir.cmp(&b.dir)));
        Ok(found)
    }

    /// The messages that were sent once more, each as a run, in the folders that are known.
    pub(super) fn resent(&self) -> Result<Vec<ListedRun>, JobError> {
        let mut found = Vec::new();
        for folder in self.known_runs()? {
            found.extend(self.runs_in(&Self::resent_beside(&folder))?);
        }
        found.sort_by(|a, b| b.created.cmp(&a.created).then_with(|| a.dir.cmp(&b.dir)));
        Ok(found)
    }

    /// The runs with this id, or this name, which is that of the campaign, `/` and the id, in the
    /// folders that are known. Nothing else is taken for one: no path, and no start of an id.
    pub(crate) fn runs_named(&self, text: &str) -> Result<Vec<StoredRun>, JobError> {
        let mut found = Vec::new();
        for folder in self.known_runs()? {
            let store = state::runs(&folder);
            let is_it = |dir: &RunDir| dir.run_id() == text || dir.name() == text;
            let runs = store.list()?.into_iter().filter(is_it);
            found.extend(runs.map(|dir| StoredRun::new(Arc::clone(&store), dir)));
        }
        Ok(found)
    }

    /// The runs in the folders that are known, in no order. Nothing of them is read.
    pub(crate) fn stored_runs(&self) -> Result<Vec<StoredRun>, JobError> {
        let mut found = Vec::new();
        for folder in self.known_runs()? {
            let store = state::runs(&folder);
            found.extend(store.list()?.into_iter().map(|dir| StoredRun::new(Arc::clone(&store), dir)));
        }
        Ok(found)
    }

    /// One run, with what is known of it.
    pub(crate) fn listed(&self, run: &StoredRun) -> Result<ListedRun, JobError> {
        let beside = self.runs_in(run.store())?;
        let found = beside.into_iter().find(|listed| listed.dir == *run.dir());
        Ok(found.unwrap_or_else(|| self.alone(run)))
    }

    /// The runs that `is_wanted` chooses by their manifests, the latest first. Nothing more is read
    /// of the others, and what to do next does not look at them. One that can't be read has no
    /// manifest.
    pub(crate) fn runs_alone(
        &self,
        is_wanted: impl Fn(&RunDir, Option<&Manifest>) -> bool,
    ) -> Result<Vec<ListedRun>, JobError> {
        let mut found = Vec::new();
        for folder in self.known_runs()? {
            let store = state::runs(&folder);
            let runs = store.list()?.into_iter().map(|dir| StoredRun::new(Arc::clone(&store), dir));
            let wanted = runs.filter(|run| is_wanted(run.dir(), run.manifest().ok().as_ref()));
            found.extend(wanted.map(|run| self.alone(&run)));
        }
        found.sort_by(|a, b| b.created.cmp(&a.created).then_with(|| a.dir.cmp(&b.dir)));
        Ok(found)
    }

    /// The runs of one store. What to do next with a run depends on the others.
    fn runs_in(&self, store: &Arc<dyn RunStore>) -> Result<Vec<ListedRun>, JobError> {
        let runs = store.list()?.into_iter().map(|dir| self.alone(&StoredRun::new(Arc::clone(store), dir)));
        let mut runs: Vec<ListedRun> = runs.collect();
        let known = |run: &ListedRun| run.facts.as_ref().ok().map(|facts| facts.manifest.clone());
        let all: Vec<Manifest> = runs.iter().filter_map(known).collect();
        for facts in runs.iter_mut().filter_map(|run| run.facts.as_mut().ok()) {
            leave_out_done(facts, &all);
        }
        Ok(runs)
    }

    /// One run, with what is known of it. What to do next does not look at others.
    pub(crate) fn alone(&self, run: &StoredRun) -> ListedRun {
        ListedRun { dir: run.dir().clone(), created: run.created(), facts: self.facts(run) }
    }

    fn facts(&self, run: &StoredRun) -> Result<RunFacts, JobError> {
        let (manifest, running) = (run.manifest()?, run.is_leased()?);
        let is_over = manifest.state == RunState::Finished;
        let known = |outcomes: &BTreeMap<String, u64>| {
            let outcomes = outcomes.iter().filter(|(_, rows)| **rows > 0);
            outcomes.map(|(word, rows)| (word.clone(), *rows)).collect()
        };
        // Manifests of version 0.1.0 do not count them.
        let are_passwords_known =
            manifest.campaign.secure_documents.is_none() || !manifest.password_outcomes.is_empty();
        let Standing { rows: counts, passwords } = match &manifest {
            Manifest { outcomes, password_outcomes, .. } if is_over && are_passwords_known => {
                Standing { rows: known(outcomes), passwords: known(password_outcomes) }
            }
            Manifest { outcomes, .. } if is_over => Standing {
                rows: known(outcomes),
                passwords: standing(self, run.dir(), &manifest, running)?.passwords,
            },
            _ => standing(self, run.dir(), &manifest, running)?,
        };
        let next = next_step(&manifest, running, &[&*counts, &*passwords].concat());
        Ok(RunFacts { manifest, running, counts, passwords, next })
    }
}

/// What to do next with a run; `counts` are those of its rows and of its passwords.
fn next_step(manifest: &Manifest, running: bool, counts: &[(String, u64)]) -> NextStep {
    let advice = manifest.refused.as_ref().and_then(|refused| refused.hint.clone());
    match &manifest.state {
        RunState::Planned | RunState::Running | RunState::Interrupted { .. } if running => NextStep::Watch,
        RunState::Planned | RunState::Running | RunState::Interrupted { .. } if advice.is_some() => {
            NextStep::Advised(advice.unwrap_or_default())
        }
        RunState::Planned | RunState::Running | RunState::Interrupted { .. } => {
            NextStep::Resume(resume(manifest))
        }
        RunState::Finished => {
            let is_left = |disposition: &Disposition| {
                counts.iter().any(|(word, rows)| word == disposition.as_str() && *rows > 0)
            };
            match WORTH_RETRYING.into_iter().filter(is_left).collect::<Vec<_>>() {
                left if left.is_empty() => NextStep::Nothing,
                left => NextStep::Retry(left),
            }
        }
    }
}

/// Removes from the next step of a run what another of `all` has done already, or does instead.
fn leave_out_done(facts: &mut RunFacts, all: &[Manifest]) {
    let (run, next) = (&facts.manifest, &mut facts.next);
    let others = || all.iter().filter(|other| other.campaign_id == run.campaign_id);
    let is_later = |other: &Manifest| other.created > run.created && other.started.is_some();
    match next {
        NextStep::Watch | NextStep::Nothing => {}
        // A later run of the list has left out whom this one mailed, and was sent to the rest.
        NextStep::Resume(_) | NextStep::Advised(_) => {
            if run.options.retry.is_none()
                && others().any(|other| is_later(other) && other.options.retry.is_none())
            {
                *next = NextStep::Nothing;
            }
        }
        NextStep::Retry(left) => {
            let retries = || others().filter_map(|other| other.options.retry.as_ref());
            let is_retried = |disposition: &Disposition| {
                let word = disposition.as_str();
                retries().any(|retry| {
                    retry.run_id == run.run_id && retry.dispositions.iter().any(|own| own == word)
                })
            };
            let edition = |run: &Manifest| run.campaign.identity.edition.clone();
            let is_whole = |other: &Manifest| other.options.limit.is_none() && other.options.retry.is_none();
            // What `--limit` left out is sent by a run of the whole list.
            let is_rest_sent = run.options.limit.is_some()
                && others().any(|other| is_later(other) && is_whole(other) && edition(other) == edition(run));
            let is_sent = |left: &Disposition| is_rest_sent && *left == Disposition::NotAttempted;
            left.retain(|disposition| !is_retried(disposition) && !is_sent(disposition));
            if left.is_empty() {
                *next = NextStep::Nothing;
            }
        }
    }
}

/// The arguments that resume an unfinished run.
fn resume(manifest: &Manifest) -> Vec<String> {
    let (file, options) = (manifest.campaign_file.display().to_string(), &manifest.options);
    if let Some(retry) = &options.retry {
        let from = format!("{}/{}", manifest.campaign_id, retry.run_id);
        if let Some(row) = retry.row {
            let mut args = vec!["resend".into(), from, row.to_string()];
            args.extend(options.to.iter().flat_map(|to| ["--to".to_owned(), to.clone()]));
            args.extend(options.again.map(|_| "--again".to_owned()));
            return args;
        }
        return ["retry".into(), from, "--disposition".into(), retry.dispositions.join(",")].to_vec();
    }
    let mut args = vec!["send".into(), file];
    let mut add = |option: &str, value: Option<String>| {
        if let Some(value) = value {
            args.extend([option.to_owned(), value]);
        }
    };
    add("--limit", options.limit.map(|limit| limit.to_string()));
    add("--edition", manifest.campaign.identity.edition.clone());
    let derived = run_id(&manifest.campaign, &manifest.inputs, &manifest.contents, options);
    add("--run-id", (derived != manifest.run_id).then(|| manifest.run_id.to_string()));
    for file in &manifest.parameters.list {
        add("--list", Some(file.clone()));
    }
    for (key, value) in &manifest.parameters.set {
        add("--set", Some(format!("{key}={value}")));
    }
    if options.again.is_some() {
        args.push("--again".into());
    }
    args
}
