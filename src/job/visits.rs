//! Opens and clicks of tracked messages, as they come. What is answered is durable, unless the disk
//! is slow or full: then people are not kept waiting, and what could not be kept is counted.
//!
//! One thread owns the log. What came while others were written is kept together, in one
//! transaction. Nothing of a visitor is kept but a label where it is no person.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use super::error::{JobError, chain};
use super::feedback_settings::policy;
use super::workspace::Workspace;
use crate::compose::tracked::{Deed, Tracked};
use crate::feedback::{By, FeedbackLog, Import, Kind, Machine, Policy, Record, content_hash};
use crate::journal::{Reader, Verdict};
use crate::mail::{Disposition, Timestamp};

/// So many visits are kept together at most.
const TOGETHER: usize = 1_000;
/// Visits of one day are one import, which can be taken back.
const DAY_MICROS: i64 = 86_400_000_000;
/// A visit that comes again within a minute of the clock counts once.
const MINUTE_MICROS: i64 = 60_000_000;
/// Different links of one message within this time are followed by a machine.
pub(super) const AT_ONCE: Duration = Duration::from_secs(1);
/// Runs whose acceptances are known at once.
const RUNS: usize = 32;
/// How long the journals are read before visits are kept.
const READING: Duration = Duration::from_millis(10);
/// Groups of the journal that are read at once.
const GROUPS: u64 = 16;
/// How often what is lost is reported.
const REPORT: Duration = Duration::from_secs(60);

/// Somebody or something has followed a tracked link or fetched the image.
#[derive(Debug)]
pub(crate) struct Visit {
    /// The token as it is written.
    pub text: String,
    /// What it says.
    pub tracked: Tracked,
    /// Why it is no person, as far as the request says.
    pub machine: Option<Machine>,
    /// Hears that it is durable, or will not be.
    pub done: oneshot::Sender<()>,
}

/// Visits that nobody has kept.
#[derive(Debug, Clone, Default)]
pub(crate) struct LostVisits(Arc<AtomicU64>);

impl LostVisits {
    /// How many there are.
    pub(crate) fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Counts visits that could not be kept.
    pub(crate) fn add(&self, visits: u64) {
        self.0.fetch_add(visits, Ordering::Relaxed);
    }
}

/// Keeps visits.
pub(crate) struct Visits<'w> {
    workspace: &'w Workspace,
    log: Arc<dyn FeedbackLog>,
    policy: Policy,
    import: Import,
    /// The day of the current import.
    day: i64,
    links: Links,
    acceptances: Acceptances<'w>,
    lost: LostVisits,
    reported: (Option<Instant>, u64),
    /// Makes the visits of links that all recipients share different ones.
    number: u64,
}

impl<'w> Visits<'w> {
    /// Keeps visits. Those within `people_after` of the message's acceptance are a machine's.
    pub(crate) fn new(
        workspace: &'w Workspace,
        people_after: Duration,
        lost: LostVisits,
    ) -> Result<Self, JobError> {
        Ok(Self {
            workspace,
            log: workspace.state()?.feedback()?,
            policy: policy(workspace)?,
            import: Import { id: None, source: "tracking".to_owned() },
            day: 0,
            links: Links::default(),
            acceptances: Acceptances { workspace, people_after, runs: HashMap::new() },
            lost,
            reported: (None, 0),
            number: 0,
        })
    }

    /// Keeps visits until nobody is left who could send any. Blocks.
    pub(crate) fn keep(mut self, mut visits: mpsc::Receiver<Visit>) {
        while let Some(first) = visits.blocking_recv() {
            let mut together = vec![first];
            while together.len() < TOGETHER
                && let Ok(next) = visits.try_recv()
            {
                together.push(next);
            }
            let kept = self.keep_all(&together);
            if kept.is_err() {
                self.lost.add(together.len() as u64);
            }
            for visit in together {
                let _ = visit.done.send(());
            }
            self.report(kept.err().as_ref(), false);
        }
        self.report(None, true);
    }

    /// Keeps visits, all or none.
    fn keep_all(&mut self, visits: &[Visit]) -> Result<(), JobError> {
        let now = self.workspace.clock().wall();
        let today = now.0.div_euclid(DAY_MICROS);
        if self.day != today {
            self.import.id = None;
            self.day = today;
        }
        let read_until = Instant::now() + READING;
        let mut records = Vec::with_capacity(visits.len());
        for visit in visits.iter().filter(|visit| !visit.tracked.is_test) {
            let many = self.links.label(&visit.tracked, now);
            let soon = || self.acceptances.label(&visit.tracked, now, read_until);
            let machine = visit.machine.or(many).or_else(soon);
            records.push(self.record(visit, machine, now));
        }
        if !records.is_empty() {
            self.log.append(&mut self.import, &records, &self.policy, now)?;
        }
        Ok(())
    }

