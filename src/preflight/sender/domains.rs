//! The domains themselves: do they exist, and can they take mail? MTA-STS, TLS-RPT and BIMI are noted.

use super::super::finding::{Finding, Group};
use super::{Sender, txt, unanswered, zone_line};
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

/// The domain of `From`: without it, nothing is accepted anywhere.
pub(super) async fn from(domain: &Domain, resolver: &Resolver) -> Result<Vec<Finding>, DnsError> {
    let name = domain.as_str();
    if !resolver.exists(name).await? {
        let finding = Finding::refused(
            Group::Sender,
            "from-domain-missing",
            format!("the From domain `{name}` does not exist in DNS"),
        );
        return Ok(vec![
            finding
                .why("receivers refuse mail from a domain that does not exist (RFC 9989 §4.10.1; Google, Yahoo and Microsoft all do)")
                .mend(format!("{name}. IN MX 10 mx.{name}.\n{}", zone_line(name, "v=spf1 -all"))),
        ]);
    }
    let mut findings =
        vec![Finding::ok(Group::Sender, "from-domain", format!("the From domain `{name}` exists"))];
    match mailable(name, resolver).await? {
        Mailable::Yes => {}
        Mailable::NullMx => findings.push(
            Finding::warning(Group::Sender, "from-null-mx", format!("`{name}` says that it takes no mail (null MX)"))
                .why("a sender that takes no mail is refused by many receivers (RFC 7505 §4.2)")
                .mend(format!("{name}. IN MX 10 mx.{name}.")),
        ),
        Mailable::No => findings.push(
            Finding::warning(Group::Sender, "from-no-mx", format!("`{name}` has neither MX nor address records"))
                .why("replies can't arrive, and receivers that try the sender's domain refuse the mail (RFC 5321 §5.1)")
                .mend(format!("{name}. IN MX 10 mx.{name}.")),
        ),
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
    let why = "bounces that come later by mail are lost, and receivers that look refuse the mail (RFC 5321 §4.5.5, RFC 7505 §4.2)";
    let mend = format!("{name}. IN MX 10 mx.{name}.");
    match answer {
        Ok(Mailable::Yes) => {
            let seen = format!("the return path's domain `{name}` takes bounces");
            vec![Finding::ok(Group::Sender, "return-path", seen)]
        }
        Ok(Mailable::NullMx) => {
            let seen = format!("the return path's domain `{name}` says that it takes no mail (null MX)");
            vec![Finding::warning(Group::Sender, "return-path-null-mx", seen).why(why).mend(mend)]
        }
        Ok(Mailable::No) => {
            let seen = format!("the return path's domain `{name}` has neither MX nor address records");
            vec![Finding::warning(Group::Sender, "return-path-no-mx", seen).why(why).mend(mend)]
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

/// Records that sending does not need, told where they are.
pub(super) async fn noted(sender: &Sender<'_>, resolver: &Resolver) -> Vec<Finding> {
    let mut names = vec![("mta-sts", "MTA-STS", format!("_mta-sts.{}", sender.return_path), "v=STSv1")];
    names.push(("tls-rpt", "TLS-RPT", format!("_smtp._tls.{}", sender.return_path), "v=TLSRPTv1"));
    names.push(("bimi", "BIMI", format!("default._bimi.{}", sender.from), "v=BIMI1"));
    let mut findings = Vec::new();
    let mut absent = Vec::new();
    for (id, called, name, version) in names {
        match txt(resolver, &name).await {
            Ok(records) => match records.iter().find(|record| record.starts_with(version)) {
                Some(record) => {
                    findings.push(Finding::ok(
                        Group::Sender,
                        id,
                        format!("{called} is published: `{record}`"),
                    ));
                }
                None => absent.push(called),
            },
            Err(error) => findings.push(unanswered(&error)),
        }
    }
    if !absent.is_empty() {
        let seen = format!("not published: {}", absent.join(", "));
        findings.push(
            Finding::note(Group::Sender, "not-published", seen)
                .why("no receiver asks for them of a sender: MTA-STS and TLS-RPT guard mail to this domain (RFC 8461, RFC 8460), BIMI shows a logo"),
        );
    }
    findings
}
