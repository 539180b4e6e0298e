//! The driver against servers on loopback that follow a script.

mod auth;
mod ending;
mod opening;
mod sending;
mod tls;

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine};
use bytes::Bytes;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::campaign::{Dsn, Notify, RelayTls, Return, Span, Timeouts};
use crate::mail::{Address, Envelope, SignedMessage};
use crate::smtp::{ClientIdentity, Command, Credentials, Password, Security, TokenSource, Unfit};

use super::*;

const HOST: &str = "mx.test.example";
const EHLO: &str = "EHLO client.test.example";

trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// The server's end of a connection.
struct Peer(BufReader<Box<dyn Io>>);

impl Peer {
    async fn accept(listener: &TcpListener) -> Self {
        let (tcp, _) = listener.accept().await.unwrap();
        Self(BufReader::new(Box::new(tcp)))
    }

    async fn says(&mut self, bytes: &str) {
        self.0.get_mut().write_all(bytes.as_bytes()).await.unwrap();
        self.0.get_mut().flush().await.unwrap();
    }

    async fn line(&mut self) -> String {
        let mut line = String::new();
        match self.0.read_line(&mut line).await {
            Ok(_) => {}
            // The client closed in the middle of TLS.
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof),
        }
        line.trim_end_matches("\r\n").to_owned()
    }

    async fn hears(&mut self, line: &str) {
        assert_eq!(self.line().await, line);
    }

    async fn takes(&mut self, bytes: usize) -> Vec<u8> {
        let mut taken = vec![0; bytes];
        self.0.read_exact(&mut taken).await.unwrap();
        taken
    }

    /// Nothing more comes from the client.
    async fn is_left(&mut self) {
        assert_eq!(self.line().await, "");
    }

    /// Greeting and EHLO.
    async fn opens(&mut self, offers: &str) {
        self.says("220 mx.test.example ESMTP\r\n").await;
        self.offers(offers).await;
    }

    async fn offers(&mut self, offers: &str) {
        self.hears(EHLO).await;
        let lines: String =
            offers.split_whitespace().map(|word| format!("250-{}\r\n", word.replace('=', " "))).collect();
        self.says(&format!("250-mx.test.example\r\n{lines}250 HELP\r\n")).await;
    }

    async fn starts_tls(mut self, acceptor: &TlsAcceptor) -> Self {
        self.hears("STARTTLS").await;
        self.says("220 go\r\n").await;
        self.secure(acceptor).await.unwrap()
    }

    async fn secure(self, acceptor: &TlsAcceptor) -> std::io::Result<Self> {
        Ok(Self(BufReader::new(Box::new(acceptor.accept(self.0.into_inner()).await?))))
    }

    /// Accepts one message sent with BDAT.
    async fn takes_over(&mut self, id: u64) {
        self.hears("MAIL FROM:<>").await;
        self.hears(&format!("RCPT TO:<u{id}@r.example>")).await;
        let chunk = self.line().await;
        let bytes = chunk.strip_prefix("BDAT ").unwrap().strip_suffix(" LAST").unwrap().parse().unwrap();
        let content = self.takes(bytes).await;
        assert_eq!(content, content_of(bytes).as_bytes());
        self.says(&format!("250 ok\r\n250 ok\r\n250 2.0.0 queued as {id}\r\n")).await;
    }

    async fn farewell(&mut self) {
        self.hears("QUIT").await;
        self.says("221 bye\r\n").await;
        self.is_left().await;
    }
}

/// Listens, and lets `script` play the server.
async fn server<F>(script: impl FnOnce(TcpListener) -> F) -> (SocketAddr, JoinHandle<()>)
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (address, tokio::spawn(script(listener)))
}

fn target(address: SocketAddr, security: Security) -> Target {
    Target {
        host: HOST.into(),
        addresses: vec![address],
        local_ip: None,
        ehlo: "client.test.example".parse().unwrap(),
        security,
        credentials: None,
        timeouts: Timeouts::default(),
        extensions: Extensions::default(),
        secrets: Secrets::default(),
    }
}

/// A certificate for `HOST`: the server's side, and the file that the client trusts.
struct Identity {
    acceptor: TlsAcceptor,
    ca_file: tempfile::NamedTempFile,
    issuer: Issuer<'static, KeyPair>,
    leaf: CertificateDer<'static>,
    key: KeyPair,
}

