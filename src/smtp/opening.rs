//! The opening of a session: TCP connect, greeting, EHLO, STARTTLS, AUTH (RFC 5321 §3.1, RFC 3207,
//! RFC 4954).
//!
//! Credentials are never sent without TLS, and bytes that follow the reply to STARTTLS in clear are
//! an error, never a reply.

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream, UnixStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::campaign::Timeouts;
use crate::kit::open_files;
use crate::mail::Reply;

use super::auth::Mechanism;
use super::codec::ReplyParser;
use super::stream::Stream;
use super::{Capabilities, Command, ConnectProblem, Credentials, Secrets, Security, Target, tls};

/// The most challenges of one AUTH: LOGIN has two.
const CHALLENGES: usize = 3;
/// Both ends of a session within this process.
pub(super) const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// The bytes of one read.
const READ_BYTES: usize = 4_096;

/// An open session.
#[derive(Debug)]
pub(super) struct Opened {
    pub stream: Stream,
    pub capabilities: Capabilities,
    pub local_ip: IpAddr,
    /// Version and cipher suite.
    pub tls: Option<String>,
    /// What no reply may show.
    pub secrets: Secrets,
}

/// Opens a session with the server at `remote`.
pub(super) async fn open(target: &Target, remote: SocketAddr) -> Result<Opened, ConnectProblem> {
    let opened = attempt(target, remote, &target.security).await;
    match (&opened, &target.security) {
        // RFC 7435 §3: opportunistic means that mail is sent in clear if TLS fails.
        (Err(ConnectProblem::Handshake(_)), Security::Opportunistic(_)) if target.credentials.is_none() => {
            attempt(target, remote, &Security::None).await
        }
        _ => opened,
    }
}

async fn attempt(target: &Target, remote: SocketAddr, security: &Security) -> Result<Opened, ConnectProblem> {
    let tcp = connect_tcp(target, remote).await?;
    let local_ip = tcp.local_addr().map_err(unreachable)?.ip();
    let mut dialogue = Dialogue::new(Stream::Clear(tcp), target.timeouts.clone(), target.secrets.clone());
    if let Security::Implicit(connector) = security {
        dialogue = dialogue.secure(connector, &target.host).await?;
    }
    dialogue.greeting().await?;
    let mut capabilities = dialogue.hello(target).await?;
    match security {
        Security::None | Security::Implicit(_) => {}
        Security::Required(_) | Security::Encrypted(_) if !capabilities.starttls => {
            return Err(ConnectProblem::NoStartTls);
        }
        Security::Opportunistic(_) if !capabilities.starttls => {}
        Security::Required(connector)
        | Security::Encrypted(connector)
        | Security::Opportunistic(connector) => {
            let mut reply = dialogue.exchange(Command::StartTls, "STARTTLS\r\n").await?;
            dialogue.secrets.hide_in(&mut reply);
            if reply.is_positive() {
                if !dialogue.buffer.is_empty() {
                    return Err(ConnectProblem::Injected);
                }
                dialogue = dialogue.secure(connector, &target.host).await?;
                // RFC 3207 §4.2: capabilities offered in clear are discarded.
                capabilities = dialogue.hello(target).await?;
            } else if !matches!(security, Security::Opportunistic(_)) || reply.code == 421 {
                return Err(ConnectProblem::StartTlsRefused(reply));
            }
        }
    }
    // RFC 8689 §4.2.1: the offer counts only over TLS with a verified certificate.
    let verified = match security {
        Security::Required(_) | Security::Implicit(_) => true,
        Security::None | Security::Encrypted(_) | Security::Opportunistic(_) => false,
    };
    capabilities.require_tls &= verified;
    if let Some(credentials) = &target.credentials {
        dialogue.authenticate(credentials, &capabilities).await?;
    }
    let tls = match &dialogue.stream {
        Stream::Clear(_) | Stream::Local(_) => None,
        Stream::Tls(stream) => Some(tls::describe(stream.get_ref().1)),
    };
    Ok(Opened { stream: dialogue.stream, capabilities, local_ip, tls, secrets: dialogue.secrets })
}

/// Opens a session with the server at the other end of `stream`, in this process.
pub(super) async fn open_local(target: &Target, stream: UnixStream) -> Result<Opened, ConnectProblem> {
    let mut dialogue = Dialogue::new(Stream::Local(stream), target.timeouts.clone(), target.secrets.clone());
    dialogue.greeting().await?;
    let capabilities = dialogue.hello(target).await?;
    let (stream, secrets) = (dialogue.stream, dialogue.secrets);
    Ok(Opened { stream, capabilities, local_ip: LOCAL, tls: None, secrets })
}

