//! What receivers look up about a sender: domains, DKIM keys, SPF, DMARC, reverse DNS.
//!
//! Asks DNS through the resolver that the caller passes in: the system's, or one that answers from
//! a zone file. Never sends anything.

mod addresses;
mod dkim;
pub(crate) mod dmarc;
mod domains;
mod message;
mod spf;

use std::net::IpAddr;

use super::finding::{Finding, Id};
use crate::dkim::Signer;
use crate::mail::Domain;
use crate::route::{DnsError, DnsFailure, Resolver};

pub(crate) use addresses::reverse_name;
pub(crate) use dkim::PublishedKey;
pub(crate) use spf::suggestion as suggested_spf;

/// Where mail leaves from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Egress {
    /// The address that receivers see.
    pub address: IpAddr,
    /// The name in EHLO, where it is known.
    pub ehlo: Option<String>,
}

/// Who sends, as receivers will see it.
#[derive(Debug)]
pub(crate) struct Sender<'a> {
    /// The domain of `From`.
    pub from: &'a Domain,
    /// The domain of the return path.
    pub return_path: &'a Domain,
    /// The keys that messages are signed with.
    pub signer: &'a Signer,
    /// The addresses that mail leaves from; empty where they are not known.
    pub egress: &'a [Egress],
    /// The host name of the relay that mail is handed to. Where `egress` is empty, SPF is checked
    /// for its addresses.
    pub relay: Option<&'a str>,
    /// A signed message of the campaign, to verify.
    pub message: Option<&'a [u8]>,
}

/// Looks everything up. A lookup that fails is a finding of its own.
pub(crate) async fn check(sender: &Sender<'_>, resolver: &Resolver) -> Vec<Finding> {
    let first = domains::from(sender.from, resolver).await;
    let domain = match first {
        Ok(findings) => findings,
        // Without any answer, nothing can be said about any record.
        Err(error) if nobody_answers(&error, resolver).await => return vec![no_dns(&error)],
        Err(error) => vec![unanswered(&error)],
    };
    let missing = domain.iter().any(|finding| finding.id == Id::FromDomainMissing);
    let (dkim, return_path, spf, dmarc, addresses, message, noted) = tokio::join!(
        dkim::check(sender.signer, resolver),
        domains::return_path(sender.return_path, resolver),
        spf::check(sender, resolver),
        dmarc::check(sender, resolver),
        addresses::check(sender.egress, resolver),
        message::check(sender.message, resolver),
        domains::noted(sender, resolver),
    );
    let mut findings = domain;
    findings.extend(dkim);
    if !(missing && sender.return_path == sender.from) {
        findings.extend(return_path);
    }
    findings.extend(spf);
    findings.extend(dmarc);
    findings.extend(message);
    findings.extend(addresses);
    findings.extend(noted);
    findings
}

/// True when no name server answers at all.
async fn nobody_answers(error: &DnsError, resolver: &Resolver) -> bool {
    match error.failure {
        DnsFailure::Unreachable(_) => true,
        // One domain's servers may be down; those of a name that always exists are not.
        DnsFailure::Timeout => resolver.exists("com").await.is_err(),
        DnsFailure::NoSuchName
        | DnsFailure::NoRecord
        | DnsFailure::ServFail
        | DnsFailure::Refused
        | DnsFailure::Malformed(_) => false,
    }
}

fn no_dns(error: &DnsError) -> Finding {
    Finding::new(Id::NoDns, format!("DNS does not answer: {error}")).fix(
        "configure a name server on this machine, name one in `[delivery] resolver`, or use `--dns-zone FILE`",
    )
}

/// A lookup that failed; each kind of failure has its own id.
fn unanswered(error: &DnsError) -> Finding {
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
async fn txt(resolver: &Resolver, name: &str) -> Result<Vec<String>, DnsError> {
    match resolver.txt(name).await {
        Err(error) if error.is_permanent() => Ok(Vec::new()),
        answer => answer,
    }
}

/// `name=value` pairs between `;` (RFC 6376 §3.2), both trimmed; `None` where a part is no pair.
fn tags(record: &str) -> Option<Vec<(&str, &str)>> {
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
/// (RFC 1035 §3.3.14).
pub(crate) fn zone_line(name: &str, text: &str) -> String {
    let escaped = |part: &[u8]| String::from_utf8_lossy(part).replace('\\', "\\\\").replace('"', "\\\"");
    let strings: Vec<String> =
        text.as_bytes().chunks(255).map(|part| format!("\"{}\"", escaped(part))).collect();
    format!("{name}. IN TXT {}", strings.join(" "))
}

#[cfg(test)]
mod situations;
