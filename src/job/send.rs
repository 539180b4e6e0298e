//! From a frozen plan to the end of sending: the parts of a run, put together.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::allowances::Allowances;
use super::error::{JobError, SetupError, chain};
use super::frozen_run::FrozenRun;
use super::live::LiveFile;
use super::name_servers::NameServers;
use super::next_hops::{departures, next_hops};
use super::observer::{Notice, Stage};
use super::open::Job;
use super::unsent::Unsent;
use crate::campaign::RouteKind;
use crate::journal::{InDoubt, Journal, RunKey, States};
use crate::mail::Timestamp;
use crate::pacing::{Holder, LedgerThread, Pacer};
use crate::route::{Classifier, Schedule};
use crate::run::{self, Breaker, Dispatcher, Phase, Preparer, Settings, Shutdown, Snapshot, Suppressor};
use crate::run_dir::StopReason;
use crate::sandbox::{Keep, Options as SandboxOptions, Sandbox};
use crate::state::State;
use crate::suppression::{Feed, NewEntry, Reason, Suppressions, Term, Watch};

/// How to send.
#[derive(Debug, Clone)]
pub(crate) struct SendOptions {
    /// What to do with rows that a killed run left in doubt.
    pub in_doubt: InDoubt,
    /// Without the pacer; only towards the sandbox.
    pub unpaced: bool,
    /// Start no message after this time; what is left is `not_attempted`.
    pub not_after: Option<Timestamp>,
    /// Where names are looked up.
    pub name_servers: NameServers,
    /// With the sandbox: the folder for the messages.
    pub sandbox_keep: Option<PathBuf>,
    /// With the sandbox: the file for a record of every message accepted.
    pub sandbox_record: Option<PathBuf>,
}

