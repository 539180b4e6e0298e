//! `[delivery]`: where the mail goes and how hard to try.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::dns::NameServer;
use super::mx::Mx;
use super::units::Span;

/// `[delivery]`.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Delivery {
    /// The next hop's kind.
    pub route: RouteKind,
    /// `[delivery.relay]`; needed for route `relay`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relay: Option<Relay>,
    /// `[delivery.mx]`, for route `mx`.
    #[serde(default, skip_serializing_if = "Mx::is_default")]
    pub mx: Mx,
    /// `[delivery.retry]`.
    #[serde(default)]
    pub retry: Retry,
    /// `[delivery.timeouts]`.
    #[serde(default)]
    pub timeouts: Timeouts,
    /// How long a first SIGINT or SIGTERM waits for what is under way.
    #[serde(default = "default_drain_seconds")]
    pub drain_seconds: u64,
    /// The name in EHLO; this machine's host name by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ehlo: Option<String>,
    /// The name servers to ask, an address with or without a port each; the system's by default.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resolver: Vec<NameServer>,
}

/// Where the next hop is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RouteKind {
    /// One relay for all.
    Relay,
    /// The mail exchangers of each recipient's domain.
    Mx,
    /// The embedded receiver: nothing leaves the machine.
    Sandbox,
}

/// `[delivery.relay]`.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Relay {
    /// Host name or IP address.
    pub host: String,
    /// TCP port; 587 by default, 465 with implicit TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Transport security.
    #[serde(default)]
    pub tls: RelayTls,
    /// A PEM file with the certificates to trust instead of the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// The user for AUTH.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// The environment variable with the password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_env: Option<String>,
    /// The file with the password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
    /// Connections kept open.
    #[serde(default = "default_connections")]
    pub connections: usize,
    /// Messages under way at once on one connection; more than 1 only for a relay of one's own.
    #[serde(default = "default_depth")]
    pub pipeline_depth: usize,
    /// Messages sent over one connection before it is closed; 0 is without end.
    #[serde(default)]
    pub messages_per_connection: u64,
}

/// Transport security to the relay (RFC 3207, RFC 8314).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RelayTls {
    /// STARTTLS, with the certificate verified; no TLS, no mail.
    #[default]
    Required,
    /// STARTTLS where it is offered; the certificate is not verified.
    Opportunistic,
    /// TLS from the first byte, with the certificate verified.
    Implicit,
    /// Never.
    None,
}

/// `[delivery.retry]`: when a transient failure is tried again.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Retry {
    /// The wait after the first failure.
    pub first: Span,
    /// What the wait is multiplied with after each further one.
    pub factor: f64,
    /// The longest wait.
    pub longest: Span,
    /// Counted from a row's first attempt.
    pub give_up_after: Span,
}

/// `[delivery.timeouts]` (RFC 5321 §4.5.3.2; shorter where batch mail is better off with another attempt).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Timeouts {
    /// TCP connect.
    pub connect: Span,
    /// The greeting (220).
    pub greeting: Span,
    /// EHLO, STARTTLS with its handshake, AUTH, RSET, QUIT: each.
    pub command: Span,
    /// The replies to MAIL and RCPT.
    pub envelope: Span,
    /// The 354 to DATA, and each write of content that makes no progress.
    pub data: Span,
    /// The reply to the end of the message.
    pub end_of_data: Span,
}

fn default_drain_seconds() -> u64 {
    30
}

fn default_connections() -> usize {
    20
}

fn default_depth() -> usize {
    1
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            first: Span::seconds(30),
            factor: 2.0,
            longest: Span::seconds(15 * 60),
            give_up_after: Span::seconds(4 * 3_600),
        }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Span::seconds(5),
            greeting: Span::seconds(60),
            command: Span::seconds(60),
            envelope: Span::seconds(120),
            data: Span::seconds(180),
            end_of_data: Span::seconds(600),
        }
    }
}

impl Relay {
    /// The port to connect to.
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(if self.tls == RelayTls::Implicit { 465 } else { 587 })
    }
}

impl Delivery {
    pub(super) fn resolve_paths(&mut self, folder: &Path) {
        if let Some(path) = &mut self.mx.ca_file {
            *path = folder.join(&*path);
        }
        if let Some(relay) = &mut self.relay {
            for path in relay.ca_file.iter_mut().chain(&mut relay.password_file) {
                *path = folder.join(&*path);
            }
        }
    }

    pub(super) fn check(&self) -> Result<(), (&'static str, String, &'static str)> {
        if self.route == RouteKind::Relay && self.relay.is_none() {
            return Err((
                "delivery.route",
                "route `relay` needs `[delivery.relay]`".into(),
                "add it with its `host`",
            ));
        }
        if let Some(relay) = &self.relay {
            relay.check()?;
        }
        self.mx.check()?;
        let retry = &self.retry;
        if !(1.0..=100.0).contains(&retry.factor) {
            return Err((
                "delivery.retry.factor",
                format!("{} is out of range", retry.factor),
                "use 1.0 to 100.0",
            ));
        }
        if retry.first.0.is_zero() {
            return Err(("delivery.retry.first", "a retry without a wait".into(), "wait at least 1ms"));
        }
        Ok(())
    }
}

impl Relay {
    fn check(&self) -> Result<(), (&'static str, String, &'static str)> {
        if !(1..=10_000).contains(&self.connections) {
            return Err((
                "delivery.relay.connections",
                format!("{} connections", self.connections),
                "use 1 to 10000",
            ));
        }
        if !(1..=1_000).contains(&self.pipeline_depth) {
            return Err((
                "delivery.relay.pipeline-depth",
                format!("a depth of {}", self.pipeline_depth),
                "use 1 to 1000; 1 for any relay that is not your own",
            ));
        }
        let password = self.password_env.is_some() || self.password_file.is_some();
        if self.username.is_some() != password {
            return Err((
                "delivery.relay.username",
                "`username` and `password-env` (or `password-file`) go together".into(),
                "give both, or neither",
            ));
        }
        if self.username.is_some() && self.tls == RelayTls::None {
            return Err((
                "delivery.relay.tls",
                "a password is never sent in clear".into(),
                "use `tls = \"required\"`, or leave `username` out",
            ));
        }
        Ok(())
    }
}
