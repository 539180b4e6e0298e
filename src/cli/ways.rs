//! The ways that a run's mail goes: relays with their secrets, MX hosts, the embedded receiver, and the local addresses
//! that it leaves from.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::diagnostic::Diagnostic;
use super::dns;
use crate::campaign::{Campaign, Relay, RouteKind};
use crate::mail::Timestamp;
use crate::pacing::Rate;
use crate::route::{HostBook, Resolver, Shaping, SiteShaping};
use crate::run::{
    Departure, Directory, Lane, LaneLimits, MxHop, MxShared, NextHop, NextHops, RelayHop, Routed, Segment,
    Site, SourceLimits, Task, relay_limits,
};
use crate::sandbox::Sandbox;
use crate::smtp::{
    ClientIdentity, ConnectionLimits, Credentials, EhloName, Extensions, Password, Security, Target,
    TokenSource,
};
use crate::state::State;

/// A connection without work is closed after this: a relay closes it itself before long.
const IDLE: Duration = Duration::from_secs(60);
/// Bytes under way on one connection, below any system's usual send buffer (RFC 2920 §3.1 warns of the deadlock).
const WINDOW_BYTES: usize = 128 << 10;
/// Connections to the embedded receiver where the campaign names no relay.
const SANDBOX_CONNECTIONS: usize = 20;
/// Recipients of one message to it, as by default to anybody.
const SANDBOX_RECIPIENTS: usize = 100;

/// Rows that are to be sent.
pub struct Left {
    /// Those that were never touched.
    pub fresh: Vec<u32>,
    /// Those that were tried before, and when they are due.
    pub tried: Vec<(Task, Timestamp)>,
}

impl Left {
    /// The rows in the lane of the one way that there is, or in the directory where each domain's way is to be found.
    pub fn place<'a>(self, next_hops: &NextHops, domain: impl Fn(u32) -> &'a str) -> (Vec<Lane>, Directory) {
        let Some(Routed { site, limits, .. }) = next_hops.only_way() else {
            return (Vec::new(), Directory::new(self.fresh, self.tried, domain));
        };
        let mut lane = Lane::new(Arc::clone(site), *limits, None, Timestamp::now());
        lane.add(Segment::whole(self.fresh.into()));
        for (task, at) in self.tried {
            lane.put_off(task, at);
        }
        (vec![lane], Directory::empty())
    }
}

/// The ways of `campaign`; `policies` is the file that keeps the policies of recipients' domains.
pub fn router(
    campaign: &Campaign,
    sandbox: Option<&Sandbox>,
    resolver: impl FnOnce() -> Result<Resolver, Diagnostic>,
    policies: &Path,
) -> Result<NextHops, Diagnostic> {
    if let Some(sandbox) = sandbox {
        return Ok(NextHops { routes: Vec::new(), rest: NextHop::Relay(to_sandbox(campaign, sandbox)?) });
    }
    let shaping = Shaping::new(&campaign.shaping)?;
    let mut routes = Vec::new();
    for route in &campaign.route {
        let relay = campaign.relay.iter().find(|relay| relay.name.as_ref() == Some(&route.relay));
        let relay = relay.expect("a route that names no relay is refused");
        routes.push((route.clone(), to_relays(campaign, &[relay], &shaping)?));
    }
    let rest = match campaign.delivery.route {
        RouteKind::Relay | RouteKind::Sandbox => {
            NextHop::Relay(to_relays(campaign, &campaign.main_relays(), &shaping)?)
        }
        RouteKind::Mx => {
            let settings = campaign.delivery.mx.clone();
            let (router, security) = dns::router(resolver()?, &settings, &campaign.shaping)?;
            if let Some(mta_sts) = router.mta_sts() {
                mta_sts.load(policies)?;
            }
            let shared = MxShared {
                router,
                settings,
                security,
                timeouts: campaign.delivery.timeouts.clone(),
                extensions: extensions(campaign),
                book: Mutex::new(HostBook::default()),
            };
            let sources = campaign.egress().count().max(1);
            NextHop::Mx(MxHop { shared: Arc::new(shared), sources })
        }
    };
    Ok(NextHops { routes, rest })
}

