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
/// Runs of which it is known that nothing was accepted a moment ago, and for how long.
const QUIET_RUNS: usize = 1_000;
const QUIET: Duration = Duration::from_secs(10);
/// Visits of one link without a row that are kept of each second.
const EACH_SECOND: u32 = 50;
const SECOND_MICROS: i64 = 1_000_000;
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
    /// When it came.
    pub at: Timestamp,
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
    crowds: Crowds,
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
            crowds: Crowds::default(),
            acceptances: Acceptances { workspace, people_after, runs: Runs::default() },
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
        let mut too_many = 0;
        for visit in visits.iter().filter(|visit| !visit.tracked.is_test) {
            // Not later than now, whatever the clocks do.
            let at = visit.at.min(now);
            if visit.tracked.row.is_none() && !self.crowds.has_room(&visit.text, at) {
                too_many += 1;
                continue;
            }
            let many = self.links.label(&visit.tracked, at);
            let soon = || self.acceptances.label(&visit.tracked, at, read_until);
            let machine = visit.machine.or(many).or_else(soon);
            records.push(self.record(visit, machine, at));
        }
        if !records.is_empty() {
            self.log.append(&mut self.import, &records, &self.policy, now)?;
        }
        self.lost.add(too_many);
        Ok(())
    }

    fn record(&mut self, visit: &Visit, machine: Option<Machine>, at: Timestamp) -> Record {
        let tracked = &visit.tracked;
        let (kind, target) = match &tracked.deed {
            Deed::Open => (Kind::Open, None),
            Deed::Click(target) => (Kind::Click, Some(shown(target.as_str(), tracked.row).to_owned())),
        };
        // A row counts once a minute. Of links that all share each visit may be another person's.
        let occasion = match tracked.row {
            Some(_) => format!("{}", at.0.div_euclid(MINUTE_MICROS)),
            None => {
                self.number += 1;
                format!("{} {} {}", at.0, std::process::id(), self.number)
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
            ..Record::of_mail(name, kind, at)
        }
    }

    /// Says now and then, and at the end, how many visits were lost.
    fn report(&mut self, error: Option<&JobError>, at_end: bool) {
        let (last, reported) = self.reported;
        let lost = self.lost.count();
        if lost == reported || !(at_end || last.is_none_or(|last| last.elapsed() >= REPORT)) {
            return;
        }
        let why = error.map_or_else(
            || "the disk was too slow, or one link was followed too often".to_owned(),
            |error| chain(error),
        );
        self.workspace.warn(format!("{} opens and clicks were not recorded: {why}", lost - reported));
        self.reported = (Some(Instant::now()), lost);
    }
}

/// What is recorded of a target. Without a row nobody is to be known: where a link leads may say
/// who it was made for in its query and fragment.
fn shown(target: &str, row: Option<u32>) -> &str {
    match row {
        Some(_) => target,
        None => target.split(['?', '#']).next().unwrap_or_default(),
    }
}

/// How often links without a row were followed in this second: each visit is a record of its own,
/// so that whoever repeats one could fill the disk.
#[derive(Debug, Default)]
struct Crowds {
    second: i64,
    visits: HashMap<String, u32>,
}

