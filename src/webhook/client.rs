//! One request and its answer: over HTTP/1.1 (RFC 9112), bounded in time and size, without
//! redirects, to an address that was looked at before it is connected to.

use std::error::Error;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{CONTENT_TYPE, HOST, RETRY_AFTER, USER_AGENT};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{timeout, timeout_at};
use tokio_rustls::TlsConnector;

use super::address::is_allowed;
use super::body::{Item, Message};
use super::settings::Webhook;
use super::signature::Keys;
use crate::campaign::IpFamily;
use crate::mail::Timestamp;
use crate::route::{DnsError, Resolver};
use crate::smtp::{TlsError, https_connector};

/// The time to connect to one address, TLS included.
const CONNECT: Duration = Duration::from_secs(5);
/// The buffer for the head of an answer and for reading ahead.
const LARGEST_BUFFER: usize = 16 << 10;
/// The largest body of an answer that is read to its end, so that its connection can be used again.
const LARGEST_ANSWER: usize = 16 << 10;
/// How long such a body may take.
const ANSWER: Duration = Duration::from_secs(2);
/// How much of an answer people are shown.
const SHOWN: usize = 200;
/// How long a connection is used: after that, the name is looked up again.
const LIFE: Duration = Duration::from_secs(60);

/// What a receiver answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Its status.
    pub status: u16,
    /// The value of `Retry-After`.
    pub retry_after: Option<String>,
    /// How its body begins.
    pub text: String,
}

