//! Finds messages in all runs that are known, with what became of them and what they said.

use super::error::JobError;
use super::history::{Asked, History, histories};
use super::workspace::Workspace;
use crate::compose::Composer;
use crate::compose::message_id::{Named, tag};
use crate::mail::{Address, Timestamp};
use crate::plan::Plan;
use crate::run_dir::{Manifest, RunDir};

/// What is known of the messages that are looked for. Each of them narrows the search.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trace {
    /// Their `Message-ID`, without angle brackets.
    pub message_id: Option<String>,
    /// Who they went to.
    pub recipient: Option<Address>,
    /// Who they are from.
    pub sender: Option<Address>,
    /// They left at this time or later.
    pub since: Option<Timestamp>,
    /// They left before this time.
    pub until: Option<Timestamp>,
}

/// A message that was found.
pub(crate) struct Traced {
    /// Its run.
    pub run: String,
    /// Its row: the number in its `Message-ID`. None where the row was never planned.
    pub row: Option<u32>,
    /// Who it is from.
    pub sender: String,
    /// What became of it.
    pub history: History,
    /// What it said, composed again; or why that can't be.
    pub letter: Result<Letter, String>,
}

/// What a message said.
pub(crate) struct Letter {
    /// The subject in one line.
    pub subject: String,
    /// Its text part, lines ended by LF.
    pub text: String,
}

impl Workspace {
    /// Hands what is found to `each`, the latest run first and what was resent at the end, until it
    /// returns false. Runs whose time is over tell nothing.
    pub(crate) fn trace(&self, trace: &Trace, each: &mut dyn FnMut(Traced) -> bool) -> Result<(), JobError> {
        let mut goes_on = true;
        for run in self.runs()?.into_iter().chain(self.resent()?) {
            // Of a run that can't be read nothing can be told; `status` says why.
            let Ok(facts) = run.facts else { continue };
            let manifest = facts.manifest;
            let Some(asked) = trace.asked_of(&manifest, self.clock().wall()) else { continue };
            let mut letters = Letters::of(self, &run.dir, &manifest);
            let mut failed = None;
            histories(self, &run.dir, &manifest, &asked, &mut |history| {
                if !trace.is_meant(&history, &manifest) {
                    return true;
                }
                let row = row_of(&manifest, &history);
                match letters.of_row(row) {
                    Ok(letter) => {
                        let (run, sender) =
                            (run.dir.name(), manifest.campaign.sender.from.address.to_string());
                        goes_on = each(Traced { run, row, sender, history, letter });
                    }
                    Err(error) => failed = Some(error),
                }
                goes_on && failed.is_none()
            })?;
            if let Some(error) = failed {
                return Err(error);
            }
            if !goes_on {
                break;
            }
        }
        Ok(())
    }
}

impl Trace {
    /// Which rows of a run are looked at; none where the run is not meant, or tells nothing any
    /// more.
    fn asked_of(&self, manifest: &Manifest, now: Timestamp) -> Option<Asked> {
        let campaign = &manifest.campaign;
        let kept = campaign.keep.recover.max(Some(campaign.results.status_retention))?;
        let is_over = manifest.finished.is_some_and(|at| now.since(at) > kept.0);
        let is_from = self.sender.as_ref().is_none_or(|sender| *sender == campaign.sender.from.address);
        let started = manifest.started?;
        let ended = manifest.finished.unwrap_or(now);
        let is_then =
            self.since.is_none_or(|since| ended >= since) && self.until.is_none_or(|until| started < until);
        if is_over || !is_from || !is_then {
            return None;
        }
        let row = match &self.message_id {
            Some(id) => {
                if !may_be_of(id, manifest) {
                    return None;
                }
                let named = Named::of(id).filter(|named| is_of(named, manifest));
                let resent = manifest.options.retry.as_ref().and_then(|retry| retry.row);
                match (named.and_then(|named| named.row), resent) {
                    (Some(row), Some(resent)) if row == resent => Some(0),
                    (Some(_), Some(_)) => return None,
                    (row, _) => row,
                }
            }
            None => None,
        };
        Some(match (row, &self.recipient) {
            (Some(row), _) => Asked::Notification(format!("{}.{row}", manifest.run_id)),
            (None, Some(recipient)) => Asked::Address(recipient.clone()),
            (None, None) => Asked::Everybody,
        })
    }

