//! The parts of a run, put together: dispatcher, preparer, pacer, and what adds to the suppression
//! list.

use std::sync::Arc;
use std::time::Duration;

use super::error::{JobError, SetupError, chain};
use super::frozen_run::FrozenRun;
use super::next_hops::departures;
use super::open::Job;
use super::resources::Resources;
use super::send_options::SendOptions;
use super::unsent::Unsent;
use crate::campaign::{Capacity, RouteKind};
use crate::journal::Journal;
use crate::kit::text::{counted, grouped};
use crate::pacing::{Agreement, Holder, LedgerThread, Pacer};
use crate::preflight::finish_time::Held;
use crate::route::{Classifier, Schedule};
use crate::run::{
    self, Breaker, Dispatcher, MOST_IN_PREPARATION, Passwords, Preparer, Scanning, Settings, Suppressor,
};
use crate::run_dir::StopReason;
use crate::suppression::{NewEntry, Reason, Scope, Suppressions, Term, Watch};

impl Job<'_> {
    /// Everything that sending the rows of `unsent` needs.
    pub(super) fn work(
        &self,
        run: &FrozenRun,
        options: &SendOptions,
        journal: Journal,
        unsent: Unsent,
        resources: &Resources,
    ) -> Result<run::Work, JobError> {
        let clock = self.workspace.clock().clone();
        let (pacer, ledger) = self.pacer(run, options)?;
        let earlier = unsent.earlier;
        let (rows, passwords) = (run.plan.len(), unsent.passwords);
        let domain = |row: u32| run.plan.domain(row.checked_sub(rows).unwrap_or(row));
        let (lanes, directory) = unsent.place(&resources.next_hops, domain, clock.now());
        let dispatcher = Dispatcher::new(run::Parts {
            settings: self.settings(run, options),
            lanes,
            directory,
            passwords,
            sources: run::Sources::new(&resources.allowances.limits, clock.now()),
            pacer,
            classifier: Classifier::new(self.campaign().reply.clone())?,
            breaker: Breaker::new(self.campaign().stop.clone()),
        });
        Ok(run::Work {
            preparer: Arc::new(self.preparer(run, Arc::clone(&resources.watch))?),
            dispatcher,
            next_hops: Arc::clone(&resources.next_hops),
            departures: departures(self.campaign())?,
            journal,
            ledger,
            suppressor: self.suppressor(run, Arc::clone(&resources.list))?,
            planned: u64::from(run.plan.len()),
            earlier,
            clock,
        })
    }

    /// When a row is tried again.
    pub(super) fn schedule(&self) -> Schedule {
        Schedule::new(&self.campaign().delivery.retry)
    }

    fn settings(&self, run: &FrozenRun, options: &SendOptions) -> Settings {
        let campaign = self.campaign();
        Settings {
            schedule: self.schedule(),
            end: options
                .not_after
                .map(|at| (at, StopReason::NotAfter))
                .or(options.deadline.map(|at| (at, StopReason::Deadline))),
            drain: Duration::from_secs(campaign.delivery.drain_seconds),
            per_second: (!options.unpaced).then(|| campaign.capacity.per_hour as f64 / 3_600.0),
            one_text: self.has_one_text(run),
            passwords: campaign.secure_documents.is_some().then(|| run.plan.len()),
        }
    }

    /// Whether one message serves many rows. A test message goes to one address as often as there
    /// are rows: each in a transaction of its own.
    fn has_one_text(&self, run: &FrozenRun) -> bool {
        let resends_one = run.manifest.options.retry.as_ref().is_some_and(|retry| retry.row.is_some());
        !self.campaign().template.personalised && run.redirect.is_empty() && !resends_one
    }

    fn pacer(
        &self,
        run: &FrozenRun,
        options: &SendOptions,
    ) -> Result<(Option<Pacer>, Option<LedgerThread>), JobError> {
        if options.unpaced {
            return Ok((None, None));
        }
        let account = self.campaign().capacity_account();
        let held = self.held()?;
        if let Some(held) = &held {
            let own = &self.campaign().capacity;
            self.workspace.warn(format!(
                "{}. The campaign's {} an hour apply afterwards; if the provider has agreed to them, `{}` applies them now",
                held.text(),
                grouped(own.per_hour),
                held.way_out(own)
            ));
        }
        let priority = Some(self.campaign().priority());
        let capacity = Capacity { account, priority, ..self.campaign().capacity.clone() };
        let process = format!("{}/{}", run.id(), std::process::id());
        let holder = Holder::new(&run.manifest.campaign_id, &process);
        let account = self.workspace.state()?.ledger().join(holder, (&capacity).into())?;
        let thread =
            LedgerThread::start(account).map_err(|source| SetupError::Thread { name: "ledger", source })?;
        let mut pacer = Pacer::new(&capacity, self.workspace.clock().now());
        if let Some(Held { per_hour, per_slot, .. }) = held {
            pacer.was_told(Agreement { per_hour, per_slot });
        }
        Ok((Some(pacer), Some(thread)))
    }

    /// Limits of the campaign's account that are stricter than its own, and until when they hold.
    pub(in crate::job) fn held(&self) -> Result<Option<Held>, JobError> {
        let (account, own) = (self.campaign().capacity_account(), Agreement::from(&self.campaign().capacity));
        let usage = self.workspace.state()?.ledger().usage()?;
        let usage = usage.iter().find(|usage| usage.account == account);
        let held = usage.and_then(|usage| usage.stricter_than(own));
        Ok(held.map(|(Agreement { per_hour, per_slot }, until)| Held { account, per_hour, per_slot, until }))
    }

    /// What composes and signs the run's messages.
    fn preparer(&self, run: &FrozenRun, watch: Arc<Watch>) -> Result<Preparer, JobError> {
        // A row that is sent once more has the message that it had: its id and links are those of
        // the run that it was sent by first.
        let resent = run.manifest.options.retry.as_ref().and_then(|retry| Some((&retry.run_id, retry.row?)));
        let is_test = !run.redirect.is_empty() && resent.is_none();
        let (of_run, number) = resent.unwrap_or((run.id(), 0));
        let mut composer = self.composer(of_run, is_test)?;
        if !run.redirect.is_empty() {
            // Whoever gets it now is not the row's recipient.
            composer = composer.tracking_nobody();
        }
        Ok(Preparer {
            plan: Arc::clone(&run.plan),
            number,
            composer,
            signer: self.signer()?,
            watch,
            return_paths: self.return_paths(of_run)?,
            redirect: run.redirect.clone(),
            archive: self.campaign().sender.archive_bcc.clone(),
            one_text: self.has_one_text(run),
            seeds: match run.manifest.seed_rows() {
                rows if rows.is_empty() => None,
                // Their links unsubscribe nobody.
                rows => Some((rows, self.composer(run.id(), true)?)),
            },
            passwords: self
                .campaign()
                .secure_documents
                .is_some()
                .then(|| Passwords { first: run.plan.len(), elsewhere: run.manifest.documents_elsewhere() }),
            scanning: self.scanning()?,
            clock: self.workspace.clock().clone(),
        })
    }

    /// What scans the messages, where the campaign names scanners.
    fn scanning(&self) -> Result<Option<Scanning>, JobError> {
        if self.campaign().scanner.is_empty() {
            return Ok(None);
        }
        let scanning = Scanning::spawn(Arc::clone(self.scanners()), MOST_IN_PREPARATION);
        Ok(Some(scanning.map_err(|source| SetupError::Thread { name: "scan", source })?))
    }

    /// Adds addresses that bounced for good to the suppression list; a rehearsal adds none.
    fn suppressor(&self, run: &FrozenRun, list: Arc<dyn Suppressions>) -> Result<Suppressor, JobError> {
        if self.campaign().delivery.route == RouteKind::Sandbox {
            return Ok(Suppressor::none());
        }
        let (plan, source, clock) = (Arc::clone(&run.plan), run.name(), self.workspace.clock().clone());
        let seeds = run.manifest.seed_rows();
        Suppressor::spawn(move |rows| {
            let of_list = rows.iter().filter(|(row, _)| !seeds.contains(row));
            let mut entries = of_list.map(|(row, class)| NewEntry {
                address: plan.address(*row),
                scope: Scope::All,
                email: plan.email(*row).to_owned(),
                reason: class.as_str().parse().unwrap_or(Reason::BadMailbox),
                source: source.clone(),
                term: Term::Default,
            });
            if let Err(error) = list.import(&mut entries, clock.wall()) {
                tracing::error!(
                    "{} not on the suppression list: {}",
                    counted(rows.len() as u64, "address is", "addresses are"),
                    chain(&error)
                );
            }
        })
        .map_err(|source| SetupError::Thread { name: "suppressor", source }.into())
    }
}
