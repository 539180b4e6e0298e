//! The options of a sandbox. Plain values: nothing here opens a socket or a file.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::faults::Faults;

/// Where a sandbox listens, what it offers, what it keeps and which faults it has.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where to listen. With port 0, a free one is chosen; [`super::Sandbox::addr`] returns it.
    pub listen: SocketAddr,
    /// Allow `listen` to be an address that other hosts can reach, not just a loopback address.
    pub allow_remote: bool,
    /// What to keep of accepted messages.
    pub keep: Keep,
    /// TLS, with a certificate created at start.
    pub tls: Tls,
    /// If set, AUTH PLAIN and LOGIN are offered, and transactions require a login.
    pub auth: Option<Credentials>,
    /// Offer AUTH without TLS too, which no client should accept. For tests of clients.
    pub auth_in_clear: bool,
    /// Repeat in every later reply what came with AUTH, as it came and decoded, as some servers do.
    pub repeats_login: bool,
    /// The largest message in bytes, as announced with SIZE (RFC 1870) and enforced.
    pub max_size: u64,
    /// The most recipients of one message; further ones get 452 4.5.3. RFC 5321 §4.5.3.1.8 requires
    /// at least 100.
    pub most_recipients: usize,
    /// The extensions in EHLO. Parameters and commands of others are refused.
    pub extensions: Extensions,
    /// Refuse content that RFC 5321 forbids: bare CR or LF, NUL, lines over 998 octets, undeclared
    /// 8-bit text.
    pub strict_content: bool,
    /// Answer 354 to DATA even if every recipient was refused, as RFC 2920 §3.1 allows.
    pub eager_data: bool,
    /// The file that gets a line per accepted message and recipient; see [`super::record`].
    pub record: Option<PathBuf>,
    /// The delay of the reply to the end of every message.
    pub delay: Option<Duration>,
    /// Random faults, for recipients whose local part scripts nothing.
    pub faults: Option<Faults>,
    /// How long a connection may be silent before it is closed. RFC 5321 §4.5.3.2.7 requires 5
    /// minutes.
    pub idle_timeout: Duration,
    /// The name in the greeting, in EHLO and in `Received`.
    pub host_name: String,
}

/// What to keep of accepted messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keep {
    /// Only the totals of [`super::Stats`].
    Discard,
    /// The totals, and a count per recipient domain.
    Count,
    /// One file `<queue id>.eml` per message in this folder, which is created if missing.
    Eml(PathBuf),
}

/// Whether and when connections are encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    /// No TLS.
    Off,
    /// STARTTLS is offered (RFC 3207).
    Offered,
    /// STARTTLS is offered, and MAIL without it is refused.
    Required,
    /// TLS from the first byte (RFC 8314 §3.3).
    Implicit,
}

/// The one user that may log in.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user's name.
    pub user: String,
    /// The password; not shown by `Debug`.
    pub password: String,
}

/// What EHLO offers, all by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extensions {
    /// PIPELINING (RFC 2920). If off, a command sent before the previous one was answered ends the
    /// connection.
    pub pipelining: bool,
    /// BDAT (RFC 3030 §2).
    pub chunking: bool,
    /// `BODY=BINARYMIME` (RFC 3030 §3); needs `chunking`.
    pub binary_mime: bool,
    /// `BODY=8BITMIME` (RFC 6152).
    pub eight_bit_mime: bool,
    /// SMTPUTF8 (RFC 6531).
    pub smtp_utf8: bool,
    /// SIZE (RFC 1870). The limit holds even without it.
    pub size: bool,
    /// ENHANCEDSTATUSCODES (RFC 2034). If off, replies carry no enhanced status.
    pub enhanced_status_codes: bool,
    /// DSN: `RET`, `ENVID`, `NOTIFY`, `ORCPT` (RFC 3461). Accepted, but no notification is ever
    /// sent.
    pub dsn: bool,
    /// REQUIRETLS (RFC 8689); offered over TLS only.
    pub require_tls: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            allow_remote: false,
            keep: Keep::Discard,
            tls: Tls::Offered,
            auth: None,
            auth_in_clear: false,
            repeats_login: false,
            max_size: 50 * 1024 * 1024,
            most_recipients: 1_000,
            extensions: Extensions::ALL,
            strict_content: true,
            eager_data: false,
            record: None,
            delay: None,
            faults: None,
            idle_timeout: Duration::from_secs(300),
            host_name: "sandbox.localhost".to_owned(),
        }
    }
}

impl Options {
    /// Refuses options that make no sense, with an error of the kind `InvalidInput`.
    pub(super) fn check(&self) -> io::Result<()> {
        if !self.allow_remote && !self.listen.ip().is_loopback() {
            return Err(invalid(format!("`{}` is not a loopback address", self.listen)));
        }
        if self.auth.is_some() && self.tls == Tls::Off && !self.auth_in_clear {
            return Err(invalid("AUTH is offered over TLS only, and TLS is off".to_owned()));
        }
        let name = &self.host_name;
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.') {
            return Err(invalid(format!("`{name}` is not a host name")));
        }
        Ok(())
    }
}

fn invalid(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, text)
}

impl Extensions {
    /// Everything the sandbox can do.
    pub const ALL: Self = Self {
        pipelining: true,
        chunking: true,
        binary_mime: true,
        eight_bit_mime: true,
        smtp_utf8: true,
        size: true,
        enhanced_status_codes: true,
        dsn: true,
        require_tls: true,
    };

    /// A server of RFC 5321 without any extension.
    pub const NONE: Self = Self {
        pipelining: false,
        chunking: false,
        binary_mime: false,
        eight_bit_mime: false,
        smtp_utf8: false,
        size: false,
        enhanced_status_codes: false,
        dsn: false,
        require_tls: false,
    };
}

impl Default for Extensions {
    fn default() -> Self {
        Self::ALL
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}
