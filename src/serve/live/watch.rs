//! What all viewers share: each run, the list of runs and the capacity accounts are read at most
//! once in [`EVERY`], however many look, and only while somebody looks.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Mutex as Turn;

use super::super::accounts::Account;
use super::super::problem::Problem;
use super::super::reader::Reader;
use super::frame::Part;
use super::list::{Lines, List};
use super::run;
use super::view::Kept;
use crate::job::{JobError, SenderStanding};
use crate::mail::Address;
use crate::pacing::Usage;
use crate::run_dir::StoredRun;

/// How old what is shown may be.
pub(super) const EVERY: Duration = Duration::from_millis(500);
/// What can't be read is tried again after this time.
const AGAIN: Duration = Duration::from_secs(10);
/// How old what is shown of senders may be.
const SENDERS_EVERY: Duration = Duration::from_secs(60);
/// Domains of senders that are shown, and addresses of one.
const MOST_DOMAINS: usize = 20;
const MOST_ADDRESSES: usize = 50;
/// Runs that are kept; of more, those that were looked at last.
const MOST_RUNS: usize = 64;

/// What was read last, and when.
#[derive(Debug)]
struct Seen<T> {
    at: Instant,
    read: Result<T, Problem>,
}

impl<T: Clone> Seen<T> {
    /// What was read just now.
    fn of<E>(read: &Result<T, E>) -> Self {
        let read = match read {
            Ok(read) => Ok(read.clone()),
            Err(_) => Err(Problem::Failed),
        };
        Self { at: Instant::now(), read }
    }

    /// What was read, where it is not too old.
    fn fresh(&self) -> Option<Result<T, Problem>> {
        let most = if self.read.is_ok() { EVERY } else { AGAIN };
        (self.at.elapsed() < most).then(|| self.read.clone())
    }
}

/// A run that is looked at.
#[derive(Debug, Default)]
struct Looked {
    kept: Kept,
    seen: Option<Seen<Arc<Vec<Part>>>>,
    /// Its journal is being added up, whoever looks.
    is_filling: bool,
}

/// A run, and when it was looked at last.
type Slot = (Instant, Arc<Turn<Looked>>);

/// How a sender stands, and when that was looked at.
type Standing = (Instant, Arc<SenderStanding>);

/// The lines of all runs, and the list that was made of them last.
type Listed = (Lines, Option<Seen<Arc<List>>>);

/// What the accounts of capacity have used.
type Used = Option<Seen<Arc<Vec<Usage>>>>;

/// Senders by their addresses, and whether all that their domain sends is shown.
type Standings = HashMap<(Vec<Address>, bool), Standing>;

/// What all viewers share.
#[derive(Clone)]
pub(super) struct Watch {
    reader: Reader,
    runs: Arc<Mutex<HashMap<PathBuf, Slot>>>,
    list: Arc<Turn<Listed>>,
    usage: Arc<Turn<Used>>,
    senders: Arc<Turn<Standings>>,
}

impl Watch {
    /// Reads with `reader`.
    pub(super) fn new(reader: Reader) -> Self {
        Self {
            reader,
            runs: Arc::default(),
            list: Arc::default(),
            usage: Arc::default(),
            senders: Arc::default(),
        }
    }

    /// All runs.
    pub(super) async fn list(&self) -> Result<Arc<List>, Problem> {
        let mut turn = Arc::clone(&self.list).lock_owned().await;
        if let Some(fresh) = turn.1.as_ref().and_then(Seen::fresh) {
            return fresh;
        }
        let read = self.reader.read(move |workspace| {
            let read = turn.0.read(workspace).map(Arc::new);
            turn.1 = Some(Seen::of(&read));
            Ok(read?)
        });
        read.await
    }

    /// What was used of each capacity account.
    pub(super) async fn usage(&self) -> Result<Arc<Vec<Usage>>, Problem> {
        let mut turn = Arc::clone(&self.usage).lock_owned().await;
        if let Some(fresh) = turn.as_ref().and_then(Seen::fresh) {
            return fresh;
        }
        let read = self.reader.read(move |workspace| {
            let usage = || Ok::<_, JobError>(Arc::new(workspace.state()?.ledger().usage()?));
            let read = usage();
            *turn = Some(Seen::of(&read));
            Ok(read?)
        });
        read.await
    }

