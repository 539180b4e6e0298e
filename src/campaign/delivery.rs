//! `[delivery]`: where the mail goes and how hard to try.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::bsmtp::Bsmtp;
use super::dns::NameServer;
use super::error::Mistake;
use super::mx::Mx;
use super::notification::Dsn;
use super::units::Span;

/// `[delivery]`.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Delivery {
    /// Where messages are handed over.
    pub route: RouteKind,
    /// `[delivery.relay]`; needed for route `relay`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relay: Option<Relay>,
    /// `[delivery.mx]`, for route `mx`.
    #[serde(default, skip_serializing_if = "Mx::is_default")]
    pub mx: Mx,
    /// `[delivery.bsmtp]`; needed for route `bsmtp`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bsmtp: Option<Bsmtp>,
    /// `[delivery.retry]`.
    #[serde(default)]
    pub retry: RetryPolicy,
    /// `[delivery.timeouts]`.
    #[serde(default)]
    pub timeouts: Timeouts,
    /// Seconds that a first SIGINT or SIGTERM waits for messages in flight.
    #[serde(default = "default_drain_seconds")]
    pub drain_seconds: u64,
    /// The name in EHLO; this machine's host name by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ehlo: Option<String>,
    /// The name servers to ask; the system's by default.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resolver: Vec<NameServer>,
    /// Send only if every hop uses TLS with a verified certificate (REQUIRETLS, RFC 8689).
    #[serde(default, skip_serializing_if = "is_false")]
    pub require_tls: bool,
    /// `[delivery.dsn]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dsn: Option<Dsn>,
}

fn is_false(value: &bool) -> bool {
    !*value
}

/// The kind of next hop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RouteKind {
    /// A relay, or several.
    Relay,
    /// The mail exchangers of each recipient's domain.
    Mx,
    /// The embedded receiver: nothing leaves the machine.
    Sandbox,
    /// Files of batch SMTP, which another program sends.
    Bsmtp,
}

/// `[delivery.relay]`.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Relay {
    /// Its name for `[[route]]`; required in `[[relay]]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its share of the connections, where several relays accept the same mail.
    #[serde(default = "default_weight", skip_serializing_if = "is_default_weight")]
    pub weight: u32,
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
    /// The environment variable that holds the password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_env: Option<String>,
    /// The file that holds the password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
    /// A program with its arguments that prints an access token for `username` (XOAUTH2), instead
    /// of a password.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub token_command: Vec<String>,
    /// A PEM file with the certificate to show to a relay that asks for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_cert: Option<PathBuf>,
    /// The PEM file with its key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_key: Option<PathBuf>,
    /// The most connections at once.
    #[serde(default = "default_connections")]
    pub connections: usize,
    /// Messages in flight at once on one connection; more than 1 only for your own relay.
    #[serde(default = "default_depth")]
    pub pipeline_depth: usize,
    /// Messages sent over one connection before it is closed; 0 means no limit.
    #[serde(default)]
    pub messages_per_connection: u64,
    /// Recipients of one message, if all get the same text (`template.personalised = false`).
    #[serde(default = "default_recipients", skip_serializing_if = "is_default_recipients")]
    pub recipients_per_message: usize,
}

/// Transport security to the relay (RFC 3207, RFC 8314).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RelayTls {
    /// STARTTLS with a verified certificate; without it, nothing is sent.
    #[default]
    Required,
    /// STARTTLS if offered; the certificate is not verified.
    Opportunistic,
    /// TLS from the first byte, with a verified certificate.
    Implicit,
    /// No TLS.
    None,
}

/// `[delivery.retry]`: when to retry after a transient failure.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct RetryPolicy {
    /// The wait after the first failure.
    pub first: Span,
    /// The factor by which the wait grows after each further failure.
    pub factor: f64,
    /// The longest wait.
    pub longest: Span,
    /// No attempt later than this after a row's first one; then the row ends as `deferred`.
    pub give_up_after: Span,
}

/// `[delivery.timeouts]` (RFC 5321 §4.5.3.2; shorter where batch mail does better with another
/// attempt).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Timeouts {
    /// TCP connect.
    pub connect: Span,
    /// The greeting (220).
    pub greeting: Span,
    /// Each of EHLO, STARTTLS with its handshake, AUTH, RSET and QUIT.
    pub command: Span,
    /// Each reply to MAIL or RCPT.
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

