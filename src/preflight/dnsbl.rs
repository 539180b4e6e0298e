//! DNS block lists (RFC 5782), where `[reputation] dnsbl` names them: for the addresses that mail
//! leaves from, and for the domains of links.
//!
//! What a list is of, its own test entries say (§5): 127.0.0.2 is on every list of addresses and
//! 127.0.0.1 on none; `test` is on every list of domains and `invalid` on none. A list that says
//! otherwise lists everybody or nobody, as a dead one may, and is not used.

use std::net::IpAddr;

use super::finding::{Finding, Id};
use super::sender::dmarc::walk::by_suffix_list;
use crate::campaign::IpFamily;
use crate::mail::Domain;
use crate::route::{DnsError, Resolver};

/// More domains of one message are not looked up.
const DOMAINS: usize = 20;

/// The domains that the links of a message lead to, as they are registered.
pub(crate) fn link_domains<'t>(texts: impl IntoIterator<Item = &'t str>) -> Vec<String> {
    let mut domains = Vec::new();
    for text in texts {
        for (at, _) in text.match_indices("://") {
            let before = text[..at].bytes().rev().take(5).map(|byte| byte.to_ascii_lowercase());
            let scheme: Vec<u8> = before.collect();
            if !scheme.starts_with(b"ptth") && scheme != b"sptth" {
                continue;
            }
            let rest = &text[at + 3..];
            let ends = |c: char| !(c.is_alphanumeric() || matches!(c, '.' | '-' | '_'));
            let host = &rest[..rest.find(ends).unwrap_or(rest.len())];
            let Ok(host) = host.parse::<Domain>() else { continue };
            let domain = by_suffix_list(host.as_str()).to_owned();
            if host.as_str().parse::<IpAddr>().is_err()
                && !domains.contains(&domain)
                && domains.len() < DOMAINS
            {
                domains.push(domain);
            }
        }
    }
    domains
}

/// Looks `addresses` and `domains` up in each of `zones`.
pub(crate) async fn check(
    zones: &[String],
    addresses: &[IpAddr],
    domains: &[String],
    resolver: &Resolver,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for zone in zones {
        if let Err(error) = look(zone, addresses, domains, resolver, &mut findings).await {
            let seen = format!("the block list `{zone}` does not answer: {error}");
            findings.push(Finding::new(Id::DnsblUnusable, seen).fix("ask it later, or name another one"));
        }
    }
    if findings.is_empty() && !zones.is_empty() && !(addresses.is_empty() && domains.is_empty()) {
        let mut asked: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        asked.extend(domains.iter().cloned());
        let seen = format!("{}: on none of the block lists", asked.join(", "));
        findings.push(Finding::new(Id::Dnsbl, seen));
    }
    findings
}

async fn look(
    zone: &str,
    addresses: &[IpAddr],
    domains: &[String],
    resolver: &Resolver,
    findings: &mut Vec<Finding>,
) -> Result<(), DnsError> {
    let has = async |name: &str| Ok::<_, DnsError>(listed(name, zone, resolver).await? == Some(true));
    let of_addresses = has("2.0.0.127").await? && !has("1.0.0.127").await?;
    let of_domains = has("test").await? && !has("invalid").await?;
    if !of_addresses && !of_domains {
        let seen = format!("`{zone}` does not list what every block list must (RFC 5782 §5)");
        let fix = "is it alive, and does it answer the name server that is asked? Many refuse public ones";
        findings.push(Finding::new(Id::DnsblUnusable, seen).fix(fix));
        return Ok(());
    }
    let addresses = addresses.iter().filter(|_| of_addresses).map(|ip| (ip.to_string(), reversed(*ip)));
    let domains = domains.iter().filter(|_| of_domains).map(|domain| (domain.clone(), domain.clone()));
    for (shown, name) in addresses.chain(domains) {
        if listed(&name, zone, resolver).await? == Some(true) {
            let why = resolver.txt(&format!("{name}.{zone}")).await.unwrap_or_default();
            let why = why.first().map_or(String::new(), |why| format!(": {why}"));
            let seen = format!("`{shown}` is on the block list `{zone}`{why}");
            findings.push(
                Finding::new(Id::DnsblListed, seen).fix("find the cause, then ask the list to remove it"),
            );
        }
    }
    Ok(())
}

