//! Whole runs in simulated time: `prepare`, the lanes and the ledger are played by the test, the dispatcher is real.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;

use super::breaker::Breaker;
use super::dispatcher::{Dispatcher, Phase, Settings};
use super::event::{Action, Composed, Event, LaneId, NotComposed, Prepared, Shutdown, Task, Trouble};
use super::lane::{Lane, Limits};
use crate::campaign::{Capacity, Retry, Stop};
use crate::journal::{Outcome, Verdict};
use crate::mail::{Address, Class, Disposition, Envelope, Message, Reply, SignedMessage, Timestamp};
use crate::pacing::{Holder, Ledger, MemoryAccount, MemoryLedger, Pacer, Reading};
use crate::route::{Classifier, Schedule};
use crate::smtp::{Command, ConnectionId, Fate, NotStarted, Report, SessionError};

const START: Timestamp = Timestamp(1_800_000_000_000_000);

/// What the site does with a transmission: its fate and how long it takes. `None` closes the connection unanswered.
type Site = Box<dyn FnMut(Sent) -> (Duration, Fate)>;

#[derive(Debug, Clone, Copy)]
struct Sent {
    row: u32,
    attempt: u16,
    at: Timestamp,
}

struct World {
    dispatcher: Dispatcher,
    now: Timestamp,
    coming: BinaryHeap<Reverse<(Timestamp, u64)>>,
    events: HashMap<u64, Event>,
    next: u64,
    ledger: MemoryAccount,
    accounts: MemoryLedger,
    site: Site,
    /// What opening a connection brings.
    opens: Box<dyn FnMut(Timestamp) -> Result<(), Trouble>>,
    /// When the ledger can't answer.
    ledger_fails: Box<dyn Fn(Timestamp) -> bool>,
    /// Rows that can't be composed.
    broken: BTreeMap<u32, NotComposed>,
    sent: Vec<Sent>,
    outcomes: Vec<Outcome>,
    opened: usize,
    most_under_way: usize,
    suppressed: Vec<u32>,
}

struct Setting {
    rows: u32,
    connections: usize,
    depth: usize,
    capacity: Option<Capacity>,
    retry: Retry,
    stop: Stop,
    not_after: Option<Timestamp>,
}

