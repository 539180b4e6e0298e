//! Where a lane goes: relays with their weights, or the MX hosts of its domains.
//!
//! Opens connections, and knows which hosts are dead. The dispatcher decides what a failure means
//! for the rows.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::net::UnixStream;

use crate::campaign::{Mx, Timeouts};
use crate::kit::open_files;
use crate::mail::{Class, Reply, Timestamp};
use crate::route::{
    self, BatchFolder, Destination, Failure, HostBook, MxHost, MxSecurity, TlsDemand, class_of_failure,
    host_addresses, relay_addresses,
};
use crate::smtp::{
    self, Concern, ConnectError, Connection, ConnectionLimits, EhloName, Extensions, Secrets, Target,
};

/// Where a lane goes.
#[derive(Debug)]
pub struct Site {
    /// Identifies the site: two of the same key share a lane.
    pub key: String,
    /// Its name for people.
    pub name: String,
    /// How its connections are used.
    pub limits: ConnectionLimits,
    hosts: Hosts,
    /// Connections begun so far: distributes them by weight, and over equal hosts.
    begun: AtomicU64,
}

#[derive(Debug)]
enum Hosts {
    Relays(Vec<RelayHop>),
    Mx(MxHosts),
    Folder(Box<FolderHop>),
}

/// One relay.
#[derive(Debug)]
pub struct RelayHop {
    /// Its own name, where it has one: several relays may have the same host.
    pub name: Option<String>,
    /// The host to connect to; without addresses they are looked up for every connection.
    pub target: Target,
    /// Its port, for looking it up.
    pub port: u16,
    /// Its share of the connections; at least 1.
    pub weight: u32,
}

/// A folder of batch SMTP files.
#[derive(Debug)]
pub struct FolderHop {
    /// What writes to it.
    pub folder: Arc<BatchFolder>,
    /// Its name, and what every session asks for.
    pub target: Target,
}

/// The MX hosts of a site.
#[derive(Debug)]
pub struct MxHosts {
    /// The hosts by preference.
    pub destination: Destination,
    /// The least transport security.
    pub demand: TlsDemand,
    /// What all sites share.
    pub shared: Arc<MxShared>,
}

/// What all connections to MX hosts share.
pub struct MxShared {
    /// Finds the hosts and their addresses.
    pub router: route::Router,
    /// Port and family.
    pub settings: Mx,
    /// TLS for each demand.
    pub security: MxSecurity,
    /// How long to wait for what.
    pub timeouts: Timeouts,
    /// What every hop is asked for.
    pub extensions: Extensions,
    /// The dead hosts. A host that serves several sites is found dead only once.
    pub book: Mutex<HostBook>,
}

/// What kept a connection from opening.
#[derive(Debug, Clone)]
pub struct Trouble {
    /// No more files can be open: this says nothing about the site.
    pub of_machine: bool,
    /// True when another attempt can't help: a refused login, a missing or bad certificate.
    pub permanent: bool,
    /// Why.
    pub class: Class,
    /// What happened, a lowercase fragment that names the host.
    pub text: String,
    /// The server's reply, if it sent one.
    pub reply: Option<Reply>,
}

/// Where a connection leaves from.
#[derive(Debug, Clone)]
pub struct Departure {
    /// The local address; the system's choice when `None`.
    pub local_ip: Option<IpAddr>,
    /// The name in EHLO.
    pub ehlo: EhloName,
}

impl Site {
    /// A site of relays, any of which takes all of its mail.
    pub fn relays(key: String, name: String, relays: Vec<RelayHop>, limits: ConnectionLimits) -> Self {
        Self { key, name, limits, hosts: Hosts::Relays(relays), begun: AtomicU64::new(0) }
    }

    /// The site of a set of MX hosts.
    pub fn mx(key: String, name: String, hosts: MxHosts, limits: ConnectionLimits) -> Self {
        Self { key, name, limits, hosts: Hosts::Mx(hosts), begun: AtomicU64::new(0) }
    }

    /// The site of a folder of batch SMTP files.
    pub fn folder(key: String, name: String, hop: FolderHop, limits: ConnectionLimits) -> Self {
        Self { key, name, limits, hosts: Hosts::Folder(Box::new(hop)), begun: AtomicU64::new(0) }
    }

    /// Opens a connection to the host whose turn it is, or to the next one that answers.
    pub(super) async fn connect(&self, departure: &Departure) -> Result<Connection, Trouble> {
        let begun = self.begun.fetch_add(1, Ordering::Relaxed);
        match &self.hosts {
            Hosts::Relays(relays) => connect_relay(in_turn(relays, begun), departure).await,
            Hosts::Mx(hosts) => hosts.connect(&self.name, begun, departure).await,
            Hosts::Folder(hop) => hop.connect(departure).await,
        }
    }
}

async fn connect_relay(
    relays: impl Iterator<Item = &RelayHop>,
    departure: &Departure,
) -> Result<Connection, Trouble> {
    let mut trouble = None;
    for relay in relays {
        match relay.connect(departure).await {
            Ok(connection) => return Ok(connection),
            // A refused login or a wrong certificate is somebody's mistake: using another relay
            // would hide it.
            Err(found) if found.permanent || found.of_machine => return Err(found),
            Err(found) => trouble = Some(found),
        }
    }
    Err(trouble.expect("a site has at least one host"))
}

