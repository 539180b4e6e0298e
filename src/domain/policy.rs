//! Where a domain is on the way from `p=none` to `p=reject`, and what the next step needs.
//!
//! The steps: reports are asked for; 30 days of them, with every platform in them, and at least
//! 98 % of each own platform's mail aligned by DKIM; quarantine, first as a test (`t=y`), then for
//! 30 days without; reject, likewise. A domain at reject must not rely on SPF alone, which breaks
//! when mail is forwarded. What forwarders break is no failure of ours. RFC 9989 has no `pct`, `rf`
//! and `ri`.

use std::collections::BTreeMap;

use serde::Serialize;

use super::view::{Alignment, View, percent};
use crate::mail::Timestamp;
use crate::preflight::sender::dmarc::record::{Policy, Record};

/// Of each own platform's mail, in percent.
const DKIM_PERCENT: f64 = 98.0;
/// Own mail that fails DMARC, in percent: above it a step back is due.
const FAILED_PERCENT: f64 = 0.5;
/// Mail of sources that nobody has named, in percent.
const UNKNOWN_PERCENT: f64 = 1.0;
/// Days of reports before the first step, and at quarantine.
const MONTH: u64 = 30;
/// Days at a step that is a test.
const WEEK: u64 = 7;
/// Days of the month with reports: some receivers skip days.
const DAYS_WITH_REPORTS: usize = 20;
/// Fewer own mails of a week show nothing.
const MAILS: u64 = 100;

/// Where a domain is on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Stage {
    /// No record applies, or none that can be read.
    NoRecord,
    /// There is a record, and nobody gets reports.
    NoReports,
    /// `p=none` with reports.
    Monitoring,
    /// `p=quarantine; t=y`.
    QuarantineTest,
    /// `p=quarantine`.
    Quarantine,
    /// `p=reject; t=y`.
    RejectTest,
    /// `p=reject`.
    Reject,
}

impl Stage {
    /// Its name in the output.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::NoRecord => "no_record",
            Self::NoReports => "no_reports",
            Self::Monitoring => "monitoring",
            Self::QuarantineTest => "quarantine_test",
            Self::Quarantine => "quarantine",
            Self::RejectTest => "reject_test",
            Self::Reject => "reject",
        }
    }

    fn of(record: &Record, applied: Policy) -> Self {
        match (applied, record.testing) {
            (Policy::None, _) if record.rua.is_empty() => Self::NoReports,
            (Policy::None, _) => Self::Monitoring,
            (Policy::Quarantine, true) => Self::QuarantineTest,
            (Policy::Quarantine, false) => Self::Quarantine,
            (Policy::Reject, true) => Self::RejectTest,
            (Policy::Reject, false) => Self::Reject,
        }
    }

    /// The step after it.
    fn next(self) -> Option<Self> {
        match self {
            Self::NoRecord | Self::NoReports => Some(Self::Monitoring),
            Self::Monitoring => Some(Self::QuarantineTest),
            Self::QuarantineTest => Some(Self::Quarantine),
            Self::Quarantine => Some(Self::RejectTest),
            Self::RejectTest => Some(Self::Reject),
            Self::Reject => None,
        }
    }

    /// The step before it.
    fn back(self) -> Option<Self> {
        match self {
            Self::NoRecord | Self::NoReports | Self::Monitoring => None,
            Self::QuarantineTest => Some(Self::Monitoring),
            Self::Quarantine => Some(Self::QuarantineTest),
            Self::RejectTest => Some(Self::Quarantine),
            Self::Reject => Some(Self::RejectTest),
        }
    }

    /// `p=`, and whether it is tested.
    fn policy(self) -> (Policy, bool) {
        match self {
            Self::NoRecord | Self::NoReports | Self::Monitoring => (Policy::None, false),
            Self::QuarantineTest => (Policy::Quarantine, true),
            Self::Quarantine => (Policy::Quarantine, false),
            Self::RejectTest => (Policy::Reject, true),
            Self::Reject => (Policy::Reject, false),
        }
    }
}

/// What DNS says.
#[derive(Debug, Clone)]
pub(crate) struct Published {
    /// The domain whose record applies: the domain itself or one above it; none without a record.
    pub at: Option<String>,
    /// The text of the record; more than one is none (RFC 9989 §4.10).
    pub texts: Vec<String>,
}

