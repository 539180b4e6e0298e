//! DMARC aggregate reports: RFC 7489 appendix C, and RFC 9990, which adds to it.

use std::collections::{HashMap, HashSet};
use std::io::BufRead;
use std::net::IpAddr;

use serde::{Serialize, Serializer};

use super::xml::{self, Step};
use crate::mail::Timestamp;

/// Deeper elements than any report has are not looked at.
const DEPTH: usize = 32;
/// More sources than this are not told apart.
const SOURCES: usize = 200_000;

/// More rows that differ are counted in one without a source.
const ROWS: usize = 20_000;
/// So are rows beyond this many bytes of names: real ones have a tenth of it.
const ROWS_BYTES: usize = 4 << 20;
/// A name of the DNS is not longer.
const NAME_BYTES: usize = 253;

/// What a report says, in sum and row by row.
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
    /// The policy is only being tested: `t=y` (RFC 9990).
    #[serde(skip)]
    pub testing: bool,
    /// Its rows; the same ones are counted together.
    #[serde(skip)]
    pub rows: Vec<DmarcRow>,
    /// Of the report as it was unpacked, without its white space.
    #[serde(skip)]
    pub hash: String,
}

/// Mails that came from one address in one way. All of it is what others wrote.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct DmarcRow {
    /// The address that sent them; none where it can't be read.
    pub source: Option<IpAddr>,
    /// How many.
    pub count: u64,
    /// The domain of `From`.
    pub from: String,
    /// A signature is right and of the domain of `From`.
    pub dkim_aligned: bool,
    /// SPF is right and for the domain of `From`.
    pub spf_aligned: bool,
    /// The domain of the signature: one that is right, if there is any; empty without one.
    pub dkim_domain: String,
    /// Its selector.
    pub selector: String,
    /// It is right.
    pub dkim_pass: bool,
    /// The domain that SPF was asked for.
    pub spf_domain: String,
    /// SPF is right.
    pub spf_pass: bool,
    /// The receiver knows it as forwarded, or as of a mailing list.
    pub forwarded: bool,
    /// The receiver put it aside or refused it.
    pub withheld: bool,
}

impl DmarcRow {
    /// Of its names.
    fn bytes(&self) -> usize {
        [&self.from, &self.dkim_domain, &self.selector, &self.spf_domain].iter().map(|name| name.len()).sum()
    }
}

/// A signature while it is read.
#[derive(Debug, Default)]
struct Signature {
    domain: String,
    selector: String,
    pass: bool,
}

