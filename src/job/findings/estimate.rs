//! When a run will finish, with everything that holds its rows back: the capacity, the rates that
//! providers and relays accept, and the local addresses.

use std::collections::{BTreeMap, HashMap};

use crate::campaign::{Campaign, Relay, RouteKind};
use crate::job::error::JobError;
use crate::job::name_servers::NameServers;
use crate::job::open::Job;
use crate::mail::{Domain, Timestamp};
use crate::plan::Plan;
use crate::preflight::finish_time::{self, Allowed, Estimate, Share};
use crate::preflight::local_addresses::LocalAddress;
use crate::route::{Resolver, Shaping};
use crate::run_dir::RunId;

/// How many domains get their provider looked up: those with the most rows.
pub(in crate::job) const DOMAINS_LOOKED_UP: usize = 100;

/// How many messages are composed to learn how large they are.
const SAMPLE: u32 = 20;

impl Job<'_> {
    /// When the last of `rows` messages leaves if the run starts now. `domains` are those with the
    /// most rows. Without `name_servers` nothing is looked up: providers are then known by the
    /// recipients' domains only, not by their hosts.
    pub(in crate::job) async fn estimate(
        &self,
        plan: &Plan,
        rows: u64,
        domains: Vec<(String, u64)>,
        name_servers: Option<&NameServers>,
    ) -> Result<Estimate, JobError> {
        let asked = name_servers.filter(|_| self.campaign().delivery.route != RouteKind::Sandbox);
        let hosts = match asked {
            None => Vec::new(),
            Some(name_servers) => mail_hosts(&name_servers.resolver(self.campaign())?, &domains).await,
        };
        self.estimate_with(plan, rows, domains, hosts)
    }

    /// The same without DNS.
    pub(in crate::job) fn estimate_offline(
        &self,
        plan: &Plan,
        rows: u64,
        domains: Vec<(String, u64)>,
    ) -> Result<Estimate, JobError> {
        self.estimate_with(plan, rows, domains, Vec::new())
    }

    /// The same, where the mail of `domains` goes to these hosts, as far as they are known.
    fn estimate_with(
        &self,
        plan: &Plan,
        rows: u64,
        domains: Vec<(String, u64)>,
        hosts: Vec<Vec<String>>,
    ) -> Result<Estimate, JobError> {
        let campaign = self.campaign();
        let shares = shares(plan, campaign, domains, hosts)?;
        let start = self.workspace.clock().wall();
        let addresses = self.local_addresses(start)?;
        let each = self.cost_each(plan)?;
        let held = self.held()?;
        let allowed = Allowed { own: &campaign.capacity, held: held.as_ref() };
        let estimate = match &campaign.secure_documents {
            Some(_) => finish_time::estimate_of_two,
            None => finish_time::estimate,
        };
        Ok(estimate(rows, each, allowed, shares, &addresses, start))
    }

    /// As how many messages one counts against the capacity: the mean of some that are composed for
    /// it, where sizes count at all.
    fn cost_each(&self, plan: &Plan) -> Result<f64, JobError> {
        let capacity = &self.campaign().capacity;
        if capacity.size_basis.is_none() || plan.is_empty() {
            return Ok(1.0);
        }
        let id: RunId = "estimate".parse().expect("a word");
        let (composer, signer) = (self.composer(&id, false)?, self.signer()?);
        let now = self.workspace.clock().wall();
        let mut costs = Vec::new();
        let rows = plan.len().min(SAMPLE);
        for number in 0..rows {
            let at = u64::from(number) * u64::from(plan.len()) / u64::from(rows);
            let row = plan.row(u32::try_from(at).expect("it is below the number of rows"))?;
            // A row that can't be composed is not sent.
            if let Ok(message) = composer.compose(&row, now) {
                costs.push(capacity.cost(signer.sign(message, now)?.bytes as u64));
            }
        }
        if costs.is_empty() {
            return Ok(1.0);
        }
        Ok(costs.iter().sum::<u64>() as f64 / costs.len() as f64)
    }

    /// The local addresses that the mail leaves from; none where the system chooses, and for a
    /// rehearsal.
    fn local_addresses(&self, start: Timestamp) -> Result<Vec<LocalAddress<'_>>, JobError> {
        let campaign = self.campaign();
        if campaign.delivery.route == RouteKind::Sandbox {
            return Ok(Vec::new());
        }
        let today = start.to_utc().date_naive();
        let addresses = campaign.egress().map(|egress| {
            let used_today = match egress.warm_up {
                Some(_) => self.workspace.state()?.daily_caps()?.used(&egress.address.to_string(), today)?,
                None => 0,
            };
            Ok(LocalAddress { egress, used_today })
        });
        addresses.collect()
    }
}

