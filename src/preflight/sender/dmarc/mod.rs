//! DMARC: the policy that applies, and whether the signatures and the return path align with
//! `From`.
//!
//! RFC 9989, and RFC 7489 where receivers still use the public suffix list.

pub(crate) mod record;
pub(crate) mod walk;

use std::collections::BTreeMap;

use self::record::{Policy, Record};
use self::walk::Step;
use super::super::finding::{Finding, Id};
use super::facts::Sender;
use super::records::{txt, unanswered, zone_line};
use crate::route::{DnsError, Resolver};

pub(super) async fn check(sender: &Sender<'_>, resolver: &Resolver) -> Vec<Finding> {
    look(sender, resolver).await.unwrap_or_else(|error| vec![unanswered(&error)])
}

async fn look(sender: &Sender<'_>, resolver: &Resolver) -> Result<Vec<Finding>, DnsError> {
    let from = sender.from.as_str();
    let mut walks = Walks { resolver, known: BTreeMap::new() };
    let steps = walks.of(from).await?.to_vec();
    let mut findings = several(&steps);
    let Some((at, record)) = walk::applied(&steps) else {
        if findings.is_empty() {
            findings.push(missing(from));
        }
        return Ok(findings);
    };
    let exists = resolver.exists(from).await?;
    findings.extend(policy(from, at, record, exists));
    findings.extend(tags(at, record));
    findings.extend(reports(at, record, &mut walks).await?);
    findings.extend(alignment(sender, at, record, exists, &mut walks).await?);
    findings.extend(by_the_list(from, &steps, at, record, exists));
    Ok(findings)
}

/// The tree walks so far, by the domain they start from.
struct Walks<'a> {
    resolver: &'a Resolver,
    known: BTreeMap<String, Vec<Step>>,
}

impl Walks<'_> {
    async fn of(&mut self, domain: &str) -> Result<&[Step], DnsError> {
        if !self.known.contains_key(domain) {
            let steps = walk::walk(domain, self.resolver).await?;
            self.known.insert(domain.to_owned(), steps);
        }
        Ok(&self.known[domain])
    }

    async fn organizational(&mut self, domain: &str) -> Result<String, DnsError> {
        Ok(walk::organizational(self.of(domain).await?).unwrap_or(domain).to_owned())
    }
}

fn missing(from: &str) -> Finding {
    Finding::new(Id::DmarcMissing, format!("no DMARC record applies to `{from}`"))
        .fix(zone_line(&format!("_dmarc.{from}"), &format!("v=DMARC1; p=none; rua=mailto:dmarc@{from}")))
}

fn several(steps: &[Step]) -> Vec<Finding> {
    let several = steps.iter().filter(|step| step.records > 1);
    let finding = |step: &Step| {
        let seen = format!("there are {} DMARC records at `_dmarc.{}`", step.records, step.domain);
        Finding::new(Id::DmarcSeveral, seen).fix("keep one")
    };
    several.map(finding).collect()
}

fn policy(from: &str, at: &str, record: &Record, exists: bool) -> Vec<Finding> {
    let policy = if at == from { record.own_policy() } else { record.policy_below(exists) };
    let place = if at == from { String::new() } else { format!(", from `_dmarc.{at}`") };
    let mut findings =
        vec![Finding::new(Id::Dmarc, format!("the DMARC policy of `{from}` is {policy}{place}"))];
    if policy == Policy::None {
        let stricter =
            zone_line(&format!("_dmarc.{at}"), &format!("v=DMARC1; p=quarantine; rua=mailto:dmarc@{at}"));
        let seen = format!("the DMARC policy of `{from}` is none");
        findings.push(Finding::new(Id::DmarcPolicyNone, seen).fix(stricter));
    }
    if record.testing {
        let seen = format!("the record at `_dmarc.{at}` says `t=y`: the policy is only being tested");
        findings.push(Finding::new(Id::DmarcTesting, seen));
    }
    findings
}

fn tags(at: &str, record: &Record) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !record.legacy.is_empty() {
        let tags = record.legacy.join("; ");
        let seen = format!("the record at `_dmarc.{at}` has tags that DMARC dropped: `{tags}`");
        findings
            .push(Finding::new(Id::DmarcLegacyTags, seen).fix("remove them; to test a policy, use `t=y`"));
    }
    if !record.unreadable.is_empty() {
        let parts = record.unreadable.join("; ");
        let seen = format!("the record at `_dmarc.{at}` has invalid parts: `{parts}`");
        findings
            .push(Finding::new(Id::DmarcUnreadable, seen).fix(
                "p, sp, np: none, quarantine or reject; adkim, aspf: r or s; t: y or n; psd: y, n or u",
            ));
    }
    if record.rua.is_empty() {
        let seen = format!("the record at `_dmarc.{at}` asks for no reports (`rua=`)");
        findings.push(Finding::new(Id::DmarcNoReports, seen).fix(format!("add rua=mailto:dmarc@{at}")));
    }
    findings
}

