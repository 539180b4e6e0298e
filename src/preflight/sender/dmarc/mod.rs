//! DMARC: the policy that applies, and whether the signatures and the return path align with `From` (RFC 9989; RFC 7489
//! where receivers still go by the public suffix list).

pub mod record;
pub mod walk;

use std::collections::BTreeMap;

use self::record::{Policy, Record};
use self::walk::Step;
use super::super::finding::{Finding, Group};
use super::{Sender, txt, unanswered, zone_line};
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

/// The walks that were made.
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
    Finding::warning(Group::Sender, "dmarc-missing", format!("no DMARC record applies to `{from}`"))
        .why("Google, Yahoo and Microsoft ask bulk senders for one, `p=none` at least")
        .mend(zone_line(&format!("_dmarc.{from}"), &format!("v=DMARC1; p=none; rua=mailto:dmarc@{from}")))
}

fn several(steps: &[Step]) -> Vec<Finding> {
    let several = steps.iter().filter(|step| step.records > 1);
    let finding = |step: &Step| {
        let seen = format!("`_dmarc.{}` holds {} DMARC records", step.domain, step.records);
        Finding::warning(Group::Sender, "dmarc-several", seen)
            .why("RFC 9989 §4.10: where there are several, none counts")
            .mend("keep one")
    };
    several.map(finding).collect()
}

fn policy(from: &str, at: &str, record: &Record, exists: bool) -> Vec<Finding> {
    let policy = if at == from { record.own_policy() } else { record.policy_below(exists) };
    let place = if at == from { String::new() } else { format!(", from `_dmarc.{at}`") };
    let mut findings =
        vec![Finding::ok(Group::Sender, "dmarc", format!("DMARC of `{from}`: policy {policy}{place}"))];
    if policy == Policy::None {
        findings.push(
            Finding::note(
                Group::Sender,
                "dmarc-policy-none",
                format!("the DMARC policy of `{from}` is none"),
            )
            .why("it only asks for reports: others can use the domain in From. Providers take it, for now")
            .mend(zone_line(
                &format!("_dmarc.{at}"),
                &format!("v=DMARC1; p=quarantine; rua=mailto:dmarc@{at}"),
            )),
        );
    }
    if record.testing {
        findings.push(
            Finding::note(
                Group::Sender,
                "dmarc-testing",
                format!("`_dmarc.{at}` says `t=y`: the policy is only tested"),
            )
            .why("receivers apply the policy one step weaker (RFC 9989 §4.7)"),
        );
    }
    findings
}

fn tags(at: &str, record: &Record) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !record.legacy.is_empty() {
        let seen = format!("`_dmarc.{at}` has tags that DMARC no longer has: `{}`", record.legacy.join("; "));
        findings.push(
            Finding::warning(Group::Sender, "dmarc-legacy-tags", seen)
                .why("RFC 9989 took `pct`, `rf` and `ri` away: some receivers go by them, others do not")
                .mend("take them out; `t=y` tests a policy"),
        );
    }
    if !record.unreadable.is_empty() {
        let seen = format!("`_dmarc.{at}` has parts that can't be read: `{}`", record.unreadable.join("; "));
        findings.push(
            Finding::warning(Group::Sender, "dmarc-unreadable", seen)
                .why("receivers pass over them; a policy that can't be read is `none` (RFC 9989 §4.7)")
                .mend(
                    "p, sp, np: none, quarantine or reject; adkim, aspf: r or s; t: y or n; psd: y, n or u",
                ),
        );
    }
    if record.rua.is_empty() {
        findings.push(
            Finding::note(
                Group::Sender,
                "dmarc-no-reports",
                format!("`_dmarc.{at}` asks for no reports (`rua=`)"),
            )
            .why("reports are how a sender learns that its mail fails authentication somewhere")
            .mend(format!("add rua=mailto:dmarc@{at}")),
        );
    }
    findings
}

