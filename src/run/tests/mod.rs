//! Whole runs in simulated time: the test plays `prepare`, the sites, DNS and the ledger; the
//! dispatcher is real.

mod copies;
mod many_sites;
mod one_site;
mod one_text;
mod rates;
mod scanners;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::breaker::Breaker;
use super::directory::Directory;
use super::dispatcher::{Dispatcher, Parts, Phase, Settings};
use super::event::{Action, Event, Granted, Shutdown};
use super::ids::LaneId;
use super::lane::{Lane, Segment};
use super::limits::{LaneLimits, ProviderLimits, SourceLimits};
use super::next_hops::{NoRoute, Routed};
use super::site::{Site as Hops, Trouble};
use super::source::Sources;
use super::task::{Composed, NotComposed, Prepared, Task};
use crate::campaign::{Capacity, RetryPolicy, Span, Stop};
use crate::journal::{Intent, Outcome, Verdict};
use crate::mail::{Address, Class, Disposition, Envelope, Message, Reply, SignedMessage, Timestamp};
use crate::pacing::{Account, Clock, Holder, Ledger, MemoryLedger, Pacer, Reading, Request};
use crate::route::{Classifier, Schedule};
use crate::run_dir::StopReason;
use crate::smtp::{Command, ConnectionId, Fate, NotStarted, Report, SessionError, Transaction};

const START: Timestamp = Timestamp(1_800_000_000_000_000);

/// What the site does with a transmission: how long it takes, and its fate.
type Site = Box<dyn FnMut(Sent) -> (Duration, Fate)>;

/// Whether a connection to a site can be opened.
type Opens = Box<dyn FnMut(&str, Timestamp) -> Result<(), Trouble>>;
/// Where a row's domain goes.
type Routes = Box<dyn FnMut(u32, Timestamp) -> Result<Routed, NoRoute>>;

/// The reply of an archive to a row's copy.
type Archive = Box<dyn FnMut(u32, Timestamp) -> Reply>;

#[derive(Debug, Clone, Copy)]
struct Sent {
    row: u32,
    attempt: u16,
    at: Timestamp,
    site: &'static str,
    /// Its place among the recipients of its message.
    place: usize,
}

struct World {
    dispatcher: Dispatcher,
    now: Timestamp,
    coming: BinaryHeap<Reverse<(Timestamp, u64)>>,
    events: HashMap<u64, Event>,
    next: u64,
    /// The clock of the ledger.
    clock: Clock,
    ledger: MemoryLedger,
    account: Box<dyn Account>,
    site: Site,
    /// Whether a connection can be opened.
    opens: Opens,
    /// A connection that is open is lost this much later, before anything was sent over it.
    loses: Option<(Duration, SessionError)>,
    /// Where a row's domain goes.
    routes: Routes,
    sites: HashMap<ConnectionId, &'static str>,
    lookups: usize,
    /// When the ledger can't answer.
    ledger_fails: Box<dyn Fn(Timestamp) -> bool>,
    /// What the archive answers in a recipient's transaction, and to a copy of its own.
    archive: Option<Archive>,
    /// The copies that went to the archive alone, by their rows.
    copies: Vec<(u32, Timestamp)>,
    /// The bytes of a row's body.
    bytes: fn(u32) -> usize,
    /// When no scanner answers.
    scanner_is_down: Box<dyn Fn(u32, Timestamp) -> bool>,
    /// Rows that can't be composed.
    broken: BTreeMap<u32, NotComposed>,
    sent: Vec<Sent>,
    /// The rows of each transaction.
    transactions: Vec<Vec<u32>>,
    /// Messages that were composed and signed.
    composed: usize,
    outcomes: Vec<Outcome>,
    opened: usize,
    most_in_flight: usize,
    most_lanes: usize,
    suppressed: Vec<u32>,
}

struct Setting {
    rows: u32,
    connections: usize,
    depth: usize,
    capacity: Option<Capacity>,
    retry: RetryPolicy,
    stop: Stop,
    end: Option<(Timestamp, StopReason)>,
    sources: Vec<SourceLimits>,
    /// Recipients of one message, if all get the same text.
    together: Option<usize>,
}

impl Default for Setting {
    fn default() -> Self {
        let stop = Stop { bounce_percent: 0.0, authentication_failures: 0, ..Stop::default() };
        Self {
            rows: 100,
            connections: 4,
            depth: 1,
            capacity: None,
            retry: RetryPolicy::default(),
            stop,
            end: None,
            sources: vec![SourceLimits::default()],
            together: None,
        }
    }
}

