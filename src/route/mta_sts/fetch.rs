//! Fetches a policy over HTTPS (RFC 8461 §3.3): with a verified certificate, without redirects,
//! bounded in size and time.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST, USER_AGENT};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::policy::{Policy, PolicyError};
use crate::campaign::IpFamily;
use crate::mail::Domain;
use crate::route::dns::{DnsError, Resolver};
use crate::route::mx::is_usable;

/// The largest policy; RFC 8461 §3.3 suggests such a limit.
const LARGEST_POLICY: usize = 64 << 10;
/// The buffer for the head of the response and for reading ahead.
const LARGEST_BUFFER: usize = 64 << 10;
/// The time from the first lookup to the last byte.
const FETCH: Duration = Duration::from_secs(20);
/// The time to connect to one address.
const CONNECT: Duration = Duration::from_secs(5);

/// Fetches policies.
#[derive(Clone)]
pub(super) struct Fetcher {
    pub resolver: Resolver,
    pub connector: TlsConnector,
    pub ip: IpFamily,
    /// The port: 443, except in tests.
    pub port: u16,
    /// Private addresses are allowed.
    pub private: bool,
}

/// Why there is no policy although the domain announces one.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    /// The policy host has no address.
    #[error(transparent)]
    Dns(#[from] DnsError),
    /// No connection.
    #[error("failed to connect to `{host}`")]
    Connect {
        /// The policy host.
        host: String,
        /// The last address's error.
        #[source]
        source: io::Error,
    },
    /// No TLS, or a certificate that is not valid for the policy host.
    #[error("TLS with `{0}` failed")]
    Tls(String, #[source] io::Error),
    /// Not HTTP, or the connection broke.
    #[error("HTTP with `{0}` failed")]
    Http(String, #[source] hyper::Error),
    /// A status other than 200: RFC 8461 §3.3 allows no redirects.
    #[error("`{host}` answered with status {status}")]
    Status {
        /// The policy host.
        host: String,
        /// Its answer.
        status: u16,
    },
    /// RFC 8461 §3.2: another media type.
    #[error("the policy of `{0}` is not `text/plain`")]
    MediaType(String),
    /// Longer than a policy may be, or incomplete.
    #[error("the policy of `{0}` is longer than 64 KiB, or broke off")]
    Body(String),
    /// It took too long.
    #[error("no policy from `{0}` in time")]
    Timeout(String),
    /// The response is no policy.
    #[error(transparent)]
    Policy(#[from] PolicyError),
}

impl Fetcher {
    /// Fetches the policy that `domain` publishes now.
    pub(super) async fn fetch(&self, domain: &Domain) -> Result<Policy, FetchError> {
        let host = format!("mta-sts.{domain}");
        match timeout(FETCH, self.fetch_from(&host)).await {
            Ok(fetched) => Ok(Policy::parse(&fetched?)?),
            Err(_) => Err(FetchError::Timeout(host)),
        }
    }

    async fn fetch_from(&self, host: &str) -> Result<Bytes, FetchError> {
        let tcp = self.connect(host).await?;
        let name = ServerName::try_from(host.to_owned())
            .map_err(|error| FetchError::Tls(host.to_owned(), io::Error::other(error)))?;
        let tls = self.connector.connect(name, tcp).await;
        let tls = tls.map_err(|error| FetchError::Tls(host.to_owned(), error))?;
        let http = |error| FetchError::Http(host.to_owned(), error);
        let (mut sender, connection) = http1::Builder::new()
            .max_buf_size(LARGEST_BUFFER)
            .handshake(TokioIo::new(tls))
            .await
            .map_err(http)?;
        // The connection is driven while the response is read, and ends with this function.
        let mut driver = JoinSet::new();
        driver.spawn(connection);
        let request = Request::get("/.well-known/mta-sts.txt")
            .header(HOST, host)
            .header(USER_AGENT, concat!("mailrun/", env!("CARGO_PKG_VERSION")))
            .header(ACCEPT, "text/plain")
            .body(Empty::<Bytes>::new())
            .expect("the parts of the request are constants and a host name");
        let response = sender.send_request(request).await.map_err(http)?;
        if response.status() != StatusCode::OK {
            return Err(FetchError::Status { host: host.to_owned(), status: response.status().as_u16() });
        }
        let media_type =
            response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let essence = media_type.split(';').next().unwrap_or_default().trim();
        if !essence.eq_ignore_ascii_case("text/plain") {
            return Err(FetchError::MediaType(host.to_owned()));
        }
        match Limited::new(response.into_body(), LARGEST_POLICY).collect().await {
            Ok(body) => Ok(body.to_bytes()),
            Err(error) => match error.downcast::<hyper::Error>() {
                Ok(error) => Err(http(*error)),
                Err(error) => {
                    debug_assert!(error.is::<LengthLimitError>(), "{error}");
                    Err(FetchError::Body(host.to_owned()))
                }
            },
        }
    }

    /// Connects to the first address that accepts.
    async fn connect(&self, host: &str) -> Result<TcpStream, FetchError> {
        let mut last = io::Error::new(io::ErrorKind::NotFound, "no address that could be a web server");
        for ip in self.resolver.addresses(host, self.ip).await? {
            if !is_usable(ip, self.port, self.private) {
                continue;
            }
            match timeout(CONNECT, TcpStream::connect(SocketAddr::new(ip, self.port))).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => last = error,
                Err(_) => last = io::ErrorKind::TimedOut.into(),
            }
        }
        Err(FetchError::Connect { host: host.to_owned(), source: last })
    }
}
