//! The open connections of a run: one task each, from connect to close.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::event::{Event, Granted, LaneId, Trouble};
use crate::journal::{ConnectionInfo, Intent, Writer};
use crate::mail::{Reply, Timestamp};
use crate::route::{Failure, class_of_failure, relay};
use crate::smtp::{
    self, Concern, ConnectError, Connection, ConnectionId, Limits, Report, Target, Transaction,
};

/// How long closing in order (QUIT and its reply) may take at the end of a run.
const FAREWELL: Duration = Duration::from_secs(5);
/// Places for transactions between journal and connection beyond the depth: the one that became durable meanwhile.
const AHEAD: usize = 1;

/// Where a lane goes.
#[derive(Debug)]
pub struct Site {
    /// The host to connect to; without addresses they are looked up for every connection.
    pub target: Target,
    /// Its port, for looking it up.
    pub port: u16,
    /// How its connections are used.
    pub limits: Limits,
}

/// A transaction on its way through the journal, with its connection's entrance.
pub struct Addressed {
    connection: ConnectionId,
    transaction: Transaction,
    /// `None` when the connection had closed before.
    entrance: Option<mpsc::Sender<Transaction>>,
}

/// See the module.
pub struct Connections {
    sites: Vec<Arc<Site>>,
    writer: Arc<Writer<Addressed>>,
    events: mpsc::Sender<Event>,
    reports: mpsc::Sender<(ConnectionId, Report)>,
    entrances: HashMap<ConnectionId, mpsc::Sender<Transaction>>,
    tasks: JoinSet<()>,
}

impl Site {
    async fn connect(&self) -> Result<Connection, Trouble> {
        let host = &self.target.host;
        let mut target = Cow::Borrowed(&self.target);
        if target.addresses.is_empty() {
            let addresses = relay::addresses(host, self.port).await.map_err(|error| Trouble {
                permanent: false,
                class: class_of_failure(Failure::Dns).class,
                text: format!("no address for `{host}`: {error}"),
                reply: None,
            })?;
            target.to_mut().addresses = addresses;
        }
        smtp::connect(&target).await.map_err(|error| trouble(host, &error))
    }
}

impl Addressed {
    /// The connection, and the row.
    pub fn place(&self) -> (ConnectionId, u32) {
        let row = u32::try_from(self.transaction.id).expect("transactions are numbered by rows of the plan");
        (self.connection, row)
    }

    /// Hands the transaction to its connection. `Err` is the connection, when it has gone, and the row.
    pub fn hand_over(self) -> Result<(), (ConnectionId, u32)> {
        let place = self.place();
        match self.entrance {
            Some(entrance) => entrance.try_send(self.transaction).map_err(|_| place),
            None => Err(place),
        }
    }
}

impl Connections {
    pub fn new(
        sites: Vec<Arc<Site>>,
        writer: Arc<Writer<Addressed>>,
        events: mpsc::Sender<Event>,
        reports: mpsc::Sender<(ConnectionId, Report)>,
    ) -> Self {
        Self { sites, writer, events, reports, entrances: HashMap::new(), tasks: JoinSet::new() }
    }

    /// Opens a connection; how it goes comes as events.
    pub fn open(&mut self, lane: LaneId, id: ConnectionId) {
        // Tasks that have ended are let go of, so that they do not pile up over a long run.
        while self.tasks.try_join_next().is_some() {}
        self.entrances.retain(|_, entrance| !entrance.is_closed());
        let site = Arc::clone(&self.sites[lane.0]);
        let (entrance, work) = mpsc::channel(site.limits.depth + AHEAD);
        self.entrances.insert(id, entrance);
        let (writer, events, reports) = (Arc::clone(&self.writer), self.events.clone(), self.reports.clone());
        self.tasks.spawn(async move {
            let connection = match site.connect().await {
                Ok(connection) => connection,
                Err(trouble) => {
                    drop((work, writer));
                    // An error means that the run is over and nobody waits for the event; so below.
                    let _ = events.send(Event::NotOpened(id, trouble)).await;
                    return;
                }
            };
            let info = connection.info();
            let number = writer.register_connection(ConnectionInfo {
                remote_host: info.remote_host.clone(),
                remote_ip: Some(info.remote_ip),
                local_ip: Some(info.local_ip),
                tls: info.tls.clone(),
                opened_at: Timestamp::now(),
            });
            drop(writer);
            tracing::info!(connection = id.0, host = %info.remote_host, ip = %info.remote_ip, tls = info.tls, "connected");
            let _ = events.send(Event::Opened(id, number)).await;
            let closed = connection.serve(id, work, reports, site.limits).await;
            tracing::info!(connection = id.0, ?closed, "closed");
            let _ = events.send(Event::Closed(id)).await;
        });
    }

    /// No more work for this connection: it closes when it has done what it has.
    pub fn close(&mut self, id: ConnectionId) {
        self.entrances.remove(&id);
    }

    /// Puts each transaction together with its connection's entrance.
    pub fn address(&self, granted: Vec<(Intent, Granted)>) -> Vec<(Intent, Addressed)> {
        let address = |granted: Granted| Addressed {
            connection: granted.connection,
            entrance: self.entrances.get(&granted.connection).cloned(),
            transaction: granted.transaction,
        };
        granted.into_iter().map(|(intent, granted)| (intent, address(granted))).collect()
    }

    /// Closes all in order; those that take too long are cut off.
    pub async fn end(mut self) {
        self.entrances.clear();
        let farewell = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(FAREWELL, farewell).await.is_err() {
            self.tasks.shutdown().await;
        }
    }

    /// Cuts all off at once.
    pub async fn abort(mut self) {
        self.tasks.shutdown().await;
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
