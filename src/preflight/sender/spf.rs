//! SPF of the return path's domain (RFC 7208).
//!
//! The verdict is mail-auth's, so it is what a receiver with mail-auth would see. The records are
//! also walked for what a verdict does not show: how many lookups they need, and mistakes in them.

use std::collections::HashSet;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;

use mail_auth::spf::verify::SpfParameters;
use mail_auth::{MessageAuthenticator, SpfResult};

use super::super::finding::{Finding, Id};
use super::facts::{Egress, Sender};
use super::records::{txt, unanswered, zone_line};
use crate::campaign::IpFamily;
use crate::kit::net::is_private;
use crate::route::{DnsError, Resolver};

/// RFC 7208 §4.6.4: more lookups are a permanent error.
const MOST_LOOKUPS: usize = 10;
/// RFC 7208 §4.6.4: so are more lookups without an answer.
const MOST_VOID: usize = 2;
/// Close enough to the limit to be worth a note.
const MANY_LOOKUPS: usize = 9;
/// The walk counts no further: a record that needs more is wrong enough.
const WALK_ENDS: usize = 40;
/// How many addresses of a relay are evaluated.
const ADDRESSES: usize = 8;

pub(super) async fn check(sender: &Sender<'_>, resolver: &Resolver) -> Vec<Finding> {
    let domain = sender.return_path.as_str();
    let record = match records(resolver, domain).await {
        Ok(mut records) if records.len() == 1 => records.remove(0),
        Ok(records) if records.is_empty() => return vec![missing(sender, domain)],
        Ok(records) => {
            let seen = format!("`{domain}` has {} SPF records", records.len());
            return vec![Finding::new(Id::SpfSeveral, seen).fix(merge(sender, domain, &records))];
        }
        Err(error) => return vec![unanswered(&error)],
    };
    let mut findings = policy(sender, domain, &record);
    let mut walk = Walk { resolver, lookups: 0, void: 0, seen: HashSet::new(), ptr: false, failed: None };
    walk.record(domain.to_owned(), record.clone()).await;
    findings.extend(walk.findings(domain, &record));
    let verdicts = verdicts(sender, resolver).await;
    if verdicts.is_empty() && findings.is_empty() {
        let seen = format!("`{domain}` publishes SPF with {} of 10 lookups: `{record}`", walk.lookups);
        findings.push(Finding::new(Id::Spf, seen));
    }
    findings.extend(verdicts);
    findings
}

/// The SPF records among a name's TXT records (RFC 7208 §4.5).
async fn records(resolver: &Resolver, domain: &str) -> Result<Vec<String>, DnsError> {
    let mut records = txt(resolver, domain).await?;
    records.retain(|record| {
        let version = record.get(..6).is_some_and(|start| start.eq_ignore_ascii_case("v=spf1"));
        version && (record.len() == 6 || record.as_bytes()[6] == b' ')
    });
    Ok(records)
}

fn missing(sender: &Sender<'_>, domain: &str) -> Finding {
    Finding::new(Id::SpfMissing, format!("the return path's domain `{domain}` has no SPF record"))
        .fix(suggested_line(sender, domain))
}

/// The line with [`suggestion`], or what to find out for it.
fn suggested_line(sender: &Sender<'_>, domain: &str) -> String {
    let record = suggestion(sender.egress, &sender.relays);
    record.map_or_else(|| ADDRESS_UNKNOWN.to_owned(), |record| zone_line(domain, &record))
}

/// What to do where [`suggestion`] knows no address.
pub(crate) const ADDRESS_UNKNOWN: &str = "publish `v=spf1 ip4:… -all` with the public address that the mail \
    leaves from: with route `mx` name it as `[[egress]] address`, behind a relay ask its operator";

/// A record for the addresses that mail is known to leave from; `None` if none is known: a record
/// without them would forbid all mail.
pub(crate) fn suggestion(egress: &[Egress], relays: &[&str]) -> Option<String> {
    let relays = relays.iter().filter(|_| egress.is_empty()).map(|relay| (*relay).to_owned());
    let egress = egress.iter().map(|egress| egress.address.to_string());
    let mut terms: Vec<String> = Vec::new();
    for host in egress.chain(relays) {
        let term = match host.parse::<IpAddr>() {
            Ok(ip) if !is_public(ip) => return None,
            Ok(IpAddr::V4(ip)) => format!("ip4:{ip}"),
            Ok(IpAddr::V6(ip)) => format!("ip6:{ip}"),
            // A name without a dot is one of this network only.
            Err(_) if !host.trim_end_matches('.').contains('.') => return None,
            Err(_) => format!("a:{host}"),
        };
        if !terms.contains(&term) {
            terms.push(term);
        }
    }
    (!terms.is_empty()).then(|| format!("v=spf1 {} -all", terms.join(" ")))
}