fn limits_of(setting: &Setting) -> LaneLimits {
    LaneLimits {
        connections: setting.connections,
        initial: setting.connections,
        pipeline_depth: setting.depth,
        recipients: setting.together.unwrap_or(1),
        one_domain: false,
        rate: None,
        openings: None,
        only_way: true,
    }
}

/// The names of the sites of a test live as long as the test.
fn name_of(site: &Hops) -> &'static str {
    thread_local! {
        static NAMES: std::cell::RefCell<std::collections::HashSet<&'static str>> = Default::default();
    }
    NAMES.with_borrow_mut(|names| match names.get(site.name.as_str()) {
        Some(name) => name,
        None => {
            let name: &'static str = Box::leak(site.name.clone().into_boxed_str());
            names.insert(name);
            name
        }
    })
}

fn hops(name: &str) -> Arc<Hops> {
    let limits = crate::smtp::ConnectionLimits::default();
    Arc::new(Hops::relays(name.to_owned(), name.to_owned(), Vec::new(), limits))
}

fn reply(code: u16, text: &str) -> Reply {
    let (enhanced, text) = match crate::mail::EnhancedStatus::split(text) {
        Some((status, rest)) => (Some(status), rest),
        None => (None, text),
    };
    Reply { code, enhanced, text: text.to_owned() }
}

fn accepted() -> Fate {
    Fate::Replied { reply: reply(250, "2.0.0 Ok"), to: Command::EndOfMessage }
}

fn refused(code: u16, text: &str) -> Fate {
    Fate::Replied { reply: reply(code, text), to: Command::Rcpt }
}

impl World {
    /// One relay for all.
    fn new(setting: Setting, site: impl FnMut(Sent) -> (Duration, Fate) + 'static) -> Self {
        let mut lane = Lane::new(hops("relay"), limits_of(&setting), None, START);
        lane.add(Segment::whole((0..setting.rows).collect()));
        Self::with(setting, vec![lane], Directory::empty(), site)
    }

    fn with(
        setting: Setting,
        lanes: Vec<Lane>,
        directory: Directory,
        site: impl FnMut(Sent) -> (Duration, Fate) + 'static,
    ) -> Self {
        let capacity = setting.capacity.clone();
        let settings = Settings {
            passwords: None,
            schedule: Schedule::new(&setting.retry),
            end: setting.end.clone(),
            drain: Duration::from_secs(30),
            per_second: capacity.as_ref().map(|capacity| capacity.per_hour as f64 / 3_600.0),
            one_text: setting.together.is_some(),
        };
        let account = capacity.clone().unwrap_or_default();
        let clock = Clock::simulated(Reading::simulated(START));
        let ledger = MemoryLedger::new(clock.clone());
        let dispatcher = Dispatcher::new(Parts {
            passwords: 0,
            settings,
            lanes,
            directory,
            sources: Sources::new(&setting.sources, START),
            pacer: capacity.map(|capacity| Pacer::new(&capacity, START)),
            classifier: Classifier::default(),
            breaker: Breaker::new(setting.stop),
        });
        Self {
            dispatcher,
            now: START,
            coming: BinaryHeap::new(),
            events: HashMap::new(),
            next: 0,
            clock,
            account: ledger.join(Holder::new("test", "1"), (&account).into()).unwrap(),
            ledger,
            site: Box::new(site),
            opens: Box::new(|_, _| Ok(())),
            loses: None,
            routes: Box::new(|_, _| unreachable!("every row has its lane")),
            ledger_fails: Box::new(|_| false),
            archive: None,
            copies: Vec::new(),
            bytes: |_| 3,
            sites: HashMap::new(),
            lookups: 0,
            scanner_is_down: Box::new(|_, _| false),
            broken: BTreeMap::new(),
            sent: Vec::new(),
            transactions: Vec::new(),
            composed: 0,
            outcomes: Vec::new(),
            opened: 0,
            most_in_flight: 0,
            most_lanes: 0,
            suppressed: Vec::new(),
        }
    }

    fn later(&mut self, wait: Duration, event: Event) {
        self.coming.push(Reverse((self.now + wait, self.next)));
        self.events.insert(self.next, event);
        self.next += 1;
    }

