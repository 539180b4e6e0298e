//! The domains themselves: whether they exist and accept mail, and whether they publish MTA-STS,
//! TLS-RPT and BIMI.

use super::super::finding::{Finding, Id};
use super::facts::Sender;
use super::records::{txt, unanswered};
use crate::campaign::IpFamily;
use crate::mail::Domain;
use crate::route::{DnsError, Resolver};

/// Whether mail can be delivered to a domain.
enum Mailable {
    Yes,
    /// RFC 7505.
    NullMx,
    No,
}

/// The domain of `From`: without it, no receiver accepts anything.
pub(super) async fn from(domain: &Domain, resolver: &Resolver) -> Result<Vec<Finding>, DnsError> {
    let name = domain.as_str();
    let mx = format!("{name}. IN MX 10 mx.{name}.");
    if !resolver.exists(name).await? {
        let seen = format!("the From domain `{name}` does not exist in DNS");
        return Ok(vec![Finding::new(Id::FromDomainMissing, seen).fix(mx)]);
    }
    let mut findings = vec![Finding::new(Id::FromDomain, format!("the From domain `{name}` exists"))];
    match mailable(name, resolver).await? {
        Mailable::Yes => {}
        Mailable::NullMx => {
            let seen = format!("the From domain `{name}` says that it accepts no mail (null MX)");
            findings.push(Finding::new(Id::FromNullMx, seen).fix(mx));
        }
        Mailable::No => {
            let seen = format!("the From domain `{name}` has neither MX nor address records");
            findings.push(Finding::new(Id::FromNoMx, seen).fix(mx));
        }
    }
    Ok(findings)
}

/// The domain that bounces come back to.
pub(super) async fn return_path(domain: &Domain, resolver: &Resolver) -> Vec<Finding> {
    let name = domain.as_str();
    let answer = match resolver.exists(name).await {
        Ok(true) => mailable(name, resolver).await,
        Ok(false) => Ok(Mailable::No),
        Err(error) => Err(error),
    };
    let mx = format!("{name}. IN MX 10 mx.{name}.");
    match answer {
        Ok(Mailable::Yes) => {
            vec![Finding::new(Id::ReturnPath, format!("the return path's domain `{name}` accepts bounces"))]
        }
        Ok(Mailable::NullMx) => {
            let seen = format!("the return path's domain `{name}` says that it accepts no mail (null MX)");
            vec![Finding::new(Id::ReturnPathNullMx, seen).fix(mx)]
        }
        Ok(Mailable::No) => {
            let seen = format!("the return path's domain `{name}` has neither MX nor address records");
            vec![Finding::new(Id::ReturnPathNoMx, seen).fix(mx)]
        }
        Err(error) => vec![unanswered(&error)],
    }
}

async fn mailable(name: &str, resolver: &Resolver) -> Result<Mailable, DnsError> {
    match resolver.mx(name).await {
        Ok(found) if found.records.iter().all(|record| record.host.is_empty()) => Ok(Mailable::NullMx),
        Ok(_) => Ok(Mailable::Yes),
        Err(error) if error.is_permanent() => match resolver.addresses(name, IpFamily::Any).await {
            Ok(_) => Ok(Mailable::Yes),
            Err(error) if error.is_permanent() => Ok(Mailable::No),
            Err(error) => Err(error),
        },
        Err(error) => Err(error),
    }
}

/// Records that sending does not need: which of them exist.
pub(super) async fn noted(sender: &Sender<'_>, resolver: &Resolver) -> Vec<Finding> {
    let names = [
        (Id::MtaSts, "MTA-STS", format!("_mta-sts.{}", sender.return_path), "v=STSv1"),
        (Id::TlsRpt, "TLS-RPT", format!("_smtp._tls.{}", sender.return_path), "v=TLSRPTv1"),
        (Id::Bimi, "BIMI", format!("default._bimi.{}", sender.from), "v=BIMI1"),
    ];
    let mut findings = Vec::new();
    let mut absent = Vec::new();
    for (id, called, name, version) in names {
        match txt(resolver, &name).await {
            Ok(records) => match records.iter().find(|record| record.starts_with(version)) {
                Some(record) => {
                    findings.push(Finding::new(id, format!("{called} is published: `{record}`")));
                }
                None => absent.push(called),
            },
            Err(error) => findings.push(unanswered(&error)),
        }
    }
    if !absent.is_empty() {
        findings.push(Finding::new(Id::NotPublished, format!("not published: {}", absent.join(", "))));
    }
    findings
}
