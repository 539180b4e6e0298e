//! Editions in memory: the same behaviour without a disk.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::cap::{Cap, count_mails};
use super::past_run::{Edition, PastRun, RunMark};
use super::recipient::{Mailed, Recipient};
use super::store::{Claim, Claimed, Editions, decide};
use crate::kit::store::StoreError;

/// Each run with its recipients.
type Runs = Vec<(PastRun, Vec<Recipient>)>;

/// Starts empty; clones share it.
#[derive(Debug, Clone, Default)]
pub struct MemoryEditions {
    runs: Arc<Mutex<Runs>>,
}

impl MemoryEditions {
    fn lock(&self) -> MutexGuard<'_, Runs> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn select(&self, wanted: impl Fn(&PastRun) -> bool) -> Vec<PastRun> {
        self.lock().iter().map(|(run, _)| run).filter(|run| wanted(run)).cloned().collect()
    }
}

fn put(runs: &mut Runs, run: PastRun, held: Vec<Recipient>) {
    match runs.iter_mut().find(|(other, _)| other.mark == run.mark) {
        Some(entry) => *entry = (run, held),
        None => runs.push((run, held)),
    }
}

/// Who got how many of the mails that `cap` counts, of those recipients that `counts` says.
fn counted(
    runs: &Runs,
    cap: &Cap,
    except: &RunMark,
    counts: impl Fn(&PastRun, &Recipient) -> bool,
) -> Result<Vec<Mailed>, StoreError> {
    let runs = runs.iter().filter(|(run, _)| cap.counts(run) && run.mark != *except);
    let runs = runs.map(|(run, held)| held.iter().filter(|one| counts(run, one)).map(|one| Ok(*one)));
    count_mails(runs, cap.least())
}

impl Editions for MemoryEditions {
    fn state_id(&self) -> Result<String, StoreError> {
        Ok(format!("memory-{:p}", Arc::as_ptr(&self.runs)))
    }

    fn all_runs(&self) -> Result<Vec<PastRun>, StoreError> {
        Ok(self.select(|_| true))
    }

    fn mailed(&self, cap: &Cap, except: &RunMark) -> Result<Vec<Mailed>, StoreError> {
        counted(&self.lock(), cap, except, |_, _| true)
    }

    fn runs(&self, edition: &Edition) -> Result<Vec<PastRun>, StoreError> {
        Ok(self.select(|run| run.edition == *edition))
    }

    fn run(&self, mark: &RunMark) -> Result<Option<PastRun>, StoreError> {
        Ok(self.select(|run| run.mark == *mark).pop())
    }

    fn recipients(&self, mark: &RunMark) -> Result<Vec<Recipient>, StoreError> {
        let runs = self.lock();
        let found = runs.iter().find(|(run, _)| run.mark == *mark);
        Ok(found.map(|(_, held)| held.clone()).unwrap_or_default())
    }

    fn claim(&self, claim: &Claim<'_>) -> Result<Claimed, StoreError> {
        let mut runs = self.lock();
        let is_own = |run: &PastRun| run.mark == claim.run.mark;
        let own = runs.iter().find(|(run, _)| is_own(run));
        let (own, settled) = own.map_or((Vec::new(), false), |(run, held)| (held.clone(), !run.is_open));
        let is_other =
            |run: &PastRun| run.edition == claim.run.edition && !is_own(run) && Some(&run.mark) != claim.from;
        let others: Vec<_> =
            runs.iter().filter(|(run, _)| is_other(run)).map(|(_, held)| held.clone()).collect();
        let is_wanted = |one: &Recipient| claim.wanted.binary_search(one).is_ok();
        let stays = |run: &PastRun, one: &Recipient| Some(&run.mark) != claim.from || !is_wanted(one);
        let mailed = claim.cap.map(|cap| counted(&runs, cap, &claim.run.mark, stays)).transpose()?;
        let (claimed, held) = decide(claim, (&own, settled), &others, &mailed.unwrap_or_default());
        if let Some((_, from)) = runs.iter_mut().find(|(run, _)| Some(&run.mark) == claim.from) {
            from.retain(|one| !is_wanted(one) || !claimed.grants(one));
        }
        put(&mut runs, PastRun { is_open: true, ..claim.run.clone() }, held);
        Ok(claimed)
    }

    fn settle(&self, run: &PastRun, mailed: &[Recipient]) -> Result<(), StoreError> {
        put(&mut self.lock(), PastRun { is_open: false, ..run.clone() }, mailed.to_vec());
        Ok(())
    }
}