    /// Runs until the dispatcher is over; panics when it waits for nothing.
    fn run(&mut self) -> &mut Self {
        self.run_until(Timestamp(i64::MAX))
    }

    /// Runs until the dispatcher is over, or up to `end`.
    fn run_until(&mut self, end: Timestamp) -> &mut Self {
        let mut actions = Vec::new();
        for _ in 0..50_000_000 {
            self.dispatcher.advance(self.now, &mut actions);
            for action in std::mem::take(&mut actions) {
                self.carry_out(action);
            }
            self.most_in_flight = self.most_in_flight.max(self.dispatcher.in_flight());
            self.most_lanes = self.most_lanes.max(self.dispatcher.lanes().len());
            if self.dispatcher.is_over() {
                return self;
            }
            let event = self.coming.peek().map(|Reverse((at, _))| *at);
            let wake = self.dispatcher.wake_at(self.now);
            let next = event.into_iter().chain(wake).min();
            let Some(next) = next else {
                panic!(
                    "a run that is not over waits for nothing at {}: {:?}",
                    self.now,
                    self.dispatcher.lanes().iter().collect::<Vec<_>>()
                );
            };
            if next > end {
                return self;
            }
            // The loop around the dispatcher never wakes in the same microsecond.
            self.now = next.max(self.now);
            if event.is_some_and(|at| at <= self.now) {
                let Reverse((_, number)) = self.coming.pop().expect("it was looked at");
                let event = self.events.remove(&number).expect("each number has its event");
                self.dispatcher.handle(event, self.now, &mut actions);
            } else if next == self.now && wake.is_some_and(|at| at < self.now) {
                self.now = self.now + Duration::from_micros(1);
            }
        }
        panic!("the run does not come to an end: {:?}", self.dispatcher.counts());
    }

    fn carry_out(&mut self, action: Action) {
        match action {
            Action::Prepare { lane, tasks, limits } => {
                for tasks in tasks.chunks(limits.recipients) {
                    for prepared in self.prepare(lane, tasks) {
                        self.later(Duration::from_millis(1), Event::Prepared(prepared));
                    }
                }
            }
            Action::LookUp(domain, row) => {
                self.lookups += 1;
                let route = (self.routes)(row, self.now);
                self.later(Duration::from_millis(5), Event::Routed(domain, route));
            }
            Action::Open { connection: id, site, .. } => {
                self.opened += 1;
                // A test has few sites: their names may leak.
                self.sites.insert(id, name_of(&site));
                let wait = Duration::from_millis(20);
                let event = match (self.opens)(&site.name, self.now) {
                    Ok(()) => Event::Opened(id, id.0 as u32),
                    Err(trouble) => Event::NotOpened(id, trouble),
                };
                let is_open = matches!(event, Event::Opened(..));
                self.later(wait, event);
                if let Some((after, error)) = self.loses.clone().filter(|_| is_open) {
                    self.later(wait + after, Event::Closed(id, Some(error)));
                }
            }
            Action::Close(id) => self.later(Duration::from_millis(1), Event::Closed(id, None)),
            Action::Grant(granted) => {
                for Granted { connection, intents, transaction } in granted {
                    let site = self.sites[&connection];
                    let recipients: Vec<String> =
                        transaction.envelope.recipients.iter().map(Address::to_string).collect();
                    if let [Intent { row, is_copy: true, .. }] = intents[..] {
                        self.send_copy(connection, row, &transaction);
                        continue;
                    }
                    let rows: Vec<String> =
                        intents.iter().map(|intent| format!("r{}@example.com", intent.row)).collect();
                    assert_eq!(rows, recipients, "an intent for each recipient");
                    self.transactions.push(intents.iter().map(|intent| intent.row).collect());
                    let (mut longest, mut fates) = (Duration::ZERO, Vec::new());
                    for (place, intent) in intents.into_iter().enumerate() {
                        let Intent { row, attempt, .. } = intent;
                        let sent = Sent { row, attempt, at: self.now, site, place };
                        self.sent.push(sent);
                        let (wait, fate) = (self.site)(sent);
                        longest = longest.max(wait);
                        fates.push(fate);
                    }
                    let first = self.transactions.last().expect("it was just added")[0];
                    let now = self.now;
                    let report = Report {
                        id: transaction.id,
                        fates,
                        archive: self.archive.as_mut().map(|archive| archive(first, now)),
                        started_at: self.now,
                        finished_at: self.now + longest,
                    };
                    self.later(longest, Event::Reported(connection, report));
                }
            }
            Action::Record(outcome) => self.outcomes.push(outcome),
            Action::Suppress(row, _) => self.suppressed.push(row),
            Action::Reserve(_) if (self.ledger_fails)(self.now) => {
                let failed = Event::LedgerFailed("can't reserve capacity in `state.db`: disk full".into());
                self.later(Duration::from_millis(2), failed);
            }
            Action::Reserve(request) => {
                self.clock.set(Reading::simulated(self.now));
                let reservation = self.account.reserve(&request).expect("memory does not fail");
                self.later(Duration::from_millis(2), Event::Reserved(reservation));
            }
        }
    }