/// Addresses of other organizations must have agreed to take the reports (RFC 9990 §4, RFC 7489 §7.1).
async fn reports(at: &str, record: &Record, walks: &mut Walks<'_>) -> Result<Vec<Finding>, DnsError> {
    let mut findings = Vec::new();
    let own = walks.organizational(at).await?;
    for uri in &record.rua {
        let address = uri.strip_prefix("mailto:").map(|rest| rest.split(['!', '?']).next().unwrap_or(rest));
        let Some(host) =
            address.and_then(|address| address.rsplit_once('@')).map(|(_, host)| host.to_ascii_lowercase())
        else {
            let seen = format!("`_dmarc.{at}`: `{uri}` is no address for reports");
            findings.push(
                Finding::warning(Group::Sender, "dmarc-rua-unreadable", seen)
                    .why("no report is sent there")
                    .mend(format!("rua=mailto:dmarc@{at}")),
            );
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
            let seen = format!("`{host}` takes the DMARC reports of `{at}`");
            findings.push(Finding::ok(Group::Sender, "dmarc-rua", seen));
        } else {
            let seen = format!("`{host}` has not agreed to take the DMARC reports of `{at}`");
            findings.push(
                Finding::warning(Group::Sender, "dmarc-rua-unauthorised", seen)
                    .why("reporters send nothing there (RFC 9990 §4, RFC 7489 §7.1)")
                    .mend(zone_line(&name, "v=DMARC1")),
            );
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
            findings.push(Finding::ok(Group::Sender, "dmarc-dkim-aligned", seen));
        } else if signing.len() == 1 {
            let how = if record.strict_dkim { " (`adkim=s`)" } else { "" };
            let seen = format!("the signature of `{domain}` does not align with From `{from}`{how}");
            findings.push(
                Finding::warning(Group::Sender, "dmarc-dkim-unaligned", seen)
                    .why("it says nothing for From (RFC 9989 §4.4.1); Google and Yahoo ask for an aligned signature")
                    .mend(format!("[[dkim]]\ndomain = \"{from}\"")),
            );
        }
    }
    let path = sender.return_path.as_str();
    let spf = aligned(path, from, record.strict_spf, walks).await?;
    if spf {
        let seen = format!("the return path's domain `{path}` aligns with From `{from}`");
        findings.push(Finding::ok(Group::Sender, "dmarc-spf-aligned", seen));
    } else {
        let how = if record.strict_spf { " (`aspf=s`)" } else { "" };
        let seen = format!("the return path's domain `{path}` does not align with From `{from}`{how}");
        let make = if dkim { Finding::note } else { Finding::warning };
        findings.push(
            make(Group::Sender, "dmarc-spf-unaligned", seen)
                .why("DMARC then rests on the signature alone (RFC 9989 §4.4.2)")
                .mend(format!("[sender]\nreturn-path = \"bounces@{from}\"")),
        );
    }
    let policy = if at == from { record.own_policy() } else { record.policy_below(exists) };
    if !dkim && !spf && !signing.is_empty() && policy == Policy::Reject && !record.testing {
        let seen = format!("nothing aligns with From `{from}`, and its policy is reject");
        findings.push(
            Finding::refused(Group::Sender, "dmarc-unaligned", seen)
                .why("every receiver that goes by DMARC refuses every message")
                .mend(format!("[[dkim]]\ndomain = \"{from}\"")),
        );
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

/// What a receiver finds that still goes by RFC 7489, where it is not the same.
fn by_the_list(from: &str, steps: &[Step], at: &str, record: &Record, exists: bool) -> Vec<Finding> {
    let organization = walk::by_suffix_list(from);
    let record_at = |domain: &str| steps.iter().find(|step| step.domain == domain)?.record.as_ref();
    let new = walk::organizational(steps).unwrap_or(from);
    let mut differences = Vec::new();
    if new != organization {
        differences.push(format!("the organizational domain is `{new}` by the tree walk, `{organization}` by the public suffix list"));
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
            differences.push(format!("the record at `_dmarc.{at}` applies by the tree walk, that at `_dmarc.{place}` by the public suffix list"));
        }
        Some((_, other)) if other != policy => {
            differences.push(format!("the policy is {policy} by RFC 9989, {other} by RFC 7489"));
        }
        Some(_) => {}
    }
    if differences.is_empty() {
        return Vec::new();
    }
    vec![
        Finding::note(Group::Sender, "dmarc-rfcs-differ", differences.join("; "))
            .why("some receivers go by RFC 9989 already, others still by RFC 7489 §3.2")
            .mend(zone_line(&format!("_dmarc.{organization}"), &format!("v=DMARC1; p={policy}"))),
    ]
}
