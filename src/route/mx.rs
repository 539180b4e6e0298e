//! The MX hosts of a domain, in the order to try them (RFC 5321 §5.1, RFC 7505).
//!
//! Opens no connection and keeps no state: the resolver has a cache, and
//! [`HostBook`](super::HostBook) knows which hosts are dead.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use super::classify::{Classification, Failure, Reaction, class_of_failure};
use super::dns::{DnsError, DnsFailure, MxRecord, Resolver};
use crate::campaign::{IpFamily, Mx};
use crate::kit::net::is_private;
use crate::mail::{Class, Domain};

/// The most hosts of one domain that are used (RFC 5321 §5.1 lets a client set a limit).
const MOST_HOSTS: usize = 32;
/// How long an implicit MX holds.
const IMPLICIT_FOR: Duration = Duration::from_secs(300);
/// The last port of the system's services, such as SMTP and HTTPS.
const LAST_SYSTEM_PORT: u16 = 1023;

/// The hosts that accept a domain's mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// Sorted by preference, then by name; each name once. Never empty.
    pub hosts: Vec<MxHost>,
    /// The domain has no MX record and is itself the host.
    pub implicit: bool,
    /// When this expires, by the answer's TTL.
    pub valid_until: Instant,
}

/// One host of a destination.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MxHost {
    /// The lowest is tried first.
    pub preference: u16,
    /// In lower case and A-labels, without the final dot.
    pub name: String,
}

/// Why a domain's mail can't be sent anywhere, now or ever.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unroutable {
    /// RFC 7505: the domain declares that it accepts no mail.
    #[error("`{0}` accepts no mail: it has a null MX record")]
    NullMx(Domain),
    /// NXDOMAIN.
    #[error("`{0}` does not exist in DNS")]
    NoSuchDomain(Domain),
    /// Neither MX records nor addresses.
    #[error("`{0}` has neither an MX record nor an address")]
    NoMailHost(Domain),
    /// None of the names in its MX records can be a remote host: they are addresses, `localhost`
    /// and the like.
    #[error("the MX records of `{domain}` name no usable host: `{records}`")]
    NoUsableHost {
        /// The recipient's domain.
        domain: Domain,
        /// The names.
        records: String,
    },
    /// DNS did not answer.
    #[error("no route to `{domain}`: {error}")]
    Dns {
        /// The recipient's domain.
        domain: Domain,
        /// How the lookup failed.
        error: DnsError,
    },
    /// An MX host has no usable address.
    #[error("no usable address for `{host}`: {why}")]
    NoAddress {
        /// The host.
        host: String,
        /// Why not.
        why: String,
        /// True when another lookup can't help.
        permanent: bool,
    },
    /// The domain's MTA-STS policy allows none of its hosts (RFC 8461 §5).
    #[error("the MTA-STS policy of `{domain}` allows none of its MX hosts: `{hosts}`")]
    NotAllowed {
        /// The recipient's domain.
        domain: Domain,
        /// Its hosts.
        hosts: String,
    },
}

impl Unroutable {
    /// The class of the outcome, what to do with the row, and whether to suppress its address.
    pub fn classification(&self) -> Classification {
        match self {
            Self::NullMx(_) | Self::NoSuchDomain(_) | Self::NoMailHost(_) => {
                class_of_failure(Failure::NoDomain)
            }
            // Somebody's mistake, which may be fixed: the row ends, and its address is not
            // suppressed.
            Self::NoUsableHost { .. } | Self::NoAddress { permanent: true, .. } => Classification {
                class: Class::BadDomain,
                reaction: Reaction::GiveUp,
                suppress: false,
                is_final: false,
            },
            // RFC 8461 §5: a transient failure, since the policy or the hosts may be fixed.
            Self::NotAllowed { .. } => class_of_failure(Failure::Tls),
            Self::Dns { .. } | Self::NoAddress { permanent: false, .. } => class_of_failure(Failure::Dns),
        }
    }

    /// True when another lookup can't help.
    pub fn is_permanent(&self) -> bool {
        self.classification().reaction == Reaction::GiveUp
    }
}