/// Whether a receiver elsewhere can see mail come from this address.
fn is_public(ip: IpAddr) -> bool {
    !(ip.is_loopback() || ip.is_unspecified() || is_private(ip))
}

/// The line that replaces `records`: what they allow, and nobody else.
fn merge(sender: &Sender<'_>, domain: &str, records: &[String]) -> String {
    let line = merged(records).map(|record| zone_line(domain, &record));
    line.unwrap_or_else(|| suggested_line(sender, domain))
}

/// What `records` allow, as one record; `None` where they name nobody.
fn merged(records: &[String]) -> Option<String> {
    let mut terms: Vec<&str> = Vec::new();
    for term in records.iter().flat_map(|record| record.split_whitespace().skip(1)) {
        let is_all = term.trim_start_matches(['+', '-', '~', '?']).eq_ignore_ascii_case("all");
        if !is_all && !terms.contains(&term) {
            terms.push(term);
        }
    }
    (!terms.is_empty()).then(|| format!("v=spf1 {} -all", terms.join(" ")))
}

/// Mistakes in the record itself.
fn policy(sender: &Sender<'_>, domain: &str, record: &str) -> Vec<Finding> {
    let terms: Vec<String> = record.split_whitespace().skip(1).map(str::to_ascii_lowercase).collect();
    let has = |wanted: &[&str]| terms.iter().any(|term| wanted.contains(&term.as_str()));
    let stricter = || merge(sender, domain, &[record.to_owned()]);
    let mut findings = Vec::new();
    if has(&["all", "+all"]) {
        let seen = format!("the SPF record of `{domain}` lets anybody send: `+all`");
        findings.push(Finding::new(Id::SpfAll, seen).fix(stricter()));
    } else if has(&["?all"])
        || !(has(&["-all", "~all"]) || terms.iter().any(|term| term.starts_with("redirect=")))
    {
        let seen =
            format!("the SPF record of `{domain}` ends with neither `-all` nor `~all` nor `redirect=`");
        findings.push(Finding::new(Id::SpfOpen, seen).fix(stricter()));
    }
    let unreadable: Vec<&str> = record.split_whitespace().skip(1).filter(|term| !is_term(term)).collect();
    if !unreadable.is_empty() {
        let seen = format!("the SPF record of `{domain}` has invalid terms: `{}`", unreadable.join(" "));
        findings.push(
            Finding::new(Id::SpfUnreadable, seen).fix(
                "ip4:192.0.2.1, ip6:2001:db8::1, a, mx, include:example.net, exists:…, redirect=…, -all",
            ),
        );
    }
    findings
}

/// RFC 7208 §5 and §6, as far as needed to find mistyped terms.
fn is_term(term: &str) -> bool {
    let bare = term.strip_prefix(['+', '-', '~', '?']).unwrap_or(term).to_ascii_lowercase();
    let (name, value) = match bare.find([':', '/', '=']) {
        Some(at) => (&bare[..at], &bare[at..]),
        None => (bare.as_str(), ""),
    };
    let network = |most: u8| {
        let (address, length) = value[1..].split_once('/').unwrap_or((&value[1..], "0"));
        let fits = length.parse::<u8>().is_ok_and(|length| length <= most);
        let parsed = address.parse::<IpAddr>();
        fits && parsed.is_ok_and(|address| address.is_ipv4() == (most == 32))
    };
    match name {
        "all" => value.is_empty(),
        "ip4" => value.starts_with(':') && network(32),
        "ip6" => value.starts_with(':') && network(128),
        "include" | "exists" => value.len() > 1 && value.starts_with(':'),
        "a" | "mx" => !value.starts_with('=') && value != ":",
        "ptr" => value.is_empty() || (value.starts_with(':') && value.len() > 1),
        // Unknown modifiers are ignored.
        _ => value.starts_with('=') && name.starts_with(|c: char| c.is_ascii_alphabetic()),
    }
}

/// Counts the lookups that evaluating a record needs, whatever address it is for.
struct Walk<'a> {
    resolver: &'a Resolver,
    lookups: usize,
    void: usize,
    seen: HashSet<String>,
    ptr: bool,
    failed: Option<DnsError>,
}

