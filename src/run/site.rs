//! Where a lane goes: relays with their weights, or the hosts that a domain names.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use super::event::Trouble;
use crate::mail::Reply;
use crate::route::{Failure, class_of_failure, relay};
use crate::smtp::{self, Concern, ConnectError, Connection, EhloName, Limits, Target};

/// Where a lane goes.
#[derive(Debug)]
pub struct Site {
    /// How it is called; sites of the same name are one.
    pub name: String,
    /// The hosts that take its mail, any of them.
    pub relays: Vec<RelayHop>,
    /// How its connections are used.
    pub limits: Limits,
    /// Connections begun, which shares them out by weight.
    begun: AtomicU64,
}

/// One relay.
#[derive(Debug)]
pub struct RelayHop {
    /// The host to connect to; without addresses they are looked up for every connection.
    pub target: Target,
    /// Its port, for looking it up.
    pub port: u16,
    /// Its share of the connections; at least 1.
    pub weight: u32,
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
    pub fn relays(name: String, relays: Vec<RelayHop>, limits: Limits) -> Self {
        Self { name, relays, limits, begun: AtomicU64::new(0) }
    }

    /// Opens a connection to the relay whose turn it is, or to the next one that answers.
    pub(super) async fn connect(&self, departure: &Departure) -> Result<Connection, Trouble> {
        let mut trouble = None;
        for hop in self.in_turn() {
            match hop.connect(departure).await {
                Ok(connection) => return Ok(connection),
                // A login that is refused, or a certificate that is wrong, is somebody's mistake: another relay hides it.
                Err(found) if found.permanent => return Err(found),
                Err(found) => trouble = Some(found),
            }
        }
        Err(trouble.expect("a site has at least one host"))
    }

    /// The relays, first the one whose turn it is by weight.
    fn in_turn(&self) -> impl Iterator<Item = &RelayHop> {
        let total: u64 = self.relays.iter().map(|relay| u64::from(relay.weight)).sum();
        let mut ticket = self.begun.fetch_add(1, Ordering::Relaxed) % total.max(1);
        let first = self.relays.iter().position(|relay| {
            let weight = u64::from(relay.weight);
            let is_its_turn = ticket < weight;
            ticket = ticket.saturating_sub(weight);
            is_its_turn
        });
        let first = first.unwrap_or(0);
        self.relays[first..].iter().chain(&self.relays[..first])
    }
}

impl RelayHop {
    async fn connect(&self, departure: &Departure) -> Result<Connection, Trouble> {
        let host = &self.target.host;
        let mut target = self.target.clone();
        target.local_ip = departure.local_ip;
        target.ehlo = departure.ehlo.clone();
        if target.addresses.is_empty() {
            target.addresses = relay::addresses(host, self.port).await.map_err(|error| Trouble {
                permanent: false,
                class: class_of_failure(Failure::Dns).class,
                text: format!("no address for `{host}`: {error}"),
                reply: None,
            })?;
        }
        smtp::connect(&target).await.map_err(|error| trouble(host, &error))
    }
}

fn trouble(host: &str, error: &ConnectError) -> Trouble {
    let (permanent, failure) = match error.concern() {
        Concern::Site => (false, Failure::Connection),
        Concern::Protocol => (false, Failure::Protocol),
        Concern::Tls => (true, Failure::Tls),
        Concern::Auth => (error.reply().is_none_or(Reply::is_permanent), Failure::Authentication),
    };
    let ip = error.remote_ip.map_or(String::new(), |ip| format!(" ({ip})"));
    let text = format!("no session with `{host}`{ip}: {}", error.problem);
    Trouble { permanent, class: class_of_failure(failure).class, text, reply: error.reply().cloned() }
}