async fn connect_tcp(target: &Target, remote: SocketAddr) -> Result<TcpStream, ConnectProblem> {
    let connect = async {
        let socket = if remote.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        socket.set_nodelay(true)?;
        if let Some(ip) = target.local_ip {
            socket.bind(SocketAddr::new(ip, 0))?;
        }
        socket.connect(remote).await
    };
    match timeout(target.timeouts.connect.0, connect).await {
        Ok(connected) => connected.map_err(unreachable),
        Err(_) => Err(ConnectProblem::Timeout { awaiting: Command::Connect }),
    }
}

fn unreachable(error: io::Error) -> ConnectProblem {
    if open_files::are_used_up(&error) {
        return ConnectProblem::NoFile { detail: error.to_string() };
    }
    ConnectProblem::Unreachable { kind: error.kind(), detail: error.to_string() }
}

/// Commands and replies, one at a time.
struct Dialogue {
    stream: Stream,
    timeouts: Timeouts,
    parser: ReplyParser,
    /// Bytes that were read and are not yet part of a reply.
    buffer: BytesMut,
    /// The last reply as it came.
    raw: Vec<u8>,
    /// What no reply may show.
    secrets: Secrets,
}

impl Dialogue {
    fn new(stream: Stream, timeouts: Timeouts, secrets: Secrets) -> Self {
        Self {
            stream,
            timeouts,
            parser: ReplyParser::default(),
            buffer: BytesMut::with_capacity(READ_BYTES),
            raw: Vec::new(),
            secrets,
        }
    }

    /// Starts TLS.
    async fn secure(self, connector: &TlsConnector, host: &str) -> Result<Self, ConnectProblem> {
        let Stream::Clear(tcp) = self.stream else {
            return Err(ConnectProblem::Handshake("TLS within TLS".into()));
        };
        let name = ServerName::try_from(host.trim_end_matches('.').to_owned())
            .map_err(|_| ConnectProblem::Handshake(format!("`{host}` is not a host name")))?;
        match timeout(self.timeouts.command.0, connector.connect(name, tcp)).await {
            Ok(Ok(stream)) => Ok(Self { stream: Stream::Tls(Box::new(stream)), ..self }),
            Ok(Err(error)) => Err(ConnectProblem::Handshake(tls::failure(&error))),
            Err(_) => Err(ConnectProblem::Handshake("timeout".into())),
        }
    }

    async fn greeting(&mut self) -> Result<(), ConnectProblem> {
        let patience = self.timeouts.greeting.0;
        let mut reply = within(patience, Command::Connect, self.read()).await?;
        self.secrets.hide_in(&mut reply);
        accepted(Command::Connect, reply, 220)
    }

    /// EHLO, or HELO if the server does not know EHLO.
    async fn hello(&mut self, target: &Target) -> Result<Capabilities, ConnectProblem> {
        let reply = self.command(Command::Ehlo, &format!("EHLO {}\r\n", target.ehlo)).await?;
        if reply.code == 250 {
            return Capabilities::parse(&self.raw)
                .ok_or_else(|| ConnectProblem::Protocol(format!("reply to `EHLO`: {reply}")));
        }
        if !reply.is_permanent() {
            return Err(refused(Command::Ehlo, reply));
        }
        let reply = self.command(Command::Ehlo, &format!("HELO {}\r\n", target.ehlo)).await?;
        accepted(Command::Ehlo, reply, 250).map(|()| Capabilities::default())
    }

    async fn authenticate(
        &mut self,
        credentials: &Credentials,
        offered: &Capabilities,
    ) -> Result<(), ConnectProblem> {
        if matches!(self.stream, Stream::Clear(_)) {
            return Err(ConnectProblem::AuthWithoutTls);
        }
        let mechanism = credentials.mechanism(offered).ok_or(ConnectProblem::NoMechanism)?;
        loop {
            let (current, worth_renewing) = credentials.current().await.map_err(ConnectProblem::Token)?;
            self.secrets = current.among(std::mem::take(&mut self.secrets));
            match self.log_in(&current, mechanism).await {
                // A token that worked before may have been revoked or have expired early: try once
                // more with a new one.
                Err(ConnectProblem::AuthRefused(reply)) => {
                    credentials.forget(&current).await;
                    if !worth_renewing || reply.code == 421 {
                        return Err(ConnectProblem::AuthRefused(reply));
                    }
                }
                done => return done,
            }
        }
    }

