//! The stages joined: prepare, dispatcher, lanes, journal, shutdown.
//!
//! ```text
//!             rows                  signed                  admitted                 durable
//!  queues ───────────> prepare ─────────────> ready lanes ────────────> journal ──────────────> connections
//!    ▲                 (rayon)                    ▲   pacer: how many now   intent, group commit      │
//!    └──────────────── retry, later ──────────────┴────────────── outcome events ◄───────────────────┘
//! ```
//!
//! A row is the unit of the journal, of retries and of results. A message is for one row or, if all
//! get the same text, for many rows of a lane. After a kill, every message that was granted and not
//! answered is in doubt: on each connection at most one more than its pipeline depth, with all of
//! its recipients.
//!
//! [`send`] is the loop: it waits for events, lets the [`dispatcher`](Dispatcher) decide, and
//! carries out the actions that it asks for. The dispatcher makes all decisions; all waiting
//! happens here.

mod breaker;
mod concurrency;
mod connections;
mod directory;
mod dispatcher;
mod envelopes;
mod event;
mod finish;
mod ids;
mod judge;
mod lane;
mod lanes;
mod limits;
mod lookups;
mod meter;
mod next_hops;
mod picker;
mod planning;
mod prepare;
mod provider;
mod scanning;
mod scans;
mod seats;
mod site;
mod snapshot;
mod source;
mod suppress;
mod task;
#[cfg(test)]
mod tests;
mod turns;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

pub use breaker::Breaker;
pub use directory::Directory;
pub use dispatcher::{Dispatcher, MOST_IN_PREPARATION, Parts, Phase, Settings};
pub use event::Shutdown;
pub use finish::{FinishError, write_results};
pub use lane::{Lane, Segment};
pub use limits::{EnvelopeLimits, LaneLimits, ProviderLimits, SourceLimits};
pub use next_hops::{MxHop, NextHop, NextHops, NoRoute, Routed, relay_limits};
pub use planning::{Enough, PlanningError, Screening, freeze};
pub use prepare::{Passwords, Preparer};
pub use scanning::Scanning;
pub use site::{Departure, FolderHop, MxShared, RelayHop, Site};
pub use snapshot::{Earlier, Hold, LaneSnapshot, OutcomeCounts, Snapshot};
pub use source::Sources;
pub use suppress::Suppressor;
pub use task::{Composed, NotComposed, Task};

use connections::{Addressed, Connections};
use event::{Action, Event};
use lookups::Lookups;
use meter::Meter;
use task::Prepared;

use crate::journal::{Intent, Journal, JournalError, Writer};
use crate::kit::open_files;
use crate::kit::store::StoreError;
use crate::pacing::{Clock, LedgerError, LedgerThread, Reservation};
use crate::run_dir::StopReason;

/// Events that wait for the dispatcher: some per connection, so that a connection never waits for
/// it.
const EVENTS: usize = 4_096;
/// Events handled before the dispatcher advances.
const EVENTS_AT_ONCE: usize = 256;
/// How often `observe` is called.
const OBSERVE_EVERY: Duration = Duration::from_millis(100);

/// Everything that a run needs: see [`send`].
pub struct Work {
    /// Composes and signs.
    pub preparer: Arc<Preparer>,
    /// Decides.
    pub dispatcher: Dispatcher,
    /// Finds the next hops of the directory's domains.
    pub next_hops: Arc<NextHops>,
    /// The local addresses that mail leaves from, one for each of the dispatcher's sources.
    pub departures: Vec<Departure>,
    /// Keeps intents and outcomes.
    pub journal: Journal,
    /// The agreement's ledger; `None` when unpaced.
    pub ledger: Option<LedgerThread>,
    /// Adds addresses to the suppression list.
    pub suppressor: Suppressor,
    /// Rows of the plan.
    pub planned: u64,
    /// What earlier processes came to.
    pub earlier: Earlier,
    /// The time of all decisions.
    pub clock: Clock,
}

/// How a run ended.
pub struct Ended {
    /// Finished, or stopped and why.
    pub phase: Phase,
    /// The journal; everything known is written to it.
    pub journal: Journal,
    /// For each departure, the rest of its allowance in messages; `None` without a limit.
    pub allowances: Vec<Option<u64>>,
}

