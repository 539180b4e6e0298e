//! Which domains share a site: those whose mail goes to the same hosts, in the same order, with the
//! same demands.

use std::fmt;

use super::mx::{Destination, MxHost};
use super::tls::TlsDemand;

/// Identifies a site. Its text is for logs, not for people to read.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SiteKey(Box<str>);

impl SiteKey {
    /// The site of a destination. `provider` is the entry of the shaping table that matches the
    /// domain. Another entry, or another TLS demand, makes another site of the same hosts.
    pub fn new(destination: &Destination, tls: TlsDemand, provider: Option<&str>) -> Self {
        let mut key = String::new();
        let mut before: Option<&MxHost> = None;
        // Hosts are sorted and in lower case. Preferences are compared by their order: 10, 20 is
        // the same as 1, 5.
        for host in &destination.hosts {
            match before {
                None => {}
                Some(before) if before.preference == host.preference => key.push('='),
                Some(_) => key.push('>'),
            }
            key.push_str(&host.name);
            before = Some(host);
        }
        key.push('/');
        key.push_str(tls.as_str());
        if let Some(provider) = provider {
            key.push('/');
            key.push_str(provider);
        }
        Self(key.into_boxed_str())
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SiteKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A short name for the site of a destination, for people: the domain that its hosts' names share,
/// or the first host. Several sites may have the same name.
pub fn shown_name(destination: &Destination) -> &str {
    let first = destination.hosts.first().map_or("", |host| host.name.as_str());
    let mut common = first;
    for host in destination.hosts.iter().skip(1) {
        while !is_below(&host.name, common) {
            let Some((_, parent)) = common.split_once('.') else { return first };
            common = parent;
        }
    }
    if is_public(common) { first } else { common }
}

/// True when `name` is `parent` or a name below it.
pub(super) fn is_below(name: &str, parent: &str) -> bool {
    name.strip_suffix(parent).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// Whether anybody may have a domain below `name`, as well as a short name for people needs to know
/// it: `com`, `co.uk`, `com.br`.
fn is_public(name: &str) -> bool {
    match name.rsplit_once('.') {
        None => true,
        Some((second, country)) => country.len() == 2 && second.len() <= 3 && !second.contains('.'),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn destination(hosts: &[(u16, &str)]) -> Destination {
        let mut hosts: Vec<_> = hosts
            .iter()
            .map(|(preference, name)| MxHost { preference: *preference, name: (*name).into() })
            .collect();
        hosts.sort();
        Destination { hosts, implicit: false, valid_until: Instant::now() }
    }

    #[test]
    fn domains_with_the_same_hosts_in_the_same_order_share_a_site() {
        let key = |hosts: &[(u16, &str)]| SiteKey::new(&destination(hosts), TlsDemand::Opportunistic, None);
        let own = key(&[(10, "a.example"), (20, "b.example"), (20, "c.example")]);
        assert_eq!(own, key(&[(5, "c.example"), (5, "b.example"), (1, "a.example")]));
        assert_ne!(own, key(&[(10, "a.example"), (20, "b.example"), (30, "c.example")]));
        assert_ne!(own, key(&[(10, "a.example"), (20, "b.example")]));
        assert_ne!(own, key(&[(20, "a.example"), (10, "b.example"), (10, "c.example")]));
    }

    #[test]
    fn other_demands_are_another_site() {
        let hosts = destination(&[(10, "a.example")]);
        let key = |tls, provider| SiteKey::new(&hosts, tls, provider);
        let own = key(TlsDemand::Opportunistic, None);
        assert_eq!(own, key(TlsDemand::Opportunistic, None));
        assert_ne!(own, key(TlsDemand::RequiredVerified, None));
        assert_ne!(own, key(TlsDemand::Opportunistic, Some("a")));
    }

    #[test]
    fn sites_are_called_by_what_their_hosts_have_in_common() {
        let check = |hosts: &[&str], name: &str| {
            let hosts: Vec<_> = hosts.iter().map(|host| (10, *host)).collect();
            assert_eq!(shown_name(&destination(&hosts)), name);
        };
        check(&["mx.example.com"], "mx.example.com");
        check(
            &["alt1.aspmx.l.google.com", "aspmx.l.google.com", "alt2.aspmx.l.google.com"],
            "aspmx.l.google.com",
        );
        check(&["mx1.example.com", "mx2.example.com"], "example.com");
        check(&["mx1.example.com", "mx2.example.net"], "mx1.example.com");
        check(&["mx1.example.com", "mx1.sample.com"], "mx1.example.com");
        check(&["a.one.co.uk", "a.two.co.uk"], "a.one.co.uk");
        check(&["mx1.web.de", "mx2.web.de"], "mx1.web.de");
        check(&["bigexample.com", "example.com"], "bigexample.com");
    }
}