    async fn log_in(
        &mut self,
        credentials: &Credentials,
        mechanism: Mechanism,
    ) -> Result<(), ConnectProblem> {
        let mut reply = self.log_in_with(&credentials.command(mechanism)).await?;
        for _ in 0..CHALLENGES {
            if reply.code != 334 {
                break;
            }
            let answer = credentials
                .answer(mechanism, &reply.text)
                .map_err(|problem| ConnectProblem::Protocol(format!("`AUTH`: {problem}")))?;
            reply = self.log_in_with(&answer).await?;
        }
        self.secrets.hide_in(&mut reply);
        if reply.is_positive() {
            Ok(())
        } else if reply.is_intermediate() {
            Err(ConnectProblem::Protocol("`AUTH`: too many challenges".into()))
        } else {
            Err(ConnectProblem::AuthRefused(reply))
        }
    }

    /// Sends a line of AUTH, which no later reply may show. A challenge is returned as it came.
    async fn log_in_with(&mut self, line: &str) -> Result<Reply, ConnectProblem> {
        if let Some(response) = line.split_whitespace().last() {
            self.secrets = std::mem::take(&mut self.secrets).and_line(response);
        }
        self.raw_command(Command::Auth, line).await
    }

    /// Sends one line and waits for its reply.
    async fn command(&mut self, command: Command, line: &str) -> Result<Reply, ConnectProblem> {
        let mut reply = self.raw_command(command, line).await?;
        self.secrets.hide_in(&mut reply);
        Ok(reply)
    }

    /// Sends one line and waits for its reply, behind which there must be nothing: a reply too many
    /// would be taken for the answer to the next command, and so would every one after it.
    async fn raw_command(&mut self, command: Command, line: &str) -> Result<Reply, ConnectProblem> {
        let reply = self.exchange(command, line).await?;
        let mut rest = &self.buffer[..];
        match self.parser.next(&mut rest) {
            _ if self.buffer.is_empty() => Ok(reply),
            // RFC 5321 §3.8: 421 may come at any time.
            Ok(Some(mut next)) => {
                self.secrets.hide_in(&mut next);
                Err(match next.code {
                    421 => refused(command, next),
                    _ => ConnectProblem::Protocol(format!("two replies to `{command}`: {next}")),
                })
            }
            Ok(None) => Err(ConnectProblem::Protocol(format!("more than a reply to `{command}`"))),
            Err(error) => Err(ConnectProblem::Protocol(self.secrets.hidden(error.to_string()))),
        }
    }

    /// Sends one line and waits for its reply.
    async fn exchange(&mut self, command: Command, line: &str) -> Result<Reply, ConnectProblem> {
        if !self.buffer.is_empty() {
            return Err(ConnectProblem::Protocol(format!("reply to nothing before `{command}`")));
        }
        let patience = self.timeouts.command.0;
        within(patience, command, async {
            self.stream.write_all(line.as_bytes()).await?;
            self.stream.flush().await?;
            self.read().await
        })
        .await
    }

    async fn read(&mut self) -> Result<Reply, Interruption> {
        self.raw.clear();
        loop {
            let mut rest = &self.buffer[..];
            let reply = self.parser.next(&mut rest);
            let reply =
                reply.map_err(|error| Interruption::Protocol(self.secrets.hidden(error.to_string())))?;
            let used = self.buffer.len() - rest.len();
            self.raw.extend_from_slice(&self.buffer[..used]);
            self.buffer.advance(used);
            if let Some(reply) = reply {
                return Ok(reply);
            }
            self.buffer.reserve(READ_BYTES);
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(Interruption::Io(io::Error::from(io::ErrorKind::UnexpectedEof)));
            }
        }
    }
}

/// Why no reply came.
enum Interruption {
    Io(io::Error),
    Protocol(String),
}

impl From<io::Error> for Interruption {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

async fn within(
    patience: Duration,
    awaiting: Command,
    reply: impl Future<Output = Result<Reply, Interruption>>,
) -> Result<Reply, ConnectProblem> {
    match timeout(patience, reply).await {
        Ok(Ok(reply)) => Ok(reply),
        Ok(Err(Interruption::Io(error))) => Err(ConnectProblem::Lost { awaiting, detail: error.to_string() }),
        Ok(Err(Interruption::Protocol(detail))) => Err(ConnectProblem::Protocol(detail)),
        Err(_) => Err(ConnectProblem::Timeout { awaiting }),
    }
}

fn accepted(to: Command, reply: Reply, code: u16) -> Result<(), ConnectProblem> {
    if reply.code == code { Ok(()) } else { Err(refused(to, reply)) }
}

fn refused(to: Command, reply: Reply) -> ConnectProblem {
    if reply.is_transient() || reply.is_permanent() {
        ConnectProblem::Refused { to, reply }
    } else {
        ConnectProblem::Protocol(format!("unexpected reply to `{to}`: {reply}"))
    }
}