fn to_sandbox(campaign: &Campaign, sandbox: &Sandbox) -> Result<Routed, Diagnostic> {
    let relay = campaign.main_relays().first().copied();
    let target = Target {
        host: "sandbox".into(),
        addresses: vec![sandbox.addr()],
        local_ip: None,
        ehlo: ehlo_name(campaign.delivery.ehlo.as_deref())?,
        security: Security::None,
        credentials: None,
        timeouts: campaign.delivery.timeouts.clone(),
        extensions: Extensions::default(),
    };
    let hop = RelayHop { target, port: sandbox.addr().port(), weight: 1 };
    let limits = connection_limits(
        relay.map_or(1, |r| r.pipeline_depth),
        relay.map_or(0, |r| r.messages_per_connection),
    );
    let connections = relay.map_or(SANDBOX_CONNECTIONS, |relay| relay.connections);
    let recipients = relay.map_or(SANDBOX_RECIPIENTS, |relay| relay.recipients_per_message);
    Ok(routed(Site::relays("sandbox".into(), vec![hop], limits), connections, recipients, None))
}

/// One relay, or several that share the mail by weight and stand in for each other.
fn to_relays(campaign: &Campaign, relays: &[&Relay], shaping: &Shaping) -> Result<Routed, Diagnostic> {
    let hops = relays.iter().map(|relay| hop(campaign, relay)).collect::<Result<Vec<_>, _>>()?;
    let name = relays.iter().map(|relay| relay.host.as_str()).collect::<Vec<_>>().join(", ");
    let connections = relays.iter().map(|relay| relay.connections).sum();
    let depth = relays.iter().map(|relay| relay.pipeline_depth).min().unwrap_or(1);
    let messages =
        relays.iter().map(|relay| relay.messages_per_connection).filter(|messages| *messages > 0).min();
    let recipients = relays.iter().map(|relay| relay.recipients_per_message).min().unwrap_or(1);
    let shaped = relays.first().and_then(|relay| shaping.of_relay(&relay.host));
    let limits = connection_limits(depth, messages.unwrap_or(0));
    Ok(routed(Site::relays(name, hops, limits), connections, recipients, shaped))
}

fn routed(site: Site, connections: usize, recipients: usize, shaping: Option<&SiteShaping>) -> Routed {
    let limits = LaneLimits { recipients, ..relay_limits(connections, site.limits.depth, shaping) };
    Routed { site: Arc::new(site), limits, provider: None }
}

fn connection_limits(depth: usize, max_messages: u64) -> ConnectionLimits {
    ConnectionLimits { depth, window_bytes: WINDOW_BYTES, max_messages, idle: IDLE }
}

/// What the campaign asks of every hop.
fn extensions(campaign: &Campaign) -> Extensions {
    Extensions { dsn: campaign.delivery.dsn.clone(), require_tls: campaign.delivery.require_tls }
}

fn hop(campaign: &Campaign, relay: &Relay) -> Result<RelayHop, Diagnostic> {
    let client = relay.client_cert.as_deref().zip(relay.client_key.as_deref());
    let client = client.map(|(certificate, key)| ClientIdentity { certificate, key });
    let security = Security::with_client(relay.tls, relay.ca_file.as_deref(), client)
        .map_err(|error| Diagnostic::of("can't set up TLS", &error))?;
    let credentials = match &relay.username {
        Some(username) if !relay.token_command.is_empty() => {
            let source = TokenSource::new(relay.token_command.clone(), campaign.delivery.timeouts.command.0);
            Some(Credentials::Tokens { username: username.clone(), source })
        }
        Some(username) => {
            let password = password(relay.password_env.as_deref(), relay.password_file.as_deref())?;
            Some(Credentials::Password { username: username.clone(), password })
        }
        None => None,
    };
    let target = Target {
        host: relay.host.clone(),
        addresses: Vec::new(),
        local_ip: None,
        ehlo: ehlo_name(campaign.delivery.ehlo.as_deref())?,
        security,
        credentials,
        timeouts: campaign.delivery.timeouts.clone(),
        extensions: extensions(campaign),
    };
    Ok(RelayHop { target, port: relay.port(), weight: relay.weight })
}

