//! TLS reports (RFC 8460). Only what is summed up is read, so `mx-host` may be a list, or a text as
//! in the RFC's own example.

use std::collections::BTreeSet;
use std::fmt;

use chrono::DateTime;
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::super::source::content_hash;
use super::dmarc::{bounded, name};

/// More policies are summed up, and not kept one by one.
const ROWS: usize = 1_000;

/// What a report says, in sum and policy by policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TlsReport {
    /// Who reports.
    pub org: String,
    /// Its own id.
    pub report_id: String,
    /// Policies that it is about.
    pub policies: usize,
    /// Domains of the policies that are kept, without repetition.
    pub domains: Vec<String>,
    /// Sessions with TLS as the policy wants it.
    pub ok: u64,
    /// Sessions without.
    pub failed: u64,
    /// The seconds since 1970 when the time of the report begins; 0 where it can't be read.
    #[serde(skip)]
    pub begin: u64,
    /// And when it ends.
    #[serde(skip)]
    pub end: u64,
    /// Its policies.
    #[serde(skip)]
    pub rows: Vec<TlsRow>,
    /// Of the report as it was unpacked.
    #[serde(skip)]
    pub hash: String,
}

/// Sessions under one policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsRow {
    /// The domain with the policy.
    pub domain: String,
    /// `sts`, `tlsa` or `no-policy-found`.
    pub policy: String,
    /// Sessions with TLS as the policy wants it.
    pub ok: u64,
    /// Sessions without.
    pub failed: u64,
}

#[derive(Debug, Deserialize)]
struct Document {
    #[serde(rename = "date-range")]
    range: Option<Range>,
    #[serde(rename = "organization-name")]
    organization: Option<String>,
    #[serde(rename = "report-id")]
    report_id: Option<String>,
    policies: Policies,
}

#[derive(Debug, Deserialize)]
struct Range {
    #[serde(rename = "start-datetime")]
    start: Option<String>,
    #[serde(rename = "end-datetime")]
    end: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Entry {
    policy: Option<Policy>,
    summary: Option<Summary>,
}

#[derive(Debug, Deserialize)]
struct Policy {
    #[serde(rename = "policy-domain")]
    domain: Option<String>,
    #[serde(rename = "policy-type")]
    kind: Option<String>,
}

#[derive(Debug, Default, Clone, Copy, Deserialize)]
struct Summary {
    #[serde(rename = "total-successful-session-count", default)]
    ok: u64,
    #[serde(rename = "total-failure-session-count", default)]
    failed: u64,
}

/// The policies of a report, added up one after the other: a list of nothing takes no memory.
#[derive(Debug, Default)]
struct Policies {
    count: usize,
    ok: u64,
    failed: u64,
    rows: Vec<TlsRow>,
}

impl Policies {
    fn add(&mut self, entry: Entry) {
        let Summary { ok, failed } = entry.summary.unwrap_or_default();
        self.count += 1;
        self.ok = self.ok.saturating_add(ok);
        self.failed = self.failed.saturating_add(failed);
        if let Some(Policy { domain: Some(domain), kind }) = entry.policy
            && self.rows.len() < ROWS
        {
            let policy = name(kind.as_deref().unwrap_or_default());
            self.rows.push(TlsRow { domain: name(&domain), policy, ok, failed });
        }
    }
}

impl<'de> Deserialize<'de> for Policies {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneByOne;
        impl<'de> Visitor<'de> for OneByOne {
            type Value = Policies;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of policies")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Policies, A::Error> {
                let mut policies = Policies::default();
                while let Some(entry) = entries.next_element()? {
                    policies.add(entry);
                }
                Ok(policies)
            }
        }
        deserializer.deserialize_seq(OneByOne)
    }
}

/// Reads a report; `None` if it is none.
pub(super) fn read(bytes: &[u8]) -> Option<TlsReport> {
    let document: Document = serde_json::from_slice(bytes.trim_ascii()).ok()?;
    let seconds = |text: Option<&String>| {
        let at = text.and_then(|text| DateTime::parse_from_rfc3339(text).ok());
        at.map_or(0, |at| at.timestamp().max(0).cast_unsigned())
    };
    let (begin, end) = document
        .range
        .as_ref()
        .map_or((0, 0), |range| (seconds(range.start.as_ref()), seconds(range.end.as_ref())));
    let Policies { count, ok, failed, rows } = document.policies;
    let domains: BTreeSet<&String> = rows.iter().map(|row| &row.domain).collect();
    Some(TlsReport {
        org: bounded(&document.organization.unwrap_or_default()).to_owned(),
        report_id: bounded(&document.report_id.unwrap_or_default()).to_owned(),
        policies: count,
        domains: domains.into_iter().cloned().collect(),
        ok,
        failed,
        begin,
        end,
        rows,
        hash: content_hash(bytes),
    })
}
