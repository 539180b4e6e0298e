//! How receivers took the sender's mail: counted for each run when it ends, added up when a run of
//! the same sender is checked.
//!
//! The counts of a run lie beside its results, and can be made from them again: they are no part
//! of the state. What came back later is added from the log of feedback.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use chrono::Days;
use serde::{Deserialize, Serialize};

use super::error::JobError;
use super::open::Job;
use super::workspace::Workspace;
use crate::campaign::RouteKind;
use crate::feedback::reputation::{Reading, Subject};
use crate::feedback::{Action, Effect, FeedbackLog, Kind, Logged};
use crate::kit::file::{self, PRIVATE};
use crate::kit::store::StoreError;
use crate::mail::{Class, Disposition, Domain, Timestamp};
use crate::preflight::reputation::{Counts, Group, WINDOWS, provider};
use crate::results::{Column, ResultFiles};
use crate::run_dir::{Manifest, RunDir};
use crate::state;

/// The file in the run directory.
const FILE: &str = "reputation.json";
/// Older runs say nothing.
const LONGEST: Duration = Duration::from_secs(31 * 86_400);
/// Smaller providers of a run are counted together.
const PROVIDERS: usize = 200;
/// What those are called.
const OTHERS: &str = "others";
/// Groups that are looked at, the largest.
const GROUPS: usize = 20;
/// Records read at once.
const PAGE: usize = 5_000;
const DAY: i64 = 86_400;
/// What providers said so many days ago counts.
const READING_DAYS: u64 = 7;

/// What became of the mails of a run.
#[derive(Debug, Serialize, Deserialize)]
struct Tally {
    /// The domain of `From`.
    from: String,
    /// The run's id.
    run: String,
    rows: Vec<TallyRow>,
}

/// Mails of one day, from one address or relay to one provider.
#[derive(Debug, Serialize, Deserialize)]
struct TallyRow {
    /// Days since 1970.
    day: i64,
    egress: String,
    provider: String,
    accepted: u64,
    bounced: u64,
    blocked: u64,
}

/// Whether a refusal is about the sender or the content.
fn is_block(class: Option<Class>) -> bool {
    matches!(class, Some(Class::Blocklist | Class::Spam | Class::Policy))
}

/// Counts the results of a run and keeps the counts beside them. Without them the run counts for
/// nothing later, which is no reason to fail.
pub(super) fn keep(workspace: &Workspace, dir: &RunDir, manifest: &Manifest) {
    let is_real = manifest.options.to.is_none() && manifest.campaign.delivery.route != RouteKind::Sandbox;
    if !is_real {
        return;
    }
    let kept = count(dir, manifest).and_then(|tally| {
        let text = serde_json::to_vec(&tally).expect("numbers and texts are always JSON");
        file::replace(&dir.path().join(FILE), &text, PRIVATE).map_err(|error| error.to_string())
    });
    if let Err(error) = kept {
        workspace.warn(format!("run `{}` will not count for the sender's reputation: {error}", dir.name()));
    }
}

fn count(dir: &RunDir, manifest: &Manifest) -> Result<Tally, String> {
    const COLUMNS: [Column; 7] = [
        Column::Domain,
        Column::Disposition,
        Column::Class,
        Column::RemoteHost,
        Column::LocalIp,
        Column::LastAttemptAt,
        Column::IsSeed,
    ];
    let files = ResultFiles::open(&dir.results()).map_err(|error| error.to_string())?;
    let by_address = manifest.campaign.delivery.route == RouteKind::Mx;
    let mut days: HashMap<(i64, String, String), Counts> = HashMap::new();
    for row in files.rows(&COLUMNS) {
        let row = row.map_err(|error| error.to_string())?;
        let (Some(at), Some(domain), false) = (row.last_attempt_at, &row.domain, row.is_seed) else {
            continue;
        };
        let blocked = u64::from(row.disposition != Disposition::Accepted && is_block(row.class));
        let counts = match row.disposition {
            Disposition::Accepted => Counts { accepted: 1, ..Counts::default() },
            Disposition::Bounced => Counts { bounced: 1, blocked, ..Counts::default() },
            Disposition::Deferred => Counts { blocked, ..Counts::default() },
            _ => continue,
        };
        let egress = match by_address {
            true => row.local_ip.map(|ip| ip.to_string()),
            false => row.remote_host.as_deref().map(str::to_owned),
        };
        let key = (at.seconds() / DAY, egress.unwrap_or_default(), provider(domain).to_owned());
        days.entry(key).or_default().add(counts);
    }
    let mut sizes: HashMap<&str, u64> = HashMap::new();
    for ((_, _, provider), counts) in &days {
        *sizes.entry(provider).or_default() += counts.accepted + counts.bounced;
    }
    let mut largest: Vec<(&str, u64)> = sizes.into_iter().collect();
    largest.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
    let named: Vec<String> = largest.into_iter().take(PROVIDERS).map(|(name, _)| name.to_owned()).collect();
    let mut rows: BTreeMap<(i64, String, String), Counts> = BTreeMap::new();
    for ((day, egress, provider), counts) in days {
        let provider = if named.contains(&provider) { provider } else { OTHERS.to_owned() };
        rows.entry((day, egress, provider)).or_default().add(counts);
    }
    let row = |((day, egress, provider), counts): ((i64, String, String), Counts)| {
        let Counts { accepted, bounced, blocked, .. } = counts;
        TallyRow { day, egress, provider, accepted, bounced, blocked }
    };
    Ok(Tally {
        from: manifest.campaign.sender.from.address.domain().as_str().to_owned(),
        run: manifest.run_id.to_string(),
        rows: rows.into_iter().map(row).collect(),
    })
}

