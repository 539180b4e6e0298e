//! The embedded SMTP receiver: for rehearsals, tests and load tests. It relays nothing and sends
//! nothing.
//!
//! A strict server of RFC 5321 with PIPELINING (RFC 2920), CHUNKING and BINARYMIME (RFC 3030),
//! 8BITMIME (RFC 6152), SMTPUTF8 (RFC 6531), SIZE (RFC 1870), DSN (RFC 3461), ENHANCEDSTATUSCODES
//! (RFC 2034), STARTTLS (RFC 3207), REQUIRETLS (RFC 8689) and AUTH PLAIN and LOGIN (RFC 4954); each
//! can be switched off. It listens on loopback by default.
//!
//! The recipient's local part scripts the reply:
//!
//! | local part | what happens |
//! |---|---|
//! | `rcpt-<code>[-<x.y.z>]` | RCPT is answered with this code (400 to 599) and enhanced status |
//! | `predata-<code>[-<x.y.z>]` | DATA, or the first BDAT, is answered with it |
//! | `data-<code>[-<x.y.z>]` | the end of the message is answered with it; the message is not accepted |
//! | `421` | as `rcpt-421`; after any 421 the connection is closed |
//! | `greylist` | as `rcpt-451-4.7.1-once` |
//! | `rate-<n>` | at most so many messages a second, over all connections; beyond that RCPT is answered 451 4.4.5 |
//! | `slow-<n>ms`, `slow-<n>s` | the message is accepted; its reply comes after this time |
//! | `slow-rcpt-<n>ms`, `slow-rcpt-<n>s` | the reply to RCPT comes after this time |
//! | `multiline` | the message is accepted with a reply of three lines |
//! | `drop-at-rcpt` | the connection is closed instead of a reply to RCPT |
//! | `drop-in-data` | the connection is closed when the first bytes of the content arrive |
//! | `drop-after-dot` | the message is accepted; the connection is closed instead of a reply |
//! | `lose-after-dot` | the connection is closed instead of a reply; the message is not accepted |
//! | `reset-at-rcpt`, `reset-in-data`, `reset-after-dot` | as `drop-…`, with a TCP reset |
//! | `stall-at-rcpt` | RCPT is never answered; the connection stays open |
//! | `stall-in-data` | the rest of the content is not read; the connection stays open |
//! | `stall-after-dot` | the message is accepted and never answered; the connection stays open |
//! | `garbage-at-rcpt` | RCPT is answered with bytes that are not a reply; the connection is closed |
//! | `garbage-after-dot` | the message is accepted; its end is answered with bytes that are not a reply |
//! | `overlong-after-dot` | the message is accepted; the reply is a line of 100,000 octets |
//! | `…-once`, `…-twice`, `…-<n>-times` | only the first attempts at this address; later ones are accepted |
//! | `…-always` | every attempt (the default of all but `greylist`) |
//! | `…+<anything>` | another address with the same script |
//!
//! Any other recipient is accepted. If several recipients of one message script its content, the
//! first one decides. [`BEHAVIOURS`] and [`BEHAVIOUR_SUFFIXES`] are the same table for help texts.
//! [`Faults`] happen at random to recipients that script nothing.

mod certificate;
mod connection;
mod faults;
mod options;
pub mod record;
mod script;
mod session;
mod store;
mod stats;
#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use self::connection::{Shared, stopped};
use self::script::Attempts;
use self::session::Common;
use self::stats::{Counters, count};
use self::store::Store;

pub use self::faults::Faults;
pub use self::options::{Credentials, Extensions, Keep, Options, Tls};
pub use self::script::{BEHAVIOUR_SUFFIXES, BEHAVIOURS};
pub use self::stats::Stats;

/// How long to wait when no connection can be accepted, such as when no file descriptor is left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A running receiver. Dropping it stops it too, without waiting for its connections.
pub struct Sandbox {
    addr: SocketAddr,
    certificate_pem: String,
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
    accepting: JoinHandle<()>,
}

impl Sandbox {
    /// Starts listening on the current tokio runtime.
    ///
    /// # Errors
    /// `InvalidInput` for options that make no sense, or a listening address that other hosts can
    /// reach without `allow_remote`; `WouldBlock` if the record is in use; otherwise whatever keeps
    /// address, folder or record from being opened.
    pub async fn start(options: Options) -> io::Result<Self> {
        options.check()?;
        let identity = certificate::identity(&options.host_name)?;
        let store = Arc::new(Store::open(&options)?);
        let listener = TcpListener::bind(options.listen).await?;
        let addr = listener.local_addr()?;
        let tls = (options.tls != Tls::Off).then(|| TlsAcceptor::from(identity.config));
        let common = Common { options, attempts: Attempts::default(), counters: Counters::default() };
        let shared = Arc::new(Shared { common: Arc::new(common), store, tls });
        let (stop, stopping) = watch::channel(false);
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared), stopping));
        Ok(Self { addr, certificate_pem: identity.certificate_pem, shared, stop, accepting })
    }

    /// The address where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The certificate in PEM: for `localhost`, `127.0.0.1`, `::1` and the host name of the
    /// options.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// The totals so far.
    pub fn stats(&self) -> Stats {
        Stats { domains: self.shared.store.domains(), ..self.shared.common.counters.snapshot() }
    }

    /// Stops accepting connections, closes the open ones with 421, and returns the final totals.
    /// Finishes writing a message that has arrived completely, and tries to reply; does not wait
    /// for one that is still arriving.
    pub async fn stop(self) -> Stats {
        self.stop.send_replace(true);
        let Self { accepting, shared, .. } = self;
        // It ends when its connections have ended; the panic hook has reported a panic in it.
        drop(accepting.await);
        Stats { domains: shared.store.domains(), ..shared.common.counters.snapshot() }
    }
}

/// Accepts connections until the sandbox stops, then waits for their ends.
async fn accept(listener: TcpListener, shared: Arc<Shared>, mut stop: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
            () = stopped(&mut stop) => break,
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let counters = &shared.common.counters;
        count(&counters.open);
        let number = counters.connections.fetch_add(1, Ordering::Relaxed) + 1;
        let (shared, stop) = (Arc::clone(&shared), stop.clone());
        connections.spawn(async move {
            connection::serve(&shared, stream, number, stop).await;
            shared.common.counters.open.fetch_sub(1, Ordering::Relaxed);
        });
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}
