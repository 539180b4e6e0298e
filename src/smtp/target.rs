//! Where to connect to, from where, under which name and with which credentials.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use crate::campaign::{Dsn, Timeouts};

use super::{Capabilities, Credentials, Secrets, Security};

/// One host to connect to, already resolved.
#[derive(Debug, Clone)]
pub struct Target {
    /// The host's name: for SNI and the certificate, and in results.
    pub host: String,
    /// Its addresses, tried in turn.
    pub addresses: Vec<SocketAddr>,
    /// The local address to connect from; the system's choice when `None`.
    pub local_ip: Option<IpAddr>,
    /// The name in EHLO.
    pub ehlo: EhloName,
    /// How the connection is secured.
    pub security: Security,
    /// The credentials to authenticate with, only ever over TLS.
    pub credentials: Option<Credentials>,
    /// How long to wait for what.
    pub timeouts: Timeouts,
    /// The extensions that every message asks for.
    pub extensions: Extensions,
    /// What no reply may show; the credentials are added once they are used.
    pub secrets: Secrets,
}

/// The extensions that every message asks for.
#[derive(Debug, Clone, Default)]
pub struct Extensions {
    /// Delivery status notifications (RFC 3461), if the server offers them.
    pub dsn: Option<Dsn>,
    /// REQUIRETLS (RFC 8689): without it the message is not sent.
    pub require_tls: bool,
    /// The archive may get what was written for a recipient who was refused. Without it the content
    /// of a message with an archive waits for the replies to its envelope.
    pub archive_strict: bool,
}

impl Extensions {
    /// The notifications to ask for from a server that offers `offered`.
    pub(super) fn dsn(&self, offered: &Capabilities) -> Option<&Dsn> {
        self.dsn.as_ref().filter(|_| offered.dsn)
    }
}

/// The name in EHLO: a host name or an address literal (RFC 5321 §4.1.3), without anything that
/// could end the line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EhloName(Box<str>);

/// The text can't be the name in EHLO.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` can't be the name in EHLO")]
pub struct BadEhloName(String);

impl EhloName {
    /// The name as it goes on the wire.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for EhloName {
    type Err = BadEhloName;

    fn from_str(text: &str) -> Result<Self, BadEhloName> {
        let fits = (1..=255).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        if fits { Ok(Self(text.into())) } else { Err(BadEhloName(text.to_owned())) }
    }
}

impl fmt::Display for EhloName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_in_ehlo_is_one_word() {
        for good in ["mail.example.com", "[192.0.2.1]", "[IPv6:2001:db8::1]", "localhost"] {
            assert_eq!(good.parse::<EhloName>().unwrap().as_str(), good);
        }
        for bad in ["", "a b", "a\r\nMAIL FROM:<>", "a\n", "müller.example"] {
            assert!(bad.parse::<EhloName>().is_err(), "{bad:?}");
        }
    }
}
