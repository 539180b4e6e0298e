//! DMARC aggregate reports: RFC 7489 appendix C, and RFC 9990, which adds to it.

use std::borrow::Cow;
use std::collections::HashSet;
use std::net::IpAddr;

use serde::{Serialize, Serializer};

use super::xml::{self, Step};
use crate::mail::Timestamp;

/// Deeper elements than any report has are not looked at.
const DEPTH: usize = 32;
/// More sources than this are not told apart.
const SOURCES: usize = 200_000;

/// What a report says in sum.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct DmarcReport {
    /// Who reports.
    pub org: String,
    /// Repeats with some reporters: it is no key alone.
    pub report_id: String,
    /// The seconds since 1970 when the time of the report begins.
    #[serde(serialize_with = "as_time")]
    pub begin: u64,
    /// And when it ends.
    #[serde(serialize_with = "as_time")]
    pub end: u64,
    /// The domain with the policy.
    pub domain: String,
    /// Its policy: `none`, `quarantine` or `reject`.
    pub p: String,
    /// Rows of the report.
    pub records: u64,
    /// Mails that they count.
    pub messages: u64,
    /// Those of them that pass DMARC, by DKIM or by SPF.
    pub dmarc_pass: u64,
    /// Addresses that sent them.
    pub sources: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn as_time<S: Serializer>(seconds: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    let micros = i64::try_from(*seconds).unwrap_or(i64::MAX).saturating_mul(1_000_000);
    serializer.collect_str(&Timestamp(micros))
}

/// One row while it is read.
#[derive(Debug, Default)]
struct Row {
    source: Option<IpAddr>,
    count: u64,
    passes: bool,
}

/// Above this, text that is not UTF-8 is read as far as it is: a copy would take the memory again.
const COPIED_BYTES: usize = 1 << 20;

fn text(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) if bytes.len() <= COPIED_BYTES => String::from_utf8_lossy(bytes),
        Err(error) => String::from_utf8_lossy(&bytes[..error.valid_up_to()]),
    }
}

/// Reads a report; `None` if it is none.
pub(super) fn read(bytes: &[u8]) -> Option<DmarcReport> {
    let text = text(bytes);
    let mut report = DmarcReport::default();
    let mut sources: HashSet<IpAddr> = HashSet::new();
    let mut path: Vec<String> = Vec::new();
    let mut row = Row::default();
    let mut is_report = false;
    xml::walk(&text, |step| match step {
        Step::Start(name) => {
            is_report |= path.is_empty() && name == "feedback";
            if name == "record" {
                row = Row::default();
            }
            if path.len() < DEPTH {
                path.push(name.to_owned());
            }
        }
        Step::Text(text) => {
            let place: Vec<&str> = path.iter().rev().take(3).map(String::as_str).collect();
            match *place.as_slice() {
                ["org_name", "report_metadata", ..] => report.org = text,
                ["report_id", "report_metadata", ..] => report.report_id = text,
                ["begin", "date_range", ..] => report.begin = text.parse().unwrap_or_default(),
                ["end", "date_range", ..] => report.end = text.parse().unwrap_or_default(),
                ["domain", "policy_published", ..] => report.domain = text,
                ["p", "policy_published", ..] => report.p = text.to_ascii_lowercase(),
                ["source_ip", "row", ..] => row.source = text.parse().ok(),
                ["count", "row", ..] => row.count = text.parse().unwrap_or_default(),
                ["dkim" | "spf", "policy_evaluated", ..] => row.passes |= text.eq_ignore_ascii_case("pass"),
                _ => {}
            }
        }
        Step::End(name) => {
            if name == "record" && path.last().is_some_and(|open| open == "record") {
                report.records += 1;
                report.messages = report.messages.saturating_add(row.count);
                report.dmarc_pass = report.dmarc_pass.saturating_add(if row.passes { row.count } else { 0 });
                if sources.len() < SOURCES {
                    sources.extend(row.source);
                }
            }
            // An end without a start closes nothing.
            if path.last().is_some_and(|open| open == name) {
                path.pop();
            }
        }
    });
    report.sources = sources.len();
    (is_report && (!report.domain.is_empty() || !report.report_id.is_empty())).then_some(report)
}