/// Recipients of one message: more than any server is known to accept, and no more than a run
/// prepares at once.
pub(super) const RECIPIENTS: std::ops::RangeInclusive<usize> = 1..=1_000;
pub(super) const RECIPIENTS_HINT: &str = "use 1 to 1000; RFC 5321 requires every server to accept 100";

/// RFC 5321 §4.5.3.1.8: every server must accept as many.
fn default_recipients() -> usize {
    100
}

fn is_default_recipients(recipients: &usize) -> bool {
    *recipients == default_recipients()
}

fn default_weight() -> u32 {
    1
}

fn is_default_weight(weight: &u32) -> bool {
    *weight == default_weight()
}

impl Default for RetryPolicy {
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
            relay.resolve_paths(folder);
        }
        if let Some(bsmtp) = &mut self.bsmtp {
            bsmtp.resolve_paths(folder);
        }
    }

    pub(super) fn check(&self) -> Result<(), Mistake> {
        if let Some(relay) = &self.relay {
            relay.check()?;
        }
        if let Some(dsn) = &self.dsn {
            dsn.check()?;
        }
        match (&self.bsmtp, self.route) {
            (Some(bsmtp), _) => bsmtp.check()?,
            (None, RouteKind::Bsmtp) => {
                return Err(Mistake::new(
                    "delivery.route",
                    "route `bsmtp` needs `[delivery.bsmtp]`",
                    "add it with the `folder` for the files",
                ));
            }
            (None, _) => {}
        }
        self.mx.check()?;
        let retry = &self.retry;
        if !(1.0..=100.0).contains(&retry.factor) {
            return Err(Mistake::new(
                "delivery.retry.factor",
                format!("{} is out of range", retry.factor),
                "use 1.0 to 100.0",
            ));
        }
        if retry.first.0.is_zero() {
            return Err(Mistake::new("delivery.retry.first", "a wait of 0", "wait at least 1ms"));
        }
        Ok(())
    }
}

impl Relay {
    pub(super) fn resolve_paths(&mut self, folder: &Path) {
        let Self { ca_file, password_file, client_cert, client_key, .. } = self;
        for path in [ca_file, password_file, client_cert, client_key].into_iter().flatten() {
            *path = folder.join(&*path);
        }
    }

    pub(super) fn check(&self) -> Result<(), Mistake> {
        if !(1..=10_000).contains(&self.connections) {
            return Err(Mistake::new(
                "delivery.relay.connections",
                format!("{} connections", self.connections),
                "use 1 to 10000",
            ));
        }
        if !(1..=1_000).contains(&self.weight) {
            return Err(Mistake::new(
                "delivery.relay.weight",
                format!("a weight of {}", self.weight),
                "use 1 to 1000",
            ));
        }
        if !(1..=1_000).contains(&self.pipeline_depth) {
            return Err(Mistake::new(
                "delivery.relay.pipeline-depth",
                format!("a depth of {}", self.pipeline_depth),
                "use 1 to 1000; 1 for any relay that is not your own",
            ));
        }
        if !RECIPIENTS.contains(&self.recipients_per_message) {
            return Err(Mistake::new(
                "delivery.relay.recipients-per-message",
                format!("{} recipients per message", self.recipients_per_message),
                RECIPIENTS_HINT,
            ));
        }
        let password = self.password_env.is_some() || self.password_file.is_some();
        let token = !self.token_command.is_empty();
        if self.username.is_some() != (password || token) {
            return Err(Mistake::new(
                "delivery.relay.username",
                "`username` and `password-env` (or `password-file`, or `token-command`) go together",
                "give both, or neither",
            ));
        }
        if password && token {
            return Err(Mistake::new(
                "delivery.relay.token-command",
                "both a password and a `token-command` are given",
                "use one of them",
            ));
        }
        if self.client_cert.is_some() != self.client_key.is_some() {
            return Err(Mistake::new(
                "delivery.relay.client-cert",
                "`client-cert` and `client-key` go together",
                "give both, or neither",
            ));
        }
        if self.client_cert.is_some() && self.tls == RelayTls::None {
            return Err(Mistake::new(
                "delivery.relay.client-cert",
                "a client certificate can only be shown over TLS",
                "use `tls = \"required\"`, or leave it out",
            ));
        }
        if self.username.is_some() && self.tls == RelayTls::None {
            return Err(Mistake::new(
                "delivery.relay.tls",
                "a password or token is never sent without TLS",
                "use `tls = \"required\"`, or leave `username` out",
            ));
        }
        Ok(())
    }
}
