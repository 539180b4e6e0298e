//! The next hops of a run's mail: relays with their secrets, MX hosts, the embedded receiver, and
//! the local addresses that it leaves from.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::error::{JobError, SetupError};
use super::secret::relay_password;
use crate::campaign::{Bsmtp, Campaign, Mx, Relay, RouteKind, ShapingEntry};
use crate::route::{
    BatchFolder, BatchFolderSettings, HostBook, MtaSts, MxSecurity, Resolver, Router, Shaping, SiteShaping,
};
use crate::run::{
    Departure, FolderHop, LaneLimits, MxHop, MxShared, NextHop, NextHops, RelayHop, Routed, Site,
    relay_limits,
};
use crate::run_dir::RunId;
use crate::sandbox::Sandbox;
use crate::smtp::{
    ClientIdentity, ConnectionLimits, Credentials, EhloName, Extensions, Secrets, Security, Target,
    TokenSource,
};

/// A connection without work is closed after this: a relay closes it itself before long.
const IDLE: Duration = Duration::from_secs(60);
/// Bytes in flight on one connection, below any system's usual send buffer (RFC 2920 §3.1 warns of
/// the deadlock).
const WINDOW_BYTES: usize = 128 << 10;
/// Connections to the embedded receiver where the campaign names no relay.
const SANDBOX_CONNECTIONS: usize = 20;
/// Recipients of one message to it, as by default to anybody.
const SANDBOX_RECIPIENTS: usize = 100;

