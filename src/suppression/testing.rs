//! Entries for the tests of this module and of the backends.

use std::time::Duration;

use super::{NewEntry, Scope, Term};
use crate::mail::{Address, Timestamp};

pub(crate) const DAY: Duration = Duration::from_secs(86_400);
pub(crate) const NOW: Timestamp = Timestamp(1_780_000_000_000_000);

pub(crate) fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

pub(crate) fn entry(email: &str, reason: &str, term: Term) -> NewEntry {
    let Ok(reason) = reason.parse();
    let (address, scope) = (address(email), Scope::All);
    NewEntry { address, scope, email: email.into(), reason, source: "test".into(), term }
}

/// The same for the mail of one list.
pub(crate) fn list_entry(email: &str, list: &str, reason: &str, term: Term) -> NewEntry {
    NewEntry { scope: list_scope(list), ..entry(email, reason, term) }
}

pub(crate) fn list_scope(list: &str) -> Scope {
    Scope::List(list.parse().unwrap())
}
