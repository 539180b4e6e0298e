//! What providers say of who sends: Microsoft's SNDS of IP addresses, Google's Postmaster Tools of
//! domains. A reading is for one day; a later one for the same day replaces it.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::NaiveDate;

use super::log::FeedbackLog;
use super::memory::MemoryFeedback;
use crate::kit::store::StoreError;
use crate::mail::Domain;

/// Who says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Observer {
    /// Microsoft's Smart Network Data Services.
    Snds,
    /// Google's Postmaster Tools.
    Postmaster,
}

impl Observer {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Snds, Self::Postmaster];

    /// The word in outputs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Snds => "snds",
            Self::Postmaster => "postmaster",
        }
    }
}

/// Of whom it is said.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// An address that mail is sent from.
    Ip(IpAddr),
    /// A domain in `From`, or of DKIM.
    Domain(Domain),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(ip) => write!(f, "{ip}"),
            Self::Domain(domain) => f.write_str(domain.as_str()),
        }
    }
}

impl FromStr for Subject {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text.parse() {
            Ok(ip) => Ok(Self::Ip(ip)),
            Err(_) => text.parse().map(Self::Domain).map_err(|_| ()),
        }
    }
}

/// What is thought of it, in the provider's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// SNDS: less than 10 % of the mail was taken for spam.
    Green,
    /// SNDS: 10 % to 90 %.
    Yellow,
    /// SNDS: more than 90 %.
    Red,
    /// Google: hardly ever spam.
    High,
    /// Google: sometimes spam.
    Medium,
    /// Google: often spam.
    Low,
    /// Google: nearly all of it spam.
    Bad,
}

impl Verdict {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Green, Self::Yellow, Self::Red, Self::High, Self::Medium, Self::Low, Self::Bad];

    /// The word in outputs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Green => "green",
            Self::Yellow => "yellow",
            Self::Red => "red",
            Self::High => "high",
            Self::Medium => "medium",
            Self::Low => "low",
            Self::Bad => "bad",
        }
    }
}

impl FromStr for Verdict {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|verdict| verdict.as_str().eq_ignore_ascii_case(text)).ok_or(())
    }
}

/// How many recipients complained.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ComplaintRate {
    /// In percent of the messages.
    pub percent: f64,
    /// It is less than that: SNDS says `< 0.1%`.
    pub is_less: bool,
}

/// What a provider says of one address or domain on one day.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// Who says it,
    pub observer: Observer,
    /// of whom,
    pub subject: Subject,
    /// and of which day.
    pub day: NaiveDate,
    /// Messages to recipients, as far as the provider counts them.
    pub messages: Option<u64>,
    /// Complaints.
    pub complaints: Option<ComplaintRate>,
    /// What is thought of it.
    pub verdict: Option<Verdict>,
    /// Messages to spam traps.
    pub trap_hits: Option<u64>,
}

impl Reading {
    /// What is the same when it is read again.
    pub(super) fn key(&self) -> String {
        format!("{self:?}")
    }
}

/// A reading to be kept.
#[derive(Debug, Clone, Copy)]
pub struct NewReading<'a> {
    /// The hash that the log knows it by: what is taken back there counts no longer.
    pub mail: &'a str,
    /// What it says.
    pub reading: &'a Reading,
}

/// The readings of a state.
pub trait Readings: fmt::Debug + Send + Sync {
    /// Keeps readings, all or none. One that is kept already stays as it is.
    fn keep(&self, readings: &[NewReading<'_>]) -> Result<(), StoreError>;

    /// Those of `day` and later, in the order of observer, subject and day: the last that was kept
    /// of each, and was not taken back.
    fn since(&self, day: NaiveDate) -> Result<Vec<Reading>, StoreError>;
}

/// The last reading of each observer, subject and day.
pub fn latest(readings: impl IntoIterator<Item = Reading>) -> Vec<Reading> {
    let key = |reading: &Reading| (reading.observer, reading.subject.clone(), reading.day);
    let by_key: BTreeMap<_, _> = readings.into_iter().map(|reading| (key(&reading), reading)).collect();
    by_key.into_values().collect()
}

/// Keeps readings in memory, beside the log that says which were taken back.
#[derive(Debug, Clone, Default)]
pub struct MemoryReadings {
    log: MemoryFeedback,
    kept: Arc<Mutex<Vec<(String, Reading)>>>,
}

impl MemoryReadings {
    /// None yet.
    pub fn new(log: MemoryFeedback) -> Self {
        Self { log, kept: Arc::default() }
    }
}

impl Readings for MemoryReadings {
    fn keep(&self, readings: &[NewReading<'_>]) -> Result<(), StoreError> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        for NewReading { mail, reading } in readings {
            if !kept.iter().any(|(known, _)| known == mail) {
                kept.push(((*mail).to_owned(), (*reading).clone()));
            }
        }
        Ok(())
    }

    fn since(&self, day: NaiveDate) -> Result<Vec<Reading>, StoreError> {
        let logged = self.log.page(0, usize::MAX)?;
        let undone =
            |mail: &str| logged.iter().any(|logged| logged.record.mail == mail && logged.undone.is_some());
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = |(mail, reading): &&(String, Reading)| reading.day >= day && !undone(mail);
        Ok(latest(kept.iter().filter(counts).map(|(_, reading)| reading.clone())))
    }
}
