//! One entry of the suppression list.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::scope::Scope;
use crate::mail::{Address, Timestamp};

/// The term of an entry that names none: 45 days.
const DEFAULT_TERM: Duration = Duration::from_secs(45 * 86_400);

/// An address as the suppression list compares it: the local part in lower case, the domain in
/// A-labels.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AddressKey(String);

impl AddressKey {
    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key that a store has kept.
    pub(crate) fn from_store(key: String) -> Self {
        Self(key)
    }

    /// Writes the key of the address `local@domain` over `key`, for callers that make many. The
    /// domain is in A-labels and lower case.
    pub fn write(local: &str, domain: &str, key: &mut String) {
        key.clear();
        if local.is_ascii() {
            key.push_str(local);
            key.make_ascii_lowercase();
        } else {
            key.push_str(&local.to_lowercase());
        }
        key.push('@');
        key.push_str(domain);
    }

    /// Whether a text names this address, and not one that it is only a part of.
    pub fn is_in(&self, text: &str) -> bool {
        let text = text.to_lowercase();
        let is_of_local = |c: char| c.is_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c);
        text.match_indices(&self.0).any(|(at, found)| {
            let mut rest = text[at + found.len()..].chars();
            let ends = match (rest.next(), rest.next()) {
                (Some('.'), Some(next)) => !next.is_alphanumeric(),
                (Some(next), _) => !next.is_alphanumeric() && next != '-',
                (None, _) => true,
            };
            // Many texts quote an address with a sign that a local part may have, too.
            let before = text[..at].chars().next_back();
            ends && !before.is_some_and(|before| is_of_local(before) && !"'`=/{|".contains(before))
        })
    }
}

impl From<&Address> for AddressKey {
    fn from(address: &Address) -> Self {
        let mut key = String::new();
        Self::write(address.local(), address.domain().as_str(), &mut key);
        Self(key)
    }
}

/// Why an address is suppressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// The mailbox does not exist or takes no mail.
    BadMailbox,
    /// The recipient unsubscribed. Permanent.
    Unsubscribe,
    /// The recipient complained of spam. Permanent.
    Complaint,
    /// Somebody added it by hand.
    Manual,
    /// Any other, in the user's own words.
    Other(String),
}

impl Reason {
    /// The word in the list, in files and on the command line.
    pub fn as_str(&self) -> &str {
        match self {
            Self::BadMailbox => "bad_mailbox",
            Self::Unsubscribe => "unsubscribe",
            Self::Complaint => "complaint",
            Self::Manual => "manual",
            Self::Other(text) => text,
        }
    }

    /// True when an entry with this reason never ends, whatever term is asked for.
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::Unsubscribe | Self::Complaint => true,
            Self::BadMailbox | Self::Manual | Self::Other(_) => false,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Reason {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "bad_mailbox" => Self::BadMailbox,
            "unsubscribe" => Self::Unsubscribe,
            "complaint" => Self::Complaint,
            "manual" => Self::Manual,
            other => Self::Other(other.to_owned()),
        })
    }
}

/// How long an entry blocks mail.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Term {
    /// 45 days; for ever for an unsubscribe or a complaint.
    #[default]
    Default,
    /// This long; still for ever for an unsubscribe or a complaint.
    For(Duration),
    /// For ever.
    Permanent,
}

/// An entry to be added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEntry {
    /// The address.
    pub address: Address,
    /// What mail it blocks.
    pub scope: Scope,
    /// The address as it was given.
    pub email: String,
    /// Why.
    pub reason: Reason,
    /// Where it comes from: a campaign or run, an import file, a person.
    pub source: String,
    /// How long it lives.
    pub term: Term,
}

impl NewEntry {
    /// The time the entry lives; `None` is for ever.
    pub fn lifetime(&self) -> Option<Duration> {
        if self.reason.is_permanent() {
            return None;
        }
        match self.term {
            Term::Default => Some(DEFAULT_TERM),
            Term::For(duration) => Some(duration),
            Term::Permanent => None,
        }
    }
}

/// Names an entry within its store, for as long as it is not removed. Never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryId(pub(crate) u64);

/// An entry of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What [`super::Suppressions::restart_time`] takes.
    pub id: EntryId,
    /// The address as the list compares it.
    pub key: AddressKey,
    /// What mail it blocks.
    pub scope: Scope,
    /// The address as it was given.
    pub email: String,
    /// Why.
    pub reason: Reason,
    /// Where it comes from.
    pub source: String,
    /// When it was added (the latest time, where it was added again).
    pub added: Timestamp,
    /// The time it lives after it was added and after each attempt; `None` is for ever.
    pub lifetime: Option<Duration>,
    /// When it ends; `None` is never.
    pub expires: Option<Timestamp>,
}

impl Entry {
    /// True when mail to the address is blocked at `now`.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.expires.is_none_or(|expires| expires > now)
    }
}

/// Reads after "suppressed: ".
impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_why(f, self.reason.as_str(), &self.scope, &self.source, self.expires)
    }
}

/// Why an address is suppressed that these entries block; `None` where there are none.
pub fn why(entries: impl IntoIterator<Item = impl fmt::Display>) -> Option<String> {
    entries.into_iter().map(|entry| entry.to_string()).reduce(|all, one| format!("{all}; {one}"))
}

/// Why and until when, as people read it.
pub(super) fn write_why(
    f: &mut fmt::Formatter<'_>,
    reason: &str,
    scope: &Scope,
    source: &str,
    expires: Option<Timestamp>,
) -> fmt::Result {
    write!(f, "{reason}{scope}")?;
    if !source.is_empty() {
        write!(f, ", from {source}")?;
    }
    match expires {
        Some(expires) => write!(f, ", until {expires}"),
        None => f.write_str(", for ever"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_ignore_the_case_of_both_parts() {
        let check = |text: &str, key: &str| {
            assert_eq!(AddressKey::from(&Address::parse(text).unwrap()).as_str(), key, "{text}");
        };
        check("Bob@EXAMPLE.com", "bob@example.com");
        check("JOSÉ@Müller.example", "josé@xn--mller-kva.example");
    }

    #[test]
    fn unsubscribes_and_complaints_are_for_ever() {
        let days = |n: u64| Some(Duration::from_secs(n * 86_400));
        let check = |reason: &str, term: Term, lifetime: Option<Duration>| {
            let Ok(reason) = reason.parse::<Reason>();
            let entry = NewEntry {
                address: Address::parse("a@b.example").unwrap(),
                scope: Scope::All,
                email: String::new(),
                reason,
                source: String::new(),
                term,
            };
            assert_eq!(entry.lifetime(), lifetime, "{entry:?}");
        };
        check("bad_mailbox", Term::Default, days(45));
        check("manual", Term::For(Duration::from_secs(86_400)), days(1));
        check("moved away", Term::Permanent, None);
        check("moved away", Term::Default, days(45));
        check("unsubscribe", Term::For(Duration::from_secs(86_400)), None);
        check("complaint", Term::Default, None);
    }
}
