//! What the reports on a domain say together: by source, by week, by class.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::net::IpAddr;

use serde::{Serialize, Serializer};

use super::known::{Class, Known, Shown, classify, is_below};
use crate::campaign::Network;
use crate::feedback::{DmarcRow, KeptReport, TlsRow};
use crate::mail::Timestamp;
use crate::preflight::sender::dmarc::walk::by_suffix_list;

const DAY: i64 = 86_400;
/// How many sources the output lists, the largest first.
const SOURCES: usize = 1_000;
/// And so many reporters.
const REPORTERS: usize = 100;
/// Weeks with mails, the last.
const WEEKS: usize = 106;

/// Mails, and how many of them are authenticated.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Alignment {
    /// All.
    pub messages: u64,
    /// With a right signature of the domain.
    pub dkim_aligned: u64,
    /// With SPF right for the domain.
    pub spf_aligned: u64,
    /// Either: they pass DMARC.
    pub dmarc_pass: u64,
}

impl Alignment {
    fn add(&mut self, row: &DmarcRow, count: u64) {
        let add = |sum: &mut u64, counts: bool| *sum = sum.saturating_add(if counts { count } else { 0 });
        add(&mut self.messages, true);
        add(&mut self.dkim_aligned, row.dkim_aligned);
        add(&mut self.spf_aligned, row.spf_aligned);
        add(&mut self.dmarc_pass, row.dkim_aligned || row.spf_aligned);
    }

    pub(super) fn and(mut self, other: Self) -> Self {
        self.messages = self.messages.saturating_add(other.messages);
        self.dkim_aligned = self.dkim_aligned.saturating_add(other.dkim_aligned);
        self.spf_aligned = self.spf_aligned.saturating_add(other.spf_aligned);
        self.dmarc_pass = self.dmarc_pass.saturating_add(other.dmarc_pass);
        self
    }

    /// Mails that fail DMARC.
    pub(crate) fn failed(&self) -> u64 {
        self.messages.saturating_sub(self.dmarc_pass)
    }
}

/// `part` of `whole` in percent; 0 of nothing.
pub(crate) fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 * 100.0 / whole as f64 }
}

/// A week, from Monday 00:00 UTC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Week {
    /// When it begins.
    #[serde(serialize_with = "as_text")]
    pub start: Timestamp,
    /// All mails.
    #[serde(flatten)]
    pub all: Alignment,
    /// By whose they are.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub classes: BTreeMap<Class, u64>,
}

fn as_text<T: fmt::Display, S: Serializer>(at: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(at)
}

/// Where mails come from, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Source {
    /// Whose they are.
    pub class: Class,
    /// Who sends: the platform, or the organization of the domain that is authenticated; empty
    /// where none is.
    pub organisation: String,
    /// The address, or the network that holds several; empty where reports name none.
    pub network: String,
    /// Addresses of it.
    pub addresses: usize,
    /// The name in reverse DNS of the address with the most mails, where it was asked for.
    pub ptr: Option<String>,
    /// The domain that SPF was asked for.
    pub spf_domain: String,
    /// The domain of the signature.
    pub dkim_domain: String,
    /// Its selector.
    pub selector: String,
    /// How many.
    #[serde(flatten)]
    pub all: Alignment,
    /// That receivers put aside or refused.
    pub withheld: u64,
    /// Week by week.
    pub weeks: Vec<Week>,
    /// The address with the most mails.
    #[serde(skip)]
    pub address: Option<IpAddr>,
}

/// Who reports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Reporter {
    /// Its name, as it says.
    pub org: String,
    /// Reports.
    pub reports: u64,
    /// Mails in them.
    pub messages: u64,
}

/// TLS towards a domain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Tls {
    /// The domain.
    pub domain: String,
    /// The kind of policy.
    pub policy: String,
    /// Sessions as the policy wants them.
    pub ok: u64,
    /// Sessions that are not.
    pub failed: u64,
}

/// The whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct View {
    /// The domain.
    pub domain: String,
    /// When the first report's time begins; none without reports.
    #[serde(serialize_with = "as_optional")]
    pub since: Option<Timestamp>,
    /// When the last report's time ends.
    #[serde(serialize_with = "as_optional")]
    pub until: Option<Timestamp>,
    /// Reports.
    pub reports: u64,
    /// Days that reports are about.
    pub days: usize,
    /// Who reports, the largest first.
    pub reporters: Vec<Reporter>,
    /// All mails.
    #[serde(flatten)]
    pub all: Alignment,
    /// By whose they are.
    pub classes: BTreeMap<Class, Alignment>,
    /// Week by week.
    pub weeks: Vec<Week>,
    /// Where they come from, the largest first.
    pub sources: Vec<Source>,
    /// Sources that are not listed, and their mails.
    pub sources_left_out: usize,
    /// TLS, by domain and policy.
    pub tls: Vec<Tls>,
    /// What the policy is to know; not for people.
    #[serde(skip)]
    pub own: BTreeMap<String, Alignment>,
    /// Own mails of subdomains.
    #[serde(skip)]
    pub below: Alignment,
    /// When the last report ended that saw another policy than the last: `p`, and whether it is
    /// tested.
    #[serde(skip)]
    pub policies: Vec<(u64, u64, String, bool)>,
}