impl Job<'_> {
    /// How receivers took the mail of the last days: all of the campaign's From domain, then the
    /// addresses and relays that it leaves by, whoever it is from, then the largest providers.
    pub(super) fn reputation(&self) -> Result<Vec<Group>, JobError> {
        self.workspace.reputation_of(self.campaign().sender.from.address.domain())
    }

    /// What providers said in the last days of the From domain, see [`Workspace::readings_of`].
    pub(super) fn readings(&self, groups: &[Group]) -> Result<Vec<Reading>, JobError> {
        self.workspace.readings_of(self.campaign().sender.from.address.domain(), groups, true)
    }
}

impl Workspace {
    /// How receivers took the mail of the last days: all of the domain's, then the addresses and
    /// relays that it leaves by, whoever it is from, then the largest providers.
    pub(super) fn reputation_of(&self, from: &Domain) -> Result<Vec<Group>, JobError> {
        let (now, from) = (self.clock().wall(), from.as_str().to_owned());
        let tallies = self.tallies()?;
        if tallies.iter().all(|tally| tally.from != from) {
            return Ok(Vec::new());
        }
        let mut groups = Groups { now, all: BTreeMap::new() };
        let mut runs: HashMap<&str, &Tally> = HashMap::new();
        for tally in &tallies {
            let is_own = tally.from == from;
            for row in &tally.rows {
                let counts = Counts {
                    accepted: row.accepted,
                    bounced: row.bounced,
                    blocked: row.blocked,
                    complaints: 0,
                };
                groups.add(is_own, &row.egress, &row.provider, row.day, counts);
            }
            runs.insert(&tally.run, tally);
        }
        self.each_since(now - LONGEST, &mut |one| {
            let record = &one.record;
            let tally = record.run.as_deref().and_then(|run| runs.get(run));
            let (Some(tally), Some(address)) = (tally, &record.address) else { return };
            let blocked = u64::from(is_block(record.class));
            let counts = match (record.kind, record.action, one.effect) {
                (_, Action::Complaint, _) => Counts { complaints: 1, ..Counts::default() },
                (Kind::Bounce, _, Effect::Unverified | Effect::Expired | Effect::NotHandedOver) => return,
                (Kind::Bounce, _, _) => Counts { bounced: 1, blocked, ..Counts::default() },
                _ => return,
            };
            // Which of several addresses a mail left from is not known here.
            let mut egress = tally.rows.iter().map(|row| row.egress.as_str());
            let first = egress.next().unwrap_or_default();
            let egress = if egress.all(|other| other == first) { first } else { "" };
            let domain = address.domain().as_str();
            groups.add(tally.from == from, egress, provider(domain), record.at.seconds() / DAY, counts);
        })?;
        Ok(groups.of(&from))
    }

