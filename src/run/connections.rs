//! The open connections of a run: one task each, from connect to close.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::event::{Event, Granted};
use super::ids::SourceId;
use super::site::{Departure, Site};
use crate::journal::{ConnectionInfo, Intent, Writer};
use crate::mail::Timestamp;
use crate::smtp::{Closed, ConnectionId, Transaction};

/// How long an orderly close (QUIT and its reply) may take at the end of a run.
const FAREWELL: Duration = Duration::from_secs(5);
/// Places for transactions between journal and connection beyond the pipeline depth: for the one
/// that becomes durable while the others are on the wire.
const AHEAD: usize = 1;

/// A transaction on its way through the journal to its connection. It travels with its last intent:
/// the journal keeps the order, so once that one is durable, all of them are.
pub(super) struct Addressed {
    connection: ConnectionId,
    transaction: Transaction,
    /// Into the connection; `None` if it had closed before.
    entrance: Option<mpsc::Sender<Transaction>>,
}

/// See the module.
pub(super) struct Connections {
    departures: Vec<Departure>,
    writer: Arc<Writer<Option<Addressed>>>,
    events: mpsc::Sender<Event>,
    entrances: HashMap<ConnectionId, mpsc::Sender<Transaction>>,
    tasks: JoinSet<()>,
}

impl Addressed {
    /// The connection, and the transaction's number.
    pub(super) fn place(&self) -> (ConnectionId, u64) {
        (self.connection, self.transaction.id)
    }

    /// Hands the transaction to its connection. If that is closed, the error is the connection and
    /// the transaction's number.
    pub(super) fn hand_over(self) -> Result<(), (ConnectionId, u64)> {
        let place = self.place();
        match self.entrance {
            Some(entrance) => entrance.try_send(self.transaction).map_err(|_| place),
            None => Err(place),
        }
    }
}

impl Connections {
    pub(super) fn new(
        departures: Vec<Departure>,
        writer: Arc<Writer<Option<Addressed>>>,
        events: mpsc::Sender<Event>,
    ) -> Self {
        Self { departures, writer, events, entrances: HashMap::new(), tasks: JoinSet::new() }
    }

    /// Opens a connection; events report how it goes.
    pub(super) fn open(&mut self, id: ConnectionId, site: Arc<Site>, source: SourceId) {
        // Forget tasks that have ended, so that they do not pile up over a long run.
        while self.tasks.try_join_next().is_some() {}
        self.entrances.retain(|_, entrance| !entrance.is_closed());
        let departure = self.departures[source.0].clone();
        let (entrance, work) = mpsc::channel(site.limits.depth + AHEAD);
        self.entrances.insert(id, entrance);
        let (writer, events) = (Arc::clone(&self.writer), self.events.clone());
        self.tasks.spawn(async move {
            let connection = match site.connect(&departure).await {
                Ok(connection) => connection,
                Err(trouble) => {
                    drop((work, writer));
                    // An error means that the run is over and nobody waits for the event; so does
                    // one below.
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
            let closed = connection.serve(id, work, events.clone(), site.limits).await;
            tracing::info!(connection = id.0, ?closed, "closed");
            let lost = match closed {
                Closed::Lost(error) => Some(error),
                Closed::WorkEnded | Closed::Idle | Closed::MessageLimit => None,
            };
            let _ = events.send(Event::Closed(id, lost)).await;
        });
    }

    /// Gives this connection no more work: it closes once its messages in flight are answered.
    pub(super) fn close(&mut self, id: ConnectionId) {
        self.entrances.remove(&id);
    }

    /// Addresses each transaction to its connection and attaches it to the last of its intents.
    pub(super) fn address(&self, granted: Vec<Granted>) -> Vec<(Intent, Option<Addressed>)> {
        with_last_intents(granted, |id| self.entrances.get(&id).cloned())
    }

    /// Closes all connections in an orderly way, and cuts off those that take too long.
    pub(super) async fn end(mut self) {
        self.entrances.clear();
        let farewell = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(FAREWELL, farewell).await.is_err() {
            self.tasks.shutdown().await;
        }
    }

    /// Cuts all connections off at once.
    pub(super) async fn abort(mut self) {
        self.tasks.shutdown().await;
    }
}

fn with_last_intents(
    granted: Vec<Granted>,
    entrance: impl Fn(ConnectionId) -> Option<mpsc::Sender<Transaction>>,
) -> Vec<(Intent, Option<Addressed>)> {
    let mut all = Vec::with_capacity(granted.iter().map(|granted| granted.intents.len()).sum());
    for Granted { connection, intents, transaction } in granted {
        all.extend(intents.into_iter().map(|intent| (intent, None)));
        if let Some((_, last)) = all.last_mut() {
            *last = Some(Addressed { connection, transaction, entrance: entrance(connection) });
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::mail::{Address, Envelope, Message, SignedMessage};

    fn granted(id: u64, rows: std::ops::Range<u32>) -> Granted {
        let intent = |row| Intent {
            row,
            attempt: 1,
            at: Timestamp(0),
            connection: 1,
            message_id: "all@example.com".into(),
            is_copy: false,
        };
        let address = |row| Address::parse(&format!("r{row}@example.com")).unwrap();
        let message = Message {
            header: Bytes::from_static(b"Subject: x\r\n"),
            body: Vec::new(),
            message_id: "all@example.com".into(),
            eight_bit: false,
            needs_smtputf8: false,
        };
        let transaction = Transaction {
            id,
            envelope: Envelope {
                return_path: None,
                recipients: rows.clone().map(address).collect(),
                archive: None,
                is_copy: false,
            },
            message: SignedMessage::new(Bytes::new(), message),
            valid_until: None,
        };
        Granted { connection: ConnectionId(7), intents: rows.map(intent).collect(), transaction }
    }

    #[test]
    fn a_transaction_goes_with_the_last_of_its_intents() {
        let all = with_last_intents(vec![granted(0, 0..3), granted(1, 3..4), granted(2, 4..6)], |_| None);
        let places: Vec<_> = all
            .iter()
            .map(|(intent, addressed)| (intent.row, addressed.as_ref().map(|addressed| addressed.place().1)))
            .collect();
        assert_eq!(places, [(0, None), (1, None), (2, Some(0)), (3, Some(1)), (4, None), (5, Some(2))]);
    }
}