/// Looks up the hosts for the mail of `domain`.
pub async fn destination(resolver: &Resolver, domain: &Domain) -> Result<Destination, Unroutable> {
    match resolver.mx(domain.as_str()).await {
        Ok(found) => {
            let hosts = hosts(domain, found.records)?;
            Ok(Destination { hosts, implicit: false, valid_until: found.valid_until })
        }
        Err(error) => match error.failure {
            DnsFailure::NoSuchName => Err(Unroutable::NoSuchDomain(domain.clone())),
            DnsFailure::NoRecord => implicit(resolver, domain).await,
            DnsFailure::ServFail
            | DnsFailure::Refused
            | DnsFailure::Timeout
            | DnsFailure::Malformed(_)
            | DnsFailure::Unreachable(_) => Err(Unroutable::Dns { domain: domain.clone(), error }),
        },
    }
}

/// RFC 5321 §5.1: without MX records the domain's own address counts as one of preference 0.
async fn implicit(resolver: &Resolver, domain: &Domain) -> Result<Destination, Unroutable> {
    match resolver.addresses(domain.as_str(), IpFamily::Any).await {
        Ok(_) => {
            let host = MxHost { preference: 0, name: domain.as_str().to_owned() };
            // The MX record is looked up again soon: its negative answer has its own TTL in the
            // resolver's cache.
            Ok(Destination { hosts: vec![host], implicit: true, valid_until: Instant::now() + IMPLICIT_FOR })
        }
        Err(error) if error.is_permanent() => Err(Unroutable::NoMailHost(domain.clone())),
        Err(error) => Err(Unroutable::Dns { domain: domain.clone(), error }),
    }
}

/// The hosts of the MX records, by preference.
fn hosts(domain: &Domain, records: Vec<MxRecord>) -> Result<Vec<MxHost>, Unroutable> {
    let (named, null): (Vec<_>, Vec<_>) = records.into_iter().partition(|record| !record.host.is_empty());
    // RFC 7505 §3: a null MX must be the only record; with others it is an error, and the others
    // are used.
    if named.is_empty() && !null.is_empty() {
        return Err(Unroutable::NullMx(domain.clone()));
    }
    let mut hosts: Vec<MxHost> = named
        .iter()
        .filter(|record| is_host(&record.host))
        .map(|record| MxHost { preference: record.preference, name: record.host.clone() })
        .collect();
    hosts.sort();
    let mut seen: Vec<String> = Vec::new();
    hosts.retain(|host| {
        let first = !seen.contains(&host.name);
        if first {
            seen.push(host.name.clone());
        }
        first
    });
    hosts.truncate(MOST_HOSTS);
    if hosts.is_empty() {
        let names: Vec<_> = named.into_iter().map(|record| record.host).collect();
        return Err(Unroutable::NoUsableHost { domain: domain.clone(), records: names.join(", ") });
    }
    Ok(hosts)
}

/// RFC 5321 §5.1: an MX record names a host. Some name an address, or the machine that reads the
/// record.
fn is_host(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or_default();
    let address = last.bytes().all(|byte| byte.is_ascii_digit()) || name.contains(':');
    let local = last == "localhost" || name == "localhost.localdomain" || last == "invalid";
    !address && !local
}

impl AsRef<str> for MxHost {
    fn as_ref(&self) -> &str {
        &self.name
    }
}

impl Destination {
    /// The hosts in the order to try them: by preference, and among equals in a random order that
    /// depends on `seed`.
    pub fn order(&self, seed: u64) -> Vec<&MxHost> {
        let mut order: Vec<&MxHost> = self.hosts.iter().collect();
        let mut state = seed;
        for equals in order.chunk_by_mut(|a, b| a.preference == b.preference) {
            // The shuffle of Fisher and Yates.
            for last in (1..equals.len()).rev() {
                let other =
                    usize::try_from(next_random(&mut state) % (last as u64 + 1)).expect("not above `last`");
                equals.swap(last, other);
            }
        }
        order
    }
}

/// SplitMix64: enough to spread connections over equal hosts.
fn next_random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// The addresses of an MX host, in the order to try them.
pub async fn host_addresses(resolver: &Resolver, host: &str, mx: &Mx) -> Result<Vec<SocketAddr>, Unroutable> {
    let none = |why: String, permanent| Unroutable::NoAddress { host: host.to_owned(), why, permanent };
    let found = match resolver.addresses(host, mx.ip).await {
        Ok(found) => found,
        Err(error) => return Err(none(error.to_string(), error.is_permanent())),
    };
    let usable = |ip: &&IpAddr| is_usable(**ip, mx.port, mx.private_addresses);
    let usable: Vec<_> = found.iter().filter(usable).map(|ip| SocketAddr::new(*ip, mx.port)).collect();
    if usable.is_empty() {
        let shown: Vec<_> = found.iter().map(IpAddr::to_string).collect();
        let allowed = |ip: &IpAddr| is_usable(*ip, mx.port, true);
        let way_on = match found.iter().any(allowed) {
            true => " (`delivery.mx.private-addresses` allows private ones)",
            false => "",
        };
        return Err(none(format!("{} can't be a remote mail server{way_on}", shown.join(", ")), true));
    }
    Ok(usable)
}

