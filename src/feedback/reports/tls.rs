//! TLS reports (RFC 8460). Only what is summed up is read, so `mx-host` may be a list, or a text as
//! in the RFC's own example.

use std::collections::BTreeSet;
use std::fmt;
use std::io::Read;

use chrono::DateTime;
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

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
    /// Of the report as it was unpacked, without its white space.
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
    organization: Option<Short>,
    #[serde(rename = "report-id")]
    report_id: Option<Short>,
    policies: Policies,
}

#[derive(Debug, Deserialize)]
struct Range {
    #[serde(rename = "start-datetime")]
    start: Option<Short>,
    #[serde(rename = "end-datetime")]
    end: Option<Short>,
}

#[derive(Debug, Deserialize)]
struct Entry {
    policy: Option<Policy>,
    summary: Option<Summary>,
}

#[derive(Debug, Deserialize)]
struct Policy {
    #[serde(rename = "policy-domain")]
    domain: Option<Short>,
    #[serde(rename = "policy-type")]
    kind: Option<Short>,
}

#[derive(Debug, Default, Clone, Copy, Deserialize)]
struct Summary {
    #[serde(rename = "total-successful-session-count", default)]
    ok: u64,
    #[serde(rename = "total-failure-session-count", default)]
    failed: u64,
}

/// A text of which as much is kept as of any name.
#[derive(Debug, Default)]
struct Short(String);

impl<'de> Deserialize<'de> for Short {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bounded;
        impl Visitor<'_> for Bounded {
            type Value = Short;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_str<E>(self, text: &str) -> Result<Short, E> {
                Ok(Short(bounded(text).to_owned()))
            }
        }
        deserializer.deserialize_str(Bounded)
    }
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
            let policy = name(&kind.unwrap_or_default().0);
            self.rows.push(TlsRow { domain: name(&domain.0), policy, ok, failed });
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
pub(super) fn read(file: impl Read) -> Option<TlsReport> {
    let document: Document = serde_json::from_reader(file).ok()?;
    let seconds = |text: Option<&Short>| {
        let at = text.and_then(|text| DateTime::parse_from_rfc3339(&text.0).ok());
        at.map_or(0, |at| at.timestamp().max(0).cast_unsigned())
    };
    let (begin, end) = document
        .range
        .as_ref()
        .map_or((0, 0), |range| (seconds(range.start.as_ref()), seconds(range.end.as_ref())));
    let Policies { count, ok, failed, rows } = document.policies;
    let domains: BTreeSet<&String> = rows.iter().map(|row| &row.domain).collect();
    Some(TlsReport {
        org: document.organization.unwrap_or_default().0,
        report_id: document.report_id.unwrap_or_default().0,
        policies: count,
        domains: domains.into_iter().cloned().collect(),
        ok,
        failed,
        begin,
        end,
        rows,
        hash: String::new(),
    })
}
