//! TLS reports (RFC 8460). Only what is summed up is read, so `mx-host` may be a list, or a text as
//! in the RFC's own example.

use serde::{Deserialize, Serialize};

/// What a report says in sum.
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
}

#[derive(Debug, Deserialize)]
struct Document {
    #[serde(rename = "organization-name")]
    organization: Option<String>,
    #[serde(rename = "report-id")]
    report_id: Option<String>,
    policies: Vec<Entry>,
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
    let mut domains: Vec<String> =
        document.policies.into_iter().filter_map(|entry| entry.policy?.domain).collect();
    domains.sort();
    domains.dedup();
    Some(TlsReport {
        org: document.organization.unwrap_or_default(),
        report_id: document.report_id.unwrap_or_default(),
        policies,
        domains,
        ok,
        failed,
    })
}