impl Walk<'_> {
    /// Walks every term of a record and of those it includes: the worst case, in which no address
    /// matches before the end.
    fn record(&mut self, domain: String, record: String) -> Pin<Box<dyn Future<Output = ()> + '_>> {
        Box::pin(async move {
            for term in record.split_whitespace().skip(1) {
                let term = term.trim_start_matches(['+', '-', '~', '?']).to_ascii_lowercase();
                let (name, value) = match term.find([':', '=', '/']) {
                    Some(at) if !term[at..].starts_with('/') => (&term[..at], &term[at + 1..]),
                    Some(at) => (&term[..at], ""),
                    None => (term.as_str(), ""),
                };
                let host = value.split('/').next().unwrap_or_default();
                let host = if host.is_empty() { domain.as_str() } else { host };
                if !matches!(name, "include" | "redirect" | "a" | "mx" | "ptr" | "exists") {
                    continue;
                }
                self.lookups += 1;
                self.ptr |= name == "ptr";
                // A macro depends on the message, so its name can't be known here.
                if self.lookups > WALK_ENDS || host.contains('%') {
                    continue;
                }
                match name {
                    "include" | "redirect" => {
                        if !self.seen.insert(host.to_owned()) {
                            continue;
                        }
                        match records(self.resolver, host).await {
                            Ok(records) => match records.into_iter().next() {
                                Some(record) => self.record(host.to_owned(), record).await,
                                None => self.void += 1,
                            },
                            Err(error) => self.failed = Some(error),
                        }
                    }
                    "a" | "exists" => {
                        let answer = self.resolver.addresses(host, IpFamily::Any).await.map(drop);
                        self.count(answer);
                    }
                    "mx" => {
                        let answer = self.resolver.mx(host).await.map(drop);
                        self.count(answer);
                    }
                    // `ptr` asks about the client's address.
                    _ => {}
                }
            }
        })
    }

    fn count(&mut self, answer: Result<(), DnsError>) {
        match answer {
            Ok(()) => {}
            Err(error) if error.is_permanent() => self.void += 1,
            Err(error) => self.failed = Some(error),
        }
    }

    fn findings(&self, domain: &str, record: &str) -> Vec<Finding> {
        let mut findings = Vec::new();
        let lookups = self.lookups;
        if lookups > MOST_LOOKUPS {
            let seen =
                format!("the SPF record of `{domain}` needs {lookups} lookups; 10 are allowed: `{record}`");
            findings.push(
                Finding::new(Id::SpfLookups, seen)
                    .fix("replace `include:` and `a:` with the addresses behind them (`ip4:`, `ip6:`)"),
            );
        } else if lookups >= MANY_LOOKUPS {
            let seen = format!("the SPF record of `{domain}` needs {lookups} of 10 lookups");
            findings.push(Finding::new(Id::SpfLookupsMany, seen));
        }
        if self.void > MOST_VOID {
            let seen =
                format!("{} lookups of the SPF record of `{domain}` find nothing: `{record}`", self.void);
            findings.push(Finding::new(Id::SpfVoid, seen).fix("remove the terms whose names do not exist"));
        }
        if self.ptr {
            let seen = format!("the SPF record of `{domain}` uses `ptr`");
            findings.push(Finding::new(Id::SpfPtr, seen).fix("name the addresses instead: `ip4:`, `ip6:`"));
        }
        if let Some(error) = &self.failed {
            findings.push(unanswered(error));
        }
        findings
    }
}

/// mail-auth's verdict for every address that mail leaves from, or for those of the relay.
async fn verdicts(sender: &Sender<'_>, resolver: &Resolver) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut clients: Vec<(IpAddr, String)> = Vec::new();
    for egress in sender.egress {
        let ehlo = egress.ehlo.clone().unwrap_or_else(|| sender.return_path.to_string());
        clients.push((egress.address, ehlo));
    }
    for relay in sender.relays.iter().filter(|_| sender.egress.is_empty()) {
        match addresses_of(relay, resolver).await {
            Ok(addresses) => {
                clients.extend(addresses.into_iter().take(ADDRESSES).map(|ip| (ip, (*relay).to_owned())))
            }
            Err(error) => findings.push(unanswered(&error)),
        }
    }
    let by_relay = sender.egress.is_empty();
    for (ip, ehlo) in clients {
        let verdict = verdict(sender.return_path.as_str(), ip, &ehlo, resolver).await;
        findings.push(judge(sender.return_path.as_str(), ip, verdict, by_relay));
    }
    findings
}

