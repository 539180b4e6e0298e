//! One row of the input, and the row of the results that it becomes.

use std::borrow::Cow;
use std::net::IpAddr;

use crate::mail::{Class, Disposition, EnhancedStatus, Timestamp};

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
    /// What screening made of it.
    pub fate: Fate<'a>,
}

/// What screening made of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate<'a> {
    /// It is in the plan.
    Planned {
        /// Its number there.
        index: u32,
    },
    /// It ended there.
    Screened {
        /// `invalid`, `duplicate` or `suppressed`.
        disposition: Disposition,
        /// Why.
        detail: Option<&'a str>,
    },
}

/// A row of the results: see [`Column`](super::Column) for what the fields mean.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the columns are described where they are listed")]
pub struct ResultRow<'a> {
    pub row: u64,
    pub source_file: Cow<'a, str>,
    pub recipient_id: Option<Cow<'a, str>>,
    pub email: Option<Cow<'a, str>>,
    pub domain: Option<Cow<'a, str>>,
    pub message_id: Option<Cow<'a, str>>,
    pub disposition: Disposition,
    pub class: Option<Class>,
    pub smtp_code: Option<u16>,
    pub enhanced_status: Option<EnhancedStatus>,
    pub reply: Option<Cow<'a, str>>,
    pub remote_host: Option<Cow<'a, str>>,
    pub remote_ip: Option<IpAddr>,
    pub local_ip: Option<IpAddr>,
    pub tls: Option<Cow<'a, str>>,
    pub attempts: u16,
    pub first_attempt_at: Option<Timestamp>,
    pub last_attempt_at: Option<Timestamp>,
    pub latency_us: Option<u64>,
    pub bytes: Option<u32>,
    pub slot: Option<Timestamp>,
    pub detail: Option<Cow<'a, str>>,
    pub attempts_at: Vec<Timestamp>,
    pub archive: Option<Cow<'a, str>>,
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
            message_id: None,
            disposition,
            class: None,
            smtp_code: None,
            enhanced_status: None,
            reply: None,
            remote_host: None,
            remote_ip: None,
            local_ip: None,
            tls: None,
            attempts: 0,
            first_attempt_at: None,
            last_attempt_at: None,
            latency_us: None,
            bytes: None,
            slot: None,
            detail: None,
            attempts_at: Vec::new(),
            archive: None,
        }
    }
}
