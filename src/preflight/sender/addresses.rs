//! The addresses that mail leaves from: reverse DNS, its forward record, and the name in EHLO.
//!
//! RFC 1912 §2.1, RFC 5321 §4.1.1.1; Google, Yahoo and Microsoft require it from bulk senders.

use super::super::finding::{Finding, Id};
use super::facts::Egress;
use super::records::unanswered;
use crate::campaign::IpFamily;
use crate::route::{DnsError, Resolver};

pub(super) async fn check(egress: &[Egress], resolver: &Resolver) -> Vec<Finding> {
    let mut findings = Vec::new();
    for egress in egress {
        findings.extend(reverse(egress, resolver).await.unwrap_or_else(|error| vec![unanswered(&error)]));
        if let Some(ehlo) = &egress.ehlo {
            findings.push(hello(egress, ehlo, resolver).await.unwrap_or_else(|error| unanswered(&error)));
        }
    }
    findings
}

async fn reverse(egress: &Egress, resolver: &Resolver) -> Result<Vec<Finding>, DnsError> {
    let ip = egress.address;
    let wanted = egress.ehlo.as_deref().unwrap_or("mail.example.com");
    let names = match resolver.ptr(ip).await {
        Ok(names) => names,
        Err(error) if error.is_permanent() => {
            let finding = Finding::new(Id::PtrMissing, format!("{ip} has no PTR record"));
            return Ok(vec![finding.fix(format!("{}. IN PTR {wanted}.", reverse_name(ip)))]);
        }
        Err(error) => return Err(error),
    };
    for name in &names {
        if resolves_to(name, egress, resolver).await? {
            let seen = format!("{ip} resolves to `{name}` and back");
            return Ok(vec![Finding::new(Id::Ptr, seen)]);
        }
    }
    let seen = format!("{ip} resolves to `{}`, but not back", names.join("`, `"));
    let record = if ip.is_ipv4() { "A" } else { "AAAA" };
    let fix = format!("{}. IN {record} {ip}", names.first().map_or(wanted, String::as_str));
    Ok(vec![Finding::new(Id::PtrNotForward, seen).fix(fix)])
}

async fn hello(egress: &Egress, ehlo: &str, resolver: &Resolver) -> Result<Finding, DnsError> {
    let ip = egress.address;
    if resolves_to(ehlo, egress, resolver).await? {
        return Ok(Finding::new(Id::Ehlo, format!("the EHLO name `{ehlo}` resolves to {ip}")));
    }
    let record = if ip.is_ipv4() { "A" } else { "AAAA" };
    let seen = format!("the EHLO name `{ehlo}` does not resolve to {ip}");
    Ok(Finding::new(Id::EhloNotForward, seen).fix(format!("{ehlo}. IN {record} {ip}")))
}

async fn resolves_to(name: &str, egress: &Egress, resolver: &Resolver) -> Result<bool, DnsError> {
    match resolver.addresses(name, IpFamily::Any).await {
        Ok(addresses) => Ok(addresses.contains(&egress.address)),
        Err(error) if error.is_permanent() => Ok(false),
        Err(error) => Err(error),
    }
}

/// The name of an address in reverse DNS (RFC 1035 §3.5, RFC 3596 §2.5).
pub(crate) fn reverse_name(ip: std::net::IpAddr) -> String {
    match ip {
        std::net::IpAddr::V4(ip) => {
            let [a, b, c, d] = ip.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        std::net::IpAddr::V6(ip) => {
            let digits = ip
                .octets()
                .iter()
                .rev()
                .fold(String::new(), |text, octet| format!("{text}{:x}.{:x}.", octet & 15, octet >> 4));
            format!("{digits}ip6.arpa")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_reverse_dns() {
        assert_eq!(reverse_name("192.0.2.1".parse().unwrap()), "1.2.0.192.in-addr.arpa");
        // RFC 3596 §2.5's own example.
        let name = "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.0.0.0.0.1.2.3.4.ip6.arpa";
        assert_eq!(reverse_name("4321:0:1:2:3:4:567:89ab".parse().unwrap()), name);
    }
}
