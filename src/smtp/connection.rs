//! The thin tokio driver: connects, and joins session and socket.

use std::net::IpAddr;
use std::time::Duration;

use tokio::sync::mpsc;

use super::{Capabilities, ConnectError, Report, SessionError, Target, Transaction};

/// The caller's number for a connection; comes along with each report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(pub u64);

/// An open session, ready for transactions.
pub struct Connection {
    info: ConnectionInfo,
}

/// Between whom a connection is, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionInfo {
    /// The target's host name.
    pub remote_host: String,
    /// The address that was connected to.
    pub remote_ip: IpAddr,
    /// This end's address.
    pub local_ip: IpAddr,
    /// Version and cipher suite, such as `TLSv1.3 TLS_AES_256_GCM_SHA384`; `None` in clear.
    pub tls: Option<String>,
    /// What the server offers.
    pub capabilities: Capabilities,
}

/// How a connection is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Messages under way at once; at least 1.
    pub depth: usize,
    /// A further message begins only while the bytes without a reply, its own included, stay below this.
    pub window_bytes: usize,
    /// Messages before the connection is closed; 0 is without end.
    pub max_messages: u64,
    /// How long it stays open without work.
    pub idle: Duration,
}

/// How a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Closed {
    /// The work channel was closed and everything had its reply.
    WorkEnded,
    /// No work for [`Limits::idle`].
    Idle,
    /// [`Limits::max_messages`] were sent.
    MessageLimit,
    /// The server said 421, or the session broke.
    Lost(SessionError),
}

/// Connects to the first address of `target` that answers, and opens the session: greeting, EHLO, TLS, AUTH.
pub async fn connect(target: &Target) -> Result<Connection, ConnectError> {
    let _ = target;
    todo!()
}

impl Connection {
    /// Between whom the connection is, and how.
    pub fn info(&self) -> &ConnectionInfo {
        &self.info
    }

    /// Sends what comes through `work` until it is closed, the connection is idle or has had its number of messages,
    /// or it breaks. Each transaction received, those left in `work` at the end included, gets exactly one report.
    pub async fn serve(
        self,
        id: ConnectionId,
        work: mpsc::Receiver<Transaction>,
        reports: mpsc::Sender<(ConnectionId, Report)>,
        limits: Limits,
    ) -> Closed {
        let _ = (id, work, reports, limits);
        todo!()
    }
}