impl Crowds {
    /// Whether one more visit is kept. One that comes late counts in the second that it is.
    fn has_room(&mut self, token: &str, at: Timestamp) -> bool {
        let second = at.0.div_euclid(SECOND_MICROS);
        let is_set_back = second < self.second - 60;
        if second > self.second || is_set_back {
            self.second = second;
            self.visits.clear();
        }
        let visits = self.visits.entry(token.to_owned()).or_default();
        *visits += 1;
        *visits <= EACH_SECOND
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
        if self.since.is_none_or(|since| now.since(since) > AT_ONCE || since.since(now) > AT_ONCE) {
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
    runs: Runs<Recent>,
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
        let (workspace, people_after) = (self.workspace, self.people_after);
        let recent = self.runs.of(&name, Instant::now(), || open(workspace, people_after, &name, now))?;
        recent.read(now, self.people_after, read_until);
        let accepted = recent.accepted.get(&row)?;
        (now.since(*accepted) < self.people_after).then_some(Machine::TooSoon)
    }
}

/// The journal of a run that is being sent, or was a moment ago.
fn open(workspace: &Workspace, people_after: Duration, name: &str, now: Timestamp) -> Option<Recent> {
    let run = workspace.find_run(name).ok()?;
    let manifest = run.manifest().ok()?;
    if manifest.finished.is_some_and(|end| now.since(end) > people_after) {
        return None;
    }
    let state = workspace.state().ok()?;
    let journal = state.read_journal(run.dir()).ok()?;
    Some(Recent { journal, group: 0, accepted: HashMap::new() })
}

/// What is known of some runs, the last ones that were asked for; and of which nothing is, for a
/// while.
struct Runs<T> {
    known: HashMap<String, (Instant, T)>,
    quiet: HashMap<String, Instant>,
}

impl<T> Default for Runs<T> {
    fn default() -> Self {
        Self { known: HashMap::new(), quiet: HashMap::new() }
    }
}

impl<T> Runs<T> {
    /// What is known of a run; what `open` says where nothing is yet.
    fn of(&mut self, name: &str, now: Instant, open: impl FnOnce() -> Option<T>) -> Option<&mut T> {
        if !self.known.contains_key(name) {
            let is_quiet = |since: &Instant| now.saturating_duration_since(*since) < QUIET;
            if self.quiet.get(name).is_some_and(is_quiet) {
                return None;
            }
            let Some(opened) = open() else {
                if self.quiet.len() >= QUIET_RUNS {
                    self.quiet.retain(|_, since| is_quiet(since));
                }
                if self.quiet.len() >= QUIET_RUNS {
                    self.quiet.clear();
                }
                self.quiet.insert(name.to_owned(), now);
                return None;
            };
            self.quiet.remove(name);
            if self.known.len() >= RUNS {
                let oldest = self.known.iter().min_by_key(|(_, (used, _))| *used);
                if let Some(oldest) = oldest.map(|(name, _)| name.clone()) {
                    self.known.remove(&oldest);
                }
            }
            self.known.insert(name.to_owned(), (now, opened));
        }
        let (used, known) = self.known.get_mut(name)?;
        *used = now;
        Some(known)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compose::tracked::Target;

    #[test]
    fn only_so_many_visits_of_one_link_are_kept_of_a_second() {
        let mut crowds = Crowds::default();
        let mut kept = |token: &str, at: i64| {
            (0..3 * EACH_SECOND).filter(|_| crowds.has_room(token, Timestamp(at))).count() as u32
        };
        assert_eq!(kept("a", 5 * SECOND_MICROS), EACH_SECOND);
        assert_eq!(kept("b", 5 * SECOND_MICROS), EACH_SECOND);
        assert_eq!(kept("a", 4 * SECOND_MICROS), 0, "late");
        assert_eq!(kept("a", 6 * SECOND_MICROS), EACH_SECOND);
    }

    #[test]
    fn links_of_one_message_that_are_followed_at_once_are_a_machines() {
        let click = |row: u32, to: &str| {
            let deed = Deed::Click(Target::parse(to).unwrap());
            Tracked::of("news", "one", Some(row), deed)
        };
        let (a, b) = ("https://shop.example/a", "https://shop.example/b");
        let mut links = Links::default();
        let mut is_machine =
            |row, to, at: i64| links.label(&click(row, to), Timestamp(at)) == Some(Machine::ManyLinks);
        assert!(!is_machine(0, a, 10_000_000), "it could have been a person's");
        assert!(is_machine(0, b, 10_900_000));
        assert!(is_machine(0, a, 11_800_000), "once a machine");
        assert!(!is_machine(1, a, 11_800_000), "another's");
        assert!(!is_machine(1, a, 11_799_000), "the same, and late");
        assert!(is_machine(1, b, 11_798_000));
        assert!(!is_machine(1, b, 13_000_000), "later");
    }

    #[test]
    fn runs_of_which_nothing_is_known_take_nobodys_place_and_are_asked_again() {
        let (mut runs, start) = (Runs::default(), Instant::now());
        assert_eq!(runs.of("live", start, || Some(1)), Some(&mut 1));
        for old in 0..3 * QUIET_RUNS {
            assert_eq!(runs.of(&format!("old{old}"), start, || None), None);
        }
        assert!(runs.quiet.len() <= QUIET_RUNS);
        assert_eq!(runs.of("live", start, || None), Some(&mut 1));
        assert_eq!(runs.of("new", start, || None), None);
        assert_eq!(runs.of("new", start, || Some(2)), None, "not asked at once");
        assert_eq!(runs.of("new", start + QUIET, || Some(2)), Some(&mut 2));
        // The one that was not asked for longest makes room.
        for other in 0..RUNS - 1 {
            runs.of("new", start + 2 * QUIET, || None);
            assert_eq!(runs.of(&format!("{other}"), start + 2 * QUIET, || Some(3)), Some(&mut 3));
        }
        assert!(!runs.known.contains_key("live") && runs.known.contains_key("new"));
    }
}