impl Default for Setting {
    fn default() -> Self {
        let stop = Stop { bounce_percent: 0.0, authentication_failures: 0, ..Stop::default() };
        Self {
            rows: 100,
            connections: 4,
            depth: 1,
            capacity: None,
            retry: Retry::default(),
            stop,
            not_after: None,
        }
    }
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
    fn new(setting: Setting, site: impl FnMut(Sent) -> (Duration, Fate) + 'static) -> Self {
        let limits = Limits { connections: setting.connections, pipeline_depth: setting.depth };
        let lane = Lane::new("relay".into(), limits, (0..setting.rows).collect::<VecDeque<_>>());
        let capacity = setting.capacity.clone();
        let settings = Settings {
            schedule: Schedule::new(&setting.retry),
            not_after: setting.not_after,
            drain: Duration::from_secs(30),
            per_second: capacity.as_ref().map(|capacity| capacity.per_hour as f64 / 3_600.0),
        };
        let account = capacity.clone().unwrap_or_default();
        let accounts = MemoryLedger::new();
        let ledger = accounts.join(Holder::new("test", "1"), &account);
        let pacer = capacity.map(|capacity| Pacer::new(&capacity, START));
        let dispatcher =
            Dispatcher::new(settings, vec![lane], pacer, Classifier::default(), Breaker::new(setting.stop));
        Self {
            dispatcher,
            now: START,
            coming: BinaryHeap::new(),
            events: HashMap::new(),
            next: 0,
            ledger,
            accounts,
            site: Box::new(site),
            opens: Box::new(|_| Ok(())),
            ledger_fails: Box::new(|_| false),
            broken: BTreeMap::new(),
            sent: Vec::new(),
            outcomes: Vec::new(),
            opened: 0,
            most_under_way: 0,
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

    /// The same, or up to this moment.
    fn run_until(&mut self, end: Timestamp) -> &mut Self {
        let mut actions = Vec::new();
        for _ in 0..5_000_000 {
            self.dispatcher.advance(self.now, &mut actions);
            for action in std::mem::take(&mut actions) {
                self.carry_out(action);
            }
            self.most_under_way = self.most_under_way.max(self.dispatcher.under_way());
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
                    self.dispatcher.lanes()
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
            Action::Prepare(lane, tasks) => {
                for task in tasks {
                    let prepared = self.prepare(lane, task);
                    self.later(Duration::from_millis(1), Event::Prepared(prepared));
                }
            }
            Action::Open(_, id) => {
                self.opened += 1;
                let event = match (self.opens)(self.now) {
                    Ok(()) => Event::Opened(id, id.0 as u32),
                    Err(trouble) => Event::NotOpened(id, trouble),
                };
                self.later(Duration::from_millis(20), event);
            }
            Action::Close(_) => {}
            Action::Grant(granted) => {
                for (intent, granted) in granted {
                    let sent = Sent { row: intent.row, attempt: intent.attempt, at: self.now };
                    self.sent.push(sent);
                    let (wait, fate) = (self.site)(sent);
                    let report = Report {
                        id: granted.transaction.id,
                        fate,
                        started_at: self.now,
                        finished_at: self.now + wait,
                    };
                    self.later(wait, Event::Reported(granted.connection, report));
                }
            }
            Action::Record(outcome) => self.outcomes.push(outcome),
            Action::Suppress(row, _) => self.suppressed.push(row),
            Action::Reserve(_) if (self.ledger_fails)(self.now) => {
                let failed = Event::LedgerFailed("can't reserve capacity in `state.db`: disk full".into());
                self.later(Duration::from_millis(2), failed);
            }
            Action::Reserve(request) => {
                let reservation = self
                    .ledger
                    .reserve(Reading::simulated(self.now), &request)
                    .expect("memory does not fail");
                self.later(Duration::from_millis(2), Event::Reserved(reservation));
            }
        }
    }

    fn prepare(&mut self, lane: LaneId, task: Task) -> Prepared {
        let message = Message {
            header: Bytes::from_static(b"Subject: x\r\n"),
            body: vec![Bytes::from_static(b"x\r\n")],
            message_id: format!("{}@example.com", task.row),
            eight_bit: false,
            needs_smtputf8: false,
        };
        let recipient = Address::parse(&format!("r{}@example.com", task.row)).unwrap();
        let composed = Composed {
            envelope: Envelope { return_path: None, recipient },
            message: SignedMessage::new(Bytes::new(), message),
        };
        let message = self.broken.get(&task.row).cloned().map_or(Ok(composed), Err);
        Prepared { task, lane, at: self.now, message }
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

    fn stopped(&self) -> &str {
        match self.dispatcher.phase() {
            Phase::Stopped { reason, .. } => reason,
            other => panic!("not stopped but {other:?}"),
        }
    }
}

const MS: Duration = Duration::from_millis(1);

#[test]
fn every_row_is_sent_once_over_connections_that_are_kept() {
    let mut world = World::new(Setting { rows: 1_000, ..Setting::default() }, |_| (10 * MS, accepted()));
    world.run().assert_all(1_000, Disposition::Accepted);
    assert_eq!(world.sent.len(), 1_000);
    assert!(world.opened <= 4, "{} connections for a limit of 4", world.opened);
}

#[test]
fn what_is_under_way_is_one_more_than_the_depth_of_each_connection() {
    let setting = Setting { connections: 3, depth: 2, ..Setting::default() };
    let mut world = World::new(setting, |_| (10 * MS, accepted()));
    world.run();
    assert_eq!(world.most_under_way, 3 * (2 + 1));
}

#[test]
fn a_transient_refusal_is_tried_again_with_growing_waits() {
    let mut world = World::new(Setting { rows: 1, ..Setting::default() }, |sent| {
        (MS, if sent.attempt < 4 { refused(451, "4.3.0 try later") } else { accepted() })
    });
    world.run().assert_all(1, Disposition::Accepted);
    let waits: Vec<u64> = world.sent.windows(2).map(|pair| pair[1].at.since(pair[0].at).as_secs()).collect();
    assert_eq!(waits.len(), 3);
    assert!(waits[0] >= 20 && waits[1] > waits[0] && waits[2] > waits[1], "{waits:?}");
}

#[test]
fn what_stays_refused_is_deferred_when_the_time_is_over() {
    let mut world = World::new(Setting { rows: 3, ..Setting::default() }, |_| (MS, refused(451, "4.3.0 no")));
    world.run().assert_all(3, Disposition::Deferred);
    let took = world.now.since(START);
    assert!(
        took >= Duration::from_secs(3 * 3_600) && took <= Duration::from_secs(4 * 3_600 + 60),
        "{took:?}"
    );
}

#[test]
fn a_hard_bounce_ends_the_row_and_suppresses_its_address() {
    let mut world =
        World::new(Setting { rows: 2, ..Setting::default() }, |_| (MS, refused(550, "5.1.1 no such user")));
    world.run().assert_all(2, Disposition::Bounced);
    assert_eq!(world.suppressed, [0, 1]);
    assert_eq!(world.outcomes[0].class, Some(Class::BadMailbox));
}

#[test]
fn a_refusal_of_policy_suppresses_nobody() {
    let mut world =
        World::new(Setting { rows: 2, ..Setting::default() }, |_| (MS, refused(550, "5.7.1 policy")));
    world.run().assert_all(2, Disposition::Bounced);
    assert!(world.suppressed.is_empty());
}

#[test]
fn a_lost_connection_is_tried_again_and_a_lost_answer_never() {
    let lost = SessionError::Closed { awaiting: Command::Rcpt };
    let unanswered = SessionError::Closed { awaiting: Command::EndOfMessage };
    let mut world = World::new(Setting { rows: 10, ..Setting::default() }, move |sent| {
        let fate = match (sent.row, sent.attempt) {
            (3, 1) => Fate::Failed { error: lost.clone() },
            (5, _) => Fate::InDoubt { error: unanswered.clone() },
            _ => accepted(),
        };
        (MS, fate)
    });
    world.run();
    let finals = world.finals();
    assert_eq!(finals.len(), 10);
    assert_eq!((finals[&3], finals[&5]), (Disposition::Accepted, Disposition::InDoubt));
    assert_eq!(world.sent.iter().filter(|sent| sent.row == 5).count(), 1);
}

#[test]
fn a_message_that_was_not_started_goes_back_without_counting_as_an_attempt() {
    let mut expired = 0;
    let mut world = World::new(Setting { rows: 5, ..Setting::default() }, move |sent| {
        expired += u32::from(sent.row == 2);
        let fate = if sent.row == 2 && expired < 3 {
            Fate::NotStarted { why: NotStarted::Expired }
        } else {
            accepted()
        };
        (MS, fate)
    });
    world.run().assert_all(5, Disposition::Accepted);
    assert!(world.sent.iter().all(|sent| sent.attempt == 1));
    let withdrawn = world.outcomes.iter().filter(|outcome| outcome.verdict == Verdict::Withdrawn).count();
    assert_eq!(withdrawn, 2);
}

#[test]
fn the_pace_is_kept_and_retries_count() {
    let capacity = Capacity { per_hour: 36_000, ..Capacity::default() };
    let setting = Setting { rows: 3_000, capacity: Some(capacity), ..Setting::default() };
    let mut world = World::new(setting, |sent| {
        (MS, if sent.row % 3 == 0 && sent.attempt == 1 { refused(451, "4.3.0 no") } else { accepted() })
    });
    world.run().assert_all(3_000, Disposition::Accepted);
    assert_eq!(world.sent.len(), 4_000);
    let took = world.now.since(START).as_secs_f64();
    assert!((395.0..=440.0).contains(&took), "4,000 attempts at 10/s took {took} s");
}

#[test]
fn what_was_reserved_goes_back_soon_when_nothing_is_ready() {
    let capacity = Capacity { per_hour: 3_600_000, ..Capacity::default() };
    let setting = Setting { rows: 600, connections: 50, capacity: Some(capacity), ..Setting::default() };
    let mut world = World::new(setting, |sent| {
        (MS, if sent.attempt == 1 { refused(451, "4.3.0 no") } else { accepted() })
    });
    // All were refused once, and none is due again: others may have the rest.
    world.run_until(START + Duration::from_secs(15));
    assert_eq!(world.sent.len(), 600);
    let usage = world.accounts.usage("default", Reading::simulated(world.now)).unwrap();
    assert_eq!(usage.hour_used, 600);
    world.run().assert_all(600, Disposition::Accepted);
}

#[test]
fn a_ledger_that_fails_for_long_ends_the_run_and_for_a_moment_does_not() {
    let run = |fails: Duration| {
        let capacity = Capacity { per_hour: 36_000, ..Capacity::default() };
        let setting = Setting { rows: 1_000, capacity: Some(capacity), ..Setting::default() };
        let mut world = World::new(setting, |_| (MS, accepted()));
        let (from, to) = (START + Duration::from_secs(20), START + Duration::from_secs(20) + fails);
        world.ledger_fails = Box::new(move |now| now >= from && now < to);
        world.run();
        assert!(world.sent.iter().all(|sent| sent.at < from + Duration::from_secs(5) || sent.at >= to));
        world
    };
    run(Duration::from_secs(20)).assert_all(1_000, Disposition::Accepted);
    let stopped = run(Duration::from_secs(60));
    assert!(stopped.stopped().contains("disk full"), "{}", stopped.stopped());
    assert_eq!(stopped.finals().len(), stopped.sent.len(), "what was under way has its outcome");
    assert!(stopped.now.since(START) < Duration::from_secs(60), "it did not wait for the ledger");
}

#[test]
fn rows_without_a_message_end_and_the_others_go_on() {
    let mut world = World::new(Setting { rows: 10, ..Setting::default() }, |_| (MS, accepted()));
    world.broken.insert(2, NotComposed::RenderFailed("no `name`".into()));
    world.broken.insert(4, NotComposed::Suppressed("unsubscribed".into()));
    world.run();
    let finals = world.finals();
    assert_eq!((finals[&2], finals[&4]), (Disposition::RenderFailed, Disposition::Suppressed));
    assert_eq!(world.sent.len(), 8);
    assert_eq!(*world.dispatcher.phase(), Phase::Finished);
}

#[test]
fn a_drain_finishes_what_is_under_way_and_starts_nothing() {
    let mut world = World::new(Setting { rows: 10_000, ..Setting::default() }, |_| (10 * MS, accepted()));
    world.later(Duration::from_secs(1), Event::Shutdown(Shutdown::Drain, "SIGINT".into()));
    world.run();
    assert_eq!(world.stopped(), "SIGINT");
    assert_eq!(world.finals().len(), world.sent.len());
    assert!(world.sent.len() < 10_000 && world.sent.last().unwrap().at <= START + Duration::from_secs(1));
}

#[test]
fn a_drain_does_not_wait_for_ever() {
    let mut world =
        World::new(Setting { rows: 10, ..Setting::default() }, |_| (Duration::from_secs(3_600), accepted()));
    world.later(Duration::from_secs(1), Event::Shutdown(Shutdown::Drain, "SIGTERM".into()));
    world.run();
    assert_eq!(world.now.since(START), Duration::from_secs(31));
    assert!(world.finals().is_empty());
}

#[test]
fn nothing_starts_after_the_time_given() {
    let end = START + Duration::from_secs(60);
    let capacity = Capacity { per_hour: 36_000, ..Capacity::default() };
    let setting =
        Setting { rows: 10_000, capacity: Some(capacity), not_after: Some(end), ..Setting::default() };
    let mut world = World::new(setting, |_| (MS, accepted()));
    world.run();
    assert!(world.stopped().contains("--not-after"));
    assert!(world.sent.iter().all(|sent| sent.at < end));
    assert!((500..=620).contains(&world.sent.len()), "{} in a minute at 10/s", world.sent.len());
}

#[test]
fn a_site_that_is_never_reached_defers_its_rows() {
    let mut world = World::new(Setting { rows: 50, ..Setting::default() }, |_| (MS, accepted()));
    world.opens = Box::new(|_| {
        Err(Trouble { permanent: false, class: Class::Network, text: "refused".into(), reply: None })
    });
    world.run().assert_all(50, Disposition::Deferred);
    assert!(world.now.since(START) >= Duration::from_secs(4 * 3_600));
    assert!(world.opened < 300, "{} attempts to connect in four hours", world.opened);
}

#[test]
fn a_site_that_comes_back_gets_its_rows() {
    let mut world = World::new(Setting { rows: 50, ..Setting::default() }, |_| (MS, accepted()));
    world.opens = Box::new(|now| {
        let trouble =
            Trouble { permanent: false, class: Class::Network, text: "refused".into(), reply: None };
        if now < START + Duration::from_secs(600) { Err(trouble) } else { Ok(()) }
    });
    world.run().assert_all(50, Disposition::Accepted);
    assert!(world.now.since(START) <= Duration::from_secs(700));
}

#[test]
fn a_refused_login_stops_the_run_and_loses_nothing() {
    let mut world = World::new(Setting { rows: 50, ..Setting::default() }, |_| (MS, accepted()));
    world.opens = Box::new(|_| {
        let text = "535 5.7.8 bad password".to_owned();
        Err(Trouble { permanent: true, class: Class::Authentication, text, reply: None })
    });
    world.run();
    assert!(world.stopped().contains("535"));
    assert!(world.outcomes.is_empty());
}

#[test]
fn too_many_bounces_stop_the_run() {
    let stop = Stop { bounce_percent: 20.0, bounce_window: 50, authentication_failures: 0 };
    let setting = Setting { rows: 10_000, stop, ..Setting::default() };
    let mut world = World::new(setting, |_| (MS, refused(550, "5.7.1 go away")));
    world.run();
    assert!(world.stopped().contains("go away"), "{}", world.stopped());
    assert!(world.sent.len() < 100);
}

#[test]
fn an_intent_that_found_its_connection_gone_is_withdrawn_and_sent_again() {
    let mut world =
        World::new(Setting { rows: 1, connections: 1, ..Setting::default() }, |_| (MS, accepted()));
    // The connection closes while the intent is on its way: the journal's thread finds nobody to hand over to.
    let mut actions = Vec::new();
    let now = world.now;
    world.dispatcher.advance(now, &mut actions);
    let prepared = match actions.pop() {
        Some(Action::Prepare(lane, tasks)) => world.prepare(lane, tasks[0]),
        other => panic!("{other:?}"),
    };
    world.dispatcher.handle(Event::Prepared(prepared), now, &mut actions);
    world.dispatcher.advance(now, &mut actions);
    assert!(matches!(actions.pop(), Some(Action::Open(_, ConnectionId(1)))));
    world.dispatcher.handle(Event::Opened(ConnectionId(1), 1), now, &mut actions);
    world.dispatcher.advance(now, &mut actions);
    assert!(matches!(actions.pop(), Some(Action::Grant(_))));
    world.dispatcher.handle(Event::Closed(ConnectionId(1)), now, &mut actions);
    world.dispatcher.handle(Event::Undelivered(ConnectionId(1), 0), now, &mut actions);
    assert!(matches!(actions.pop(), Some(Action::Record(o)) if o.verdict == Verdict::Withdrawn));
    world.run().assert_all(1, Disposition::Accepted);
    assert_eq!(world.sent.len(), 1);
}