impl Job<'_> {
    /// Sends what is left of a run. `signals` carries requests to stop early.
    ///
    /// # Errors
    /// Before the first message those of whatever can't be set up; later [`JobError::Interrupted`].
    pub(crate) async fn send(
        &self,
        run: &mut FrozenRun,
        options: &SendOptions,
        signals: mpsc::Receiver<(Shutdown, StopReason)>,
    ) -> Result<Phase, JobError> {
        self.check_unpaced(options)?;
        let (journal, states) = self.open_journal(run, options.in_doubt)?;
        run.begin()?;
        let sandbox = self.start_sandbox(options).await?;
        let schedule = Schedule::new(&self.campaign().delivery.retry);
        let unsent = Unsent::of(&schedule, &journal, &states)?;
        // Eight bytes a row, not needed while the run is sending.
        drop(states);
        let policies = self.workspace.policies()?;
        let resolver = || options.name_servers.resolver(self.campaign());
        let next_hops = Arc::new(next_hops(self.campaign(), sandbox.as_ref(), resolver, &policies)?);
        let done_before = unsent.done;
        let (lanes, directory) = unsent.place(&next_hops, |row| run.plan.domain(row));
        let state = self.workspace.state()?;
        let allowances = Allowances::take(self.campaign(), &*state, u64::from(run.plan.len()))?;
        let (pacer, ledger) = self.pacer(&*state, run, options)?;
        let dispatcher = Dispatcher::new(run::Parts {
            settings: self.settings(run, schedule, options),
            lanes,
            directory,
            sources: run::Sources::new(&allowances.limits, Timestamp::now()),
            pacer,
            classifier: Classifier::new(self.campaign().reply.clone())?,
            breaker: Breaker::new(self.campaign().stop.clone()),
        });
        let list = state.suppressions()?;
        let since = run.manifest.suppression_change;
        let watch = Arc::new(Watch::open(Arc::clone(&list), since, Timestamp::wall())?);
        let _feed = Feed::start(Arc::clone(&watch))
            .map_err(|source| SetupError::Thread { name: "suppression list", source })?;
        let parts = run::Work {
            preparer: Arc::new(self.preparer(run, watch)?),
            dispatcher,
            next_hops: Arc::clone(&next_hops),
            departures: departures(self.campaign())?,
            journal,
            ledger,
            suppressor: self.suppressor(run, list)?,
            planned: u64::from(run.plan.len()),
            done_before,
        };
        let ended = run::send(parts, signals, self.observe(run)).await;
        self.workspace.observer().progress(Stage::Done);
        let ended = ended.map_err(JobError::interrupted)?;
        if let Some(mta_sts) = next_hops.mta_sts() {
            mta_sts.save(&policies)?;
        }
        allowances.give_back(&*state, &ended.allowances)?;
        if let Some(sandbox) = sandbox {
            sandbox.stop().await;
        }
        if let Phase::Stopped { reason, .. } = &ended.phase {
            self.workspace.observer().notice(&Notice::Stopped { reason });
        }
        Ok(ended.phase)
    }

    /// Only a rehearsal may ignore the agreed capacity.
    fn check_unpaced(&self, options: &SendOptions) -> Result<(), JobError> {
        let is_rehearsal = self.campaign().delivery.route == RouteKind::Sandbox;
        if options.unpaced && !is_rehearsal { Err(SetupError::Unpaced.into()) } else { Ok(()) }
    }

    /// The journal of the run, made or resumed. Rows that a killed process left open get an
    /// outcome.
    fn open_journal(&self, run: &FrozenRun, in_doubt: InDoubt) -> Result<(Journal, States), JobError> {
        let key = RunKey {
            run_id: run.id().to_string(),
            plan_rows: run.plan.len(),
            plan_hash: run.plan.hash().to_owned(),
        };
        let (state, durability) = (self.workspace.state()?, self.campaign().journal.durability);
        // Once a run has begun its journal must exist: without it everybody would get the message
        // again.
        let mut journal = if run.has_begun() || state.has_journal(run.dir()) {
            state.open_journal(run.dir(), &key, durability)?
        } else {
            state.create_journal(run.dir(), &key, durability)?
        };
        let mut states = journal.states()?;
        let open = journal.resolve_open_intents(&mut states, Timestamp::now(), in_doubt)?;
        if !open.is_empty() {
            self.workspace.observer().notice(&Notice::InDoubt { rows: open.len() as u64, in_doubt });
        }
        Ok((journal, states))
    }

    async fn start_sandbox(&self, options: &SendOptions) -> Result<Option<Sandbox>, JobError> {
        if self.campaign().delivery.route != RouteKind::Sandbox {
            return Ok(None);
        }
        let options = SandboxOptions {
            keep: options.sandbox_keep.clone().map_or(Keep::Discard, Keep::Eml),
            record: options.sandbox_record.clone(),
            ..SandboxOptions::default()
        };
        Sandbox::start(options).await.map(Some).map_err(|error| SetupError::Sandbox(error).into())
    }

    fn settings(&self, run: &FrozenRun, schedule: Schedule, options: &SendOptions) -> Settings {
        let campaign = self.campaign();
        Settings {
            schedule,
            not_after: options.not_after,
            drain: Duration::from_secs(campaign.delivery.drain_seconds),
            per_second: (!options.unpaced).then(|| campaign.capacity.per_hour as f64 / 3_600.0),
            // A test message goes to one address as often as there are rows: each in a transaction
            // of its own.
            one_text: !campaign.template.personalised && run.redirect.is_none(),
        }
    }

    fn pacer(
        &self,
        state: &dyn State,
        run: &FrozenRun,
        options: &SendOptions,
    ) -> Result<(Option<Pacer>, Option<LedgerThread>), JobError> {
        if options.unpaced {
            return Ok((None, None));
        }
        let mut capacity = self.campaign().capacity.clone();
        if self.campaign().delivery.route == RouteKind::Sandbox {
            // A rehearsal keeps the pace, and uses none of the agreed capacity.
            capacity.account = format!("sandbox/{}", capacity.account);
        }
        let process = format!("{}/{}", run.id(), std::process::id());
        let holder = Holder::new(&run.manifest.campaign_id, &process);
        let account = state.ledger().join(holder, (&capacity).into())?;
        let thread =
            LedgerThread::start(account).map_err(|source| SetupError::Thread { name: "ledger", source })?;
        Ok((Some(Pacer::new(&capacity, Timestamp::now())), Some(thread)))
    }

    /// What composes and signs the run's messages.
    fn preparer(&self, run: &FrozenRun, watch: Arc<Watch>) -> Result<Preparer, JobError> {
        Ok(Preparer {
            plan: Arc::clone(&run.plan),
            composer: self.composer(run.id())?,
            signer: self.signer()?,
            watch,
            return_paths: self.return_paths(run.id())?,
            redirect: run.redirect.clone(),
            archive: self.campaign().sender.archive_bcc.clone(),
        })
    }

    /// Adds addresses that bounced for good to the suppression list; a rehearsal adds none.
    fn suppressor(&self, run: &FrozenRun, list: Arc<dyn Suppressions>) -> Result<Suppressor, JobError> {
        if self.campaign().delivery.route == RouteKind::Sandbox {
            return Ok(Suppressor::none());
        }
        let (plan, source) = (Arc::clone(&run.plan), run.name());
        Suppressor::spawn(move |rows| {
            let mut entries = rows.iter().map(|(row, class)| NewEntry {
                address: plan.address(*row),
                email: plan.email(*row).to_owned(),
                reason: class.as_str().parse().unwrap_or(Reason::BadMailbox),
                source: source.clone(),
                term: Term::Default,
            });
            if let Err(error) = list.import(&mut entries, Timestamp::wall()) {
                tracing::error!(
                    "{} addresses are not on the suppression list: {}",
                    rows.len(),
                    chain(&error)
                );
            }
        })
        .map_err(|source| SetupError::Thread { name: "suppressor", source }.into())
    }

    /// Passes snapshots to the observer and to the file that `status` reads.
    fn observe(&self, run: &FrozenRun) -> impl FnMut(&Snapshot) {
        let (mut live, observer) = (LiveFile::of(run.dir()), self.workspace.observer());
        move |snapshot| {
            observer.progress(Stage::Sending(snapshot));
            live.write(snapshot);
        }
    }
}
