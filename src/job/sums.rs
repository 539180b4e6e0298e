//! What a run has come to, added up from its journal: every record is read once, also while the
//! run writes it, however many look at the sums.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use rustc_hash::FxHashMap;

use super::error::JobError;
use super::workspace::Workspace;
use crate::campaign::Campaign;
use crate::journal::{Details, Intent, Outcome, Reader, Record, Verdict};
use crate::kit::causes::Causes;
use crate::kit::outside_text;
use crate::mail::{Class, Disposition, Timestamp};
use crate::plan::Plan;
use crate::report::Slot;
use crate::results::{Cause, DomainCount, Latency, Summary, VariantCount};
use crate::run_dir::{Manifest, RunDir};
use crate::screen;

/// Groups of the journal that are read at once: some thousand records.
const GROUPS_AT_ONCE: u64 = 16;
/// The domains of a summary.
const TOP_DOMAINS: usize = 20;
/// How many domains are counted; rows of further ones are in no domain's count.
const MOST_DOMAINS: usize = 65_536;
/// Next hops whose complaints are kept; of more, those that complained last.
const MOST_HOPS: usize = 1_000;
/// Refusals that are kept, the last.
const LAST_REFUSALS: usize = 20;
/// The longest text that is kept of a reply, in characters.
const REPLY_CHARS: usize = 300;
/// Reasons that are listed for a disposition.
const CAUSES_LISTED: usize = 3;
/// The longest latency that is recorded exactly: one hour, in microseconds.
const LONGEST_LATENCY_US: u64 = 3_600_000_000;

type PerDisposition = [u64; Disposition::ALL.len()];

/// How far a row is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum At {
    #[default]
    Untouched,
    /// Handed to a connection and not answered.
    Open,
    /// To be tried again.
    Pending,
    Ended(Disposition),
}

/// A row, in two bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct RowNow {
    at: At,
    class: Option<Class>,
}

/// A refusal, or why a message could not be handed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// When.
    pub at: Timestamp,
    /// Whose message.
    pub recipient: String,
    /// What became of the row; none where it is tried again.
    pub disposition: Option<Disposition>,
    /// Why.
    pub class: Option<Class>,
    /// What the next hop said, or the reason where it said nothing; what can't be seen is written
    /// out.
    pub why: String,
}

/// What a next hop complained about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Complaints {
    /// How often.
    pub times: u64,
    /// The last of them.
    pub last: Refusal,
}

/// The sums of a run.
#[derive(Debug)]
pub(crate) struct RunSums {
    plan: Plan,
    seeds: Range<u32>,
    campaign: Campaign,
    screening: screen::Counts,
    journal: Option<Reader>,
    /// The last group of the journal that was read.
    group: u64,
    rows: Vec<RowNow>,
    untouched: u64,
    open: u64,
    pending: u64,
    ended: PerDisposition,
    of_seeds: PerDisposition,
    classes: BTreeMap<Class, u64>,
    causes: BTreeMap<Disposition, Causes>,
    domains: FxHashMap<Box<str>, PerDisposition>,
    more_domains: bool,
    variants: BTreeMap<String, PerDisposition>,
    slots: BTreeMap<Timestamp, u64>,
    attempts: u64,
    bytes: u64,
    latency: Histogram<u64>,
    first: Option<Timestamp>,
    last: Option<Timestamp>,
    complaints: BTreeMap<String, Complaints>,
    refusals: VecDeque<Refusal>,
}

impl RunSums {
    /// Opens the plan of a run; none where it is not frozen yet. Nothing is added up.
    pub(crate) fn open(dir: &RunDir, manifest: &Manifest) -> Result<Option<Self>, JobError> {
        if manifest.plan.is_none() {
            return Ok(None);
        }
        let plan = manifest.open_plan(&dir.plan())?;
        let seeds = manifest.seed_rows();
        let rows = vec![RowNow::default(); plan.len() as usize];
        Ok(Some(Self {
            untouched: u64::from(plan.len()) - u64::from(seeds.end - seeds.start),
            plan,
            seeds,
            campaign: manifest.campaign.clone(),
            screening: manifest.screening,
            journal: None,
            group: 0,
            rows,
            open: 0,
            pending: 0,
            ended: [0; Disposition::ALL.len()],
            of_seeds: [0; Disposition::ALL.len()],
            classes: BTreeMap::new(),
            causes: BTreeMap::new(),
            domains: FxHashMap::default(),
            more_domains: false,
            variants: BTreeMap::new(),
            slots: BTreeMap::new(),
            attempts: 0,
            bytes: 0,
            latency: Histogram::new_with_max(LONGEST_LATENCY_US, 3)
                .expect("an hour and 3 digits are in range"),
            first: None,
            last: None,
            complaints: BTreeMap::new(),
            refusals: VecDeque::new(),
        }))
    }

