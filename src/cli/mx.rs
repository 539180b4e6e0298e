//! `mailrun mx`: where the mail of domains goes with route `mx`, and how. Sends nothing, connects
//! to no mail server.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::common::Common;
use super::diagnostic::Diagnostic;
use super::exit::Exit;
use super::json;
use super::name_servers::DnsOptions;
use super::output::out;
use super::runtime::runtime;
use crate::campaign::{Campaign, Mx};
use crate::job::{NameServers, campaign_file, mx_router};
use crate::kit::text::counted;
use crate::mail::Domain;
use crate::route::Mode;
use crate::route::{Route, Router, SiteShaping, Unroutable, host_addresses};

/// `mailrun mx`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit code 1 if no mail can be sent to one of the domains.")]
pub(super) struct Args {
    /// Domains
    #[arg(required = true, value_parser = Domain::parse, value_name = "DOMAIN")]
    domains: Vec<Domain>,
    /// Use name servers, `[delivery.mx]` and `[[shaping]]` from this campaign file
    #[arg(long, value_name = "CAMPAIGN")]
    campaign: Option<PathBuf>,
    /// Where names are looked up.
    #[command(flatten)]
    dns: DnsOptions,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(common: &Common, args: &Args) -> Result<Exit, Diagnostic> {
    let campaign = args.campaign.as_deref().map(campaign_file);
    let campaign = campaign.map(|path| Campaign::load_with(&path, &common.parameters())).transpose()?;
    let mx = campaign.as_ref().map_or_else(Mx::default, |campaign| campaign.delivery.mx.clone());
    let (servers, shaping) = match &campaign {
        Some(campaign) => (campaign.delivery.resolver.as_slice(), campaign.shaping.as_slice()),
        None => Default::default(),
    };
    let (router, _) = mx_router(NameServers::from(args.dns.clone()).resolver_over(servers)?, &mx, shaping)?;
    let policies = common.workspace().policies()?;
    if let Some(mta_sts) = router.mta_sts() {
        mta_sts.load(&policies)?;
    }
    let (mut text, mut values, mut exit) = (String::new(), Vec::new(), Exit::Ok);
    runtime()?.block_on(async {
        for domain in &args.domains {
            let found = router.route(domain).await;
            let hosts = match &found {
                Ok(route) => hosts(&router, route, &mx).await,
                Err(_) => Vec::new(),
            };
            if found.is_err() || hosts.iter().all(|host| host.addresses.is_empty()) {
                exit = Exit::SomeNotAccepted;
            }
            text.push_str(&shown(domain, &found, &hosts));
            values.push(value(domain, &found, &hosts));
        }
    });
    if let Some(mta_sts) = router.mta_sts() {
        mta_sts.save(&policies)?;
    }
    if args.json {
        return json::print(exit, json!({ "domains": values }));
    }
    out(&text)?;
    Ok(exit)
}

/// A host and what DNS says about it.
struct Host {
    preference: u16,
    name: String,
    addresses: Vec<String>,
    problem: Option<String>,
}

async fn hosts(router: &Router, route: &Route, mx: &Mx) -> Vec<Host> {
    let mut hosts = Vec::new();
    for host in &route.destination.hosts {
        let found = host_addresses(router.resolver(), &host.name, mx).await;
        let (addresses, problem) = match found {
            Ok(found) => (found.iter().map(|address| address.ip().to_string()).collect(), None),
            Err(error) => (Vec::new(), Some(error.to_string())),
        };
        hosts.push(Host { preference: host.preference, name: host.name.clone(), addresses, problem });
    }
    hosts
}

fn shown(domain: &Domain, found: &Result<Route, Unroutable>, hosts: &[Host]) -> String {
    let route = match found {
        Ok(route) => route,
        Err(error) => {
            let lasting = if error.is_permanent() { "permanently" } else { "at the moment" };
            return format!("{domain}\n  no route {lasting}: {error}\n");
        }
    };
    let width = hosts.iter().map(|host| host.name.len()).max().unwrap_or(0);
    let lines = hosts.iter().map(|host| {
        let addresses = host.problem.clone().unwrap_or_else(|| host.addresses.join(" "));
        format!("    {:>5}  {:<width$}  {addresses}\n", host.preference, host.name)
    });
    let lines: String = lines.collect();
    let shaping = &route.shaping;
    let policy = route.policy.map_or(String::new(), |mode| format!(", MTA-STS {}", mode_name(mode)));
    let implicit = if route.destination.implicit { " (no MX record: the domain itself)" } else { "" };
    format!(
        "{domain}\n  site      {}{implicit}\n{lines}  provider  {}\n  limits    {}\n  TLS       {}{policy}\n",
        route.name,
        shaping.provider.as_deref().unwrap_or("none"),
        limits(shaping),
        route.tls,
    )
}

fn limits(shaping: &SiteShaping) -> String {
    let mut limits = vec![counted(shaping.connections as u64, "connection", "connections")];
    if shaping.messages_per_connection > 0 {
        limits.push(format!("{} each", counted(shaping.messages_per_connection, "message", "messages")));
    }
    limits.extend(shaping.messages_per_second.map(|rate| format!("{rate}/s")));
    limits.extend(
        shaping
            .new_connections_per_minute
            .map(|rate| format!("{}/min", counted(u64::from(rate), "new connection", "new connections"))),
    );
    limits.extend(
        shaping
            .provider_connections
            .map(|most| format!("{} over all its sites", counted(most as u64, "connection", "connections"))),
    );
    limits.extend(shaping.provider_messages_per_second.map(|rate| format!("{rate}/s over all its sites")));
    limits.join(", ")
}

fn mode_name(mode: Mode) -> &'static str {
    match mode {
        Mode::Enforce => "enforce",
        Mode::Testing => "testing",
        Mode::None => "none",
    }
}

fn value(domain: &Domain, found: &Result<Route, Unroutable>, hosts: &[Host]) -> Value {
    let route = match found {
        Ok(route) => route,
        Err(error) => {
            return json!({
                "domain": domain.as_str(), "problem": error.to_string(), "permanent": error.is_permanent(),
                "class": error.classification().class.as_str(),
            });
        }
    };
    let hosts: Vec<_> = hosts
        .iter()
        .map(|host| {
            json!({
                "preference": host.preference, "name": host.name, "addresses": host.addresses,
                "problem": host.problem,
            })
        })
        .collect();
    let shaping = &route.shaping;
    json!({
        "domain": domain.as_str(), "site": route.name, "key": route.key.as_str(),
        "implicit": route.destination.implicit, "hosts": hosts, "provider": shaping.provider,
        "connections": shaping.connections, "messages_per_connection": shaping.messages_per_connection,
        "messages_per_second": shaping.messages_per_second,
        "new_connections_per_minute": shaping.new_connections_per_minute,
        "provider_connections": shaping.provider_connections,
        "provider_messages_per_second": shaping.provider_messages_per_second,
        "tls": route.tls.as_str(), "mta_sts": route.policy.map(mode_name),
    })
}
