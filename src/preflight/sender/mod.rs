//! What receivers look up about a sender: domains, DKIM keys, SPF, DMARC, reverse DNS.
//!
//! Asks DNS through the resolver that the caller passes in: the system's, or one that answers from
//! a zone file. Never sends anything.

mod addresses;
mod dkim;
pub(crate) mod dmarc;
mod domains;
mod facts;
mod message;
mod records;
mod spf;

use super::finding::{Finding, Id};
use crate::route::{DnsError, DnsFailure, Resolver};
use records::unanswered;

pub(crate) use addresses::reverse_name;
pub(crate) use dkim::PublishedKey;
pub(crate) use facts::{Egress, Sender};
pub(crate) use records::zone_line;
pub(crate) use spf::{ADDRESS_UNKNOWN, suggestion as suggested_spf};

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

#[cfg(test)]
mod situations;