    /// Adds what was written since, for about as long as `within`. Whether that was all.
    pub(crate) fn catch_up(
        &mut self,
        workspace: &Workspace,
        dir: &RunDir,
        within: Duration,
    ) -> Result<bool, JobError> {
        let journal = match self.journal.take() {
            Some(journal) => journal,
            None => {
                let state = workspace.state()?;
                if !state.has_journal(dir) {
                    return Ok(true);
                }
                state.read_journal(dir)?
            }
        };
        let done = self.read(&journal, Instant::now() + within);
        self.journal = Some(journal);
        done
    }

    fn read(&mut self, journal: &Reader, until: Instant) -> Result<bool, JobError> {
        let mut details = journal.details();
        loop {
            let stretch = journal.records_after(self.group, GROUPS_AT_ONCE)?;
            if stretch.last == self.group {
                return Ok(true);
            }
            self.group = stretch.last;
            for (_, _, record) in &stretch.records {
                match record {
                    Record::Intent(intent) => self.intent(intent),
                    Record::Outcome(outcome) => self.outcome(outcome, &mut details),
                }
            }
            if Instant::now() >= until {
                return Ok(false);
            }
        }
    }

    fn intent(&mut self, intent: &Intent) {
        if !intent.is_copy {
            let class = self.rows.get(intent.row as usize).and_then(|row| row.class);
            self.set(intent.row, RowNow { at: At::Open, class });
        }
    }

    fn outcome(&mut self, outcome: &Outcome, details: &mut Details<'_>) {
        if matches!(outcome.verdict, Verdict::Copy { .. } | Verdict::Withdrawn) {
            if let Verdict::Copy { .. } = outcome.verdict {
                // A copy for the archive that was sent again takes capacity too.
                self.attempt(outcome);
            } else {
                let class = self.rows.get(outcome.row as usize).and_then(|row| row.class);
                let at = if class.is_some() { At::Pending } else { At::Untouched };
                self.set(outcome.row, RowNow { at, class });
            }
            return;
        }
        // One that gives no reason leaves that of the attempt before.
        let before = self.rows.get(outcome.row as usize).and_then(|row| row.class);
        let class = match outcome.verdict {
            Verdict::Final(Disposition::Accepted) => None,
            _ => outcome.class.or(before),
        };
        let at = match outcome.verdict {
            Verdict::Final(disposition) => At::Ended(disposition),
            _ => At::Pending,
        };
        self.set(outcome.row, RowNow { at, class });
        self.attempt(outcome);
        if let At::Ended(disposition @ (Disposition::RenderFailed | Disposition::Infected)) = at
            && self.is_of_list(outcome.row)
        {
            let place = || format!("row {} of the plan", u64::from(outcome.row) + 1);
            let why = outcome.detail.as_deref().unwrap_or_default();
            self.causes.entry(disposition).or_default().add(why, place);
        }
        if outcome.class.is_some() && at != At::Ended(Disposition::Accepted) {
            self.refused(outcome, details);
        }
    }

    /// What was sent.
    fn attempt(&mut self, outcome: &Outcome) {
        let (Some(at), Some(_)) = (outcome.last_attempt_at, outcome.connection) else { return };
        let bytes = u64::from(outcome.bytes.unwrap_or(0));
        self.attempts += 1;
        self.bytes += bytes;
        *self.slots.entry(at.slot()).or_default() += self.campaign.capacity.cost(bytes);
        self.first = Some(self.first.map_or(at, |first| first.min(at)));
        self.last = Some(self.last.map_or(at, |last| last.max(at)));
        if let Some(latency) = outcome.latency_us {
            self.latency.saturating_record(latency);
        }
    }

