//! What came back, counted.

use std::collections::BTreeMap;

use serde::Serialize;

use super::error::JobError;
use super::workspace::Workspace;
use crate::feedback::{Kind, Logged};
use crate::mail::{Class, Timestamp};

/// Records read at once.
const PAGE: usize = 5_000;

/// Which events to count; the default is all.
#[derive(Debug, Clone, Default)]
pub(crate) struct FeedbackFilter {
    /// Only those of mails written at this moment or later.
    pub since: Option<Timestamp>,
    /// Only those of mails written before it.
    pub until: Option<Timestamp>,
    /// Only those that concern this campaign.
    pub campaign: Option<String>,
    /// Only those of recipients in this domain, in lower case.
    pub domain: Option<String>,
    /// Only those with this class.
    pub class: Option<Class>,
}

/// Numbers of events. Those that were taken back are in `undone` only.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct FeedbackSummary {
    /// All.
    pub events: u64,
    /// Taken back.
    pub undone: u64,
    /// Opens and clicks that are no person's doing, by label. They count in `events` only.
    pub machines: BTreeMap<&'static str, u64>,
    /// By kind.
    pub kinds: BTreeMap<&'static str, u64>,
    /// Bounces and delays by class.
    pub classes: BTreeMap<&'static str, u64>,
    /// By what they did.
    pub effects: BTreeMap<&'static str, u64>,
    /// By the day, in UTC, on which the mails were written, and kind.
    pub days: BTreeMap<String, BTreeMap<&'static str, u64>>,
    /// By campaign, and kind.
    pub campaigns: BTreeMap<String, BTreeMap<&'static str, u64>>,
    /// By the recipients' domain, and kind.
    pub domains: BTreeMap<String, BTreeMap<&'static str, u64>>,
}

impl Workspace {
    /// Counts what came back.
    pub(crate) fn feedback_summary(&self, filter: &FeedbackFilter) -> Result<FeedbackSummary, JobError> {
        let log = self.state()?.feedback()?;
        let mut summary = FeedbackSummary::default();
        let mut after = 0;
        loop {
            let page = log.page(after, PAGE)?;
            page.iter().filter(|logged| filter.matches(logged)).for_each(|logged| summary.add(logged));
            match page.last() {
                Some(last) if page.len() == PAGE => after = last.id,
                Some(_) | None => return Ok(summary),
            }
        }
    }
}

impl FeedbackFilter {
    fn matches(&self, logged: &Logged) -> bool {
        let record = &logged.record;
        self.since.is_none_or(|since| record.at >= since)
            && self.until.is_none_or(|until| record.at < until)
            && self.campaign.as_ref().is_none_or(|campaign| record.campaign.as_ref() == Some(campaign))
            && self.domain.as_ref().is_none_or(|domain| domain_of(logged).as_ref() == Some(domain))
            && self.class.is_none_or(|class| record.class == Some(class))
    }
}

impl FeedbackSummary {
    fn add(&mut self, logged: &Logged) {
        if logged.undone.is_some() {
            self.undone += 1;
            return;
        }
        let record = &logged.record;
        let kind = record.kind.as_str();
        self.events += 1;
        if let Some(machine) = record.machine {
            *self.machines.entry(machine.as_str()).or_default() += 1;
            return;
        }
        *self.kinds.entry(kind).or_default() += 1;
        *self.effects.entry(logged.effect.as_str()).or_default() += 1;
        let day = record.at.to_utc().format("%Y-%m-%d").to_string();
        *self.days.entry(day).or_default().entry(kind).or_default() += 1;
        if let (Kind::Bounce | Kind::Delay, Some(class)) = (record.kind, record.class) {
            *self.classes.entry(class.as_str()).or_default() += 1;
        }
        if let Some(campaign) = &record.campaign {
            *self.campaigns.entry(campaign.clone()).or_default().entry(kind).or_default() += 1;
        }
        if let Some(domain) = domain_of(logged) {
            *self.domains.entry(domain).or_default().entry(kind).or_default() += 1;
        }
    }
}

/// The domain of the recipient; of the address that the mail names, where nobody was found.
fn domain_of(logged: &Logged) -> Option<String> {
    let found = logged.record.address.as_ref().map(|address| address.domain().as_str().to_owned());
    let named =
        || logged.record.named.as_ref()?.rsplit_once('@').map(|(_, domain)| domain.to_ascii_lowercase());
    found.or_else(named)
}