/// Where mail leaves from, in the order of the campaign; the system's choice where it names nothing.
pub fn departures(campaign: &Campaign) -> Result<Vec<Departure>, Diagnostic> {
    let default = campaign.delivery.ehlo.as_deref();
    let mut departures = Vec::new();
    // The embedded receiver is on this machine, whatever addresses the real mail leaves from.
    if campaign.delivery.route != RouteKind::Sandbox {
        for egress in campaign.egress() {
            let ehlo = ehlo_name(egress.ehlo.as_deref().or(default))?;
            departures.push(Departure { local_ip: Some(egress.address), ehlo });
        }
    }
    if departures.is_empty() {
        departures.push(Departure { local_ip: None, ehlo: ehlo_name(default)? });
    }
    Ok(departures)
}

/// What the local addresses may carry, and what was taken of their warm-up's day.
pub struct Allowances {
    /// For each departure.
    pub limits: Vec<SourceLimits>,
    caps: Vec<(usize, String, chrono::NaiveDate)>,
}

impl Allowances {
    /// Takes up to `rows` messages of what each local address has left today.
    pub fn take(campaign: &Campaign, state: &dyn State, rows: u64) -> Result<Self, Diagnostic> {
        let mut allowances = Self { limits: Vec::new(), caps: Vec::new() };
        let today = Timestamp::wall().to_utc().date_naive();
        if campaign.delivery.route != RouteKind::Sandbox {
            for (number, egress) in campaign.egress().enumerate() {
                let source = egress.address.to_string();
                let allowance = match egress.warm_up.as_ref().and_then(|warm_up| warm_up.cap(today)) {
                    Some(cap) => {
                        let taken = state.daily_caps()?.take(&source, today, cap, rows)?;
                        allowances.caps.push((number, source, today));
                        Some(taken)
                    }
                    None => None,
                };
                let rate = egress.rate.map(|rate| Rate {
                    tokens: rate.count,
                    micros: u64::try_from(rate.time.as_micros()).expect("an hour at most"),
                });
                allowances.limits.push(SourceLimits { weight: egress.weight, rate, allowance });
            }
        }
        if allowances.limits.is_empty() {
            allowances.limits.push(SourceLimits::default());
        }
        Ok(allowances)
    }

    /// Gives back what was not used; `left` is what each departure has left.
    pub fn give_back(self, state: &dyn State, left: &[Option<u64>]) -> Result<(), Diagnostic> {
        for (number, source, day) in self.caps {
            if let Some(unused) = left.get(number).copied().flatten() {
                state.daily_caps()?.give_back(&source, day, unused)?;
            }
        }
        Ok(())
    }
}

/// The name in EHLO: as configured, or this machine's.
pub fn ehlo_name(configured: Option<&str>) -> Result<EhloName, Diagnostic> {
    if let Some(name) = configured {
        return name.parse().map_err(|error| {
            Diagnostic::of("bad `delivery.ehlo`", &error).hint("use this machine's host name")
        });
    }
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = if host.trim().is_empty() { "localhost" } else { host.trim() };
    Ok(name.parse().unwrap_or_else(|_| "localhost".parse().expect("a word")))
}

fn password(env: Option<&str>, file: Option<&Path>) -> Result<Password, Diagnostic> {
    let secret = match (env, file) {
        (Some(name), _) => std::env::var(name).map_err(|_| {
            Diagnostic::new(format!("the environment variable `{name}` is not set"))
                .hint("it holds the relay's password; set it where cron starts mailrun")
        })?,
        (None, Some(path)) => std::fs::read_to_string(path)
            .map_err(|error| Diagnostic::of("can't read the relay's password", &error).at(path.display()))?,
        (None, None) => unreachable!("a campaign with a user and no password is refused"),
    };
    Ok(Password::new(secret.trim_end_matches(['\r', '\n'])))
}
