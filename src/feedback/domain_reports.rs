//! The reports about domains that came, kept row by row: who sent in the name of a domain, and how
//! TLS went towards it. All of it is what others wrote.
//!
//! A report is known by who reports, domain, id, time and content: the same report counts once,
//! however often and in whatever mail it comes. Ids alone repeat.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::log::FeedbackLog;
use super::memory::MemoryFeedback;
use super::reports::{DmarcRow, Report, TlsRow};
use crate::kit::store::StoreError;
use crate::mail::Timestamp;

/// A report to be kept.
#[derive(Debug, Clone, Copy)]
pub struct NewReport<'a> {
    /// The hash of the mail that brings it: what is taken back with that mail counts no longer.
    pub mail: &'a str,
    /// What it says.
    pub report: &'a Report,
}

/// What a kept report is, besides its rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptReport {
    /// Who reports.
    pub org: String,
    /// The domain with the policy; for TLS, the first of them.
    pub domain: String,
    /// The reporter's id.
    pub report_id: String,
    /// The seconds since 1970 when its time begins.
    pub begin: u64,
    /// And when it ends.
    pub end: u64,
    /// The policy that the reporter saw; empty for TLS.
    pub p: String,
    /// `t=y`.
    pub testing: bool,
}

impl KeptReport {
    /// What is kept of `report` as a whole.
    pub fn of(report: &Report) -> Self {
        match report {
            Report::Dmarc(report) => Self {
                org: report.org.clone(),
                domain: report.domain.clone(),
                report_id: report.report_id.clone(),
                begin: report.begin,
                end: report.end,
                p: report.p.clone(),
                testing: report.testing,
            },
            Report::Tls(report) => Self {
                org: report.org.clone(),
                domain: report.rows.first().map(|row| row.domain.clone()).unwrap_or_default(),
                report_id: report.report_id.clone(),
                begin: report.begin,
                end: report.end,
                p: String::new(),
                testing: false,
            },
        }
    }
}

/// Which reports are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Period {
    /// Those about this domain and what is below it, in lower case.
    pub domain: String,
    /// Only those whose time begins at this moment or later.
    pub since: Option<Timestamp>,
    /// Only those whose time begins before it.
    pub until: Option<Timestamp>,
}

impl Period {
    /// The seconds since 1970 from which on, and up to which, reports begin.
    pub fn seconds(&self) -> (i64, i64) {
        let since = self.since.map_or(i64::MIN, Timestamp::seconds);
        (since, self.until.map_or(i64::MAX, Timestamp::seconds))
    }

    /// Whether `domain` is the one that is asked for, or below it.
    pub fn covers(&self, domain: &str) -> bool {
        domain.strip_suffix(&self.domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    }
}

/// The kept reports of a state.
pub trait DomainReports: fmt::Debug + Send + Sync {
    /// Keeps reports, all or nothing. Those that are kept already stay as they are. Returns how
    /// many are new.
    fn keep(&self, reports: &[NewReport<'_>]) -> Result<usize, StoreError>;

    /// Shows each row of the DMARC reports that are asked for, those of a report together, in no
    /// particular order. What was taken back is left out.
    fn each_dmarc(
        &self,
        period: &Period,
        visit: &mut dyn FnMut(&KeptReport, DmarcRow),
    ) -> Result<(), StoreError>;

    /// Shows each row of the TLS reports that are asked for, likewise.
    fn each_tls(&self, period: &Period, visit: &mut dyn FnMut(&KeptReport, TlsRow))
    -> Result<(), StoreError>;
}

/// What a report is known by.
type Key = (String, String, String, u64, u64, String);

/// The key of a report.
pub fn key(report: &Report) -> Key {
    let KeptReport { org, domain, report_id, begin, end, .. } = KeptReport::of(report);
    let hash = match report {
        Report::Dmarc(report) => &report.hash,
        Report::Tls(report) => &report.hash,
    };
    (org, domain, report_id, begin, end, hash.clone())
}

/// Reports of one process: nothing is written down.
#[derive(Debug, Clone, Default)]
pub struct MemoryDomainReports {
    log: MemoryFeedback,
    kept: Arc<Mutex<BTreeMap<Key, (String, Report)>>>,
}

impl MemoryDomainReports {
    /// None at first. `log` knows what was taken back.
    pub fn new(log: MemoryFeedback) -> Self {
        Self { log, kept: Arc::default() }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Key, (String, Report)>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows the reports that are asked for, each with what it is.
    fn each(&self, period: &Period, visit: &mut dyn FnMut(&KeptReport, &Report)) -> Result<(), StoreError> {
        let undone = self.log.page(0, usize::MAX)?;
        let is_undone =
            |mail: &str| undone.iter().any(|logged| logged.undone.is_some() && logged.record.mail == mail);
        let (since, until) = period.seconds();
        for (mail, report) in self.lock().values() {
            let kept = KeptReport::of(report);
            let begin = i64::try_from(kept.begin).unwrap_or(i64::MAX);
            if (since..until).contains(&begin) && !is_undone(mail) {
                visit(&kept, report);
            }
        }
        Ok(())
    }
}

impl DomainReports for MemoryDomainReports {
    fn keep(&self, reports: &[NewReport<'_>]) -> Result<usize, StoreError> {
        let mut kept = self.lock();
        let before = kept.len();
        for new in reports {
            kept.entry(key(new.report)).or_insert_with(|| (new.mail.to_owned(), new.report.clone()));
        }
        Ok(kept.len() - before)
    }

    fn each_dmarc(
        &self,
        period: &Period,
        visit: &mut dyn FnMut(&KeptReport, DmarcRow),
    ) -> Result<(), StoreError> {
        self.each(period, &mut |kept, report| {
            if let Report::Dmarc(report) = report
                && period.covers(&kept.domain)
            {
                report.rows.iter().for_each(|row| visit(kept, row.clone()));
            }
        })
    }

    fn each_tls(
        &self,
        period: &Period,
        visit: &mut dyn FnMut(&KeptReport, TlsRow),
    ) -> Result<(), StoreError> {
        self.each(period, &mut |kept, report| {
            if let Report::Tls(report) = report {
                report
                    .rows
                    .iter()
                    .filter(|row| period.covers(&row.domain))
                    .for_each(|row| visit(kept, row.clone()));
            }
        })
    }
}