    /// How the senders of the runs stand that an account sees, one for each domain.
    pub(super) async fn senders(&self, account: &Account) -> Result<Vec<Arc<SenderStanding>>, Problem> {
        let list = self.list().await?;
        let mut domains: BTreeMap<String, Vec<Address>> = BTreeMap::new();
        for line in list.lines.iter().filter(|line| account.sees_mail(&line.campaign, &line.from)) {
            let addresses = domains.entry(line.from.domain().as_str().to_owned()).or_default();
            if addresses.len() < MOST_ADDRESSES && !addresses.contains(&line.from) {
                addresses.push(line.from.clone());
            }
        }
        let account = account.clone();
        let mut turn = Arc::clone(&self.senders).lock_owned().await;
        let read = self.reader.read(move |workspace| {
            turn.retain(|_, (at, _)| at.elapsed() < SENDERS_EVERY);
            let mut standings = Vec::new();
            for addresses in domains.into_values().take(MOST_DOMAINS) {
                let Some(domain) = addresses.first().map(|first| first.domain().clone()) else { continue };
                let is_whole = account.sees_domain(&domain);
                let key = (addresses, is_whole);
                let standing = match turn.get(&key) {
                    Some((_, known)) => Arc::clone(known),
                    None => Arc::new(workspace.sender_standing(&domain, &key.0, is_whole)?),
                };
                standings.push(Arc::clone(&standing));
                turn.entry(key).or_insert_with(|| (Instant::now(), standing));
            }
            Ok(standings)
        });
        read.await
    }

    /// The parts of a run's page. Of a journal that was not added up yet, a part is, and the rest
    /// from then on.
    pub(super) async fn run(&self, run: &StoredRun) -> Result<Arc<Vec<Part>>, Problem> {
        let turn = self.slot(run.dir().path().to_owned());
        let (read, is_filling) = self.look(&turn, run).await?;
        if is_filling {
            let (watch, run) = (self.clone(), run.clone());
            tokio::spawn(async move {
                // Where others took its place, nobody will look at what it adds up.
                while watch.keeps(run.dir().path(), &turn)
                    && let Ok((_, true)) | Err(Problem::Busy) = watch.look_again(&turn, &run).await
                {
                }
            });
        }
        Ok(read)
    }

    fn slot(&self, path: PathBuf) -> Arc<Turn<Looked>> {
        let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        if runs.len() >= MOST_RUNS && !runs.contains_key(&path) {
            let oldest = runs.iter().min_by_key(|(_, (at, _))| *at).map(|(path, _)| path.clone());
            oldest.and_then(|path| runs.remove(&path));
        }
        let slot = runs.entry(path).or_insert_with(|| (Instant::now(), Arc::default()));
        slot.0 = Instant::now();
        Arc::clone(&slot.1)
    }

    /// Whether this is still what is kept of a run.
    fn keeps(&self, path: &Path, turn: &Arc<Turn<Looked>>) -> bool {
        let runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        runs.get(path).is_some_and(|(_, kept)| Arc::ptr_eq(kept, turn))
    }

    /// Looks at a run, unless somebody did just now. Whether whoever asked is to go on until its
    /// journal is added up.
    async fn look(
        &self,
        turn: &Arc<Turn<Looked>>,
        run: &StoredRun,
    ) -> Result<(Arc<Vec<Part>>, bool), Problem> {
        let looked = Arc::clone(turn).lock_owned().await;
        if let Some(fresh) = looked.seen.as_ref().and_then(Seen::fresh) {
            return Ok((fresh?, false));
        }
        let was_filling = looked.is_filling;
        let (parts, is_filling) = self.read(looked, run).await?;
        Ok((parts, is_filling && !was_filling))
    }

    /// Looks at a run in any case. Whether there is more of its journal.
    async fn look_again(
        &self,
        turn: &Arc<Turn<Looked>>,
        run: &StoredRun,
    ) -> Result<(Arc<Vec<Part>>, bool), Problem> {
        let looked = Arc::clone(turn).lock_owned().await;
        self.read(looked, run).await
    }

    async fn read(
        &self,
        mut looked: tokio::sync::OwnedMutexGuard<Looked>,
        run: &StoredRun,
    ) -> Result<(Arc<Vec<Part>>, bool), Problem> {
        let run = run.clone();
        let read = self.reader.read(move |workspace| {
            let Looked { kept, seen, is_filling } = &mut *looked;
            let view = kept.read(workspace, &run);
            let read = view.map(|view| {
                *is_filling = !view.is_whole;
                Arc::new(run::parts(&view))
            });
            *is_filling &= read.is_ok();
            *seen = Some(Seen::of(&read));
            Ok((read?, *is_filling))
        });
        read.await
    }
}