/// The parts of the list with limits of their own, the largest first: the relays that `[[shaping]]`
/// names, and with route `mx` the providers, each with all domains whose mail goes there.
fn shares(
    plan: &Plan,
    campaign: &Campaign,
    domains: Vec<(String, u64)>,
    hosts: Vec<Vec<String>>,
) -> Result<Vec<Share>, JobError> {
    let mut shares = Shares::default();
    let shaping = Shaping::new(&campaign.shaping)?;
    let routed = match campaign.delivery.route {
        RouteKind::Sandbox | RouteKind::Bsmtp => HashMap::new(),
        RouteKind::Relay | RouteKind::Mx => relay_shares(plan, campaign, &shaping, &mut shares),
    };
    let hosts = hosts.into_iter().chain(std::iter::repeat(Vec::new()));
    for ((domain, rows), hosts) in domains.into_iter().zip(hosts) {
        let Ok(parsed) = domain.parse::<Domain>() else { continue };
        let limits = shaping.of(&parsed, &hosts);
        let rate = limits.provider_messages_per_second.or(limits.messages_per_second);
        let direct = campaign.delivery.route == RouteKind::Mx && !routed.contains_key(&domain);
        let name = limits.provider.as_ref().map_or(domain, |provider| provider.to_string());
        shares.add(name, rows, rate.filter(|_| direct));
    }
    Ok(shares.into_sorted())
}

/// Adds the rows of each relay that has a rate. Returns the domains that `[[route]]` names, each
/// with the number of its entry.
fn relay_shares(
    plan: &Plan,
    campaign: &Campaign,
    shaping: &Shaping,
    shares: &mut Shares,
) -> HashMap<String, usize> {
    let named = |(number, domain): (usize, &String)| Some((Domain::parse(domain).ok()?.to_string(), number));
    let routed: HashMap<String, usize> = (campaign.route.iter().enumerate())
        .flat_map(|(number, route)| route.domains.iter().map(move |domain| (number, domain)))
        .filter_map(named)
        .collect();
    let rate = |relay: &Relay| shaping.of_relay(&relay.host).and_then(|limits| limits.messages_per_second);
    let main = campaign.main_relays();
    let relay_of = |number: usize| {
        let name = &campaign.route[number].relay;
        campaign.relay.iter().find(|relay| relay.name.as_ref() == Some(name))
    };
    let shaped = |relay: Option<&Relay>| relay.is_some_and(|relay| rate(relay).is_some());
    let by_main = campaign.delivery.route == RouteKind::Relay && shaped(main.first().copied());
    if !by_main && !(0..campaign.route.len()).any(|number| shaped(relay_of(number))) {
        return routed;
    }
    let mut rows = vec![0_u64; campaign.route.len()];
    let mut rest = 0;
    for (_, domain) in plan.domains() {
        match routed.get(domain) {
            Some(number) => rows[*number] += 1,
            None => rest += 1,
        }
    }
    let hops = (0..rows.len()).map(|number| (relay_of(number), rows[number]));
    for (relay, rows) in hops.chain([(main.first().copied().filter(|_| by_main), rest)]) {
        if let Some((relay, rate)) = relay.and_then(|relay| Some((relay, rate(relay)?)))
            && rows > 0
        {
            let name = relay.name.as_ref().unwrap_or(&relay.host);
            shares.add(format!("the relay {name}"), rows, Some(rate));
        }
    }
    routed
}

/// The parts of a list by name.
#[derive(Default)]
struct Shares(BTreeMap<String, Share>);

impl Shares {
    fn add(&mut self, name: String, rows: u64, per_second: Option<f64>) {
        let share = self.0.entry(name.clone()).or_insert(Share { name, rows: 0, per_second });
        share.rows += rows;
    }

    /// The largest first.
    fn into_sorted(self) -> Vec<Share> {
        let mut shares: Vec<Share> = self.0.into_values().collect();
        shares.sort_by(|a, b| b.rows.cmp(&a.rows).then_with(|| a.name.cmp(&b.name)));
        shares
    }
}

/// The hosts that take each domain's mail; none where DNS does not say.
async fn mail_hosts(resolver: &Resolver, domains: &[(String, u64)]) -> Vec<Vec<String>> {
    let mut lookups = tokio::task::JoinSet::new();
    for (at, (domain, _)) in domains.iter().enumerate() {
        let (resolver, domain) = (resolver.clone(), domain.clone());
        lookups.spawn(async move {
            let found = resolver.mx(&domain).await;
            (at, found.map(|found| found.records.into_iter().map(|mx| mx.host).collect()).unwrap_or_default())
        });
    }
    let mut hosts = vec![Vec::new(); domains.len()];
    while let Some(found) = lookups.join_next().await {
        let (at, found) = found.expect("a lookup does not panic");
        hosts[at] = found;
    }
    hosts
}
