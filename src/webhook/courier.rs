//! Requests in flight, retries, and the end.
//!
//! Batches go out in order, several at once. The place moves behind a batch once it and all before
//! it have been delivered, and is on disk before more than [`UNSETTLED`] batches are ahead of it:
//! after a kill, those at most go out again, with the same ids. While requests fail, one at a time
//! tries again; nothing is left out.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use chrono::DateTime;
use ring::rand::{SecureRandom, SystemRandom};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep_until};

use super::backoff::{LONGEST_ASKED, Verdict, verdict, wait};
use super::body::{Batch, Message};
use super::client::{Answer, Client, RequestError};
use super::place::{Disabled, Failure, Place, PlaceError};
use crate::mail::Timestamp;

/// Requests at once.
const FLYING: usize = 16;
/// Batches whose delivery is not on disk yet, those in flight among them. More than [`FLYING`],
/// because a sync takes longer than many requests.
pub(super) const UNSETTLED: usize = 64;

/// How long failures are put up with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Patience {
    /// After so many in a row, delivery ends; none: never.
    pub failures: Option<u32>,
    /// No wait is longer; none: any.
    pub wait: Option<Duration>,
}

/// Why delivery ended before all was delivered.
#[derive(Debug)]
pub(crate) enum Halt {
    /// It was to stop.
    Stopped,
    /// The receiver wants no more.
    Disabled(String),
    /// Too many failures, or too long a wait; the last one.
    GaveUp(String),
    /// The place can't be kept: nothing more is sent.
    Place(PlaceError),
}

/// Delivers the batches of one webhook.
#[derive(Debug)]
pub(crate) struct Courier {
    client: Arc<Client>,
    place: Place,
    /// A failure, or runs that are gone, that are not on disk yet.
    is_unkept: bool,
    patience: Patience,
    stop: watch::Receiver<bool>,
    /// In order; the first is not settled.
    pending: VecDeque<Pending>,
    /// How many were settled: the number of the first pending one.
    settled: u64,
    flying: JoinSet<Ended>,
    keeping: Option<Keeping>,
    /// Failures in a row, and which stretch of them this is: requests of an earlier stretch that
    /// fail count as one.
    failures: u32,
    stretch: u64,
    not_before: Instant,
    delivered: u64,
}

#[derive(Debug)]
struct Pending {
    message: Arc<Message>,
    run: String,
    cursor: String,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    Flying,
    Delivered,
}

/// A request that has ended.
#[derive(Debug)]
struct Ended {
    number: u64,
    stretch: u64,
    result: Result<Answer, RequestError>,
}

/// The place is being written, with so many batches behind it.
#[derive(Debug)]
struct Keeping {
    batches: usize,
    written: JoinHandle<Result<(), PlaceError>>,
}

impl Courier {
    /// A courier that moves `place`.
    pub(crate) fn new(
        client: Arc<Client>,
        place: Place,
        patience: Patience,
        stop: watch::Receiver<bool>,
    ) -> Self {
        // What the receiver asked for before counts on, also where the clock was ahead then.
        let asked = place.progress.not_before.as_deref().and_then(moment);
        let left = asked.map(|at| at.since(Timestamp::wall())).unwrap_or_default().min(LONGEST_ASKED);
        Self {
            client,
            place,
            is_unkept: false,
            patience,
            stop,
            pending: VecDeque::new(),
            settled: 0,
            flying: JoinSet::new(),
            keeping: None,
            failures: 0,
            stretch: 0,
            not_before: Instant::now() + left,
            delivered: 0,
        }
    }

    /// How far it is in a run.
    pub(crate) fn cursor(&self, run: &str) -> Option<&str> {
        self.place.progress.cursors.get(run).map(String::as_str)
    }

    /// Forgets how far it is in runs that `is_gone` names.
    pub(crate) fn forget(&mut self, is_gone: impl Fn(&str) -> bool) {
        let cursors = &mut self.place.progress.cursors;
        let before = cursors.len();
        cursors.retain(|run, _| !is_gone(run));
        self.is_unkept |= cursors.len() < before;
    }

