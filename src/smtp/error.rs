//! What goes wrong between two ends of a connection, sorted by what it concerns.

use std::io;
use std::net::IpAddr;

use crate::mail::Reply;

use super::command::Command;
use super::token::TokenError;

/// Why a session ended without a reply that decides. Cloned into the fate of each message that was under way.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// The server closed the connection.
    #[error("connection closed by the server while waiting for the reply to `{awaiting}`")]
    Closed {
        /// The oldest command without its reply.
        awaiting: Command,
    },
    /// The server closed the connection while nothing was under way.
    #[error("connection closed by the server")]
    ClosedIdle,
    /// No reply, or no progress in writing, for too long.
    #[error("timeout while waiting for the reply to `{awaiting}`")]
    Timeout {
        /// The oldest command without its reply.
        awaiting: Command,
    },
    /// The server's bytes are no reply, or a reply that can't stand where it stood.
    #[error("protocol error: {0}")]
    Protocol(String),
    /// 421: the server is closing; given to the messages behind the one that it answered.
    #[error("server is closing the connection: {0}")]
    Closing(Reply),
    /// The recipient was refused and the archive was not, and the server waits for the content: only closing the
    /// connection keeps the archive from a copy of what the recipient did not get.
    #[error("connection closed: the archive was to get a message that its recipient was refused for")]
    Withheld,
    /// Reading or writing failed.
    #[error("connection lost: {detail}")]
    Io {
        /// The kind, for decisions.
        kind: io::ErrorKind,
        /// The system's text.
        detail: String,
    },
}

impl From<&io::Error> for SessionError {
    fn from(error: &io::Error) -> Self {
        Self::Io { kind: error.kind(), detail: error.to_string() }
    }
}

/// Why no session could be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct ConnectError {
    /// The address that it happened with; `None` when it came to none.
    pub remote_ip: Option<IpAddr>,
    /// What happened.
    pub problem: ConnectProblem,
}

/// What a failure to connect is about (as Postfix sorts them): it decides what to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Concern {
    /// The site: not reachable, or it does not want to talk now.
    Site,
    /// TLS is not to be had as it is demanded.
    Tls,
    /// The credentials.
    Auth,
    /// The server does not speak SMTP as it should.
    Protocol,
}

/// What happened on the way to a session.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectProblem {
    /// There is no address to connect to (or none of the local address's family).
    #[error("no address to connect to")]
    NoAddress,
    /// The TCP connection was refused, or is not possible.
    #[error("failed to connect: {detail}")]
    Unreachable {
        /// The kind, for decisions.
        kind: io::ErrorKind,
        /// The system's text.
        detail: String,
    },
    /// The greeting or EHLO was answered with 4xx or 5xx.
    #[error("server refused `{to}`: {reply}")]
    Refused {
        /// The step.
        to: Command,
        /// The reply.
        reply: Reply,
    },
    /// No answer in time; [`Command::Connect`] for the TCP connect and the greeting.
    #[error("timeout while waiting for the reply to `{awaiting}`")]
    Timeout {
        /// The step.
        awaiting: Command,
    },
    /// The connection was lost.
    #[error("connection lost at `{awaiting}`: {detail}")]
    Lost {
        /// The step.
        awaiting: Command,
        /// The system's text.
        detail: String,
    },
    /// TLS is demanded, and STARTTLS is not offered.
    #[error("server does not offer STARTTLS")]
    NoStartTls,
    /// STARTTLS was refused.
    #[error("server refused STARTTLS: {0}")]
    StartTlsRefused(Reply),
    /// The handshake failed: the certificate is not valid for this host, or no common version or cipher.
    #[error("TLS handshake failed: {0}")]
    Handshake(String),
    /// Bytes came in clear behind the reply to STARTTLS: somebody may be injecting replies.
    #[error("unencrypted bytes after the reply to STARTTLS")]
    Injected,
    /// There are credentials, and the connection has no TLS: they are never sent in clear.
    #[error("no TLS, and credentials are never sent in clear")]
    AuthWithoutTls,
    /// None of the mechanisms that the credentials are fit for is offered.
    #[error("server offers no fitting AUTH mechanism")]
    NoMechanism,
    /// There is no token to authenticate with.
    #[error("{0}")]
    Token(#[from] TokenError),
    /// AUTH was refused.
    #[error("server refused AUTH: {0}")]
    AuthRefused(Reply),
    /// The server's bytes are no reply, or one that can't stand where it stood.
    #[error("protocol error: {0}")]
    Protocol(String),
}

impl ConnectError {
    /// What the failure is about.
    pub fn concern(&self) -> Concern {
        match &self.problem {
            ConnectProblem::NoAddress
            | ConnectProblem::Unreachable { .. }
            | ConnectProblem::Refused { .. }
            | ConnectProblem::Timeout { .. }
            | ConnectProblem::Lost { .. } => Concern::Site,
            ConnectProblem::NoStartTls
            | ConnectProblem::StartTlsRefused(_)
            | ConnectProblem::Handshake(_)
            | ConnectProblem::Injected => Concern::Tls,
            ConnectProblem::AuthWithoutTls
            | ConnectProblem::NoMechanism
            | ConnectProblem::Token(_)
            | ConnectProblem::AuthRefused(_) => Concern::Auth,
            ConnectProblem::Protocol(_) => Concern::Protocol,
        }
    }

    /// The server's reply, where it was one that decided.
    pub fn reply(&self) -> Option<&Reply> {
        match &self.problem {
            ConnectProblem::Refused { reply, .. }
            | ConnectProblem::StartTlsRefused(reply)
            | ConnectProblem::AuthRefused(reply) => Some(reply),
            ConnectProblem::NoAddress
            | ConnectProblem::Unreachable { .. }
            | ConnectProblem::Timeout { .. }
            | ConnectProblem::Lost { .. }
            | ConnectProblem::NoStartTls
            | ConnectProblem::Handshake(_)
            | ConnectProblem::Injected
            | ConnectProblem::AuthWithoutTls
            | ConnectProblem::NoMechanism
            | ConnectProblem::Token(_)
            | ConnectProblem::Protocol(_) => None,
        }
    }
}