    /// A copy for the archive alone.
    fn send_copy(&mut self, connection: ConnectionId, row: u32, transaction: &Transaction) {
        assert!(transaction.envelope.is_copy);
        self.copies.push((row, self.now));
        let reply = (self.archive.as_mut().expect("there is an archive"))(row, self.now);
        let to = if reply.is_positive() { Command::EndOfMessage } else { Command::Rcpt };
        let (started_at, finished_at) = (self.now, self.now + MS);
        let fates = vec![Fate::Replied { reply, to }];
        let report = Report { id: transaction.id, fates, archive: None, started_at, finished_at };
        self.later(MS, Event::Reported(connection, report));
    }

    /// One message for `tasks`, without those that can't be composed.
    fn prepare(&mut self, lane: LaneId, tasks: &[Task]) -> Vec<Prepared> {
        let at = self.now;
        if let Some(task) = tasks.iter().find(|task| (self.scanner_is_down)(task.row, at)) {
            self.composed += 1;
            let message = Err(NotComposed::Unscanned(format!("no answer for {}", task.row)));
            return vec![Prepared { tasks: tasks.to_vec(), lane, at, message }];
        }
        let (broken, whole): (Vec<Task>, Vec<Task>) =
            tasks.iter().partition(|task| self.broken.contains_key(&task.row));
        let without = broken.iter().map(|task| {
            let message = Err(self.broken[&task.row].clone());
            Prepared { tasks: vec![*task], lane, at, message }
        });
        let mut prepared: Vec<Prepared> = without.collect();
        let (copies, whole): (Vec<Task>, Vec<Task>) = whole.into_iter().partition(|task| task.is_copy);
        for task in copies {
            let envelope = Envelope::of_copy(None, Address::parse("archive@example.com").unwrap());
            let message = Ok(Composed { envelope, message: message_of(task.row, self.bytes) });
            prepared.push(Prepared { tasks: vec![task], lane, at, message });
        }
        if let Some(first) = whole.first() {
            self.composed += 1;
            let address = |task: &Task| Address::parse(&format!("r{}@example.com", task.row)).unwrap();
            let recipients = whole.iter().map(address).collect();
            let composed = Composed {
                envelope: Envelope { return_path: None, recipients, archive: None, is_copy: false },
                message: message_of(first.row, self.bytes),
            };
            prepared.push(Prepared { tasks: whole, lane, at, message: Ok(composed) });
        }
        prepared
    }

    fn finals(&self) -> BTreeMap<u32, Disposition> {
        let mut finals = BTreeMap::new();
        for outcome in &self.outcomes {
            if let Verdict::Final(disposition) = outcome.verdict {
                assert_eq!(finals.insert(outcome.row, disposition), None, "row {} ended twice", outcome.row);
            }
        }
        finals
    }

    fn assert_all(&self, rows: u32, disposition: Disposition) {
        let finals = self.finals();
        assert_eq!(finals.len(), rows as usize);
        assert!(finals.values().all(|d| *d == disposition), "{finals:?}");
        assert_eq!(*self.dispatcher.phase(), Phase::Finished);
    }

    fn stopped(&self) -> &StopReason {
        match self.dispatcher.phase() {
            Phase::Stopped { reason, .. } => reason,
            other => panic!("not stopped but {other:?}"),
        }
    }
}

fn message_of(row: u32, bytes: fn(u32) -> usize) -> SignedMessage {
    let message = Message {
        header: Bytes::from_static(b"Subject: x\r\n"),
        body: vec![Bytes::from(vec![b'x'; bytes(row)])],
        message_id: format!("{row}@example.com"),
        eight_bit: false,
        needs_smtputf8: false,
    };
    SignedMessage::new(Bytes::new(), message)
}

const MS: Duration = Duration::from_millis(1);
