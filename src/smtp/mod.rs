//! SMTP (RFC 5321). The client: from a TCP connection to one [`Report`] for every [`Transaction`].
//!
//! | file | its noun |
//! |---|---|
//! | `command`, `error` | the steps of the dialogue, and its failures |
//! | `transaction` | what goes in and what comes out: transaction, report, fate |
//! | `codec` | commands, replies, capabilities, dot-stuffing: bytes and values, no state |
//! | `session` | the transaction loop as a state machine without I/O or clock |
//! | `target`, `auth`, `password`, `secrets`, `token`, `tls` | where to connect to, as whom, and how it is secured |
//! | `opening` | greeting, EHLO, STARTTLS, AUTH |
//! | `connection` | the thin tokio driver: connects, and joins session and socket |
//! | `server` | the other half, for those who receive: lines, commands, content |
//!
//! The client never decides whether to try again, never looks at DNS, and writes only messages that
//! it was handed.

mod auth;
pub(crate) mod batch;
mod codec;
mod command;
mod connection;
mod error;
mod opening;
mod password;
mod probe;
mod secrets;
pub(crate) mod server;
mod session;
mod stream;
mod target;
mod tls;
mod token;
mod transaction;

pub use auth::Credentials;
pub use codec::Capabilities;
pub use command::Command;
pub use connection::{
    Closed, Connection, ConnectionId, ConnectionLimits, SessionInfo, connect, connect_local,
};
pub use error::{Concern, ConnectError, ConnectProblem, SessionError};
pub use password::Password;
pub use probe::{Probe, probe};
pub use secrets::Secrets;
pub use session::Session;
pub use stream::Stream;
pub use target::{BadEhloName, EhloName, Extensions, Target};
pub(crate) use tls::https_connector;
pub use tls::{ClientIdentity, Security, TlsError};
pub use token::{TokenError, TokenSource};
pub use transaction::{Fate, NotStarted, Report, Transaction, Unfit};