/// The relays, first the one whose turn it is by weight.
fn in_turn(relays: &[RelayHop], begun: u64) -> impl Iterator<Item = &RelayHop> {
    let total: u64 = relays.iter().map(|relay| u64::from(relay.weight)).sum();
    let mut ticket = begun % total.max(1);
    let first = relays.iter().position(|relay| {
        let weight = u64::from(relay.weight);
        let is_its_turn = ticket < weight;
        ticket = ticket.saturating_sub(weight);
        is_its_turn
    });
    let first = first.unwrap_or(0);
    relays[first..].iter().chain(&relays[..first])
}

impl RelayHop {
    async fn connect(&self, departure: &Departure) -> Result<Connection, Trouble> {
        let host = &self.target.host;
        let called = match &self.name {
            Some(name) => format!("{name} ({host})"),
            None => host.clone(),
        };
        let mut target = self.target.clone();
        target.local_ip = departure.local_ip;
        target.ehlo = departure.ehlo.clone();
        if target.addresses.is_empty() {
            target.addresses = relay_addresses(host, self.port).await.map_err(|error| Trouble {
                of_machine: open_files::are_used_up(&error),
                permanent: false,
                class: class_of_failure(Failure::Dns).class,
                text: format!("no address for `{called}`: {error}"),
                reply: None,
            })?;
        }
        smtp::connect(&target).await.map_err(|error| trouble(&called, &error))
    }
}

impl FolderHop {
    async fn connect(&self, departure: &Departure) -> Result<Connection, Trouble> {
        let (ours, theirs) = UnixStream::pair().map_err(|error| Trouble {
            of_machine: open_files::are_used_up(&error),
            permanent: false,
            class: Class::Network,
            text: format!("can't open a session with `{}`: {error}", self.target.host),
            reply: None,
        })?;
        let target = Target { ehlo: departure.ehlo.clone(), ..self.target.clone() };
        tokio::spawn(Arc::clone(&self.folder).serve(theirs));
        smtp::connect_local(&target, ours).await.map_err(|error| trouble(&self.target.host, &error))
    }
}

impl MxHosts {
    async fn connect(&self, site: &str, seed: u64, departure: &Departure) -> Result<Connection, Trouble> {
        let order = self.destination.order(seed);
        let living = self.shared.book().admit(order, Timestamp::now()).map_err(|until| Trouble {
            of_machine: false,
            permanent: false,
            class: Class::Network,
            text: format!("no host of `{site}` could be reached; the next attempt is at {until}"),
            reply: None,
        })?;
        let mut troubles: Vec<Trouble> = Vec::new();
        for host in living {
            match self.connect_host(host, departure).await {
                Ok(connection) => return Ok(connection),
                Err(found) if found.of_machine => return Err(found),
                Err(found) => troubles.push(found),
            }
        }
        // A trouble that may pass is worth another try, and says more than one that will not.
        let for_ever = troubles.iter().all(|trouble| trouble.permanent);
        let reported = troubles.into_iter().find(|trouble| for_ever || !trouble.permanent);
        Err(reported.expect("at least one host was tried"))
    }

    async fn connect_host(&self, host: &MxHost, departure: &Departure) -> Result<Connection, Trouble> {
        let shared = &self.shared;
        let addresses = match host_addresses(shared.router.resolver(), &host.name, &shared.settings).await {
            Ok(addresses) => addresses,
            Err(error) => {
                shared.book().failed(&host.name, Timestamp::now());
                let class = error.classification().class;
                return Err(Trouble {
                    of_machine: false,
                    permanent: error.is_permanent(),
                    class,
                    text: error.to_string(),
                    reply: None,
                });
            }
        };
        let target = self.target(host, addresses, departure);
        let error = match smtp::connect(&target).await {
            Ok(connection) => {
                shared.book().succeeded(&host.name);
                return Ok(connection);
            }
            Err(error) => error,
        };
        // A host that answers is not dead, whatever the answer.
        if error.concern() == Concern::Site && error.reply().is_none() {
            let until = shared.book().failed(&host.name, Timestamp::now());
            tracing::info!(host = host.name, %until, "skipped for a while: {}", error.problem);
        }
        Err(trouble(&host.name, &error))
    }

    fn target(&self, host: &MxHost, addresses: Vec<SocketAddr>, departure: &Departure) -> Target {
        Target {
            host: host.name.clone(),
            addresses,
            local_ip: departure.local_ip,
            ehlo: departure.ehlo.clone(),
            security: self.shared.security.of(self.demand).clone(),
            credentials: None,
            timeouts: self.shared.timeouts.clone(),
            extensions: self.shared.extensions.clone(),
            secrets: Secrets::default(),
        }
    }
}

impl std::fmt::Debug for MxShared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MxShared").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl MxShared {
    fn book(&self) -> MutexGuard<'_, HostBook> {
        // A panic elsewhere leaves the book intact.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn trouble(host: &str, error: &ConnectError) -> Trouble {
    let (permanent, failure) = match error.concern() {
        Concern::Site | Concern::Machine => (false, Failure::Connection),
        Concern::Protocol => (false, Failure::Protocol),
        Concern::Tls => (true, Failure::Tls),
        Concern::Auth => (error.reply().is_none_or(Reply::is_permanent), Failure::Authentication),
    };
    let ip = error.remote_ip.map_or(String::new(), |ip| format!(" ({ip})"));
    let text = format!("no session with `{host}`{ip}: {}", error.problem);
    Trouble {
        of_machine: error.concern() == Concern::Machine,
        permanent,
        class: class_of_failure(failure).class,
        text,
        reply: error.reply().cloned(),
    }
}
