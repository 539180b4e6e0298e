//! Abuse reports (RFC 5965), reports of failed authentication (RFC 6591), and providers' forms.

use super::address;
use super::event::{Event, Kind};
use super::mime::{Header, Message, Part};

/// More recipients of one report are not read.
const RECIPIENTS: usize = 500;
/// A report that is longer is no report.
const REPORT_BYTES: usize = 64 << 10;

/// A complaint, as it was read.
#[derive(Debug)]
pub(super) struct Complaint {
    pub(super) kind: Kind,
    pub(super) feedback_type: Option<String>,
    pub(super) events: Vec<Event>,
}

/// Reads a mail with a feedback report, or with what some providers send instead.
pub(super) fn read(message: &Message<'_>, original: Option<&Header<'_>>) -> Option<Complaint> {
    let report = message.parts.iter().find(|part| part.is("message/feedback-report"));
    match report {
        Some(report) => Some(standard(report)),
        None => provider(message, original),
    }
}

fn standard(report: &Part<'_>) -> Complaint {
    let bytes = report.bytes(REPORT_BYTES);
    let start = bytes.iter().position(|byte| !byte.is_ascii_whitespace()).unwrap_or(0);
    let (fields, _) = Header::read(&bytes[start..]);
    let feedback_type = fields.get("feedback-type").map(|value| value.trim().to_ascii_lowercase());
    let kind = match feedback_type.as_deref() {
        Some("auth-failure" | "dmarc") => Kind::AuthFailure,
        Some("opt-out" | "opt-out-list" | "unsubscribe") => Kind::Unsubscribe,
        Some("not-spam") => Kind::NotSpam,
        // RFC 5965 §7.3: an unknown type is `other`, which is a complaint all the same.
        Some(_) | None => Kind::Complaint,
    };
    let names: &[&str] = match kind {
        Kind::Unsubscribe => &["removal-recipient", "original-rcpt-to"],
        _ => &["original-rcpt-to", "removal-recipient"],
    };
    let addresses = names.iter().map(|name| addresses(fields.all(name))).find(|found| !found.is_empty());
    Complaint { kind, feedback_type, events: events(kind, addresses.unwrap_or_default()) }
}

/// Microsoft's JMRP: the mail itself, with the recipient in a field of its own.
fn provider(message: &Message<'_>, original: Option<&Header<'_>>) -> Option<Complaint> {
    let named = |header: &Header<'_>| addresses(header.all("x-hmxmroriginalrecipient"));
    let found =
        [Some(&message.header), original].into_iter().flatten().map(named).find(|found| !found.is_empty());
    let found = found?;
    Some(Complaint {
        kind: Kind::Complaint,
        feedback_type: Some("abuse".to_owned()),
        events: events(Kind::Complaint, found),
    })
}

fn addresses<T: AsRef<str>>(values: impl Iterator<Item = T>) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for value in values {
        for (_, address) in address::find(value.as_ref()) {
            if found.len() < RECIPIENTS && !found.iter().any(|other| address::same(other, address)) {
                found.push(address.to_owned());
            }
        }
    }
    found
}

fn events(kind: Kind, addresses: Vec<String>) -> Vec<Event> {
    if addresses.is_empty() {
        return vec![Event::new(kind, None)];
    }
    addresses.into_iter().map(|address| Event::new(kind, Some(address))).collect()
}