    /// What providers said in the last days of a From domain and those above it, and of the
    /// addresses among `groups`; where there is none, since a relay sends from its own, of all
    /// addresses or of none.
    pub(super) fn readings_of(
        &self,
        from: &Domain,
        groups: &[Group],
        else_all: bool,
    ) -> Result<Vec<Reading>, JobError> {
        // To look is no reason to create a state.
        if !self.state_file()?.exists() {
            return Ok(Vec::new());
        }
        let first = self.clock().wall().to_utc().date_naive() - Days::new(READING_DAYS);
        let from = from.as_str();
        let own: Vec<IpAddr> = groups.iter().filter_map(|group| group.name.parse().ok()).collect();
        let mut readings = self.state()?.readings()?.since(first)?;
        readings.retain(|reading| match &reading.subject {
            Subject::Ip(ip) => (else_all && own.is_empty()) || own.contains(ip),
            Subject::Domain(domain) => {
                let below = from.strip_suffix(domain.as_str());
                below.is_some_and(|below| below.is_empty() || below.ends_with('.'))
            }
        });
        Ok(readings)
    }
}

/// What a group is of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Of {
    From,
    Egress(String),
    Provider(String),
}

/// Counts by group while they are added up. Those of an address count for every sender; the rest
/// for one.
struct Groups {
    now: Timestamp,
    all: BTreeMap<Of, (bool, [Counts; WINDOWS.len()])>,
}

impl Groups {
    fn add(&mut self, is_own: bool, egress: &str, provider: &str, day: i64, counts: Counts) {
        let age = self.now.seconds() / DAY - day;
        let mut add = |of: Of| {
            let (own, windows) = self.all.entry(of).or_default();
            *own |= is_own;
            for (window, days) in windows.iter_mut().zip(WINDOWS) {
                // Today and the day before are the last day.
                if (0..=i64::from(days)).contains(&age) {
                    window.add(counts);
                }
            }
        };
        if !egress.is_empty() {
            add(Of::Egress(egress.to_owned()));
        }
        if is_own {
            add(Of::From);
            add(Of::Provider(provider.to_owned()));
        }
    }

    fn of(self, from: &str) -> Vec<Group> {
        let own = self.all.into_iter().filter(|(_, (is_own, _))| *is_own);
        let mut groups: Vec<(Of, [Counts; WINDOWS.len()])> =
            own.map(|(of, (_, windows))| (of, windows)).collect();
        // All of the sender's mail first, then by size.
        groups.sort_by_key(|(of, windows)| {
            let [.., month] = windows;
            (*of != Of::From, std::cmp::Reverse(month.accepted + month.bounced))
        });
        groups.truncate(GROUPS);
        let name = |of: Of| match of {
            Of::From => from.to_owned(),
            Of::Egress(name) | Of::Provider(name) => name,
        };
        groups.into_iter().map(|(of, windows)| Group { name: name(of), windows }).collect()
    }
}

impl Workspace {
    /// The counts of the runs of the last days, those that are there.
    fn tallies(&self) -> Result<Vec<Tally>, JobError> {
        let mut tallies = Vec::new();
        for folder in self.known_runs()? {
            for dir in state::runs(&folder).list()? {
                let path = dir.path().join(FILE);
                let age = fs::metadata(&path).and_then(|data| data.modified());
                let is_recent =
                    age.is_ok_and(|at| SystemTime::now().duration_since(at).unwrap_or_default() <= LONGEST);
                // Runs of earlier versions have none.
                let text = is_recent.then(|| fs::read(&path).ok()).flatten();
                tallies.extend(text.and_then(|text| serde_json::from_slice::<Tally>(&text).ok()));
            }
        }
        Ok(tallies)
    }

    /// Shows what came back that was read since `at` and counts.
    fn each_since(&self, at: Timestamp, visit: &mut dyn FnMut(&Logged)) -> Result<(), JobError> {
        let log = self.state()?.feedback()?;
        let mut after = first_since(&*log, at)?;
        loop {
            let page = log.page_of_replies(after, PAGE)?;
            page.iter().filter(|one| one.undone.is_none()).for_each(&mut *visit);
            match page.last() {
                Some(last) if page.len() == PAGE => after = last.id,
                Some(_) | None => return Ok(()),
            }
        }
    }
}

/// A number of the log after which all records were read since `at`: found by halves, since they
/// lie in the order of reading.
fn first_since(log: &dyn FeedbackLog, at: Timestamp) -> Result<u64, StoreError> {
    let is_older =
        |after: u64| Ok::<_, StoreError>(log.page(after, 1)?.first().is_some_and(|one| one.read < at));
    let (mut low, mut high) = (0, 1);
    while is_older(high)? {
        (low, high) = (high, high * 2);
    }
    while low < high {
        let middle = low + (high - low) / 2;
        if is_older(middle)? {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok(low)
}
