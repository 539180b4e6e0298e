//! What a listener offers, to whom, and how much of it.

use std::fmt;
use std::sync::Arc;

use tokio_rustls::TlsAcceptor;

/// What a listener offers.
#[derive(Debug, Clone)]
pub struct Terms {
    /// The name in replies.
    pub host: &'static str,
    /// What follows it in the greeting.
    pub greeting: &'static str,
    /// The answer to HELP.
    pub help: &'static str,
    /// LMTP is spoken too.
    pub lmtp: bool,
    /// Clients have to log in (RFC 4954), over TLS or where nobody else listens.
    pub login: bool,
    /// The content has to be as RFC 5321 says: lines of 998 octets that end with CRLF, no NUL.
    pub is_strict: bool,
    /// The largest mail, as announced with SIZE (RFC 1870).
    pub mail_bytes: usize,
    /// All mails in memory together, of all connections: at least one of the largest.
    pub room_bytes: usize,
    /// Recipients of one mail; more get 452 4.5.3. RFC 5321 §4.5.3.1.8 requires 100.
    pub recipients: usize,
    /// Connections at once; more are answered 421 4.3.2.
    pub connections: usize,
    /// Connections of one address that is not this machine's; more are answered so too.
    pub connections_of_one: usize,
    /// How TLS is spoken; in clear without it.
    pub tls: Option<Tls>,
}

/// How TLS is spoken.
#[derive(Clone)]
pub struct Tls {
    /// From the first byte (RFC 8314); else after STARTTLS (RFC 3207).
    pub is_implicit: bool,
    /// What a new connection uses: certificates may change.
    pub acceptor: Arc<dyn Fn() -> TlsAcceptor + Send + Sync>,
}

/// Shows no key.
impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("is_implicit", &self.is_implicit).finish_non_exhaustive()
    }
}
