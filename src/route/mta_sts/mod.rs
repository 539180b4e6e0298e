//! MTA-STS (RFC 8461): the demands of domains on those who send them mail, looked up, fetched and
//! kept.
//!
//! A policy holds for its `max_age`, and across runs if it is saved. If it can't be fetched there
//! is none, unless an older one still holds: so nobody can remove a policy by blocking our
//! requests.

mod fetch;
mod policy;
mod store;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use mail_auth::common::parse::TxtRecordParser;
use tokio_rustls::TlsConnector;

use super::dns::Resolver;
use super::mx::{Destination, Unroutable};
use crate::campaign::Mx;
use crate::mail::{Domain, Timestamp};
use fetch::Fetcher;
pub use policy::Mode;
use policy::Policy;
pub use store::PolicyStoreError;

/// The port of HTTPS.
const PORT: u16 = 443;
/// After a failure a policy is not fetched again for so long (RFC 8461 §3.3).
const PATIENCE: Duration = Duration::from_secs(300);
/// The most policies, and failures, remembered. Few domains have a policy.
const MOST_KEPT: usize = 100_000;

/// The policies of recipients' domains. Shared by all lookups of a run.
pub struct MtaSts {
    fetcher: Fetcher,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    policies: HashMap<Domain, Held>,
    /// The id that could not be fetched, and the time before which it is not fetched again.
    failures: HashMap<Domain, (String, Timestamp)>,
    changed: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Held {
    /// The id in DNS when the policy was fetched.
    id: String,
    policy: Arc<Policy>,
    until: Timestamp,
}

impl MtaSts {
    /// `connector` verifies certificates.
    pub fn new(resolver: Resolver, connector: TlsConnector, mx: &Mx) -> Self {
        Self::on_port(resolver, connector, mx, PORT)
    }

    fn on_port(resolver: Resolver, connector: TlsConnector, mx: &Mx, port: u16) -> Self {
        let fetcher = Fetcher { resolver, connector, ip: mx.ip, port, private: mx.private_addresses };
        Self { fetcher, kept: Mutex::default() }
    }

    /// The policy that holds for `domain` now; `None` if it has none, or none can be fetched.
    pub async fn policy(&self, domain: &Domain) -> Option<Arc<Policy>> {
        self.policy_at(domain, Timestamp::wall()).await
    }

    async fn policy_at(&self, domain: &Domain, now: Timestamp) -> Option<Arc<Policy>> {
        let held = self.kept().held(domain, now);
        let Some(id) = self.announced(domain).await else {
            // RFC 8461 §3.1: without a record an older policy still holds.
            return held.and_then(|held| held.in_force());
        };
        if let Some(held) = held.as_ref().filter(|held| held.id == id) {
            return held.in_force();
        }
        if self.kept().failed_before(domain, &id, now) {
            return held.and_then(|held| held.in_force());
        }
        match self.fetcher.fetch(domain).await {
            Ok(policy) => {
                let until = now + policy.max_age;
                let fetched = Held { id, policy: Arc::new(policy), until };
                self.kept().keep(domain, fetched.clone(), now);
                fetched.in_force()
            }
            Err(error) => {
                let cause =
                    std::error::Error::source(&error).map_or(String::new(), |cause| format!(": {cause}"));
                tracing::warn!(%domain, "can't fetch the MTA-STS policy: {error}{cause}");
                self.kept().fail(domain, id, now);
                held.and_then(|held| held.in_force())
            }
        }
    }

    /// The id of the policy in DNS (RFC 8461 §3.1).
    async fn announced(&self, domain: &Domain) -> Option<String> {
        let texts = self.fetcher.resolver.txt(&format!("_mta-sts.{domain}")).await.ok()?;
        let mut records = texts.iter().filter(|text| text.starts_with("v=STSv1"));
        let record = records.next()?;
        // More than one counts as none.
        if records.next().is_some() {
            return None;
        }
        let record = mail_auth::mta_sts::MtaSts::parse(record.as_bytes()).ok()?;
        let fits =
            (1..=32).contains(&record.id.len()) && record.id.bytes().all(|byte| byte.is_ascii_alphanumeric());
        fits.then_some(record.id)
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().expect("nothing panics while it holds the policies")
    }
}

impl Held {
    /// The mode `none` withdraws a policy.
    fn in_force(&self) -> Option<Arc<Policy>> {
        match self.policy.mode {
            Mode::Enforce | Mode::Testing => Some(Arc::clone(&self.policy)),
            Mode::None => None,
        }
    }
}

impl Kept {
    fn held(&self, domain: &Domain, now: Timestamp) -> Option<Held> {
        self.policies.get(domain).filter(|held| now < held.until).cloned()
    }

    fn failed_before(&self, domain: &Domain, id: &str, now: Timestamp) -> bool {
        self.failures.get(domain).is_some_and(|(failed, until)| failed == id && now < *until)
    }

    fn keep(&mut self, domain: &Domain, held: Held, now: Timestamp) {
        self.failures.remove(domain);
        if self.policies.len() >= MOST_KEPT {
            self.policies.retain(|_, held| now < held.until);
        }
        if self.policies.len() < MOST_KEPT || self.policies.contains_key(domain) {
            self.policies.insert(domain.clone(), held);
            self.changed = true;
        }
    }

    fn fail(&mut self, domain: &Domain, id: String, now: Timestamp) {
        if self.failures.len() >= MOST_KEPT {
            self.failures.retain(|_, (_, until)| now < *until);
        }
        if self.failures.len() < MOST_KEPT {
            self.failures.insert(domain.clone(), (id, now + PATIENCE));
        }
    }
}

/// The destination with only those hosts that the domain's policy allows. In testing mode it keeps
/// all, and the log names those that are not allowed.
pub(super) fn allowed(
    domain: &Domain,
    destination: Destination,
    policy: &Policy,
) -> Result<Destination, Unroutable> {
    match policy.mode {
        Mode::None => Ok(destination),
        Mode::Testing => {
            for host in destination.hosts.iter().filter(|host| !policy.allows(&host.name)) {
                tracing::warn!(%domain, host = host.name, "the MTA-STS policy (in testing mode) does not allow this host");
            }
            Ok(destination)
        }
        Mode::Enforce => {
            let names = |hosts: &[super::MxHost]| {
                hosts.iter().map(|host| host.name.as_str()).collect::<Vec<_>>().join(", ")
            };
            let all = names(&destination.hosts);
            let hosts: Vec<_> =
                destination.hosts.into_iter().filter(|host| policy.allows(&host.name)).collect();
            if hosts.is_empty() {
                return Err(Unroutable::NotAllowed { domain: domain.clone(), hosts: all });
            }
            Ok(Destination { hosts, ..destination })
        }
    }
}

#[cfg(test)]
mod tests;