/// Other organizations must have agreed to receive the reports (RFC 9990 §4, RFC 7489 §7.1).
async fn reports(at: &str, record: &Record, walks: &mut Walks<'_>) -> Result<Vec<Finding>, DnsError> {
    let mut findings = Vec::new();
    let own = walks.organizational(at).await?;
    for uri in &record.rua {
        let address = uri.strip_prefix("mailto:").map(|rest| rest.split(['!', '?']).next().unwrap_or(rest));
        let Some(host) =
            address.and_then(|address| address.rsplit_once('@')).map(|(_, host)| host.to_ascii_lowercase())
        else {
            let seen = format!("`{uri}` in the record at `_dmarc.{at}` is not an address for reports");
            findings.push(Finding::new(Id::DmarcRuaUnreadable, seen).fix(format!("rua=mailto:dmarc@{at}")));
            continue;
        };
        if walks.organizational(&host).await? == own
            || walk::by_suffix_list(&host) == walk::by_suffix_list(at)
        {
            continue;
        }
        let name = format!("{at}._report._dmarc.{host}");
        let agreed = txt(walks.resolver, &name).await?.iter().any(|text| Record::parse(text).is_some());
        if agreed {
            let seen = format!("`{host}` accepts the DMARC reports of `{at}`");
            findings.push(Finding::new(Id::DmarcRua, seen));
        } else {
            let seen = format!("`{host}` has not agreed to receive the DMARC reports of `{at}`");
            let record = zone_line(&name, "v=DMARC1");
            findings.push(Finding::new(Id::DmarcRuaUnauthorised, seen).fix(record));
        }
    }
    Ok(findings)
}

/// Whether `From` has the same organization as a signature or the return path: one is enough.
async fn alignment(
    sender: &Sender<'_>,
    at: &str,
    record: &Record,
    exists: bool,
    walks: &mut Walks<'_>,
) -> Result<Vec<Finding>, DnsError> {
    let from = sender.from.as_str();
    let mut findings = Vec::new();
    let mut signing: Vec<&str> = sender.signer.keys().map(|key| key.domain()).collect();
    signing.sort_unstable();
    signing.dedup();
    let mut dkim = false;
    for domain in &signing {
        let aligned = aligned(domain, from, record.strict_dkim, walks).await?;
        dkim |= aligned;
        if aligned {
            let seen = format!("the signature of `{domain}` aligns with From `{from}`");
            findings.push(Finding::new(Id::DmarcDkimAligned, seen));
        } else if signing.len() == 1 {
            let how = if record.strict_dkim { " (`adkim=s`)" } else { "" };
            let seen = format!("the signature of `{domain}` does not align with From `{from}`{how}");
            let table = format!("[[dkim]]\ndomain = \"{from}\"");
            findings.push(Finding::new(Id::DmarcDkimUnaligned, seen).fix(table));
        }
    }
    let path = sender.return_path.as_str();
    let spf = aligned(path, from, record.strict_spf, walks).await?;
    if spf {
        let seen = format!("the return path's domain `{path}` aligns with From `{from}`");
        findings.push(Finding::new(Id::DmarcSpfAligned, seen));
    } else {
        let how = if record.strict_spf { " (`aspf=s`)" } else { "" };
        let seen = format!("the return path's domain `{path}` does not align with From `{from}`{how}");
        findings.push(
            Finding::new(Id::DmarcSpfUnaligned, seen)
                .worse_if(!dkim)
                .fix(format!("[sender]\nreturn-path = \"bounces@{from}\"")),
        );
    }
    let policy = if at == from { record.own_policy() } else { record.policy_below(exists) };
    if !dkim && !spf && !signing.is_empty() && policy == Policy::Reject && !record.testing {
        let seen = format!("nothing aligns with From `{from}`, and its policy is reject");
        let table = format!("[[dkim]]\ndomain = \"{from}\"");
        findings.push(Finding::new(Id::DmarcUnaligned, seen).fix(table));
    }
    Ok(findings)
}

/// RFC 9989 §4.10.2: the same domain, or, relaxed, the same organizational domain.
async fn aligned(domain: &str, from: &str, strict: bool, walks: &mut Walks<'_>) -> Result<bool, DnsError> {
    if domain == from {
        return Ok(true);
    }
    if strict {
        return Ok(false);
    }
    Ok(walks.organizational(domain).await? == walks.organizational(from).await?)
}

/// What differs for a receiver that still follows RFC 7489.
fn by_the_list(from: &str, steps: &[Step], at: &str, record: &Record, exists: bool) -> Vec<Finding> {
    let organization = walk::by_suffix_list(from);
    let record_at = |domain: &str| steps.iter().find(|step| step.domain == domain)?.record.as_ref();
    let new = walk::organizational(steps).unwrap_or(from);
    let mut differences = Vec::new();
    if new != organization {
        differences.push(format!(
            "the organizational domain is `{new}` by the tree walk, `{organization}` by the public suffix list"
        ));
    }
    let old = record_at(from).map(|record| (from, record.own_policy())).or_else(|| {
        let record = record_at(organization)?;
        Some((organization, record.sp.or(record.p).unwrap_or_default()))
    });
    let policy = if at == from { record.own_policy() } else { record.policy_below(exists) };
    match old {
        None => differences.push(format!(
            "the record at `_dmarc.{at}` applies by the tree walk, none by the public suffix list"
        )),
        Some((place, _)) if place != at => {
            differences.push(format!(
                "the record at `_dmarc.{at}` applies by the tree walk, the one at `_dmarc.{place}` by the \
                 public suffix list"
            ));
        }
        Some((_, other)) if other != policy => {
            differences.push(format!("the policy is {policy} by RFC 9989, {other} by RFC 7489"));
        }
        Some(_) => {}
    }
    if differences.is_empty() {
        return Vec::new();
    }
    let record = zone_line(&format!("_dmarc.{organization}"), &format!("v=DMARC1; p={policy}"));
    vec![Finding::new(Id::DmarcRfcsDiffer, differences.join("; ")).fix(record)]
}