impl Signature {
    /// What makes it the one to keep: it is right, and of the domain of `From` or one above or
    /// below.
    fn rank(&self, from: &str) -> (bool, bool) {
        let below = |name: &str, above: &str| {
            name.strip_suffix(above).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        };
        (self.pass, below(&self.domain, from) || below(from, &self.domain))
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn as_time<S: Serializer>(seconds: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    let micros = i64::try_from(*seconds).unwrap_or(i64::MAX).saturating_mul(1_000_000);
    serializer.collect_str(&Timestamp(micros))
}

/// The begin of a text, as much of it as is kept.
pub(super) fn bounded(text: &str) -> &str {
    &text[..text.floor_char_boundary(NAME_BYTES)]
}

/// A name as it is kept: in lower case, and not longer than any.
pub(super) fn name(text: &str) -> String {
    bounded(text).trim_end_matches('.').to_lowercase()
}

fn is_pass(text: &str) -> bool {
    text.eq_ignore_ascii_case("pass")
}

/// A record while it is read.
#[derive(Debug, Default)]
struct Record {
    row: DmarcRow,
    signature: Option<Signature>,
    /// The signature at hand.
    open: Signature,
}

impl Record {
    fn take(&mut self, place: (&str, &str), text: &str) {
        let row = &mut self.row;
        match place {
            ("source_ip", "row") => row.source = text.parse().ok(),
            ("count", "row") => row.count = text.parse().unwrap_or_default(),
            ("dkim", "policy_evaluated") => row.dkim_aligned |= is_pass(text),
            ("spf", "policy_evaluated") => row.spf_aligned |= is_pass(text),
            ("disposition", "policy_evaluated") => {
                row.withheld |= ["quarantine", "reject"].iter().any(|word| text.eq_ignore_ascii_case(word));
            }
            ("type", "reason") => {
                let words = ["forwarded", "trusted_forwarder", "mailing_list"];
                row.forwarded |= words.iter().any(|word| text.eq_ignore_ascii_case(word));
            }
            ("header_from", "identifiers") => row.from = name(text),
            ("domain", "dkim") => self.open.domain = name(text),
            ("selector", "dkim") => self.open.selector = name(text),
            ("result", "dkim") => self.open.pass = is_pass(text),
            // RFC 7489: the HELO name may be there too, after the envelope's.
            ("domain", "spf") if row.spf_domain.is_empty() => row.spf_domain = name(text),
            ("result", "spf") => row.spf_pass |= is_pass(text),
            _ => {}
        }
    }

    /// A signature has ended: the best is kept.
    fn end_signature(&mut self) {
        let open = std::mem::take(&mut self.open);
        let rank = open.rank(&self.row.from);
        if self.signature.as_ref().is_none_or(|kept| kept.rank(&self.row.from) < rank) {
            self.signature = Some(open);
        }
    }

    fn end(mut self) -> DmarcRow {
        if let Some(Signature { domain, selector, pass }) = self.signature {
            self.row.dkim_domain = domain;
            self.row.selector = selector;
            self.row.dkim_pass = pass;
        }
        self.row
    }
}

/// The elements that are open, in one text: a report has a million of them, one after the other.
#[derive(Debug, Default)]
struct Path {
    names: String,
    /// Where each name ends.
    ends: Vec<usize>,
}

impl Path {
    fn push(&mut self, name: &str) {
        if self.ends.len() < DEPTH {
            self.names.push_str(bounded(name));
            self.ends.push(self.names.len());
        }
    }

    fn pop(&mut self) {
        self.ends.pop();
        self.names.truncate(self.ends.last().copied().unwrap_or_default());
    }

    /// The name of the innermost element, or of one so many levels above.
    fn element(&self, above: usize) -> Option<&str> {
        let at = self.ends.len().checked_sub(above + 1)?;
        let start = if at == 0 { 0 } else { self.ends[at - 1] };
        Some(&self.names[start..self.ends[at]])
    }

    fn last_two(&self) -> Option<(&str, &str)> {
        Some((self.element(1)?, self.element(0)?))
    }
}

/// Reads a report; `None` if it is none.
pub(super) fn read(file: impl BufRead) -> Option<DmarcReport> {
    let mut report = DmarcReport::default();
    let mut sources: HashSet<IpAddr> = HashSet::new();
    let mut rows: HashMap<DmarcRow, u64> = HashMap::new();
    let mut rows_bytes = 0;
    let mut path = Path::default();
    let mut record = Record::default();
    let mut is_report = false;
    xml::walk(file, |step| match step {
        Step::Start(name) => {
            is_report |= path.ends.is_empty() && name == "feedback";
            if name == "record" {
                record = Record::default();
            }
            path.push(name);
        }
        Step::Text(text) => {
            let Some((above, place)) = path.last_two() else { return };
            match (place, above) {
                ("org_name", "report_metadata") => report.org = bounded(&text).to_owned(),
                ("report_id", "report_metadata") => report.report_id = bounded(&text).to_owned(),
                ("begin", "date_range") => report.begin = text.parse().unwrap_or_default(),
                ("end", "date_range") => report.end = text.parse().unwrap_or_default(),
                ("domain", "policy_published") => report.domain = name(&text),
                ("p", "policy_published") => report.p = bounded(&text).to_ascii_lowercase(),
                ("testing", "policy_published") => report.testing = text.eq_ignore_ascii_case("y"),
                place => record.take(place, &text),
            }
        }
        Step::End(name) => {
            let closes = path.element(0) == Some(name);
            if closes && name == "dkim" && path.element(1) == Some("auth_results") {
                record.end_signature();
            }
            if closes && name == "record" {
                let mut row = std::mem::take(&mut record).end();
                let count = std::mem::take(&mut row.count);
                report.records += 1;
                report.messages = report.messages.saturating_add(count);
                let passes = row.dkim_aligned || row.spf_aligned;
                report.dmarc_pass = report.dmarc_pass.saturating_add(if passes { count } else { 0 });
                if sources.len() < SOURCES {
                    sources.extend(row.source);
                }
                if !rows.contains_key(&row) {
                    let is_room = rows.len() < ROWS && rows_bytes + row.bytes() <= ROWS_BYTES;
                    if is_room {
                        rows_bytes += row.bytes();
                    } else {
                        let (dkim_aligned, spf_aligned) = (row.dkim_aligned, row.spf_aligned);
                        row = DmarcRow { dkim_aligned, spf_aligned, ..DmarcRow::default() };
                    }
                }
                let sum = rows.entry(row).or_default();
                *sum = sum.saturating_add(count);
            }
            // An end without a start closes nothing.
            if closes {
                path.pop();
            }
        }
    });
    report.sources = sources.len();
    let is_report = is_report && (!report.domain.is_empty() || !report.report_id.is_empty());
    is_report.then(|| {
        report.rows = rows.into_iter().map(|(row, count)| DmarcRow { count, ..row }).collect();
        report.rows.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.source.cmp(&b.source)));
        report
    })
}