/// A server that shows this certificate.
fn acceptor(certificate: CertificateDer<'static>, key: &KeyPair) -> TlsAcceptor {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

impl Identity {
    /// A server that shows the certificate of an issuer, which it signed itself.
    fn self_signed(host: &str) -> Self {
        let mut own = CertificateParams::new(vec![host.into()]).unwrap();
        own.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = own.self_signed(&key).unwrap();
        let mut ca_file = tempfile::NamedTempFile::new().unwrap();
        ca_file.write_all(certificate.pem().as_bytes()).unwrap();
        Self { acceptor: acceptor(certificate.der().clone(), &key), ca_file, ..Self::new(host) }
    }

    fn new(host: &str) -> Self {
        let mut authority = CertificateParams::new(vec![]).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.key_usages.push(KeyUsagePurpose::KeyCertSign);
        let key = KeyPair::generate().unwrap();
        let mut ca_file = tempfile::NamedTempFile::new().unwrap();
        ca_file.write_all(authority.self_signed(&key).unwrap().pem().as_bytes()).unwrap();
        let issuer = Issuer::new(authority, key);

        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(vec![host.into()]).unwrap().signed_by(&key, &issuer).unwrap();
        let leaf = leaf.der().clone();
        Self { acceptor: acceptor(leaf.clone(), &key), ca_file, issuer, leaf, key }
    }

    /// A client's certificate and key of the same issuer.
    fn client_files(&self) -> (tempfile::NamedTempFile, tempfile::NamedTempFile) {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec!["client.test.example".into()])
            .unwrap()
            .signed_by(&key, &self.issuer)
            .unwrap();
        [certificate.pem(), key.serialize_pem()]
            .map(|text| {
                let mut file = tempfile::NamedTempFile::new().unwrap();
                file.write_all(text.as_bytes()).unwrap();
                file
            })
            .into()
    }

    fn asking_for_certificates(&self) -> TlsAcceptor {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = rustls::RootCertStore::empty();
        let issuer = CertificateDer::from_pem_file(self.ca_file.path()).unwrap();
        roots.add(issuer).unwrap();
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .build()
            .unwrap();
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(
                vec![self.leaf.clone()],
                PrivateKeyDer::try_from(self.key.serialize_der()).unwrap(),
            )
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }

    fn trusted(&self, mode: RelayTls) -> Security {
        Security::new(mode, Some(self.ca_file.path())).unwrap()
    }
}

fn content_of(bytes: usize) -> String {
    "0123456789abcdef".repeat(bytes / 16 + 1)[..bytes].to_owned()
}

fn transaction(id: u64, bytes: usize) -> Transaction {
    Transaction {
        id,
        envelope: Envelope::to_one(None, Address::parse(&format!("u{id}@r.example")).unwrap(), None),
        message: SignedMessage {
            segments: vec![Bytes::from(content_of(bytes))],
            bytes,
            message_id: String::new(),
            eight_bit: false,
            needs_smtputf8: false,
        },
        valid_until: None,
    }
}

/// A connection being served.
struct Serving {
    work: mpsc::Sender<Transaction>,
    reports: mpsc::Receiver<(ConnectionId, Report)>,
    serving: JoinHandle<Closed>,
}

impl Serving {
    fn new(connection: Connection, limits: ConnectionLimits) -> Self {
        let (work, taken) = mpsc::channel(16);
        let (reports_in, reports) = mpsc::channel(16);
        let serving = tokio::spawn(connection.serve(ConnectionId(7), taken, reports_in, limits));
        Self { work, reports, serving }
    }

    async fn report(&mut self) -> Report {
        let (id, report) = self.reports.recv().await.unwrap();
        assert_eq!(id, ConnectionId(7));
        report
    }

    /// Closes the work channel; the reports still to come, and how the connection ended.
    async fn end(mut self) -> (Vec<Report>, Closed) {
        drop(self.work);
        let mut reports = Vec::new();
        while let Some((_, report)) = self.reports.recv().await {
            reports.push(report);
        }
        (reports, self.serving.await.unwrap())
    }
}

async fn problem(target: &Target) -> (Concern, ConnectProblem) {
    let error = connect(target).await.unwrap_err();
    (error.concern(), error.problem)
}

fn tim() -> Option<Credentials> {
    Some(Credentials::Password { username: "tim".into(), password: Password::new("tanstaaftanstaaf") })
}

/// A connection to a server that offers `offers` and then follows `script`.
async fn connected<F>(
    offers: &'static str,
    change: impl FnOnce(&mut Timeouts),
    script: impl FnOnce(Peer) -> F + Send + 'static,
) -> (Connection, JoinHandle<()>)
where
    F: Future<Output = ()> + Send + 'static,
{
    let (address, server) = server(move |listener| async move {
        let mut peer = Peer::accept(&listener).await;
        peer.opens(offers).await;
        script(peer).await;
    })
    .await;
    let mut target = target(address, Security::None);
    change(&mut target.timeouts);
    (connect(&target).await.unwrap(), server)
}
