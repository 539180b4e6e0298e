//! Complaints about a run that come while it is being sent: `[stop] complaint-percent`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio::time;

use super::error::JobError;
use super::frozen_run::FrozenRun;
use super::open::Job;
use crate::feedback::{Action, FeedbackLog};
use crate::kit::store::StoreError;
use crate::run::Shutdown;
use crate::run_dir::StopReason;

/// How often the log is asked.
const EVERY: Duration = Duration::from_secs(5);
/// A few complaints about a few mails say nothing: fewer mails count as so many.
const LEAST: u64 = 1_000;

/// Who asks a run to stop, and why.
pub(super) type Demands = mpsc::Receiver<(Shutdown, StopReason)>;

/// How many mails of the run were accepted, as far as is known.
#[derive(Debug, Clone, Default)]
pub(super) struct Accepted(Arc<AtomicU64>);

impl Accepted {
    /// Sets the number.
    pub(super) fn set(&self, accepted: u64) {
        self.0.store(accepted, Ordering::Relaxed);
    }
}

/// What is watched.
struct Watched {
    log: Arc<dyn FeedbackLog>,
    campaign: String,
    run: String,
    percent: f64,
    accepted: Accepted,
}

impl Job<'_> {
    /// `signals`, and the demand to stop once there are too many complaints about the mails of
    /// `run`.
    pub(super) fn with_complaints(
        &self,
        run: &FrozenRun,
        signals: Demands,
        accepted: &Accepted,
    ) -> Result<Demands, JobError> {
        let percent = self.campaign().stop.complaint_percent;
        if percent == 0.0 {
            return Ok(signals);
        }
        let watched = Arc::new(Watched {
            log: self.workspace.state()?.feedback()?,
            campaign: self.campaign().identity.id.clone(),
            run: run.id().to_string(),
            percent,
            accepted: accepted.clone(),
        });
        // As many as the caller's.
        let (to, demands) = mpsc::channel(2);
        tokio::spawn(pass_on(watched, signals, to));
        Ok(demands)
    }
}

/// Passes signals on, and adds the demand to stop. Ends with the run.
async fn pass_on(watched: Arc<Watched>, mut signals: Demands, to: mpsc::Sender<(Shutdown, StopReason)>) {
    let mut ticks = time::interval(EVERY);
    let (mut has_signals, mut is_watching) = (true, true);
    loop {
        let demand = tokio::select! {
            () = to.closed() => return,
            signal = signals.recv(), if has_signals => {
                has_signals = signal.is_some();
                signal
            }
            _ = ticks.tick(), if is_watching => {
                let watched = Arc::clone(&watched);
                let looked = spawn_blocking(move || watched.look()).await;
                match looked {
                    Ok(Ok(Some(reason))) => {
                        is_watching = false;
                        Some((Shutdown::Drain, reason))
                    }
                    Ok(Ok(None)) => None,
                    // The log is read again at the next tick; the run goes on meanwhile.
                    Ok(Err(error)) => {
                        tracing::warn!("complaints can't be counted: {error}");
                        None
                    }
                    Err(_) => return,
                }
            }
        };
        if let Some(demand) = demand
            && to.send(demand).await.is_err()
        {
            return;
        }
    }
}

impl Watched {
    fn look(&self) -> Result<Option<StopReason>, StoreError> {
        let logged = self.log.replies_of_run(&self.campaign, &self.run)?;
        // Those that surely concern the run: others may be made up.
        let counts = logged
            .iter()
            .filter(|one| one.undone.is_none() && one.record.action == Action::Complaint)
            .map(|one| one.record.row);
        let mut rows: Vec<_> = counts.collect();
        rows.sort_unstable();
        rows.dedup();
        let complaints = rows.len() as u64;
        let accepted = self.accepted.0.load(Ordering::Relaxed);
        let is_passed = complaints as f64 * 100.0 > self.percent * accepted.max(LEAST) as f64;
        Ok(is_passed.then_some(StopReason::TooManyComplaints { complaints, accepted }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feedback::{Effect, Import, Kind, Policy, Record, Undo};
    use crate::mail::{Address, Timestamp};
    use crate::pacing::Clock;

    const NOW: Timestamp = Timestamp(0);

    fn complaint(mail: &str, run: &str, row: u32, action: Action) -> Record {
        Record {
            address: Some(Address::parse(&format!("r{row}@x.example")).unwrap()),
            campaign: Some("news".into()),
            run: Some(run.into()),
            row: Some(row),
            action,
            ..Record::of_mail(mail, Kind::Complaint, NOW)
        }
    }

    #[test]
    fn rows_with_complaints_that_are_sure_count_once_against_a_thousand_mails_at_least() {
        let folder = tempfile::tempdir().unwrap();
        let log = crate::state::open(&folder.path().join("state.db"), Clock::system()).feedback().unwrap();
        let watched = Watched {
            log: Arc::clone(&log),
            campaign: "news".into(),
            run: "one".into(),
            percent: 0.15,
            accepted: Accepted::default(),
        };
        watched.accepted.set(3);
        let came = |records: &[Record]| {
            let mut import = Import { id: None, source: "test".into() };
            log.append(&mut import, records, &Policy::default(), NOW).unwrap();
            watched.look().unwrap()
        };
        let sure = Action::Complaint;
        assert_eq!(came(&[complaint("a", "one", 0, sure), complaint("b", "one", 0, sure)]), None, "one row");
        let others =
            [complaint("c", "two", 1, sure), complaint("d", "one", 1, Action::Nothing(Effect::Unverified))];
        assert_eq!(came(&others), None, "another run's, and one that may be made up");
        let two = Some(StopReason::TooManyComplaints { complaints: 2, accepted: 3 });
        assert_eq!(came(&[complaint("e", "one", 2, sure)]), two);
        watched.accepted.set(2_000);
        assert_eq!(watched.look().unwrap(), None, "0.1 % of the mails");
        watched.accepted.set(3);
        log.undo(&Undo::Mail("e".into()), &Policy::default(), NOW).unwrap();
        assert_eq!(watched.look().unwrap(), None, "one was taken back");
    }
}