/// Whether a name is on a list; none where the list refuses to say (127.255.255.0/24, as Spamhaus
/// answers).
async fn listed(name: &str, zone: &str, resolver: &Resolver) -> Result<Option<bool>, DnsError> {
    match resolver.addresses(&format!("{name}.{zone}"), IpFamily::Ipv4).await {
        Ok(found) => {
            let octets = found.iter().filter_map(|address| match address {
                IpAddr::V4(address) => Some(address.octets()),
                IpAddr::V6(_) => None,
            });
            let octets: Vec<[u8; 4]> = octets.collect();
            if octets.iter().any(|octets| octets[..3] == [127, 255, 255]) {
                return Ok(None);
            }
            // Other addresses are those of somebody who answers for every name.
            Ok(Some(octets.iter().any(|octets| octets[0] == 127)))
        }
        Err(error) if error.is_permanent() => Ok(Some(false)),
        Err(error) => Err(error),
    }
}

/// An address as a name: its octets, or the digits of IPv6, in reverse (§2.1, §2.4).
fn reversed(address: IpAddr) -> String {
    let parts: Vec<String> = match address {
        IpAddr::V4(address) => address.octets().iter().rev().map(ToString::to_string).collect(),
        IpAddr::V6(address) => {
            let digits = format!("{:032x}", address.to_bits());
            digits.chars().rev().map(String::from).collect()
        }
    };
    parts.join(".")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preflight::Level;

    const ZONE: &str = "\
2.0.0.127.ips.example. IN A 127.0.0.2
1.2.0.192.ips.example. IN A 127.0.0.4
1.2.0.192.ips.example. IN TXT \"spam since Monday\"
b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.0.0.0.0.1.2.3.4.ips.example. IN A 127.0.0.2
test.names.example. IN A 127.0.1.2
bad.example.names.example. IN A 127.0.1.2
*.all.example. IN A 127.0.0.2
*.parked.example. IN A 203.0.113.1
*.refuses.example. IN A 127.255.255.254
";

    async fn seen(zones: &[&str], addresses: &[&str], domains: &[&str]) -> Vec<(Level, String)> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("zone");
        std::fs::write(&path, format!("$TTL 300\n{ZONE}")).unwrap();
        let resolver = Resolver::zone(&path).unwrap();
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let addresses: Vec<IpAddr> = addresses.iter().map(|address| address.parse().unwrap()).collect();
        let found = check(&owned(zones), &addresses, &owned(domains), &resolver).await;
        found.into_iter().map(|finding| (finding.level, finding.seen)).collect()
    }

    #[tokio::test]
    async fn addresses_and_domains_are_looked_up_in_lists_of_their_kind() {
        let both = ["ips.example", "names.example"];
        assert_eq!(
            seen(
                &both,
                &["192.0.2.1", "192.0.2.2", "4321:0:1:2:3:4:567:89ab"],
                &["good.example", "bad.example"]
            )
            .await,
            [
                (
                    Level::Warning,
                    "`192.0.2.1` is on the block list `ips.example`: spam since Monday".to_owned()
                ),
                (Level::Warning, "`4321:0:1:2:3:4:567:89ab` is on the block list `ips.example`".to_owned()),
                (Level::Warning, "`bad.example` is on the block list `names.example`".to_owned()),
            ]
        );
        assert_eq!(
            seen(&both, &["192.0.2.2"], &["good.example"]).await,
            [(Level::Ok, "192.0.2.2, good.example: on none of the block lists".to_owned())]
        );
        assert_eq!(seen(&[], &["192.0.2.1"], &[]).await, []);
    }

    #[test]
    fn links_lead_to_registered_domains() {
        let html = "<a href='HTTPS://www.Shop.example/a?b'>x</a> http://a.b.shop.co.uk:80/ https://192.0.2.1/ \
                    ftp://not.example/ x://y https://www.shop.example";
        assert_eq!(link_domains([html]), ["shop.example", "shop.co.uk"]);
        assert_eq!(link_domains(["://", "http://", "https:///x"]), [""; 0]);
    }

    #[tokio::test]
    async fn a_list_that_says_nothing_is_not_used() {
        for zone in ["all.example", "parked.example", "refuses.example", "gone.example"] {
            let expected = format!("`{zone}` does not list what every block list must (RFC 5782 §5)");
            assert_eq!(seen(&[zone], &["192.0.2.1"], &["bad.example"]).await, [(Level::Note, expected)]);
        }
    }
}