/// There is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum RequestError {
    /// The name has no address.
    #[error(transparent)]
    Dns(#[from] DnsError),
    /// Its addresses are not allowed.
    #[error("`{host}` leads to {ip}, {why}")]
    Address {
        /// The host.
        host: String,
        /// One of its addresses.
        ip: IpAddr,
        /// Why that is not allowed.
        why: &'static str,
    },
    /// No connection.
    #[error("can't connect to `{0}`")]
    Connect(String, #[source] io::Error),
    /// No TLS, or a certificate that is not valid for the host.
    #[error("TLS with `{0}` failed")]
    Tls(String, #[source] io::Error),
    /// Not HTTP, or the connection broke.
    #[error("HTTP with `{0}` failed")]
    Http(String, #[source] hyper::Error),
    /// It took too long.
    #[error("no answer from `{0}` within its time")]
    Timeout(String),
}

/// A connection that waits for its next request.
struct Idle {
    sender: SendRequest<Full<Bytes>>,
    since: Instant,
}

/// Sends the requests of one webhook, over connections that it keeps.
pub(crate) struct Client {
    webhook: Webhook,
    keys: Keys,
    resolver: Resolver,
    tls: TlsConnector,
    idle: Mutex<Vec<Idle>>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("webhook", &self.webhook.name).finish_non_exhaustive()
    }
}

impl RequestError {
    /// What is wrong, with its causes.
    pub(super) fn text(&self) -> String {
        let mut text = self.to_string();
        let mut source = self.source();
        while let Some(cause) = source {
            text = format!("{text}: {cause}");
            source = cause.source();
        }
        text
    }
}

impl Client {
    /// A client for `webhook` that looks names up with `resolver`.
    pub(crate) fn new(webhook: Webhook, keys: Keys, resolver: Resolver) -> Result<Self, TlsError> {
        Ok(Self { webhook, keys, resolver, tls: https_connector()?, idle: Mutex::new(Vec::new()) })
    }

    /// Whose requests these are.
    pub(crate) fn webhook(&self) -> &Webhook {
        &self.webhook
    }

    /// Sends events once; what was answered, or why nothing was.
    pub(crate) async fn ask(&self, items: Vec<Item>) -> Result<Answer, String> {
        let message = Message::new(items, self.webhook.batch == 1);
        self.send(&message).await.map_err(|error| error.text())
    }

    /// Signs a message and sends it.
    pub(super) async fn send(&self, message: &Message) -> Result<Answer, RequestError> {
        let sent = timeout(self.webhook.timeout, self.exchange(message)).await;
        let (response, idle) =
            sent.unwrap_or_else(|_| Err(RequestError::Timeout(self.webhook.target.host.clone())))?;
        // The status is known: whatever becomes of the body, it counts.
        Ok(self.answer(response, idle).await)
    }

    async fn exchange(&self, message: &Message) -> Result<(Response<Incoming>, Idle), RequestError> {
        let http = |error| RequestError::Http(self.webhook.target.host.clone(), error);
        let mut request = self.request(message);
        loop {
            let (mut idle, is_new) = match self.waiting() {
                Some(idle) => (idle, false),
                None => (self.connect().await?, true),
            };
            match idle.sender.try_send_request(request).await {
                Ok(response) => return Ok((response, idle)),
                // The receiver closed it before the request was written.
                Err(mut error) => match error.take_message() {
                    Some(unsent) if !is_new => request = unsent,
                    Some(_) | None => return Err(http(error.into_error())),
                },
            }
        }
    }

    fn request(&self, message: &Message) -> Request<Full<Bytes>> {
        let target = &self.webhook.target;
        let seconds = Timestamp::wall().seconds();
        Request::post(&target.path)
            .header(HOST, &target.authority)
            .header(USER_AGENT, concat!("mailrun/", env!("CARGO_PKG_VERSION")))
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", &message.id)
            .header("webhook-timestamp", seconds)
            .header("webhook-signature", self.keys.sign(&message.id, seconds, &message.body))
            .body(Full::new(message.body.clone()))
            .expect("the parts of the request are those of a URL, numbers and base64")
    }

    fn waiting(&self) -> Option<Idle> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|idle| idle.since.elapsed() < LIFE && idle.sender.is_ready());
        idle.pop()
    }

    async fn connect(&self) -> Result<Idle, RequestError> {
        let Webhook { target, allow_private, .. } = &self.webhook;
        let host = || target.host.clone();
        let addresses = match target.host.parse::<IpAddr>() {
            Ok(ip) => vec![ip],
            Err(_) => self.resolver.addresses(&target.host, IpFamily::Any).await?,
        };
        let mut last = None;
        for ip in addresses {
            if !is_allowed(ip, target.is_tls, *allow_private) {
                let why = match target.is_tls {
                    true => {
                        "an address that events must not go to; `allow-private` allows those of own networks"
                    }
                    false => "which plain HTTP must not go to: it is for private addresses",
                };
                last = last.or(Some(RequestError::Address { host: host(), ip, why }));
                continue;
            }
            match timeout(CONNECT, self.open(SocketAddr::new(ip, target.port))).await {
                Ok(Ok(sender)) => return Ok(Idle { sender, since: Instant::now() }),
                Ok(Err(error)) => last = Some(error),
                Err(_) => last = Some(RequestError::Connect(host(), io::ErrorKind::TimedOut.into())),
            }
        }
        let none = || RequestError::Connect(host(), io::Error::other("it has no address"));
        Err(last.unwrap_or_else(none))
    }

    async fn open(&self, addr: SocketAddr) -> Result<SendRequest<Full<Bytes>>, RequestError> {
        let target = &self.webhook.target;
        let host = || target.host.clone();
        let tcp = TcpStream::connect(addr).await.map_err(|error| RequestError::Connect(host(), error))?;
        // A request is written in one piece: nothing is gained by waiting for more.
        tcp.set_nodelay(true).map_err(|error| RequestError::Connect(host(), error))?;
        if !target.is_tls {
            return self.speak(tcp).await;
        }
        let name = ServerName::try_from(host());
        let name = name.map_err(|error| RequestError::Tls(host(), io::Error::other(error)))?;
        let tls = self.tls.connect(name, tcp).await;
        self.speak(tls.map_err(|error| RequestError::Tls(host(), error))?).await
    }

    async fn speak<S>(&self, stream: S) -> Result<SendRequest<Full<Bytes>>, RequestError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let http = |error| RequestError::Http(self.webhook.target.host.clone(), error);
        let (sender, connection) = http1::Builder::new()
            .max_buf_size(LARGEST_BUFFER)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(http)?;
        // It ends when its sender is dropped, or when the receiver closes it.
        tokio::spawn(connection);
        Ok(sender)
    }

    /// Reads an answer as far as it is of use. A connection with an answer that is too long, or too
    /// slow, is closed.
    async fn answer(&self, response: Response<Incoming>, mut idle: Idle) -> Answer {
        let status = response.status().as_u16();
        let retry_after = response.headers().get(RETRY_AFTER);
        let retry_after = retry_after.and_then(|value| value.to_str().ok()).map(str::to_owned);
        let mut body = response.into_body();
        let mut text = Vec::new();
        let mut read = 0;
        let end = tokio::time::Instant::now() + ANSWER;
        let is_whole = loop {
            match timeout_at(end, body.frame()).await {
                Ok(None) => break true,
                Ok(Some(Ok(frame))) => {
                    let data = frame.into_data().unwrap_or_default();
                    read += data.len();
                    text.extend_from_slice(&data[..data.len().min(SHOWN.saturating_sub(text.len()))]);
                    if read > LARGEST_ANSWER {
                        break false;
                    }
                }
                Ok(Some(Err(_))) | Err(_) => break false,
            }
        };
        if is_whole && idle.sender.ready().await.is_ok() {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(idle);
        }
        Answer { status, retry_after, text: String::from_utf8_lossy(&text).trim().to_owned() }
    }
}