    fn refused(&mut self, outcome: &Outcome, details: &mut Details<'_>) {
        let is_planned = outcome.row < self.plan.len();
        // The group counts as read already: one connection that can't be read must not cost the
        // records behind it. The next hop is the domain then.
        let connection = outcome.connection.and_then(|number| details.connection(number).ok().flatten());
        let hop = match connection {
            Some(connection) => connection.remote_host.clone(),
            None if is_planned => self.plan.domain(outcome.row).to_owned(),
            None => return,
        };
        let reply = outcome.reply.as_ref().map(ToString::to_string);
        let why = reply.or_else(|| outcome.detail.clone()).unwrap_or_default();
        let why: String = why.chars().take(REPLY_CHARS).collect();
        let refusal = Refusal {
            at: outcome.at,
            recipient: match is_planned {
                true => shown(&self.plan.address(outcome.row).to_string()),
                false => "a mail with a password".to_owned(),
            },
            disposition: match outcome.verdict {
                Verdict::Final(disposition) => Some(disposition),
                _ => None,
            },
            class: outcome.class,
            why: shown(&why),
        };
        if self.refusals.len() == LAST_REFUSALS {
            self.refusals.pop_front();
        }
        self.refusals.push_back(refusal.clone());
        if let Some(complaints) = self.complaints.get_mut(&hop) {
            complaints.times += 1;
            complaints.last = refusal;
            return;
        }
        if self.complaints.len() == MOST_HOPS {
            let oldest = self.complaints.iter().min_by_key(|(_, own)| own.last.at);
            if let Some(oldest) = oldest.map(|(hop, _)| hop.clone()) {
                self.complaints.remove(&oldest);
            }
        }
        self.complaints.insert(hop, Complaints { times: 1, last: refusal });
    }

    fn is_of_list(&self, row: u32) -> bool {
        row < self.plan.len() && !self.seeds.contains(&row)
    }

    /// Counts a row as it is now, and no longer as it was.
    fn set(&mut self, row: u32, now: RowNow) {
        let Some(own) = self.rows.get_mut(row as usize) else { return };
        let before = std::mem::replace(own, now);
        self.count(row, before, |count| *count = count.saturating_sub(1));
        self.count(row, now, |count| *count += 1);
    }

    fn count(&mut self, row: u32, now: RowNow, change: impl Fn(&mut u64)) {
        let RowNow { at, class } = now;
        if self.seeds.contains(&row) {
            if let At::Ended(disposition) = at {
                change(&mut self.of_seeds[disposition as usize]);
            }
            return;
        }
        let disposition = match at {
            At::Untouched => return change(&mut self.untouched),
            At::Open => return change(&mut self.open),
            At::Pending => return change(&mut self.pending),
            At::Ended(disposition) => disposition as usize,
        };
        change(&mut self.ended[disposition]);
        if let Some(class) = class {
            change(self.classes.entry(class).or_default());
        }
        let domain = self.plan.domain(row);
        if let Some(counts) = self.domains.get_mut(domain) {
            change(&mut counts[disposition]);
        } else if self.domains.len() < MOST_DOMAINS {
            let mut counts = [0; Disposition::ALL.len()];
            change(&mut counts[disposition]);
            self.domains.insert(domain.into(), counts);
        } else {
            self.more_domains = true;
        }
        if !self.campaign.variants.is_empty()
            && let Some(variant) = self.campaign.variant_of(&self.plan.address(row).to_string())
        {
            if !self.variants.contains_key(variant) {
                self.variants.insert(variant.to_owned(), [0; Disposition::ALL.len()]);
            }
            self.variants.entry(variant.to_owned()).and_modify(|counts| change(&mut counts[disposition]));
        }
    }

    /// Rows of the plan that wait, for their first attempt and for another one, and that are in
    /// flight.
    pub(crate) fn left(&self) -> (u64, u64, u64) {
        (self.untouched, self.pending, self.open)
    }

