//! Entries for the tests of this module and of the backends.

use std::time::Duration;

use super::{NewEntry, Term};
use crate::mail::{Address, Timestamp};

pub(crate) const DAY: Duration = Duration::from_secs(86_400);
pub(crate) const NOW: Timestamp = Timestamp(1_780_000_000_000_000);

pub(crate) fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

pub(crate) fn entry(email: &str, reason: &str, term: Term) -> NewEntry {
    let Ok(reason) = reason.parse();
    NewEntry { address: address(email), email: email.into(), reason, source: "test".into(), term }
}
