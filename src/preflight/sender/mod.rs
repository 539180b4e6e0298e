//! What receivers will look up about a sender: domains, DKIM keys, SPF, DMARC, reverse DNS. Nothing is sent.
//!
//! DNS is asked through the resolver that is handed in: the system's, or one that answers from a zone file.

mod addresses;
mod dkim;
pub mod dmarc;
mod domains;
mod message;
mod spf;

use std::net::IpAddr;

use super::finding::{Finding, Group};
use crate::dkim::Signer;
use crate::mail::Domain;
use crate::route::{DnsError, DnsFailure, Resolver};

pub use addresses::reverse_name;
pub use dkim::{PublishedKey, RecordProblem};
pub use spf::suggestion as suggested_spf;

/// Where mail leaves from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Egress {
    /// The address that receivers see.
    pub address: IpAddr,
    /// The name in EHLO, where it is known.
    pub ehlo: Option<String>,
}

/// Who sends, as receivers will see it.
#[derive(Debug)]
pub struct Sender<'a> {
    /// The domain of `From`.
    pub from: &'a Domain,
    /// The domain of the return path.
    pub return_path: &'a Domain,
    /// The keys that messages are signed with.
    pub signer: &'a Signer,
    /// The addresses that mail leaves from; empty where they are not known.
    pub egress: &'a [Egress],
    /// The relay that mail is handed to, by its name: its addresses stand for those that mail leaves from.
    pub relay: Option<&'a str>,
    /// A signed message of the campaign.
    pub message: Option<&'a [u8]>,
}

/// Looks everything up and says what was found.
pub async fn check(sender: &Sender<'_>, resolver: &Resolver) -> Vec<Finding> {
    let first = domains::from(sender.from, resolver).await;
    let domain = match first {
        Ok(findings) => findings,
        // Without any answer there is nothing to be said about anybody's records.
        Err(error) if nobody_answers(&error, resolver).await => return vec![no_dns(&error)],
        Err(error) => vec![unanswered(&error)],
    };
    let missing = domain.iter().any(|finding| finding.id == "from-domain-missing");
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

/// True when no name server says anything at all.
async fn nobody_answers(error: &DnsError, resolver: &Resolver) -> bool {
    match error.failure {
        DnsFailure::Unreachable(_) => true,
        // One domain's servers may be silent; those of a name that always exists are not.
        DnsFailure::Timeout => resolver.exists("com").await.is_err(),
        DnsFailure::NoSuchName
        | DnsFailure::NoRecord
        | DnsFailure::ServFail
        | DnsFailure::Refused
        | DnsFailure::Malformed(_) => false,
    }
}

fn no_dns(error: &DnsError) -> Finding {
    Finding::warning(Group::Sender, "no-dns", format!("DNS does not answer: {error}"))
        .why("nothing is known of the sender's domains, keys and policies: receivers may refuse every message")
        .mend("give this machine a name server, name one in `[delivery] resolver`, or check against `--dns-zone`")
}

/// A lookup that was not answered, each kind of failure under a name of its own.
fn unanswered(error: &DnsError) -> Finding {
    let (id, mend) = match error.failure {
        DnsFailure::NoSuchName => ("dns-no-such-name", "publish it"),
        DnsFailure::NoRecord => ("dns-no-record", "publish it"),
        DnsFailure::ServFail => {
            ("dns-servfail", "look at the zone's name servers and its DNSSEC: they answer with an error")
        }
        DnsFailure::Refused => ("dns-refused", "ask another name server: `[delivery] resolver`"),
        DnsFailure::Timeout => ("dns-timeout", "look at the zone's name servers: they do not answer in time"),
        DnsFailure::Malformed(_) => ("dns-malformed", "look at the name and at the zone's name servers"),
        DnsFailure::Unreachable(_) => {
            ("dns-unreachable", "give this machine a name server that it can reach")
        }
    };
    Finding::warning(Group::Sender, id, error.to_string())
        .why("receivers that get the same put the mail off or refuse it (RFC 6376 §6.1.2, RFC 7208 §2.6.6)")
        .mend(mend)
}

/// The TXT records of a name; an empty list when there are none.
async fn txt(resolver: &Resolver, name: &str) -> Result<Vec<String>, DnsError> {
    match resolver.txt(name).await {
        Err(error) if error.is_permanent() => Ok(Vec::new()),
        answer => answer,
    }
}

/// `name=value` pairs between `;` (RFC 6376 §3.2), white space around both taken off; `None` where a part is no pair.
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

/// A record as a line of a zone file, its text cut into strings of at most 255 octets (RFC 1035 §3.3.14).
pub fn zone_line(name: &str, text: &str) -> String {
    let escaped = |part: &[u8]| String::from_utf8_lossy(part).replace('\\', "\\\\").replace('"', "\\\"");
    let strings: Vec<String> =
        text.as_bytes().chunks(255).map(|part| format!("\"{}\"", escaped(part))).collect();
    format!("{name}. IN TXT {}", strings.join(" "))
}

#[cfg(test)]
mod situations;
