//! From a frozen plan to the end of sending.

use tokio::sync::mpsc;

use super::complaints::Accepted;
use super::error::{JobError, SetupError};
use super::frozen_run::FrozenRun;
use super::live::LiveFile;
use super::observer::{Notice, Stage};
use super::open::Job;
use super::resources::Resources;
use super::send_options::SendOptions;
use super::told::{DocumentsOf, told_by_retries};
use super::unsent::Unsent;
use crate::campaign::RouteKind;
use crate::journal::{InDoubt, Journal, RowState, RunKey, States};
use crate::mail::Disposition;
use crate::run::{self, Phase, Shutdown, Snapshot};
use crate::run_dir::StopReason;

impl Job<'_> {
    /// Sends what is left of a run. `signals` carries requests to stop early.
    ///
    /// # Errors
    /// Before the first message those of whatever can't be set up, which the run's manifest keeps;
    /// later [`JobError::Interrupted`].
    pub(crate) async fn send(
        &self,
        run: &mut FrozenRun,
        options: &SendOptions,
        signals: mpsc::Receiver<(Shutdown, StopReason)>,
    ) -> Result<Phase, JobError> {
        let ended = self.send_rest(run, options, signals).await;
        if let Err(error) = &ended {
            run.record_refusal(error, self.workspace.clock().wall());
        }
        ended
    }

    async fn send_rest(
        &self,
        run: &mut FrozenRun,
        options: &SendOptions,
        signals: mpsc::Receiver<(Shutdown, StopReason)>,
    ) -> Result<Phase, JobError> {
        self.check_unpaced(options)?;
        let (journal, unsent) = self.open_journal(run, options.in_doubt)?;
        self.keep_inputs(run)?;
        run.begin(self.workspace.clock().wall())?;
        let resources = Resources::take(self, run, options).await?;
        let work = self.work(run, options, journal, unsent, &resources)?;
        let accepted = Accepted::default();
        let demands = self.with_complaints(run, signals, &accepted)?;
        let ended = run::send(work, demands, self.observe(run, accepted)).await;
        self.workspace.observer().progress(Stage::Done);
        let ended = ended.map_err(JobError::interrupted)?;
        resources.give_back(self.workspace, &ended.allowances).await?;
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

    /// The journal of the run, made or resumed, and the rows that it leaves to be sent. Rows that a
    /// killed process left open get an outcome, and so do those that another run sends.
    fn open_journal(&self, run: &mut FrozenRun, in_doubt: InDoubt) -> Result<(Journal, Unsent), JobError> {
        let key = RunKey {
            run_id: run.id().to_string(),
            plan_rows: run.plan.len(),
            plan_hash: run.plan.hash().to_owned(),
            has_passwords: self.campaign().secure_documents.is_some(),
        };
        if key.has_passwords && key.plan_rows > u32::MAX / 2 {
            return Err(SetupError::TooManyPasswords { rows: key.plan_rows }.into());
        }
        let (state, durability) = (self.workspace.state()?, self.campaign().journal.durability);
        // Once a run has begun its journal must exist: without it everybody would get the message
        // again.
        let mut journal = if run.has_begun() || state.has_journal(run.dir()) {
            state.open_journal(run.dir(), &key, durability)?
        } else {
            state.create_journal(run.dir(), &key, durability)?
        };
        // Eight bytes a row, not needed while the run is sending.
        let mut states = journal.states()?;
        let now = self.workspace.clock().now();
        let open = journal.resolve_open_intents(&mut states, now, in_doubt)?;
        if !open.is_empty() {
            self.workspace.observer().notice(&Notice::InDoubt { rows: open.len() as u64, in_doubt });
        }
        self.leave_documents(run, &mut journal, &mut states)?;
        self.leave_passwords(run, &mut journal, &mut states)?;
        self.claim(run, &mut journal, &mut states)?;
        let elsewhere = run.manifest.documents_elsewhere();
        let unsent = Unsent::of(&self.schedule(), &journal, &states, &elsewhere, now)?;
        if run.has_begun() {
            let of = u64::from(run.plan.len());
            self.workspace.observer().notice(&Notice::Resuming { done: unsent.earlier.done, of });
        }
        Ok((journal, unsent))
    }

    /// Ends the rows whose documents another run has sent: only their passwords are left.
    fn leave_documents(
        &self,
        run: &FrozenRun,
        journal: &mut Journal,
        states: &mut States,
    ) -> Result<(), JobError> {
        let elsewhere = &run.manifest.passwords;
        let left = elsewhere.iter().filter(|password| states.state(password.row) == RowState::Untouched);
        let rows: Vec<u32> = left.map(|password| password.row).collect();
        if let Some(first) = elsewhere.first() {
            let why = format!("run `{}` sent its documents; this one sends the password", first.run_id);
            let now = self.workspace.clock().now();
            journal.end_rows(&rows, states, Disposition::AlreadySent, &why, now)?;
        }
        Ok(())
    }

    /// Ends the mails with passwords that a retry of this run tells.
    fn leave_passwords(
        &self,
        run: &FrozenRun,
        journal: &mut Journal,
        states: &mut States,
    ) -> Result<(), JobError> {
        let told = told_by_retries(&*self.runs(), &run.manifest)?;
        let documents = DocumentsOf::of(&run.manifest);
        let is_left =
            |password: &u32| matches!(states.state(*password), RowState::Untouched | RowState::Pending);
        let told = (0..run.plan.len()).filter(|row| told.contains(&documents.row(*row)));
        let passwords: Vec<u32> =
            told.filter_map(|row| states.run.password_of(row)).filter(is_left).collect();
        let now = self.workspace.clock().now();
        let why = "a retry of this run sends it";
        Ok(journal.end_rows(&passwords, states, Disposition::AlreadySent, why, now)?)
    }

    /// Passes snapshots to the observer and to the file that `status` reads.
    fn observe(&self, run: &FrozenRun, accepted: Accepted) -> impl FnMut(&Snapshot) {
        let observer = self.workspace.observer();
        let mut live = LiveFile::of(run.dir(), self.workspace.clock().clone());
        move |snapshot| {
            accepted.set(snapshot.counts.accepted);
            observer.progress(Stage::Sending(snapshot));
            live.write(snapshot);
        }
    }
}