/// The next hops of `campaign` for `run`; `policies` is the file that keeps the policies of
/// recipients' domains.
pub(super) fn next_hops(
    campaign: &Campaign,
    sandbox: Option<&Sandbox>,
    run: &RunId,
    resolver: impl FnOnce() -> Result<Resolver, JobError>,
    policies: &Path,
) -> Result<NextHops, JobError> {
    if let Some(sandbox) = sandbox {
        return Ok(NextHops { routes: Vec::new(), rest: NextHop::Relay(to_sandbox(campaign, sandbox)?) });
    }
    if let (RouteKind::Bsmtp, Some(bsmtp)) = (campaign.delivery.route, &campaign.delivery.bsmtp) {
        return Ok(NextHops { routes: Vec::new(), rest: NextHop::Relay(to_folder(campaign, bsmtp, run)?) });
    }
    let shaping = Shaping::new(&campaign.shaping)?;
    let mut routes = Vec::new();
    for route in &campaign.route {
        let relay = campaign.relay.iter().find(|relay| relay.name.as_ref() == Some(&route.relay));
        let relay = relay.expect("a route that names no relay is refused");
        routes.push((route.clone(), to_relays(campaign, Some(&route.relay), &[relay], &shaping)?));
    }
    let rest = match campaign.delivery.route {
        RouteKind::Relay | RouteKind::Sandbox | RouteKind::Bsmtp => {
            NextHop::Relay(to_relays(campaign, None, &campaign.main_relays(), &shaping)?)
        }
        RouteKind::Mx => {
            let settings = campaign.delivery.mx.clone();
            let (router, security) = mx_router(resolver()?, &settings, &campaign.shaping)?;
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

/// What finds the way to the recipients' domains, and how connections there are secured.
pub(crate) fn mx_router(
    resolver: Resolver,
    mx: &Mx,
    shaping: &[ShapingEntry],
) -> Result<(Router, MxSecurity), JobError> {
    let security = MxSecurity::new(mx.ca_file.as_deref()).map_err(SetupError::Tls)?;
    let mta_sts = mx.mta_sts.then(|| MtaSts::new(resolver.clone(), security.verifier().clone(), mx));
    Ok((Router::new(resolver, Shaping::new(shaping)?, mta_sts, mx.tls), security))
}

fn to_sandbox(campaign: &Campaign, sandbox: &Sandbox) -> Result<Routed, JobError> {
    let relay = campaign.main_relays().first().copied();
    let target = Target {
        host: "sandbox".into(),
        addresses: vec![sandbox.addr()],
        local_ip: None,
        ehlo: ehlo_name(campaign.delivery.ehlo.as_deref())?,
        security: Security::None,
        credentials: None,
        timeouts: campaign.delivery.timeouts.clone(),
        extensions: Extensions { archive_strict: campaign.sender.archive_strict, ..Extensions::default() },
        secrets: Secrets::default(),
    };
    let hop = RelayHop { name: None, target, port: sandbox.addr().port(), weight: 1 };
    let limits = connection_limits(
        relay.map_or(1, |r| r.pipeline_depth),
        relay.map_or(0, |r| r.messages_per_connection),
    );
    let connections = relay.map_or(SANDBOX_CONNECTIONS, |relay| relay.connections);
    let recipients = relay.map_or(SANDBOX_RECIPIENTS, |relay| relay.recipients_per_message);
    let site = Site::relays("sandbox".into(), "sandbox".into(), vec![hop], limits);
    Ok(routed(site, connections, recipients, None))
}

/// A folder of batch SMTP files. A message waits for its file, so a file has at most as many
/// messages as there are sessions.
fn to_folder(campaign: &Campaign, bsmtp: &Bsmtp, run: &RunId) -> Result<Routed, JobError> {
    let ehlo = ehlo_name(campaign.delivery.ehlo.as_deref())?;
    let settings = BatchFolderSettings {
        folder: bsmtp.folder.clone(),
        prefix: format!("{}-{run}-", campaign.identity.id),
        helo: ehlo.to_string(),
        messages: bsmtp.messages,
        file_size: bsmtp.file_size.0,
    };
    let folder = BatchFolder::open(settings)
        .map_err(|source| SetupError::BatchFolder { folder: bsmtp.folder.clone(), source })?;
    let target = Target {
        host: "folder".into(),
        addresses: Vec::new(),
        local_ip: None,
        ehlo,
        security: Security::None,
        credentials: None,
        timeouts: campaign.delivery.timeouts.clone(),
        extensions: Extensions { archive_strict: campaign.sender.archive_strict, ..Extensions::default() },
        secrets: Secrets::default(),
    };
    let name = bsmtp.folder.display().to_string();
    let site = Site::folder("folder".into(), name, FolderHop { folder, target }, connection_limits(1, 0));
    Ok(routed(site, bsmtp.messages, SANDBOX_RECIPIENTS, None))
}

/// One relay, or several that share the mail by weight and stand in for each other. `own` is the
/// name that `[[route]]` calls it by; the relays for everything else have none.
///
/// The site's key holds that name and no host: another port or another login on the same host is
/// another relay.
fn to_relays(
    campaign: &Campaign,
    own: Option<&str>,
    relays: &[&Relay],
    shaping: &Shaping,
) -> Result<Routed, JobError> {
    let hops = relays.iter().map(|relay| hop(campaign, relay)).collect::<Result<Vec<_>, _>>()?;
    let called = |relay: &&Relay| match &relay.name {
        Some(name) if own.is_none() => format!("{name} ({})", relay.host),
        Some(_) | None => relay.host.clone(),
    };
    let hosts = relays.iter().map(called).collect::<Vec<_>>().join(", ");
    // Keys of MX sites have no space.
    let (key, name) = match own {
        Some(own) => (format!("relay {own}"), format!("{own} ({hosts})")),
        None => ("relays for the rest".to_owned(), hosts),
    };
    let connections = relays.iter().map(|relay| relay.connections).sum();
    let depth = relays.iter().map(|relay| relay.pipeline_depth).min().unwrap_or(1);
    let messages =
        relays.iter().map(|relay| relay.messages_per_connection).filter(|messages| *messages > 0).min();
    let recipients = relays.iter().map(|relay| relay.recipients_per_message).min().unwrap_or(1);
    let shaped = relays.first().and_then(|relay| shaping.of_relay(&relay.host));
    let limits = connection_limits(depth, messages.unwrap_or(0));
    Ok(routed(Site::relays(key, name, hops, limits), connections, recipients, shaped))
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
    Extensions {
        dsn: campaign.delivery.dsn.clone(),
        require_tls: campaign.delivery.require_tls,
        archive_strict: campaign.sender.archive_strict,
    }
}

/// The passwords of all relays: none may show another's either.
fn passwords(campaign: &Campaign) -> Secrets {
    let relays = campaign.relay.iter().chain(&campaign.delivery.relay);
    let relays = relays.filter(|relay| relay.password_env.is_some() || relay.password_file.is_some());
    // What can't be read is not used, and so not shown; a relay that needs it is refused elsewhere.
    let passwords = relays.filter_map(|relay| relay_password(relay).ok());
    passwords.fold(Secrets::default(), |secrets, password| password.among(secrets))
}

fn hop(campaign: &Campaign, relay: &Relay) -> Result<RelayHop, JobError> {
    let client = relay.client_cert.as_deref().zip(relay.client_key.as_deref());
    let client = client.map(|(certificate, key)| ClientIdentity { certificate, key });
    let security =
        Security::with_client(relay.tls, relay.ca_file.as_deref(), client).map_err(SetupError::Tls)?;
    let credentials = match &relay.username {
        Some(username) if !relay.token_command.is_empty() => {
            let source = TokenSource::new(relay.token_command.clone(), campaign.delivery.timeouts.command.0);
            Some(Credentials::Tokens { username: username.clone(), source })
        }
        Some(username) => {
            Some(Credentials::Password { username: username.clone(), password: relay_password(relay)? })
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
        secrets: passwords(campaign),
    };
    Ok(RelayHop { name: relay.name.clone(), target, port: relay.port(), weight: relay.weight })
}

/// Where mail leaves from, in the order of the campaign; the system's choice where it names
/// nothing.
pub(super) fn departures(campaign: &Campaign) -> Result<Vec<Departure>, JobError> {
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

/// The name in EHLO: as configured, or this machine's.
pub(super) fn ehlo_name(configured: Option<&str>) -> Result<EhloName, SetupError> {
    if let Some(name) = configured {
        return name.parse().map_err(SetupError::Ehlo);
    }
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = if host.trim().is_empty() { "localhost" } else { host.trim() };
    Ok(name.parse().unwrap_or_else(|_| "localhost".parse().expect("a word")))
}
