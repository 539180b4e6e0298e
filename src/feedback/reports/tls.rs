//! TLS reports (RFC 8460). Only what is summed up is read, so `mx-host` may be a list, or a text as
//! in the RFC's own example.

use chrono::DateTime;
use serde::{Deserialize, Serialize};

use super::super::source::content_hash;
use super::dmarc::{bounded, name};

/// More policies are not kept one by one.
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
    /// Domains of the policies, without repetition.
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
    policies: Vec<Entry>,
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

/// Reads a report; `None` if it is none.
pub(super) fn read(bytes: &[u8]) -> Option<TlsReport> {
    let document: Document = serde_json::from_slice(bytes.trim_ascii()).ok()?;
    let summaries = || document.policies.iter().filter_map(|entry| entry.summary);
    let sum = |of: fn(Summary) -> u64| summaries().map(of).fold(0, u64::saturating_add);
    let (ok, failed) = (sum(|summary| summary.ok), sum(|summary| summary.failed));
    let policies = document.policies.len();
    let row = |entry: &Entry| {
        let (policy, summary) = (entry.policy.as_ref()?, entry.summary.unwrap_or_default());
        Some(TlsRow {
            domain: name(policy.domain.as_deref()?),
            policy: name(policy.kind.as_deref().unwrap_or_default()),
            ok: summary.ok,
            failed: summary.failed,
        })
    };
    let rows = document.policies.iter().take(ROWS).filter_map(row).collect();
    let seconds = |text: Option<&String>| {
        let at = text.and_then(|text| DateTime::parse_from_rfc3339(text).ok());
        at.map_or(0, |at| at.timestamp().max(0).cast_unsigned())
    };
    let (begin, end) = document
        .range
        .as_ref()
        .map_or((0, 0), |range| (seconds(range.start.as_ref()), seconds(range.end.as_ref())));
    let mut domains: Vec<String> =
        document.policies.into_iter().filter_map(|entry| entry.policy?.domain).collect();
    domains.sort();
    domains.dedup();
    Some(TlsReport {
        org: bounded(&document.organization.unwrap_or_default()).to_owned(),
        report_id: bounded(&document.report_id.unwrap_or_default()).to_owned(),
        policies,
        domains,
        ok,
        failed,
        begin,
        end,
        rows,
        hash: content_hash(bytes),
    })
}