    /// Whether a row that was looked at is meant: its recipient, when it left, and its id, where
    /// that does not tell the row.
    fn is_meant(&self, history: &History, manifest: &Manifest) -> bool {
        let foreign = |id: &&String| !Named::of(id).is_some_and(|named| is_of(&named, manifest));
        let is_foreign = self.message_id.as_ref().filter(foreign);
        if is_foreign.is_some_and(|id| history.message_id.as_ref() != Some(id)) {
            return false;
        }
        let is_recipient = self.recipient.as_ref().is_none_or(|asked| {
            let recipient = history.recipient.as_deref().and_then(|text| Address::parse(text).ok());
            recipient.is_some_and(|recipient| {
                recipient.domain() == asked.domain()
                    && recipient.local().to_lowercase() == asked.local().to_lowercase()
            })
        });
        let left_then = |at: Timestamp| {
            self.since.is_none_or(|since| at >= since) && self.until.is_none_or(|until| at < until)
        };
        let asks_time = self.since.is_some() || self.until.is_some();
        is_recipient && (!asks_time || history.steps.iter().any(|step| left_then(step.at)))
    }
}

/// Whether a message of a run can have this id. Ready messages have the one they came with.
pub(super) fn may_be_of(id: &str, manifest: &Manifest) -> bool {
    manifest.campaign.is_ready() || Named::of(id).is_some_and(|named| is_of(&named, manifest))
}

/// Whether an id is one of a run.
fn is_of(named: &Named, manifest: &Manifest) -> bool {
    // A resend has the message ids of the run that it is of.
    let run = manifest.options.retry.as_ref().filter(|retry| retry.row.is_some());
    let run = run.map_or(&manifest.run_id, |retry| &retry.run_id);
    named.tag == tag(&manifest.campaign_id, run.as_str())
}

/// The row of the plan that a history is of.
fn row_of(manifest: &Manifest, history: &History) -> Option<u32> {
    let number = history.notification.strip_prefix(manifest.run_id.as_str())?.strip_prefix('.')?;
    number.parse().ok()
}

/// Composes the messages of a run again, once the first of them is asked for.
struct Letters<'a> {
    workspace: &'a Workspace,
    dir: &'a RunDir,
    manifest: &'a Manifest,
    opened: Option<Result<(Plan, Composer), String>>,
}

impl<'a> Letters<'a> {
    fn of(workspace: &'a Workspace, dir: &'a RunDir, manifest: &'a Manifest) -> Self {
        Self { workspace, dir, manifest, opened: None }
    }

    /// What the message of a row said, or why nobody knows.
    fn of_row(&mut self, row: Option<u32>) -> Result<Result<Letter, String>, JobError> {
        if let Some((of, number)) =
            self.manifest.options.retry.as_ref().and_then(|retry| Some((&retry.run_id, retry.row?)))
        {
            return Ok(Err(format!("the message of row {number} of run `{of}`, sent again")));
        }
        let Some(row) = row else { return Ok(Err("nothing was sent to it".into())) };
        let opened = self.opened.get_or_insert_with(|| {
            let open = || {
                let kept = self.workspace.kept_campaign(self.dir, self.manifest)?;
                let composer = self.workspace.kept_composer(&kept, self.manifest)?;
                Ok::<_, JobError>((self.manifest.open_plan(&self.dir.plan())?, composer))
            };
            open().map_err(|error| super::chain(&error))
        });
        let (plan, composer) = match opened {
            Ok(opened) => opened,
            Err(why) => return Ok(Err(why.clone())),
        };
        let row = plan.row(row)?;
        let shown = composer.compose_shown(&row, self.workspace.clock().wall());
        Ok(match shown {
            Ok((_, rendered)) => {
                let text = rendered.text.replace("\r\n", "\n");
                Ok(Letter { subject: rendered.subject, text })
            }
            Err(failure) => Err(failure.to_string()),
        })
    }
}