/// Sends all rows that are left. `signals` brings demands to stop early; `observe` gets the
/// progress about ten times a second.
pub async fn send(
    work: Work,
    mut signals: mpsc::Receiver<(Shutdown, StopReason)>,
    mut observe: impl FnMut(&Snapshot),
) -> Result<Ended, JournalError> {
    let Work {
        preparer,
        mut dispatcher,
        next_hops,
        departures,
        journal,
        ledger,
        suppressor,
        planned,
        earlier,
        clock,
    } = work;
    let (events_in, mut events) = mpsc::channel::<Event>(EVENTS);
    let (prepared_in, mut prepared) = mpsc::channel::<Prepared>(MOST_IN_PREPARATION);
    let writer = Arc::new(spawn_writer(journal, &events_in)?);
    let mut connections = Connections::new(departures, Arc::clone(&writer), events_in.clone());
    let mut lookups = Lookups::new(next_hops, events_in.clone());
    dispatcher.keep_to_open_files(open_files::free(), open_files::limit(), clock.now());
    let mut meter = Meter::new(planned, earlier, clock.now());
    let mut tick = tokio::time::interval(OBSERVE_EVERY);
    let mut actions = Vec::new();
    let mut incoming = Vec::new();
    let mut composed = Vec::new();

    while !dispatcher.is_over() {
        let wake = dispatcher.wake_at(clock.now()).map(|at| at.since(clock.now()));
        tokio::select! {
            _ = events.recv_many(&mut incoming, EVENTS_AT_ONCE) => {}
            _ = prepared.recv_many(&mut composed, EVENTS_AT_ONCE) => {}
            Some((shutdown, reason)) = signals.recv() => incoming.push(Event::Shutdown(shutdown, reason)),
            () = tokio::time::sleep(wake.unwrap_or(OBSERVE_EVERY)), if wake.is_some() => {}
            _ = tick.tick() => observe(&meter.read(&dispatcher, clock.now())),
        }
        let now = clock.now();
        for event in incoming.drain(..).chain(composed.drain(..).map(Event::Prepared)) {
            dispatcher.handle(event, now, &mut actions);
        }
        if writer.is_congested() {
            tracing::debug!("the journal is behind: no new messages until it has caught up");
        } else {
            dispatcher.advance(now, &mut actions);
        }
        let in_flight = dispatcher.in_flight();
        for action in actions.drain(..) {
            match action {
                Action::Prepare { lane, tasks, limits } => {
                    preparer.start(lane, tasks, limits, &prepared_in);
                }
                Action::LookUp(domain, row) => lookups.start(domain, preparer.domain(row)),
                Action::Open { connection, site, source, .. } => connections.open(connection, site, source),
                Action::Close(id) => connections.close(id),
                Action::Grant(granted) => writer.intend_among(connections.address(granted), in_flight),
                Action::Record(outcome) => writer.record(outcome),
                Action::Suppress(row, class) => suppressor.add(row, class),
                Action::Reserve(request) => {
                    if let Some(ledger) = &ledger {
                        ledger.request(request, reserved(&events_in));
                    }
                }
            }
        }
    }
    observe(&meter.read(&dispatcher, clock.now()));
    // Nobody listens any more: late events find a closed channel instead of a full one.
    drop((events, prepared, lookups));
    // Messages are in flight only if a drain took too long or the run was to stop at once: they
    // stay in doubt.
    if dispatcher.in_flight() == 0 {
        connections.end().await
    } else {
        connections.abort().await
    }
    let phase = dispatcher.phase().clone();
    let allowances = dispatcher.allowances();
    let journal = tokio::task::spawn_blocking(move || {
        suppressor.finish();
        let writer = Arc::into_inner(writer).expect("the connections are gone, and nobody else has it");
        writer.close()
    });
    let journal = journal.await.expect("closing the journal does not panic")?;
    Ok(Ended { phase, journal, allowances })
}

/// The journal's writer: transactions that are durable go to their connections; those that never
/// will be, and failures, become events.
fn spawn_writer(
    journal: Journal,
    events: &mpsc::Sender<Event>,
) -> Result<Writer<Option<Addressed>>, JournalError> {
    let (undelivered, given_up, failures) = (events.clone(), events.clone(), events.clone());
    let on_durable = move |intents: Vec<(Intent, Option<Addressed>)>| {
        for addressed in intents.into_iter().filter_map(|(_, addressed)| addressed) {
            if let Err((connection, transaction)) = addressed.hand_over() {
                // An error means that the run is over; the intent stays open, as for everything in
                // flight then.
                let _ = undelivered.blocking_send(Event::Undelivered(connection, transaction));
            }
        }
    };
    // Nothing of these went out, so a drain need not wait for them. If a transaction's intents were
    // split, those before the split are durable or given up too; the last one decides for all.
    let on_given_up = move |intents: Vec<(Intent, Option<Addressed>)>| {
        for addressed in intents.into_iter().filter_map(|(_, addressed)| addressed) {
            let (connection, transaction) = addressed.place();
            let _ = given_up.blocking_send(Event::Undelivered(connection, transaction));
        }
    };
    let on_error = move |error: JournalError| {
        let _ = failures.blocking_send(Event::Shutdown(Shutdown::Drain, reason(&error)));
    };
    Writer::spawn(journal, on_durable, on_given_up, on_error)
}

/// Why a run stops when its journal fails.
fn reason(error: &JournalError) -> StopReason {
    let detail = describe(error);
    if let JournalError::Store(StoreError::Full { .. }) = error {
        StopReason::DiskFull { detail }
    } else {
        StopReason::JournalFailed { detail }
    }
}

/// Turns the ledger's answer into an event.
fn reserved(events: &mpsc::Sender<Event>) -> Box<dyn FnOnce(Result<Reservation, LedgerError>) + Send> {
    let events = events.clone();
    Box::new(move |answer| {
        let event = match answer {
            Ok(reservation) => Event::Reserved(reservation),
            Err(error) => Event::LedgerFailed(describe(&error)),
        };
        let _ = events.blocking_send(event);
    })
}

/// An error with its causes.
fn describe(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