    /// How many events were delivered.
    pub(crate) fn delivered(&self) -> u64 {
        self.delivered
    }

    /// Takes a batch, once there is room for it.
    pub(crate) async fn take(&mut self, batch: Batch) -> Result<(), Halt> {
        self.work(UNSETTLED - 1).await?;
        let Batch { items, run, cursor } = batch;
        let state = if items.is_empty() { State::Delivered } else { State::Waiting };
        let message = Arc::new(Message::new(items, self.client.webhook().batch == 1));
        self.pending.push_back(Pending { message, run, cursor, state });
        self.start();
        Ok(())
    }

    /// Waits until all batches are delivered, and their delivery is on disk.
    pub(crate) async fn finish(&mut self) -> Result<(), Halt> {
        self.work(0).await
    }

    /// Waits until at most `most` batches are left.
    async fn work(&mut self, most: usize) -> Result<(), Halt> {
        loop {
            self.start();
            self.keep();
            if self.pending.len() <= most {
                return Ok(());
            }
            let is_waiting = self.flying.is_empty() && self.next().is_some();
            if is_waiting && self.is_too_long() {
                return self.end(self.gave_up()).await;
            }
            let (stop, not_before) = (&mut self.stop, self.not_before);
            let step = tokio::select! {
                Some(ended) = self.flying.join_next() => {
                    Step::Ended(ended.expect("a request neither panics nor is cancelled"))
                }
                written = written(&mut self.keeping) => Step::Kept(written),
                () = sleep_until(not_before), if is_waiting => Step::Due,
                () = stopping(stop) => Step::Stop,
            };
            match step {
                Step::Due => {}
                Step::Stop => return self.end(Halt::Stopped).await,
                Step::Kept(kept) => self.kept(kept)?,
                Step::Ended(ended) => {
                    if let Some(halt) = self.ended(ended) {
                        return self.end(halt).await;
                    }
                }
            }
        }
    }

    /// The first batch that waits, by its place among the pending ones.
    fn next(&self) -> Option<usize> {
        self.pending.iter().position(|pending| pending.state == State::Waiting)
    }

    /// Starts what may start.
    fn start(&mut self) {
        let most = if self.failures == 0 { FLYING } else { 1 };
        while self.flying.len() < most
            && Instant::now() >= self.not_before
            && !*self.stop.borrow()
            && let Some(at) = self.next()
        {
            let pending = &mut self.pending[at];
            pending.state = State::Flying;
            let (client, message) = (Arc::clone(&self.client), Arc::clone(&pending.message));
            let (number, stretch) = (self.settled + at as u64, self.stretch);
            self.flying.spawn(async move { Ended { number, stretch, result: client.send(&message).await } });
        }
    }

    /// What a request that has ended changes; why all ends, if it does.
    fn ended(&mut self, ended: Ended) -> Option<Halt> {
        let Ended { number, stretch, result } = ended;
        let now = Timestamp::wall();
        let at = usize::try_from(number - self.settled).expect("it is one of the pending ones");
        let pending = &mut self.pending[at];
        pending.state = State::Waiting;
        let (verdict, why) = match &result {
            Ok(answer) => (verdict(answer, now), seen(answer)),
            Err(error) => (Verdict::Again(None), error.text()),
        };
        match verdict {
            Verdict::Delivered => {
                pending.state = State::Delivered;
                self.delivered += pending.message.events;
                let progress = &mut self.place.progress;
                progress.delivered += pending.message.events;
                progress.last_delivered = Some(now.to_string());
                (progress.failure, progress.not_before, self.failures) = (None, None, 0);
                None
            }
            Verdict::Gone => Some(Halt::Disabled(why)),
            Verdict::Again(_) if stretch < self.stretch => None,
            Verdict::Again(asked) => {
                self.failures += 1;
                self.stretch += 1;
                let wait = wait(self.failures, asked, share());
                self.not_before = Instant::now() + wait;
                let progress = &mut self.place.progress;
                progress.failure = Some(Failure { at: now.to_string(), why, times: self.failures });
                progress.not_before = asked.map(|_| (now + wait).to_string());
                self.is_unkept = true;
                self.is_too_long().then(|| self.gave_up())
            }
        }
    }

