//! Composes and signs rows on rayon's workers.
//!
//! A worker never blocks on a channel: there is one place in it for every row under preparation.

use std::sync::{Arc, Mutex};

use tokio::sync::mpsc;

use super::event::{Composed, LaneId, NotComposed, Prepared, Task};
use crate::compose::{Composer, ReturnPaths};
use crate::dkim::Signer;
use crate::mail::{Address, Envelope, Timestamp};
use crate::plan::Plan;
use crate::suppression::Watch;

/// Rows that one job takes: enough to make the hand-over cheap, few enough to spread over the cores.
const ROWS_PER_JOB: usize = 8;

/// What it takes to turn a row into a signed message.
pub struct Preparer {
    pub plan: Arc<Plan>,
    pub composer: Composer,
    pub signer: Signer,
    /// The suppression list, looked at again before a row is composed.
    pub watch: Mutex<Watch>,
    pub return_paths: ReturnPaths,
    /// Where all messages go instead: a test message.
    pub redirect: Option<Address>,
    /// Gets a copy of every message that is not a test.
    pub archive: Option<Address>,
}

impl Preparer {
    /// Prepares `tasks` in the background; each arrives in `done`, which must have a place for every row under
    /// preparation.
    pub fn start(self: &Arc<Self>, lane: LaneId, tasks: &[Task], done: &mpsc::Sender<Prepared>) {
        for tasks in tasks.chunks(ROWS_PER_JOB) {
            let (this, tasks, done) = (Arc::clone(self), tasks.to_vec(), done.clone());
            rayon::spawn(move || {
                for task in tasks {
                    let message = this.prepare(task.row);
                    let prepared = Prepared { task, lane, at: Timestamp::now(), message };
                    // An error means that the run is over and nobody waits for the message.
                    let _ = done.try_send(prepared);
                }
            });
        }
    }

    /// The domain that a row's message goes to, in A-labels.
    pub fn domain(&self, row: u32) -> String {
        match &self.redirect {
            Some(address) => address.domain().as_str().to_owned(),
            None => self.plan.domain(row).to_owned(),
        }
    }

    /// Composes and signs one row.
    pub fn prepare(&self, row: u32) -> Result<Composed, NotComposed> {
        let stop = |what: &str, error: &dyn std::error::Error| NotComposed::Stop(format!("{what}: {error}"));
        let row = self.plan.row(row).map_err(|error| stop("the plan can't be read", &error))?;
        self.check_suppression(&row.address)?;
        let message = self
            .composer
            .compose(&row, Timestamp::wall())
            .map_err(|error| NotComposed::RenderFailed(error.to_string()))?;
        let message = self
            .signer
            .sign(message, Timestamp::wall())
            .map_err(|error| stop("a message can't be signed", &error))?;
        let return_path = Some(self.return_paths.of(row.index));
        let recipient = self.redirect.clone().unwrap_or(row.address);
        let archive = self.archive.clone().filter(|_| self.redirect.is_none());
        Ok(Composed { envelope: Envelope { return_path, recipient, archive }, message })
    }

    fn check_suppression(&self, address: &Address) -> Result<(), NotComposed> {
        let mut watch = self.watch.lock().expect("no holder of the lock panics");
        match watch.is_suppressed(address, Timestamp::wall()) {
            Ok(None) => Ok(()),
            Ok(Some(entry)) => Err(NotComposed::Suppressed(entry.to_string())),
            Err(error) => Err(NotComposed::Stop(format!("the suppression list can't be read: {error}"))),
        }
    }
}