    /// The results so far. The rows that wait are in no disposition, and why rows are invalid is
    /// only in the result files.
    pub(crate) fn summary(&self) -> Summary {
        let mut dispositions = self.ended;
        let screening = &self.screening;
        for (disposition, rows) in [
            (Disposition::Invalid, screening.invalid),
            (Disposition::Duplicate, screening.duplicate),
            (Disposition::Suppressed, screening.suppressed),
            (Disposition::AlreadySent, screening.already_sent),
            (Disposition::Capped, screening.capped),
        ] {
            dispositions[disposition as usize] += rows;
        }
        let seconds = match (self.first, self.last) {
            (Some(first), Some(last)) => last.since(first).as_secs_f64(),
            _ => 0.0,
        };
        let latency = &self.latency;
        Summary {
            rows: screening.rows,
            dispositions: Disposition::ALL.into_iter().zip(dispositions).collect(),
            seeds: there(&self.of_seeds),
            passwords: Vec::new(),
            classes: self
                .classes
                .iter()
                .filter(|(_, rows)| **rows > 0)
                .map(|(class, rows)| (*class, *rows))
                .collect(),
            variants: (self.variants.iter())
                .map(|(variant, counts)| VariantCount {
                    variant: shown(variant),
                    rows: counts.iter().sum(),
                    dispositions: there(counts),
                })
                .collect(),
            causes: self.causes.iter().flat_map(|(word, causes)| listed(*word, causes)).collect(),
            failed_last: Vec::new(),
            domains: self.top_domains(),
            distinct_domains: self.domains.len() as u64,
            more_domains: self.more_domains,
            attempts: self.attempts,
            bytes: self.bytes,
            latency: (!latency.is_empty()).then(|| Latency {
                p50: Duration::from_micros(latency.value_at_quantile(0.5)),
                p90: Duration::from_micros(latency.value_at_quantile(0.9)),
                p99: Duration::from_micros(latency.value_at_quantile(0.99)),
                max: Duration::from_micros(latency.max()),
            }),
            archive_refused: 0,
            slots_used: self.slots.len() as u64,
            fullest_slot: self.slots.values().copied().max().unwrap_or(0),
            first_attempt_at: self.first,
            last_attempt_at: self.last,
            per_second: (seconds > 0.0).then(|| self.attempts.saturating_sub(1) as f64 / seconds),
            files: 0,
        }
    }

    fn top_domains(&self) -> Vec<DomainCount> {
        let mut domains: Vec<(u64, &str, &PerDisposition)> =
            self.domains.iter().map(|(domain, counts)| (counts.iter().sum(), &**domain, counts)).collect();
        domains.retain(|(rows, _, _)| *rows > 0);
        let order = |a: &(u64, &str, &PerDisposition), b: &(u64, &str, &PerDisposition)| {
            b.0.cmp(&a.0).then_with(|| a.1.cmp(b.1))
        };
        if domains.len() > TOP_DOMAINS {
            domains.select_nth_unstable_by(TOP_DOMAINS, order);
            domains.truncate(TOP_DOMAINS);
        }
        domains.sort_unstable_by(order);
        let count = |(rows, domain, counts): (u64, &str, &PerDisposition)| DomainCount {
            domain: shown(domain),
            rows,
            dispositions: there(counts),
        };
        domains.into_iter().map(count).collect()
    }

    /// What was used of the agreement, in order of time.
    pub(crate) fn slots(&self) -> Vec<Slot> {
        self.slots.iter().map(|(start, used)| Slot { start: *start, used: *used }).collect()
    }

    /// What next hops complained about, by their names; the last first.
    pub(crate) fn complaints(&self) -> Vec<(&str, &Complaints)> {
        let mut complaints: Vec<_> = self.complaints.iter().map(|(hop, own)| (hop.as_str(), own)).collect();
        complaints.sort_by_key(|(_, own)| std::cmp::Reverse(own.last.at));
        complaints
    }

    /// The last refusals, the last first.
    pub(crate) fn refusals(&self) -> impl Iterator<Item = &Refusal> {
        self.refusals.iter().rev()
    }
}

/// What others wrote, with what can't be seen written out.
fn shown(text: &str) -> String {
    outside_text::line(text).into_owned()
}

fn there(counts: &PerDisposition) -> Vec<(Disposition, u64)> {
    Disposition::ALL.into_iter().zip(*counts).filter(|(_, rows)| *rows > 0).collect()
}

/// The most frequent reasons, and all others together.
fn listed(disposition: Disposition, causes: &Causes) -> Vec<Cause> {
    let (top, more) = causes.top(CAUSES_LISTED);
    let cause = |cause: crate::kit::causes::Cause<'_>| Cause {
        disposition,
        why: Some(shown(cause.why)),
        rows: cause.rows,
        example: Some(cause.example.to_owned()),
    };
    let rest = (more > 0).then_some(Cause { disposition, why: None, rows: more, example: None });
    top.into_iter().map(cause).chain(rest).collect()
}
