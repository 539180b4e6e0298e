//! Composes and signs rows on rayon's workers: one message for each, or one for many if all get the
//! same text.
//!
//! A worker never blocks on a channel: it has a place for every row that is being prepared.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::envelopes::Envelopes;
use super::ids::LaneId;
use super::limits::EnvelopeLimits;
use super::scanning::Scanning;
use super::task::{Composed, NotComposed, Prepared, Task};
use crate::compose::{Composer, RenderFailure, ReturnPaths, ToScan};
use crate::dkim::Signer;
use crate::mail::{Address, Envelope, SignedMessage};
use crate::pacing::Clock;
use crate::plan::{Plan, Row};
use crate::run_dir::StopReason;
use crate::scan::Item;
use crate::suppression::Watch;

/// Rows that one job takes: enough to make the hand-over cheap, few enough to use all cores.
const ROWS_PER_JOB: usize = 8;

/// Turns rows into signed messages.
pub struct Preparer {
    /// The frozen plan.
    pub plan: Arc<Plan>,
    /// What the rows are numbered from, for their recipients: 0, but for a row of another run that
    /// is sent once more.
    pub number: u32,
    /// Renders rows to messages.
    pub composer: Composer,
    /// Signs them.
    pub signer: Signer,
    /// What was added to the suppression list since the plan was made; checked again before a row
    /// is composed.
    pub watch: Arc<Watch>,
    /// Makes the envelope senders.
    pub return_paths: ReturnPaths,
    /// Where the message of each row goes instead, for test messages; empty for real mail.
    pub redirect: Vec<Address>,
    /// Gets a copy of every message that is not a test.
    pub archive: Option<Address>,
    /// All rows get the same text.
    pub one_text: bool,
    /// The rows that are copies for seed addresses, and what composes them. They are asked of no
    /// suppression list.
    pub seeds: Option<(Range<u32>, Composer)>,
    /// The mails with passwords, where rows have some.
    pub passwords: Option<Passwords>,
    /// Judges each message before it may leave; `None` where the campaign names no scanner.
    pub scanning: Option<Scanning>,
    /// Dates messages and signatures.
    pub clock: Clock,
}

/// The mails with passwords of secure documents.
pub struct Passwords {
    /// The number of the first of them: that of row 0 of the plan.
    pub first: u32,
    /// The rows whose documents another run has sent: its id, and their numbers there.
    pub elsewhere: HashMap<u32, (String, u32)>,
}

/// A message that is ready once its parts were found clean.
type Unjudged = (Composed, Vec<Item>);

impl Preparer {
    /// Prepares `tasks` in the background, as many in one message as `limits` allow. Each message
    /// arrives in `done`, which must have a place for every row that is being prepared.
    pub fn start(
        self: &Arc<Self>,
        lane: LaneId,
        tasks: Vec<Task>,
        limits: EnvelopeLimits,
        done: &mpsc::Sender<Prepared>,
    ) {
        let EnvelopeLimits { recipients, one_domain } = limits;
        for tasks in tasks.chunks(if recipients > 1 { recipients } else { ROWS_PER_JOB }) {
            let (this, tasks, done) = (Arc::clone(self), tasks.to_vec(), done.clone());
            rayon::spawn(move || {
                // An error means that the run is over and nobody waits for the message.
                let report = |tasks: Vec<Task>, message: Result<Unjudged, NotComposed>| {
                    let (done, clock) = (done.clone(), this.clock.clone());
                    let report = move |message| {
                        let _ = done.try_send(Prepared { tasks, lane, at: clock.now(), message });
                    };
                    match (message, &this.scanning) {
                        (Ok((composed, items)), Some(scanning)) => {
                            scanning.start(items, move |judged| report(judged.map(|()| composed)));
                        }
                        (message, _) => report(message.map(|(composed, _)| composed)),
                    }
                };
                if recipients > 1 {
                    return this.prepare_shared(tasks, one_domain, report);
                }
                for task in tasks {
                    let message = this.prepare_task(&task);
                    report(vec![task], message);
                }
            });
        }
    }

    /// The domain that a row's message goes to, in A-labels.
    pub fn domain(&self, row: u32) -> String {
        let row = self.password_of(row).unwrap_or(row);
        match self.redirect.get(row as usize) {
            Some(address) => address.domain().as_str().to_owned(),
            None => self.plan.domain(row).to_owned(),
        }
    }

    /// Composes and signs what `task` still needs.
    fn prepare_task(&self, task: &Task) -> Result<Unjudged, NotComposed> {
        match &self.archive {
            Some(archive) if task.is_copy => self.prepare_copy(task, archive),
            Some(_) | None => match self.password_of(task.row) {
                Some(row) => self.prepare_password(row),
                None => self.prepare(task.row),
            },
        }
    }

    /// The row of the plan whose password the mail numbered `row` tells.
    fn password_of(&self, row: u32) -> Option<u32> {
        row.checked_sub(self.passwords.as_ref()?.first)
    }

    /// Composes and signs the mail with a row's password. The archive gets none: the documents
    /// there stay closed.
    fn prepare_password(&self, row: u32) -> Result<Unjudged, NotComposed> {
        let row = self.row(row)?;
        self.check_suppression(row.index, &row.address)?;
        let redirect = self.redirect.get(row.index as usize).cloned();
        let (message, items) = self.sign(self.password(&row))?;
        let return_path = Some(self.return_paths.of(row.index + self.number));
        let recipient = redirect.unwrap_or(row.address);
        Ok((Composed { envelope: Envelope::to_one(return_path, recipient, None), message }, items))
    }