    /// Whether the failures, or the wait until the next try, are more than is put up with.
    fn is_too_long(&self) -> bool {
        let Patience { failures, wait } = self.patience;
        let left = self.not_before.saturating_duration_since(Instant::now());
        failures.is_some_and(|most| self.failures >= most) || wait.is_some_and(|most| left > most)
    }

    fn gave_up(&self) -> Halt {
        let progress = &self.place.progress;
        let why = progress.failure.as_ref().map(|failure| failure.why.clone());
        let until = progress.not_before.as_ref().map(|at| format!("not before {at}, as its receiver asked"));
        Halt::GaveUp([why, until].into_iter().flatten().collect::<Vec<_>>().join("; "))
    }

    /// Begins to write the place, if it has moved and is not being written.
    fn keep(&mut self) {
        let is_delivered = |pending: &&Pending| pending.state == State::Delivered;
        let batches = self.pending.iter().take_while(is_delivered).count();
        if (batches == 0 && !self.is_unkept) || self.keeping.is_some() {
            return;
        }
        self.is_unkept = false;
        for Pending { run, cursor, .. } in self.pending.iter().take(batches) {
            self.place.progress.cursors.insert(run.clone(), cursor.clone());
        }
        let (files, progress) = (self.place.files().clone(), self.place.progress.clone());
        let write = move || files.keep_progress(&progress);
        self.keeping = Some(Keeping { batches, written: tokio::task::spawn_blocking(write) });
    }

    fn kept(&mut self, kept: (usize, Result<(), PlaceError>)) -> Result<(), Halt> {
        let (batches, written) = kept;
        written.map_err(Halt::Place)?;
        self.pending.drain(..batches);
        self.settled += batches as u64;
        Ok(())
    }

    /// Ends what is in flight, and keeps how far that is.
    async fn end(&mut self, halt: Halt) -> Result<(), Halt> {
        while let Some(ended) = self.flying.join_next().await {
            let _ = self.ended(ended.expect("a request neither panics nor is cancelled"));
        }
        let now = Timestamp::wall();
        if let Halt::Disabled(why) = &halt {
            let disabled = Disabled { at: now.to_string(), why: why.clone() };
            self.place.files().disable(&disabled).map_err(Halt::Place)?;
        }
        if self.keeping.is_some() {
            let kept = written(&mut self.keeping).await;
            self.kept(kept)?;
        }
        self.keep();
        if self.keeping.is_some() {
            let kept = written(&mut self.keeping).await;
            self.kept(kept)?;
        }
        Err(halt)
    }
}

enum Step {
    Ended(Ended),
    Kept((usize, Result<(), PlaceError>)),
    Due,
    Stop,
}

/// The end of writing, with the number of batches; waits for ever where nothing is written.
async fn written(keeping: &mut Option<Keeping>) -> (usize, Result<(), PlaceError>) {
    let Some(Keeping { batches, written }) = keeping else { return std::future::pending().await };
    let ended = (*batches, written.await.expect("writing does not panic"));
    *keeping = None;
    ended
}

/// Waits until all is to end; where nobody can say so any longer, nobody does.
async fn stopping(stop: &mut watch::Receiver<bool>) {
    if stop.wait_for(|stop| *stop).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// What people are shown of an answer.
fn seen(answer: &Answer) -> String {
    let Answer { status, text, .. } = answer;
    match text.is_empty() {
        true => format!("the receiver answered {status}"),
        false => format!("the receiver answered {status}: {text}"),
    }
}

fn moment(text: &str) -> Option<Timestamp> {
    Some(Timestamp(DateTime::parse_from_rfc3339(text).ok()?.timestamp_micros()))
}

/// A number from 0 to 1.
fn share() -> f64 {
    let mut bytes = [0; 4];
    // Without random bytes, all wait the longest.
    let filled = SystemRandom::new().fill(&mut bytes).is_ok();
    if filled { f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX) } else { 1.0 }
}
