//! Reads runs for accounts, few at once, on threads that may wait for a disk.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::accounts::Account;
use super::problem::Problem;
use crate::job::{JobError, Workspace, chain};
use crate::run_dir::{Manifest, StoredRun};

/// Requests that read at once.
const AT_ONCE: usize = 4;
/// How long others wait for their turn.
const TURN_TIME: Duration = Duration::from_secs(10);

/// Reads runs.
#[derive(Clone)]
pub(super) struct Reader {
    workspace: Arc<Workspace>,
    permits: Arc<Semaphore>,
}

/// Why a run was not read.
pub(super) enum Unread {
    /// It does not exist, or not for this account, or what is asked of it makes no sense.
    Problem(Problem),
    /// It can't be read.
    Failed(Box<JobError>),
}

impl<E: Into<JobError>> From<E> for Unread {
    fn from(error: E) -> Self {
        Self::Failed(Box::new(error.into()))
    }
}

impl Reader {
    /// Reads the runs of a workspace.
    pub(super) fn new(workspace: Arc<Workspace>) -> Self {
        Self { workspace, permits: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// Reads at most `at_once` of its own requests at once, which keep no others waiting.
    pub(super) fn apart(&self, at_once: usize) -> Self {
        Self { workspace: Arc::clone(&self.workspace), permits: Arc::new(Semaphore::new(at_once)) }
    }

    /// Does `work` when it is its turn.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Workspace) -> Result<T, Unread> + Send + 'static,
    ) -> Result<T, Problem> {
        let permit = timeout(TURN_TIME, Arc::clone(&self.permits).acquire_owned()).await;
        let Ok(Ok(permit)) = permit else { return Err(Problem::Busy) };
        let workspace = Arc::clone(&self.workspace);
        let read = spawn_blocking(move || {
            let read = work(&workspace);
            // Whoever asked may be gone: the turn is over when the work is.
            drop(permit);
            match read {
                Err(Unread::Failed(error)) => {
                    workspace.warn(format!("a request was not answered: {}", chain(&*error)));
                    Err(Problem::Failed)
                }
                Err(Unread::Problem(problem)) => Err(problem),
                Ok(read) => Ok(read),
            }
        });
        read.await.unwrap_or(Err(Problem::Failed))
    }
}

/// The run that an account means by an id or a name: the latest of those that it sees.
pub(super) fn visible(
    workspace: &Workspace,
    account: &Account,
    text: &str,
) -> Result<(StoredRun, Manifest), Unread> {
    let named = workspace.runs_named(text)?.into_iter();
    // One whose manifest can't be read is nobody's.
    let seen = named.filter_map(|run| Some((run.manifest().ok()?, run)));
    let seen = seen.filter(|(manifest, _)| account.sees(manifest));
    let latest = seen.max_by_key(|(manifest, _)| manifest.created);
    latest.map(|(manifest, run)| (run, manifest)).ok_or(Unread::Problem(Problem::Nothing))
}