/// Strangers' names must not lead to the servers of this machine or of its network, whatever the
/// port, nor to addresses that nobody can have. Where `private` addresses are allowed, those of the
/// network are, and this machine's where the port is none of a system's server.
pub(super) fn is_usable(ip: IpAddr, port: u16, private: bool) -> bool {
    let ip = reached(ip);
    let broadcast = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
    let is_local = ip.is_loopback() || is_private(ip);
    let is_allowed = private && !(ip.is_loopback() && port <= LAST_SYSTEM_PORT);
    !(ip.is_unspecified() || ip.is_multicast() || broadcast || (is_local && !is_allowed))
}

/// The IPv4 address that an IPv6 address leads to: mapped, by NAT64 (RFC 6052) or by 6to4.
fn reached(ip: IpAddr) -> IpAddr {
    let IpAddr::V6(six) = ip else { return ip };
    match six.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => {
            IpAddr::from(((u32::from(high) << 16) | u32::from(low)).to_be_bytes())
        }
        _ => ip.to_canonical(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::route::testing;

    const ZONE: &str = r#"
two.example.      IN MX 20 b.mx.example.
two.example.      IN MX 10 A.mx.example.
alias.example.    IN CNAME two.example.
implicit.example. IN A 192.0.2.7
six.example.      IN AAAA 2001:db8::7
null.example.     IN MX 0 .
both.example.     IN MX 0 .
both.example.     IN MX 10 a.mx.example.
twice.example.    IN MX 30 a.mx.example.
twice.example.    IN MX 10 a.mx.example.
literal.example.  IN MX 10 192.0.2.7.
local.example.    IN MX 10 localhost.
some.example.     IN MX 10 192.0.2.7.
some.example.     IN MX 20 a.mx.example.
text.example.     IN TXT "no mail here"
dangling.example. IN CNAME gone.example.
broken.example.   IN TXT "mailrun-fault=servfail"
half.example.     IN MX 10 gone.mx.example.
a.mx.example.     IN A 192.0.2.1
a.mx.example.     IN AAAA 2001:db8::1
b.mx.example.     IN A 127.0.0.1
c.mx.example.     IN A 0.0.0.0
d.mx.example.     IN A 0.0.0.0
d.mx.example.     IN A 192.0.2.2
f.mx.example.     IN TXT "mailrun-fault=servfail"
"#;

    fn domain(text: &str) -> Domain {
        Domain::parse(text).unwrap()
    }

    fn names(destination: &Destination) -> Vec<(u16, &str)> {
        destination.hosts.iter().map(|host| (host.preference, host.name.as_str())).collect()
    }

    #[tokio::test]
    async fn mail_goes_to_the_mx_hosts_by_preference() {
        let (_folder, resolver) = testing::zone(ZONE);
        let of = async |name| destination(&resolver, &domain(name)).await.unwrap();
        assert_eq!(names(&of("two.example").await), [(10, "a.mx.example"), (20, "b.mx.example")]);
        assert_eq!(names(&of("alias.example").await), [(10, "a.mx.example"), (20, "b.mx.example")]);
        assert_eq!(names(&of("both.example").await), [(10, "a.mx.example")]);
        assert_eq!(names(&of("twice.example").await), [(10, "a.mx.example")]);
        assert_eq!(names(&of("some.example").await), [(20, "a.mx.example")]);
    }

    #[tokio::test]
    async fn a_domain_without_mx_records_is_its_own_host() {
        let (_folder, resolver) = testing::zone(ZONE);
        for name in ["implicit.example", "six.example"] {
            let found = destination(&resolver, &domain(name)).await.unwrap();
            assert!(found.implicit);
            assert_eq!(names(&found), [(0, name)]);
        }
    }

    #[tokio::test]
    async fn domains_without_mail_end_their_rows() {
        let (_folder, resolver) = testing::zone(ZONE);
        let check = async |name: &str, text: &str, suppress: bool| {
            let error = destination(&resolver, &domain(name)).await.unwrap_err();
            assert!(error.is_permanent(), "{error}");
            assert_eq!(error.to_string(), text);
            let expected = Classification {
                class: Class::BadDomain,
                reaction: Reaction::GiveUp,
                suppress,
                is_final: false,
            };
            assert_eq!(error.classification(), expected, "{error}");
        };
        check("null.example", "`null.example` accepts no mail: it has a null MX record", true).await;
        check("gone.example", "`gone.example` does not exist in DNS", true).await;
        check("dangling.example", "`dangling.example` does not exist in DNS", true).await;
        check("text.example", "`text.example` has neither an MX record nor an address", true).await;
        let no_host = |name, host| format!("the MX records of `{name}` name no usable host: `{host}`");
        check("literal.example", &no_host("literal.example", "192.0.2.7"), false).await;
        check("local.example", &no_host("local.example", "localhost"), false).await;
    }

    #[tokio::test]
    async fn what_dns_can_not_tell_is_tried_again() {
        let (_folder, resolver) = testing::zone(ZONE);
        let error = destination(&resolver, &domain("broken.example")).await.unwrap_err();
        assert!(!error.is_permanent());
        assert_eq!(error.classification().class, Class::Network);
        assert!(error.to_string().contains("SERVFAIL"), "{error}");
    }

    #[tokio::test]
    async fn hosts_have_addresses_that_can_be_connected_to() {
        let (_folder, resolver) = testing::zone(ZONE);
        let of = async |host, mx: &Mx| host_addresses(&resolver, host, mx).await;
        let (any, v6) = (Mx::default(), Mx { ip: IpFamily::Ipv6, ..Mx::default() });
        let port = Mx { port: 2525, ..Mx::default() };
        let test = Mx { private_addresses: true, ..port.clone() };
        let addresses = |found: Vec<SocketAddr>| found.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(addresses(of("a.mx.example", &any).await.unwrap()), ["192.0.2.1:25", "[2001:db8::1]:25"]);
        assert_eq!(addresses(of("a.mx.example", &v6).await.unwrap()), ["[2001:db8::1]:25"]);
        assert_eq!(addresses(of("d.mx.example", &any).await.unwrap()), ["192.0.2.2:25"]);
        assert_eq!(addresses(of("b.mx.example", &test).await.unwrap()), ["127.0.0.1:2525"]);
        assert!(of("b.mx.example", &port).await.unwrap_err().to_string().contains("private-addresses"));
        for host in ["b.mx.example", "c.mx.example", "gone.mx.example"] {
            assert!(of(host, &any).await.unwrap_err().is_permanent(), "{host}");
        }
        assert!(!of("f.mx.example", &any).await.unwrap_err().is_permanent());
    }

    #[test]
    fn private_addresses_are_refused_unless_they_are_allowed() {
        for private in [
            "10.1.2.3",
            "172.16.0.1",
            "192.168.0.1",
            "169.254.1.1",
            "100.64.0.1",
            "fd00::1",
            "fe80::1",
            "::ffff:10.0.0.1",
            "64:ff9b::10.0.0.1",
            "2002:a00:1::1",
        ] {
            let ip = private.parse().unwrap();
            assert!(!is_usable(ip, 25, false) && is_usable(ip, 25, true), "{private}");
            assert!(!is_usable(ip, 2525, false) && is_usable(ip, 2525, true), "{private}");
        }
        for public in [
            "192.0.2.1",
            "100.128.0.1",
            "172.32.0.1",
            "2001:db8::1",
            "64:ff9b::192.0.2.1",
            "2002:c000:201::1",
        ] {
            assert!(is_usable(public.parse().unwrap(), 25, false), "{public}");
        }
        for own in ["127.0.0.1", "::1", "64:ff9b::127.0.0.1"] {
            let ip = own.parse().unwrap();
            assert!(!is_usable(ip, 25, true) && !is_usable(ip, 2525, false), "{own} is never a stranger's");
            assert!(is_usable(ip, 2525, true), "{own}");
        }
    }

    #[test]
    fn equals_are_taken_at_random_and_the_preferred_always_first() {
        let host = |preference, name: &str| MxHost { preference, name: name.to_owned() };
        let hosts = vec![host(1, "first"), host(5, "a"), host(5, "b"), host(5, "c"), host(9, "last")];
        let destination = Destination { hosts, implicit: false, valid_until: Instant::now() };
        let mut orders = HashSet::new();
        for seed in 0..200 {
            let order: Vec<_> = destination.order(seed).iter().map(|host| host.name.as_str()).collect();
            assert_eq!((order[0], order[4]), ("first", "last"));
            orders.insert(order);
        }
        assert_eq!(orders.len(), 6, "every order of three equals");
    }
}
