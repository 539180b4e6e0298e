//! Has composed messages scanned before they are handed on: on plain threads, which may wait for a
//! scanner as long as it takes.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use super::task::NotComposed;
use crate::scan::{Item, Judgement, Scanners};

/// Messages that are scanned at the same time: as many as clamd serves by default, but two.
const THREADS: usize = 8;

/// The threads. They end with this.
#[derive(Debug)]
pub struct Scanning {
    jobs: SyncSender<Job>,
    is_over: Arc<AtomicBool>,
}

/// What to do with a message once it is judged.
type Done = Box<dyn FnOnce(Result<(), NotComposed>) + Send>;

struct Job {
    items: Vec<Item>,
    asked: Instant,
    done: Done,
}

/// The last time that a scanner gave no answer, and why.
type Failure = Mutex<Option<(Instant, String)>>;

impl Scanning {
    /// Starts the threads. No more than `most` messages may wait for them.
    pub(crate) fn spawn(scanners: Arc<Scanners>, most: usize) -> io::Result<Self> {
        let (jobs, waiting) = sync_channel(most);
        let waiting = Arc::new(Mutex::new(waiting));
        let failure = Arc::new(Failure::default());
        let is_over = Arc::new(AtomicBool::new(false));
        for number in 0..THREADS {
            let (waiting, scanners) = (Arc::clone(&waiting), Arc::clone(&scanners));
            let (failure, is_over) = (Arc::clone(&failure), Arc::clone(&is_over));
            let work = move || {
                while let Some(job) = next(&waiting).filter(|_| !is_over.load(Ordering::Relaxed)) {
                    (job.done)(judge(&scanners, &failure, &job.items, job.asked));
                }
            };
            thread::Builder::new().name(format!("scan-{number}")).spawn(work)?;
        }
        Ok(Self { jobs, is_over })
    }

    /// Has a message with these parts judged, and tells `done`. Never waits.
    pub(super) fn start(
        &self,
        items: Vec<Item>,
        done: impl FnOnce(Result<(), NotComposed>) + Send + 'static,
    ) {
        let job = Job { items, asked: Instant::now(), done: Box::new(done) };
        // There is room: no more are prepared at once. The threads are there as long as this is.
        let _ = self.jobs.try_send(job);
    }
}

impl Drop for Scanning {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

fn next(waiting: &Mutex<Receiver<Job>>) -> Option<Job> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
}

/// Asks the scanners. Whoever waited while another got no answer gets none either: a scanner that
/// hangs would hold them one after the other.
fn judge(scanners: &Scanners, failure: &Failure, items: &[Item], asked: Instant) -> Result<(), NotComposed> {
    let failed = || failure.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((at, why)) = &*failed()
        && asked <= *at
    {
        return Err(NotComposed::Unscanned(why.clone()));
    }
    match scanners.judge(items) {
        Judgement::Clean => Ok(()),
        Judgement::Infected(what) => Err(NotComposed::Infected(what)),
        Judgement::Refused(why) => Err(NotComposed::NotScannable(why)),
        Judgement::NoAnswer(why) => {
            *failed() = Some((Instant::now(), why.clone()));
            Err(NotComposed::Unscanned(why))
        }
    }
}
