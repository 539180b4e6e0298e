//! Finds the site of a recipient's domain from its MX hosts, MTA-STS policy, shaping and TLS
//! demand.

use super::dns::Resolver;
use super::mta_sts::{self, Mode, MtaSts};
use super::mx::{Destination, Unroutable, destination};
use super::shaping::{Shaping, SiteShaping};
use super::site::{SiteKey, shown_name};
use super::tls::{TlsDemand, tls_demand};
use crate::campaign::MxTls;
use crate::mail::Domain;

/// Finds the routes of a run.
pub struct Router {
    resolver: Resolver,
    shaping: Shaping,
    /// `None` when policies are not asked for.
    mta_sts: Option<MtaSts>,
    /// The least that the campaign demands.
    tls: MxTls,
}

/// Where a domain's mail goes, and how.
#[derive(Debug, Clone)]
pub struct Route {
    /// The hosts.
    pub destination: Destination,
    /// Identifies the site.
    pub key: SiteKey,
    /// The site's name for people.
    pub name: String,
    /// Its limits.
    pub shaping: SiteShaping,
    /// The least transport security.
    pub tls: TlsDemand,
    /// The mode of the domain's MTA-STS policy, if it has one.
    pub policy: Option<Mode>,
}

impl Router {
    /// A router; without `mta_sts` no domain is asked for a policy.
    pub fn new(resolver: Resolver, shaping: Shaping, mta_sts: Option<MtaSts>, tls: MxTls) -> Self {
        Self { resolver, shaping, mta_sts, tls }
    }

    /// The resolver, for the addresses of the hosts.
    pub fn resolver(&self) -> &Resolver {
        &self.resolver
    }

    /// The MTA-STS policies, to be saved at the end.
    pub fn mta_sts(&self) -> Option<&MtaSts> {
        self.mta_sts.as_ref()
    }

    /// The limits of providers and relays.
    pub fn shaping(&self) -> &Shaping {
        &self.shaping
    }

    /// The route of `domain`.
    pub async fn route(&self, domain: &Domain) -> Result<Route, Unroutable> {
        let mut destination = destination(&self.resolver, domain).await?;
        // All hosts in DNS identify the provider, also those that the policy does not allow.
        let shaping = self.shaping.of(domain, &destination.hosts).clone();
        let policy = match &self.mta_sts {
            Some(mta_sts) => mta_sts.policy(domain).await,
            None => None,
        };
        if let Some(policy) = &policy {
            destination = mta_sts::allowed(domain, destination, policy)?;
        }
        let policy = policy.map(|policy| policy.mode);
        let tls = tls_demand(self.tls, shaping.tls, policy == Some(Mode::Enforce));
        let key = SiteKey::new(&destination, tls, shaping.provider.as_deref());
        let name = shown_name(&destination).to_owned();
        Ok(Route { destination, key, name, shaping, tls, policy })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::testing;

    const ZONE: &str = r#"
gmail.com.     IN MX 5 gmail-smtp-in.l.google.com.
one.example.   IN MX 10 aspmx.l.google.com.
one.example.   IN MX 20 alt1.aspmx.l.google.com.
two.example.   IN MX 1 ASPMX.L.GOOGLE.COM.
two.example.   IN MX 5 alt1.aspmx.l.google.com.
small.example. IN MX 10 mx.small.example.
gmx.net.       IN MX 10 mx00.gmx.example.
guest.example. IN MX 10 mx00.gmx.example.
"#;

    #[tokio::test]
    async fn routes_put_it_all_together() {
        let (_folder, resolver) = testing::zone(ZONE);
        let router = Router::new(resolver, Shaping::default(), None, MxTls::Opportunistic);
        let route = async |name| router.route(&Domain::parse(name).unwrap()).await.unwrap();
        let (one, two, gmail) =
            (route("one.example").await, route("two.example").await, route("gmail.com").await);
        assert_eq!(one.key, two.key, "the same hosts in the same order");
        assert_ne!(one.key, gmail.key);
        assert_eq!(one.shaping, gmail.shaping, "but one provider");
        assert_eq!((one.tls, one.name.as_str()), (TlsDemand::Required, "aspmx.l.google.com"));
        let small = route("small.example").await;
        assert_eq!((small.tls, small.shaping.provider.as_deref()), (TlsDemand::Opportunistic, None));
        // GMX is identified by its domains: another domain on its hosts is another site.
        assert_ne!(route("gmx.net").await.key, route("guest.example").await.key);
    }

    #[tokio::test]
    async fn the_campaign_can_ask_for_more() {
        let (_folder, resolver) = testing::zone(ZONE);
        let router = Router::new(resolver, Shaping::default(), None, MxTls::Verified);
        let route = router.route(&Domain::parse("small.example").unwrap()).await.unwrap();
        assert_eq!(route.tls, TlsDemand::RequiredVerified);
    }
}