fn as_optional<T: fmt::Display, S: Serializer>(at: &Option<T>, serializer: S) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => serializer.collect_str(at),
        None => serializer.serialize_none(),
    }
}

/// Takes in rows, and makes the view of them.
#[derive(Debug)]
pub(crate) struct Rows {
    domain: String,
    /// Mails by row and week.
    flows: HashMap<(DmarcRow, i64), u64>,
    reporters: BTreeMap<String, (u64, u64)>,
    reports: u64,
    /// The report at hand.
    last: Option<KeptReport>,
    span: Option<(u64, u64)>,
    days: HashSet<u64>,
    policies: BTreeMap<(String, bool), (u64, u64)>,
    tls: BTreeMap<(String, String), (u64, u64)>,
}

impl Rows {
    /// None yet.
    pub(crate) fn new(domain: &str) -> Self {
        Self {
            domain: domain.to_owned(),
            flows: HashMap::new(),
            reporters: BTreeMap::new(),
            reports: 0,
            last: None,
            span: None,
            days: HashSet::new(),
            policies: BTreeMap::new(),
            tls: BTreeMap::new(),
        }
    }

    /// Takes in a row of a DMARC report. The rows of a report come together.
    pub(crate) fn add(&mut self, report: &KeptReport, row: DmarcRow) {
        if self.last.as_ref() != Some(report) {
            self.begin(report);
        }
        let (_, messages) = self.reporters.entry(report.org.clone()).or_default();
        *messages = messages.saturating_add(row.count);
        let count = row.count;
        let sum = self.flows.entry((DmarcRow { count: 0, ..row }, week(report.begin))).or_default();
        *sum = sum.saturating_add(count);
    }

    fn begin(&mut self, report: &KeptReport) {
        let end = report.end.max(report.begin);
        self.reports += 1;
        self.reporters.entry(report.org.clone()).or_default().0 += 1;
        let (first, last) = self.span.get_or_insert((report.begin, end));
        (*first, *last) = ((*first).min(report.begin), (*last).max(end));
        self.days.insert(report.begin / DAY.cast_unsigned());
        // What is below may have a policy of its own.
        if report.domain == self.domain {
            let times = self.policies.entry((report.p.clone(), report.testing));
            let (first, last) = times.or_insert((report.begin, end));
            (*first, *last) = ((*first).min(report.begin), (*last).max(end));
        }
        self.last = Some(report.clone());
    }

    /// Takes in a row of a TLS report.
    pub(crate) fn add_tls(&mut self, row: TlsRow) {
        let (ok, failed) = self.tls.entry((row.domain, row.policy)).or_default();
        (*ok, *failed) = (ok.saturating_add(row.ok), failed.saturating_add(row.failed));
    }

    /// The view of all rows.
    pub(crate) fn view(self, known: &Known) -> View {
        let mut shown = Shown::default();
        self.flows.keys().for_each(|(row, _)| shown.add(row, known));
        let mut classes: BTreeMap<Class, Alignment> = BTreeMap::new();
        let mut weeks: BTreeMap<i64, Week> = BTreeMap::new();
        let mut sources: HashMap<Place, Gathered> = HashMap::new();
        let (mut all, mut below) = (Alignment::default(), Alignment::default());
        let mut own: BTreeMap<String, Alignment> = BTreeMap::new();
        for ((row, week), count) in &self.flows {
            let (class, platform) = classify(row, known, &shown);
            all.add(row, *count);
            classes.entry(class).or_default().add(row, *count);
            if class.is_own() {
                own.entry(platform.unwrap_or("own servers").to_owned()).or_default().add(row, *count);
                if row.from != self.domain && is_below(&row.from, &self.domain) {
                    below.add(row, *count);
                }
            }
            let of_week = weeks.entry(*week).or_insert_with(|| empty(*week));
            of_week.all.add(row, *count);
            let of_class = of_week.classes.entry(class).or_default();
            *of_class = of_class.saturating_add(*count);
            let place = Place::of(row, class, platform, &self.domain);
            sources.entry(place).or_default().add(row, *week, *count);
        }
        let mut sources: Vec<Source> =
            sources.into_iter().map(|(place, gathered)| gathered.source(place)).collect();
        sources.sort_by_cached_key(|source| {
            (Reverse(source.all.messages), source.class, source.network.clone(), source.selector.clone())
        });
        let sources_left_out = sources.len().saturating_sub(SOURCES);
        sources.truncate(SOURCES);
        let mut reporters: Vec<Reporter> = self
            .reporters
            .into_iter()
            .map(|(org, (reports, messages))| Reporter { org, reports, messages })
            .collect();
        reporters.sort_by_key(|reporter| Reverse(reporter.messages));
        reporters.truncate(REPORTERS);
        let tls = self.tls.into_iter();
        let tls = tls.map(|((domain, policy), (ok, failed))| Tls { domain, policy, ok, failed }).collect();
        let policies = self.policies.into_iter();
        View {
            domain: self.domain,
            since: self.span.map(|(first, _)| at(first)),
            until: self.span.map(|(_, last)| at(last)),
            reports: self.reports,
            days: self.days.len(),
            reporters,
            all,
            classes,
            weeks: last_weeks(weeks),
            sources,
            sources_left_out,
            tls,
            own,
            below,
            policies: policies.map(|((p, testing), (first, last))| (first, last, p, testing)).collect(),
        }
    }
}

