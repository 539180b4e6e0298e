//! One row of the input, and the result row that it starts as.

use std::borrow::Cow;

use super::columns::ResultRow;
use crate::mail::{Address, Disposition, Timestamp};
use crate::plan::PURGED;
use crate::suppression::AddressKey;

/// A row of the target group, as the plan knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputRow<'a> {
    /// Its file, as shown.
    pub file: &'a str,
    /// Its number in the file, from 1.
    pub row: u64,
    /// The address as given; missing where the row could not be read.
    pub email: Option<&'a str>,
    /// The domain in A-labels, where the address has one.
    pub domain: Option<&'a str>,
    /// The recipient's id.
    pub id: Option<&'a str>,
    /// Whether it passed screening.
    pub screening: ScreeningOutcome<'a>,
}

/// Whether a row passed screening.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScreeningOutcome<'a> {
    /// It is in the plan.
    Planned {
        /// Its number there.
        index: u32,
    },
    /// Screening took it out.
    Screened {
        /// `invalid`, `duplicate` or `suppressed`.
        disposition: Disposition,
        /// Why.
        detail: Option<&'a str>,
    },
}

impl<'a> ResultRow<'a> {
    /// A row that was not attempted.
    pub fn new(input: &InputRow<'a>, disposition: Disposition) -> Self {
        Self {
            row: input.row,
            source_file: Cow::Borrowed(input.file),
            recipient_id: input.id.map(Cow::Borrowed),
            email: input.email.map(Cow::Borrowed),
            domain: input.domain.map(Cow::Borrowed),
            disposition,
            email_folded: input.email.and_then(|email| folded(email, input.domain)).map(Cow::Owned),
            ..Self::absent()
        }
    }

    /// When messages were sent for the row, each with its bytes, which take capacity: its own, the
    /// copies that the archive got again, and those with its password.
    pub fn transmissions(&self) -> impl Iterator<Item = (Timestamp, u64)> + '_ {
        let bytes = self.bytes.map_or(0, u64::from);
        let whole = self.attempts_at.iter().chain(&self.archive_attempts_at).map(move |at| (*at, bytes));
        let bytes = self.password_bytes.map_or(0, u64::from);
        whole.chain(self.password_attempts_at.iter().map(move |at| (*at, bytes)))
    }
}

/// An address as it is compared, where that is not how it is written. `domain` is its domain in
/// A-labels.
fn folded(email: &str, domain: Option<&str>) -> Option<String> {
    let local = domain.and_then(|domain| email.strip_suffix(domain)?.strip_suffix('@'));
    // Most are plain, and need not be parsed again.
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !byte.is_ascii_uppercase() && byte != b'"';
    if email == PURGED || local.is_some_and(|local| local.bytes().all(is_plain)) {
        return None;
    }
    let key = AddressKey::from(&Address::parse(email).ok()?);
    (key.as_str() != email).then(|| key.as_str().to_owned())
}