async fn addresses_of(relay: &str, resolver: &Resolver) -> Result<Vec<IpAddr>, DnsError> {
    match relay.parse() {
        Ok(ip) => Ok(vec![ip]),
        Err(_) => resolver.addresses(relay, IpFamily::Any).await,
    }
}

/// mail-auth's verdict on `MAIL FROM` of this domain from this client.
pub(super) async fn verdict(domain: &str, ip: IpAddr, ehlo: &str, resolver: &Resolver) -> SpfResult {
    let authenticator = MessageAuthenticator(resolver.hickory().clone());
    let from = format!("postmaster@{domain}");
    let parameters = SpfParameters::verify_mail_from(ip, ehlo, "receiver.invalid", &from);
    authenticator.verify_spf(parameters).await.result()
}

fn judge(domain: &str, ip: IpAddr, verdict: SpfResult, by_relay: bool) -> Finding {
    let whose = if by_relay { "the relay's address " } else { "" };
    let bad = |id, what: &str| {
        let seen = format!("SPF of `{domain}` for {whose}{ip}: {what}");
        let term = if ip.is_ipv4() { format!("ip4:{ip}") } else { format!("ip6:{ip}") };
        let mut fix = format!("add {term} to the record of `{domain}`");
        if by_relay {
            fix.push_str(", or the `include:` of the relay's provider if it sends from other addresses");
        }
        Finding::new(id, seen).fix(fix)
    };
    match verdict {
        SpfResult::Pass => Finding::new(Id::SpfPass, format!("SPF of `{domain}` passes for {whose}{ip}")),
        SpfResult::Fail => bad(Id::SpfFail, "fail"),
        SpfResult::SoftFail => bad(Id::SpfSoftfail, "softfail"),
        SpfResult::Neutral => bad(Id::SpfNeutral, "neutral, the record does not mention it"),
        SpfResult::None => bad(Id::SpfNone, "there is no record"),
        SpfResult::PermError => bad(Id::SpfPermerror, "a permanent error: the record can't be evaluated"),
        SpfResult::TempError => bad(Id::SpfTemperror, "a temporary error: DNS did not answer"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistyped_terms_show() {
        for term in [
            "-all",
            "a",
            "+mx/24",
            "a:x.example//64",
            "ip4:192.0.2.0/24",
            "ip6:2001:db8::/32",
            "include:x.example",
            "exists:%{i}.x.example",
            "redirect=x.example",
            "exp=x.example",
            "other=1",
            "?ptr",
        ] {
            assert!(is_term(term), "{term}");
        }
        for term in [
            "al",
            "ip4:",
            "ip4:192.0.2.999",
            "ip4:192.0.2.1/33",
            "ip4:2001:db8::1",
            "ip6:192.0.2.1",
            "ipv4:192.0.2.1",
            "include",
            "include:",
            "a=b:c",
            "mx:",
            "all:x",
            "=x",
        ] {
            assert!(!is_term(term), "{term}");
        }
    }

    #[test]
    fn suggestions_name_what_is_known() {
        let egress = |ip: &str| Egress { address: ip.parse().unwrap(), ehlo: None };
        let all = [egress("192.0.2.1"), egress("2001:db8::1")];
        let check = |egress: &[Egress], relays: &[&str], expected: Option<&str>| {
            let found = suggestion(egress, relays);
            assert_eq!(found.as_deref(), expected, "{egress:?}, {relays:?}");
        };
        check(&all, &["smtp.example.net"], Some("v=spf1 ip4:192.0.2.1 ip6:2001:db8::1 -all"));
        check(&[], &["smtp.example.net"], Some("v=spf1 a:smtp.example.net -all"));
        let several = ["smtp.example.net", "198.51.100.7", "smtp.example.net"];
        check(&[], &several, Some("v=spf1 a:smtp.example.net ip4:198.51.100.7 -all"));
        // Nothing that receivers see: never a record that forbids all mail.
        check(&[], &[], None);
        for unseen in
            ["127.0.0.1", "10.0.0.1", "100.64.0.1", "::1", "fd00::1", "fe80::1", "localhost", "relay"]
        {
            check(&[], &[unseen], None);
        }
        check(&[egress("192.168.0.2")], &[], None);
        let merged =
            |records: &[&str]| merged(&records.iter().map(|&record| record.to_owned()).collect::<Vec<_>>());
        assert_eq!(merged(&["v=spf1 a mx -all", "v=spf1 mx a ~all"]).unwrap(), "v=spf1 a mx -all");
        assert_eq!(merged(&["v=spf1 +all", "v=spf1 ?all"]), None);
    }
}