    fn record(&mut self, visit: &Visit, machine: Option<Machine>, now: Timestamp) -> Record {
        let tracked = &visit.tracked;
        let (kind, target) = match &tracked.deed {
            Deed::Open => (Kind::Open, None),
            Deed::Click(target) => (Kind::Click, Some(shown(target.as_str(), tracked.row).to_owned())),
        };
        // A row counts once a minute. Of links that all share each visit may be another person's.
        let occasion = match tracked.row {
            Some(_) => format!("{}", now.0.div_euclid(MINUTE_MICROS)),
            None => {
                self.number += 1;
                format!("{} {} {}", now.0, std::process::id(), self.number)
            }
        };
        let label = machine.map_or("", Machine::as_str);
        // Without a row nothing of the token is kept: it holds what the recipient's link holds.
        let token = tracked.row.map_or("", |_| visit.text.as_str());
        let name = content_hash(format!("visit\n{token}\n{label}\n{occasion}").as_bytes());
        Record {
            machine,
            text: target,
            campaign: Some(tracked.campaign.clone()),
            run: Some(tracked.run.clone()),
            row: tracked.row,
            by: Some(By::Link),
            trusted: true,
            ..Record::of_mail(name, kind, now)
        }
    }

    /// Says now and then, and at the end, how many visits were lost.
    fn report(&mut self, error: Option<&JobError>, at_end: bool) {
        let (last, reported) = self.reported;
        let lost = self.lost.count();
        if lost == reported || !(at_end || last.is_none_or(|last| last.elapsed() >= REPORT)) {
            return;
        }
        let why = error.map_or_else(|| "the disk was too slow".to_owned(), |error| chain(error));
        self.workspace.warn(format!("{} opens and clicks were not recorded: {why}", lost - reported));
        self.reported = (Some(Instant::now()), lost);
    }
}

/// What is recorded of a target. Without a row nobody is to be known: where a link leads may say who
/// it was made for in its query and fragment.
fn shown(target: &str, row: Option<u32>) -> &str {
    match row {
        Some(_) => target,
        None => target.split(['?', '#']).next().unwrap_or_default(),
    }
}

/// The links that were followed lately: of this second, and of the one before.
#[derive(Debug, Default)]
struct Links {
    since: Option<Timestamp>,
    new: HashMap<(String, u32), Followed>,
    old: HashMap<(String, u32), Followed>,
}

#[derive(Debug, Clone)]
struct Followed {
    target: String,
    at: Timestamp,
    is_machine: bool,
}

impl Links {
    /// Whether the link is one of many that are followed at once.
    fn label(&mut self, tracked: &Tracked, now: Timestamp) -> Option<Machine> {
        let (Deed::Click(target), Some(row)) = (&tracked.deed, tracked.row) else { return None };
        if self.since.is_none_or(|since| now.since(since) > AT_ONCE || since > now) {
            self.old = std::mem::take(&mut self.new);
            self.since = Some(now);
        }
        let key = (format!("{}/{}", tracked.campaign, tracked.run), row);
        let last = self.new.get(&key).or_else(|| self.old.get(&key));
        let last = last.filter(|last| now.since(last.at) <= AT_ONCE);
        let is_machine = last.is_some_and(|last| last.is_machine || last.target != target.as_str());
        self.new.insert(key, Followed { target: target.as_str().to_owned(), at: now, is_machine });
        is_machine.then_some(Machine::ManyLinks)
    }
}

/// When messages of runs were accepted, as far as that is a few seconds ago.
struct Acceptances<'w> {
    workspace: &'w Workspace,
    people_after: Duration,
    runs: HashMap<String, Option<Recent>>,
}

/// The acceptances of one run.
struct Recent {
    journal: Reader,
    group: u64,
    accepted: HashMap<u32, Timestamp>,
}

impl Acceptances<'_> {
    /// Whether a visit comes sooner than a person's could. Reads on in the journal of its run until
    /// `read_until`: of a large run that was not followed the first visits have no label.
    fn label(&mut self, tracked: &Tracked, now: Timestamp, read_until: Instant) -> Option<Machine> {
        let row = tracked.row.filter(|_| !self.people_after.is_zero())?;
        let name = format!("{}/{}", tracked.campaign, tracked.run);
        if !self.runs.contains_key(&name) {
            if self.runs.len() >= RUNS {
                self.runs.clear();
            }
            let opened = self.open(&name, now);
            self.runs.insert(name.clone(), opened);
        }
        let recent = self.runs.get_mut(&name)?.as_mut()?;
        recent.read(now, self.people_after, read_until);
        let accepted = recent.accepted.get(&row)?;
        (now.since(*accepted) < self.people_after).then_some(Machine::TooSoon)
    }

    /// The journal of a run that is being sent, or was a moment ago.
    fn open(&self, name: &str, now: Timestamp) -> Option<Recent> {
        let run = self.workspace.find_run(name).ok()?;
        let manifest = run.manifest().ok()?;
        if manifest.finished.is_some_and(|end| now.since(end) > self.people_after) {
            return None;
        }
        let state = self.workspace.state().ok()?;
        let journal = state.read_journal(run.dir()).ok()?;
        Some(Recent { journal, group: 0, accepted: HashMap::new() })
    }
}

impl Recent {
    fn read(&mut self, now: Timestamp, people_after: Duration, until: Instant) {
        loop {
            let Ok(stretch) = self.journal.records_after(self.group, GROUPS) else { return };
            for (_, _, record) in &stretch.records {
                if let crate::journal::Record::Outcome(outcome) = record
                    && outcome.verdict == Verdict::Final(Disposition::Accepted)
                    && now.since(outcome.at) < people_after
                {
                    self.accepted.insert(outcome.row, outcome.at);
                }
            }
            let is_end = stretch.last == self.group;
            self.group = stretch.last;
            if is_end || Instant::now() >= until {
                self.accepted.retain(|_, at| now.since(*at) < people_after);
                return;
            }
        }
    }
}
