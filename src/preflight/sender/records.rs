//! Looking up, reading and writing TXT records.

use super::super::finding::{Finding, Id};
use crate::route::{DnsError, DnsFailure, Resolver};

/// A lookup that failed; each kind of failure has its own id.
pub(super) fn unanswered(error: &DnsError) -> Finding {
    let (id, fix) = match error.failure {
        DnsFailure::NoSuchName => (Id::DnsNoSuchName, "publish it"),
        DnsFailure::NoRecord => (Id::DnsNoRecord, "publish it"),
        DnsFailure::ServFail => {
            (Id::DnsServfail, "check the zone's name servers and its DNSSEC: they answer with an error")
        }
        DnsFailure::Refused => (Id::DnsRefused, "name another name server in `[delivery] resolver`"),
        DnsFailure::Timeout => (Id::DnsTimeout, "check the zone's name servers: they do not answer in time"),
        DnsFailure::Malformed(_) => (Id::DnsMalformed, "check the name and the zone's name servers"),
        DnsFailure::Unreachable(_) => {
            (Id::DnsUnreachable, "configure a name server that this machine can reach")
        }
    };
    Finding::new(id, error.to_string()).fix(fix)
}

/// The TXT records of a name; an empty list when there are none.
pub(super) async fn txt(resolver: &Resolver, name: &str) -> Result<Vec<String>, DnsError> {
    match resolver.txt(name).await {
        Err(error) if error.is_permanent() => Ok(Vec::new()),
        answer => answer,
    }
}

/// `name=value` pairs between `;` (RFC 6376 §3.2), both trimmed; `None` where a part is no pair.
pub(super) fn tags(record: &str) -> Option<Vec<(&str, &str)>> {
    let mut parts: Vec<&str> = record.split(';').map(str::trim).collect();
    if parts.last() == Some(&"") {
        parts.pop();
    }
    parts
        .into_iter()
        .map(|part| part.split_once('=').map(|(name, value)| (name.trim(), value.trim())))
        .collect()
}

/// A TXT record as a line of a zone file, its text in strings of at most 255 octets
/// (RFC 1035 §3.3.14); what is not visible ASCII in numbers (§5.1).
pub(crate) fn zone_line(name: &str, text: &str) -> String {
    let escape = |byte: &u8| match byte {
        b'\\' | b'"' => format!("\\{}", char::from(*byte)),
        b' '..=b'~' => char::from(*byte).to_string(),
        _ => format!("\\{byte:03}"),
    };
    let escaped = |part: &[u8]| part.iter().map(escape).collect::<String>();
    let strings: Vec<String> =
        text.as_bytes().chunks(255).map(|part| format!("\"{}\"", escaped(part))).collect();
    format!("{name}. IN TXT {}", strings.join(" "))
}
