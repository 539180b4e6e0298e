//! HTTP for the object store: one connection a request, TLS with the provider that all of mailrun
//! uses.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::client::conn::http1;
use hyper::header::{HOST, HeaderValue, USER_AGENT};
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use object_store::ClientConfigKey;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody,
    HttpService,
};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::smtp::{TlsError, https_connector};

/// The time to connect to the store, TLS included.
const CONNECT: Duration = Duration::from_secs(10);
/// The time until the head of an answer.
const ANSWER: Duration = Duration::from_secs(30);

/// Makes clients for the object store.
pub(super) struct Connector(TlsConnector);

impl Connector {
    pub(super) fn new() -> Result<Self, TlsError> {
        Ok(Self(https_connector()?))
    }
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Connector")
    }
}

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let allow_http =
            options.get_config_value(&ClientConfigKey::AllowHttp).is_some_and(|said| said == "true");
        Ok(HttpClient::new(Client { tls: self.0.clone(), allow_http }))
    }
}

struct Client {
    tls: TlsConnector,
    allow_http: bool,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("allow_http", &self.allow_http).finish_non_exhaustive()
    }
}

type Answer<'a> = Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'a>>;

impl HttpService for Client {
    fn call<'s, 'a>(&'s self, request: HttpRequest) -> Answer<'a>
    where
        's: 'a,
        Self: 'a,
    {
        Box::pin(self.send(request))
    }
}

impl Client {
    async fn send(&self, mut request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let uri = request.uri().clone();
        let is_tls = uri.scheme_str() == Some("https");
        if !is_tls && !self.allow_http {
            let text = "plain HTTP is only for a store on this machine, unless AWS_ALLOW_HTTP=true";
            return Err(HttpError::new(HttpErrorKind::Unknown, io::Error::other(text)));
        }
        prepare(&mut request, &uri)?;
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let port = uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let connected = async {
            let tcp = TcpStream::connect((host.as_str(), port)).await?;
            if !is_tls {
                return Ok((Some(tcp), None));
            }
            let name = ServerName::try_from(host.clone()).map_err(io::Error::other)?;
            io::Result::Ok((None, Some(self.tls.connect(name, tcp).await?)))
        };
        let connected =
            timeout(CONNECT, connected).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        let connected = connected.map_err(|error| {
            let text = format!("no connection to `{host}:{port}`: {error}");
            HttpError::new(HttpErrorKind::Connect, io::Error::other(text))
        })?;
        match connected {
            (Some(tcp), _) => exchange(tcp, request).await,
            (None, Some(tls)) => exchange(tls, request).await,
            (None, None) => unreachable!("one of them was opened"),
        }
    }
}

/// Gives the request what HTTP needs besides what was signed.
fn prepare(request: &mut HttpRequest, uri: &Uri) -> Result<(), HttpError> {
    let bad = |error: String| HttpError::new(HttpErrorKind::Unknown, io::Error::other(error));
    let authority = uri.authority().ok_or_else(|| bad("the URL of the store names no host".into()))?;
    let host = HeaderValue::from_str(authority.as_str()).map_err(|error| bad(error.to_string()))?;
    let agent = HeaderValue::from_static(concat!("mailrun/", env!("CARGO_PKG_VERSION")));
    request.headers_mut().entry(HOST).or_insert(host);
    request.headers_mut().entry(USER_AGENT).or_insert(agent);
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    *request.uri_mut() =
        path.parse().map_err(|error: hyper::http::uri::InvalidUri| bad(error.to_string()))?;
    Ok(())
}

async fn exchange<S>(
    stream: S,
    request: Request<object_store::client::HttpRequestBody>,
) -> Result<HttpResponse, HttpError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let answered = async {
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // It ends with the body of the answer.
        tokio::spawn(connection);
        sender.send_request(request).await
    };
    let answered = timeout(ANSWER, answered)
        .await
        .map_err(|_| HttpError::new(HttpErrorKind::Timeout, io::Error::from(io::ErrorKind::TimedOut)))?;
    let (head, body) = answered.map_err(broken)?.into_parts();
    Ok(HttpResponse::from_parts(head, HttpResponseBody::new(body.map_err(broken))))
}

fn broken(error: hyper::Error) -> HttpError {
    let kind = if error.is_timeout() { HttpErrorKind::Timeout } else { HttpErrorKind::Interrupted };
    HttpError::new(kind, error)
}