    fn password(&self, row: &Row) -> Result<ToScan, RenderFailure> {
        let composer = self.seeds_with(row.index).map_or(&self.composer, |(_, composer)| composer);
        let elsewhere = self.passwords.as_ref().and_then(|passwords| passwords.elsewhere.get(&row.index));
        let of = elsewhere.map(|(run, row)| (run.as_str(), *row));
        composer.compose_password(&self.numbered(row.clone()), self.clock.wall(), of)
    }

    /// The message that a row's recipient has, for the archive alone. It is composed again, dated
    /// as the first one was; whether the recipient may still be mailed is no question any more.
    fn prepare_copy(&self, task: &Task, archive: &Address) -> Result<Unjudged, NotComposed> {
        let date = task.first_attempt_at.unwrap_or_else(|| self.clock.wall());
        let composed = if self.one_text {
            self.composer.compose_all_to_scan(date)
        } else {
            let composer = self.seeds_with(task.row).map_or(&self.composer, |(_, composer)| composer);
            composer.compose_to_scan(&self.numbered(self.row(task.row)?), date)
        };
        let return_path = Some(self.return_paths.of(task.row + self.number));
        let (message, items) = self.sign(composed)?;
        Ok((Composed { envelope: Envelope::of_copy(return_path, archive.clone()), message }, items))
    }

    fn row(&self, row: u32) -> Result<Row, NotComposed> {
        self.plan
            .row(row)
            .map_err(|error| NotComposed::Stop(StopReason::PlanUnreadable { detail: error.to_string() }))
    }

    /// The row as its recipient knows it.
    fn numbered(&self, row: Row) -> Row {
        Row { index: row.index + self.number, ..row }
    }

    /// Composes and signs one row.
    fn prepare(&self, row: u32) -> Result<Unjudged, NotComposed> {
        let row = self.row(row)?;
        self.check_suppression(row.index, &row.address)?;
        let composer = self.seeds_with(row.index).map_or(&self.composer, |(_, composer)| composer);
        let redirect = self.redirect.get(row.index as usize).cloned();
        if self.passwords.is_some() {
            // Documents must not leave whose password can't be told.
            self.password(&row).map_err(|error| NotComposed::RenderFailed(error.to_string()))?;
        }
        let row = self.numbered(row);
        let (message, items) = self.sign(composer.compose_to_scan(&row, self.clock.wall()))?;
        let return_path = Some(self.return_paths.of(row.index));
        let recipient = redirect.unwrap_or(row.address);
        let archive = self.archive.clone().filter(|_| self.redirect.is_empty());
        Ok((Composed { envelope: Envelope::to_one(return_path, recipient, archive), message }, items))
    }

    /// Composes and signs one text for all of `tasks`. Suppressed ones are reported one by one; the
    /// rest share one message, or a few if an envelope can't hold them all.
    fn prepare_shared(
        &self,
        tasks: Vec<Task>,
        one_domain: bool,
        report: impl Fn(Vec<Task>, Result<Unjudged, NotComposed>),
    ) {
        let mut envelopes = Envelopes::new(one_domain);
        let (copies, tasks): (Vec<Task>, Vec<Task>) = tasks.into_iter().partition(|task| task.is_copy);
        for copy in copies {
            let message = self.prepare_task(&copy);
            report(vec![copy], message);
        }
        for task in tasks {
            let address = self.plan.address(task.row);
            match self.check_suppression(task.row, &address) {
                Ok(()) => envelopes.add(task, address),
                Err(reason) => report(vec![task], Err(reason)),
            }
        }
        let mut envelopes = envelopes.into_rows().peekable();
        if envelopes.peek().is_none() {
            return;
        }
        let message = self.sign(self.composer.compose_all_to_scan(self.clock.wall()));
        for (tasks, recipients) in envelopes {
            // It has no token, so it is the same for every row.
            let return_path = Some(self.return_paths.of(tasks[0].row));
            let archive = self.archive.clone();
            let envelope = Envelope { return_path, recipients, archive, is_copy: false };
            let composed = |(message, items)| (Composed { envelope, message }, items);
            report(tasks, message.clone().map(composed));
        }
    }

    fn sign(
        &self,
        message: Result<ToScan, RenderFailure>,
    ) -> Result<(SignedMessage, Vec<Item>), NotComposed> {
        let ToScan { message, items } =
            message.map_err(|error| NotComposed::RenderFailed(error.to_string()))?;
        let signed = self
            .signer
            .sign(message, self.clock.wall())
            .map_err(|error| NotComposed::Stop(StopReason::SigningFailed { detail: error.to_string() }))?;
        Ok((signed, items))
    }

    /// The seeds, if `row` is one of them.
    fn seeds_with(&self, row: u32) -> Option<&(Range<u32>, Composer)> {
        self.seeds.as_ref().filter(|(rows, _)| rows.contains(&row))
    }

    fn check_suppression(&self, row: u32, address: &Address) -> Result<(), NotComposed> {
        if self.seeds_with(row).is_some() {
            return Ok(());
        }
        match self.watch.check(address, self.clock.wall()) {
            Ok(None) => Ok(()),
            Ok(Some(why)) => Err(NotComposed::Suppressed(why)),
            Err(error) => {
                Err(NotComposed::Stop(StopReason::SuppressionsUnreadable { detail: error.to_string() }))
            }
        }
    }
}