/// What the reports say.
#[derive(Debug)]
pub(crate) struct Evidence<'a> {
    /// All of them.
    pub all: &'a View,
    /// Those of the last 30 days.
    pub month: &'a View,
    /// Those of the last 7 days.
    pub week: &'a View,
    /// The names of the platforms that send for the domain.
    pub platforms: Vec<String>,
    /// Now.
    pub now: Timestamp,
}

/// One thing that a step needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Need {
    /// What it is.
    pub id: &'static str,
    /// Whether it is met.
    pub met: bool,
    /// What was seen, for people.
    pub seen: String,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Advice {
    /// The domain.
    pub domain: String,
    /// The domain whose record applies.
    pub at: Option<String>,
    /// The record that applies, as published.
    pub published: Option<String>,
    /// Where the domain is.
    pub stage: Stage,
    /// The step after it; none at the end of the way.
    pub next: Option<Stage>,
    /// Everything that the next step needs is there.
    pub ready: bool,
    /// What the next step needs.
    pub needs: Vec<Need>,
    /// Own mails fail, and so a step back is due.
    pub step_back: bool,
    /// Where the record belongs.
    pub name: String,
    /// The record that the domain should have today.
    pub record: String,
    /// The record of the next step, once it is ready; none at the end.
    pub next_record: Option<String>,
}

/// Advises on the next step from the published record and the reports. With `pct`, a record that
/// is only tested has `pct=0` too, for receivers that only know RFC 7489.
pub(crate) fn advice(domain: &str, published: &Published, evidence: &Evidence<'_>, pct: bool) -> Advice {
    let text = match published.texts.as_slice() {
        [text] => Some(text.as_str()),
        _ => None,
    };
    let record = text.and_then(Record::parse);
    let is_own = published.at.as_deref() == Some(domain);
    let applied =
        record.as_ref().map(|record| if is_own { record.own_policy() } else { record.policy_below(true) });
    let stage = match (&record, applied) {
        (Some(record), Some(applied)) => Stage::of(record, applied),
        (_, _) => Stage::NoRecord,
    };
    let failed = own_failures(evidence);
    let back =
        stage.back().filter(|_| failed.is_some_and(|(failed, all)| percent(failed, all) > FAILED_PERCENT));
    let next = if back.is_some() { back } else { stage.next() };
    let needs = match (next, back) {
        (None, _) | (_, Some(_)) => Vec::new(),
        (Some(next), None) => needs(stage, next, evidence, record.as_ref()),
    };
    let ready = next.is_some() && needs.iter().all(|need| need.met);
    let write = |stage| write(domain, stage, text.filter(|_| is_own), record.as_ref(), evidence, pct);
    let today = match (ready, next) {
        (true, Some(next)) => next,
        _ => stage.max(Stage::Monitoring),
    };
    Advice {
        domain: domain.to_owned(),
        at: published.at.clone(),
        published: text.map(str::to_owned),
        stage,
        next,
        ready,
        needs,
        step_back: back.is_some(),
        name: format!("_dmarc.{domain}"),
        record: write(today),
        next_record: next.filter(|_| !ready).map(write),
    }
}

/// Own mails that fail, of how many: those of the last week where they show something, or else
/// those of the month.
fn own_failures(evidence: &Evidence<'_>) -> Option<(u64, u64)> {
    let own = |view: &View| view.own.values().fold(Alignment::default(), |sum, one| sum.and(*one));
    let found = [own(evidence.week), own(evidence.month)].into_iter().find(|own| own.messages >= MAILS)?;
    Some((found.failed(), found.messages))
}

