//! Failures of sessions, sorted by what they concern.

use std::io;
use std::net::IpAddr;

use crate::mail::Reply;

use super::command::Command;
use super::token::TokenError;

/// Why a session ended without a reply that decides. Each message in flight gets a copy in its
/// fate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// The server closed the connection.
    #[error("connection closed by the server while waiting for the reply to `{awaiting}`")]
    Closed {
        /// The oldest command without its reply.
        awaiting: Command,
    },
    /// The server closed the connection while nothing was in flight.
    #[error("connection closed by the server")]
    ClosedIdle,
    /// No reply, or no progress in writing, for too long.
    #[error("timeout while waiting for the reply to `{awaiting}`")]
    Timeout {
        /// The oldest command without its reply.
        awaiting: Command,
    },
    /// The server's bytes are no reply, or a reply that is impossible there.
    #[error("protocol error: {0}")]
    Protocol(String),
    /// 421: the server is closing. For the messages after the one that it answered.
    #[error("server is closing the connection: {0}")]
    Closing(Reply),
    /// The recipient was refused and the archive was not, and the server waits for the content:
    /// only closing the connection keeps the archive from getting a copy of what the recipient did
    /// not get.
    #[error("connection closed: the archive would have got a message whose recipient was refused")]
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

impl SessionError {
    /// The server's reply, if a reply ended the session.
    pub fn reply(&self) -> Option<&Reply> {
        match self {
            Self::Closing(reply) => Some(reply),
            Self::Closed { .. }
            | Self::ClosedIdle
            | Self::Timeout { .. }
            | Self::Protocol(_)
            | Self::Withheld
            | Self::Io { .. } => None,
        }
    }
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
    /// The address that failed; `None` if no address was tried.
    pub remote_ip: Option<IpAddr>,
    /// What happened.
    pub problem: ConnectProblem,
}

/// What a failure to connect concerns (as Postfix sorts them): this decides what to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Concern {
    /// The site: not reachable, or it refuses to talk now.
    Site,
    /// TLS is not possible as it is demanded.
    Tls,
    /// The credentials.
    Auth,
    /// The protocol: the server does not speak SMTP correctly.
    Protocol,
    /// This machine: it says nothing about the site.
    Machine,
}

/// What went wrong while opening a session.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectProblem {
    /// The target has no address (or none of the local address's family).
    #[error("no address to connect to")]
    NoAddress,
    /// The TCP connection was refused, or is impossible.
    #[error("failed to connect: {detail}")]
    Unreachable {
        /// The kind, for decisions.
        kind: io::ErrorKind,
        /// The system's text.
        detail: String,
    },
    /// No more files can be open, in this process or on this machine.
    #[error("failed to open a socket: {detail}")]
    NoFile {
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
    /// The handshake failed: the certificate is not valid for this host, or there is no common
    /// version or cipher.
    #[error("TLS handshake failed: {0}")]
    Handshake(String),
    /// Bytes followed the reply to STARTTLS in clear: somebody may be injecting replies.
    #[error("unencrypted bytes after the reply to STARTTLS")]
    Injected,
    /// The target has credentials, and the connection has no TLS: they are never sent in clear.
    #[error("no TLS, and credentials are never sent in clear")]
    AuthWithoutTls,
    /// The server offers no mechanism that the credentials can be used with.
    #[error("server offers no AUTH mechanism for these credentials")]
    NoMechanism,
    /// The command printed no token to authenticate with.
    #[error("{0}")]
    Token(#[from] TokenError),
    /// AUTH was refused.
    #[error("server refused AUTH: {0}")]
    AuthRefused(Reply),
    /// The server's bytes are no reply, or one that is impossible there.
    #[error("protocol error: {0}")]
    Protocol(String),
}

impl ConnectError {
    /// What the failure concerns.
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
            ConnectProblem::NoFile { .. } => Concern::Machine,
        }
    }

    /// The server's reply, if a reply decided.
    pub fn reply(&self) -> Option<&Reply> {
        match &self.problem {
            ConnectProblem::Refused { reply, .. }
            | ConnectProblem::StartTlsRefused(reply)
            | ConnectProblem::AuthRefused(reply) => Some(reply),
            ConnectProblem::NoAddress
            | ConnectProblem::Unreachable { .. }
            | ConnectProblem::NoFile { .. }
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