fn at(seconds: u64) -> Timestamp {
    Timestamp(i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1_000_000))
}

/// The number of the week; 1970 began on a Thursday.
fn week(seconds: u64) -> i64 {
    (i64::try_from(seconds).unwrap_or(i64::MAX) / DAY + 3) / 7
}

fn empty(week: i64) -> Week {
    let start = Timestamp((week * 7 - 3).max(0).saturating_mul(DAY).saturating_mul(1_000_000));
    Week { start, all: Alignment::default(), classes: BTreeMap::new() }
}

/// The last weeks, those without mails between them too.
fn last_weeks(mut weeks: BTreeMap<i64, Week>) -> Vec<Week> {
    if let (Some((first, _)), Some((last, _))) = (weeks.first_key_value(), weeks.last_key_value()) {
        let (first, last) = (*first, *last);
        for week in first.max(last.saturating_sub(WEEKS as i64 - 1))..last {
            weeks.entry(week).or_insert_with(|| empty(week));
        }
    }
    let left_out = weeks.len().saturating_sub(WEEKS);
    weeks.into_values().skip(left_out).collect()
}

/// What makes a source.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Place {
    class: Class,
    organisation: String,
    network: Option<IpAddr>,
    spf_domain: String,
    dkim_domain: String,
    selector: String,
}

/// Addresses of a network are one source: the first bits of them that count.
fn network(address: IpAddr) -> Network {
    Network::of(address, if address.is_ipv4() { 24 } else { 48 })
}

impl Place {
    fn of(row: &DmarcRow, class: Class, platform: Option<&str>, domain: &str) -> Self {
        let organisation = match platform {
            Some(name) => name.to_owned(),
            None if class == Class::Ours => by_suffix_list(domain).to_owned(),
            None if row.spf_pass && !row.spf_aligned => by_suffix_list(&row.spf_domain).to_owned(),
            None if row.dkim_pass && !row.dkim_aligned => by_suffix_list(&row.dkim_domain).to_owned(),
            None => String::new(),
        };
        Self {
            class,
            organisation,
            network: row.source.map(|source| network(source).address()),
            spf_domain: row.spf_domain.clone(),
            dkim_domain: row.dkim_domain.clone(),
            selector: row.selector.clone(),
        }
    }
}

#[derive(Debug, Default)]
struct Gathered {
    all: Alignment,
    withheld: u64,
    addresses: HashMap<IpAddr, u64>,
    weeks: BTreeMap<i64, Week>,
}

impl Gathered {
    fn add(&mut self, row: &DmarcRow, week: i64, count: u64) {
        self.all.add(row, count);
        self.withheld = self.withheld.saturating_add(if row.withheld { count } else { 0 });
        if let Some(source) = row.source {
            let sum = self.addresses.entry(source).or_default();
            *sum = sum.saturating_add(count);
        }
        self.weeks.entry(week).or_insert_with(|| empty(week)).all.add(row, count);
    }

    fn source(self, place: Place) -> Source {
        let address = self.addresses.iter().max_by_key(|(address, count)| (**count, Reverse(**address)));
        let address = address.map(|(address, _)| *address);
        let network = match address {
            Some(address) if self.addresses.len() == 1 => address.to_string(),
            Some(address) => network(address).to_string(),
            None => String::new(),
        };
        Source {
            class: place.class,
            organisation: place.organisation,
            network,
            addresses: self.addresses.len(),
            ptr: None,
            spf_domain: place.spf_domain,
            dkim_domain: place.dkim_domain,
            selector: place.selector,
            all: self.all,
            withheld: self.withheld,
            weeks: self.weeks.into_values().collect(),
            address,
        }
    }
}