fn needs(stage: Stage, next: Stage, evidence: &Evidence<'_>, record: Option<&Record>) -> Vec<Need> {
    let Evidence { all, month, now, platforms, .. } = evidence;
    let mut needs = Vec::new();
    let mut need = |id, met, seen: String| needs.push(Need { id, met, seen });
    if matches!(stage, Stage::NoRecord | Stage::NoReports) {
        return needs;
    }
    if record.is_some_and(|record| record.rua.is_empty()) {
        need("reports-asked", false, "the record asks for no reports (`rua=`)".to_owned());
    }
    let days = at_stage(stage, all, *now);
    let due = if matches!(stage, Stage::QuarantineTest | Stage::RejectTest) { WEEK } else { MONTH };
    let what = if stage == Stage::Monitoring { "reports" } else { "this step, as reports have seen it" };
    need("time", days >= due, format!("{days} of {due} days of {what}"));
    let least = if due == WEEK { 5 } else { DAYS_WITH_REPORTS };
    let (seen, within) = if due == WEEK { (evidence.week.days, WEEK) } else { (month.days, MONTH) };
    need(
        "days-reported",
        seen >= least,
        format!("reports on {seen} of the last {within} days, at least {least}"),
    );
    if next == Stage::QuarantineTest {
        let missing: Vec<&str> =
            platforms.iter().map(String::as_str).filter(|name| !all.own.contains_key(*name)).collect();
        let seen = if missing.is_empty() {
            "all platforms are in the reports".to_owned()
        } else {
            format!("no mail of {} in the reports", missing.join(", "))
        };
        need("platforms-seen", missing.is_empty(), seen);
        let unknown = month.classes.get(&super::Class::Unknown).copied().unwrap_or_default();
        let share = percent(unknown.messages, month.all.messages);
        need(
            "sources-known",
            share <= UNKNOWN_PERCENT,
            format!("{share:.1} % of the mail is from unknown sources, at most {UNKNOWN_PERCENT} %"),
        );
    }
    let own: &BTreeMap<String, Alignment> = &month.own;
    if own.is_empty() {
        need("dkim-aligned", false, "no own mail in the reports of the last 30 days".to_owned());
    }
    for (name, mails) in own {
        let share = percent(mails.dkim_aligned, mails.messages);
        need(
            "dkim-aligned",
            share >= DKIM_PERCENT,
            format!("{name}: {share:.1} % aligned by DKIM, at least {DKIM_PERCENT} %"),
        );
    }
    if let Some((failed, mails)) = own_failures(evidence) {
        let share = percent(failed, mails);
        need(
            "own-failures",
            share <= FAILED_PERCENT,
            format!("{share:.2} % of own mail fails DMARC, at most {FAILED_PERCENT} %"),
        );
    }
    needs
}

/// For how many days reports have seen the policy of a step, and no other.
fn at_stage(stage: Stage, all: &View, now: Timestamp) -> u64 {
    let (policy, testing) = stage.policy();
    let policy = policy.to_string();
    // A step that is a test begins with its policy: older receivers do not report `t`.
    let is_this = |p: &str, tested: bool| p == policy && (testing || !tested);
    let before = all.policies.iter().filter(|(_, _, p, tested)| !is_this(p, *tested));
    let ended = before.map(|(_, last, _, _)| *last).max().unwrap_or(0);
    let seen = all.policies.iter().filter(|(_, last, p, tested)| is_this(p, *tested) && *last > ended);
    let Some(began) = seen.map(|(first, _, _, _)| (*first).max(ended)).min() else { return 0 };
    u64::try_from(now.seconds()).unwrap_or(0).saturating_sub(began) / 86_400
}

/// The record of a step. What the domain publishes stays, but for the policy and what RFC 9989
/// dropped.
fn write(
    domain: &str,
    stage: Stage,
    text: Option<&str>,
    record: Option<&Record>,
    evidence: &Evidence<'_>,
    pct: bool,
) -> String {
    let (policy, testing) = stage.policy();
    let mut parts = vec!["v=DMARC1".to_owned(), format!("p={policy}")];
    let own = record.filter(|_| text.is_some());
    // Early: nothing of ours is broken by them. Never weaker than published.
    let month = evidence.month;
    let below_is_right = month.days >= usize::try_from(WEEK).unwrap_or(7)
        && percent(month.below.failed(), month.below.messages) <= FAILED_PERCENT;
    let strict = |published: Option<Policy>| {
        published.into_iter().chain(below_is_right.then_some(Policy::Reject)).max()
    };
    let sends_below = month.below.messages > 0;
    let sp = if sends_below {
        own.and_then(|record| record.sp).map(|sp| sp.max(policy))
    } else {
        strict(own.and_then(|record| record.sp))
    };
    let np = strict(own.and_then(|record| record.np));
    parts.extend(sp.map(|sp| format!("sp={sp}")));
    parts.extend(np.map(|np| format!("np={np}")));
    if testing {
        parts.push("t=y".to_owned());
        parts.extend(pct.then(|| "pct=0".to_owned()));
    }
    let kept = text.into_iter().flat_map(|text| text.split(';')).filter_map(|part| part.split_once('='));
    let is_kept = |name: &str| !["v", "p", "sp", "np", "t", "pct", "rf", "ri"].contains(&name);
    let mut has_rua = false;
    for (name, value) in kept.map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim())) {
        if is_kept(&name) && !value.is_empty() {
            has_rua |= name == "rua";
            parts.push(format!("{name}={value}"));
        }
    }
    if !has_rua {
        parts.push(format!("rua=mailto:dmarc@{domain}"));
    }
    parts.join("; ")
}
