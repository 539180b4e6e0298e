//! The driver against servers on loopback that follow a script.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::campaign::{RelayTls, Span, Timeouts};
use crate::mail::{Address, Envelope, SignedMessage, Timestamp};
use crate::smtp::{Command, Credentials, Password, Security};

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
            // The client has left in the middle of TLS.
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

    /// One message by BDAT, taken over.
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
    }
}

/// A certificate for `HOST`: the server's side, and the file that the client trusts.
struct Identity {
    acceptor: TlsAcceptor,
    ca_file: tempfile::NamedTempFile,
}

impl Identity {
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
        let config =
            rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_no_client_auth()
                .with_single_cert(
                    vec![leaf.der().clone()],
                    PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
                )
                .unwrap();
        Self { acceptor: TlsAcceptor::from(Arc::new(config)), ca_file }
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
        envelope: Envelope {
            return_path: None,
            recipient: Address::parse(&format!("u{id}@r.example")).unwrap(),
        },
        message: SignedMessage {
            segments: vec![Bytes::from(content_of(bytes))],
            bytes,
            message_id: String::new(),
            eight_bit: false,
            needs_smtputf8: false,
        },
        valid_until: Timestamp(i64::MAX),
    }
}

/// A connection being served.
struct Serving {
    work: mpsc::Sender<Transaction>,
    reports: mpsc::Receiver<(ConnectionId, Report)>,
    serving: JoinHandle<Closed>,
}

impl Serving {
    fn new(connection: Connection, limits: Limits) -> Self {
        let (work, taken) = mpsc::channel(16);
        let (told, reports) = mpsc::channel(16);
        let serving = tokio::spawn(connection.serve(ConnectionId(7), taken, told, limits));
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

#[tokio::test]
async fn a_message_in_clear() {
    let (address, server) = server(async |listener| {
        let mut peer = Peer::accept(&listener).await;
        peer.opens("PIPELINING CHUNKING STARTTLS").await;
        peer.takes_over(1).await;
        peer.farewell().await;
    })
    .await;
    let connection = connect(&target(address, Security::None)).await.unwrap();
    let info = connection.info().clone();
    assert_eq!((info.remote_host.as_str(), info.remote_ip, info.tls), (HOST, address.ip(), None));
    assert!(info.capabilities.pipelining && info.capabilities.chunking);
    let mut serving = Serving::new(connection, Limits::default());
    serving.work.send(transaction(1, 10_000)).await.unwrap();
    let report = serving.report().await;
    assert!(report.fate.is_accepted() && report.id == 1, "{report:?}");
    assert!(report.started_at <= report.finished_at);
    assert_eq!(serving.end().await, (vec![], Closed::WorkEnded));
    server.await.unwrap();
}

#[tokio::test]
async fn starttls_with_a_trusted_certificate() {
    let identity = Identity::new(HOST);
    let acceptor = identity.acceptor.clone();
    let (address, server) = server(async move |listener| {
        let mut peer = Peer::accept(&listener).await;
        peer.opens("STARTTLS PIPELINING").await;
        let mut peer = peer.starts_tls(&acceptor).await;
        peer.offers("PIPELINING CHUNKING").await;
        peer.takes_over(1).await;
        peer.farewell().await;
    })
    .await;
    let connection = connect(&target(address, identity.trusted(RelayTls::Required))).await.unwrap();
    let tls = connection.info().tls.clone().unwrap();
    assert!(tls.starts_with("TLSv1.3 TLS_") && !tls.contains("TLS13"), "{tls}");
    assert!(connection.info().capabilities.chunking, "what was offered in clear is forgotten");
    let serving = Serving::new(connection, Limits::default());
    serving.work.send(transaction(1, 1_000_000)).await.unwrap();
    let (reports, closed) = serving.end().await;
    assert!(reports[0].fate.is_accepted(), "{reports:?}");
    assert_eq!(closed, Closed::WorkEnded);
    server.await.unwrap();
}

#[tokio::test]
async fn implicit_tls() {
    let identity = Identity::new(HOST);
    let acceptor = identity.acceptor.clone();
    let (address, server) = server(async move |listener| {
        let mut peer = Peer::accept(&listener).await.secure(&acceptor).await.unwrap();
        peer.opens("PIPELINING CHUNKING").await;
        peer.takes_over(1).await;
        peer.farewell().await;
    })
    .await;
    let connection = connect(&target(address, identity.trusted(RelayTls::Implicit))).await.unwrap();
    assert!(connection.info().tls.is_some());
    let serving = Serving::new(connection, Limits::default());
    serving.work.send(transaction(1, 100)).await.unwrap();
    let (reports, _) = serving.end().await;
    assert!(reports[0].fate.is_accepted(), "{reports:?}");
    server.await.unwrap();
}

#[tokio::test]
async fn certificates_that_are_not_trusted() {
    let (identity, stranger, other_host) =
        (Identity::new(HOST), Identity::new(HOST), Identity::new("other.example"));
    for (security, acceptor) in [
        (identity.trusted(RelayTls::Required), stranger.acceptor.clone()),
        (other_host.trusted(RelayTls::Required), other_host.acceptor.clone()),
        (
            Security::new(RelayTls::Required, None).unwrap_or_else(|_| identity.trusted(RelayTls::Required)),
            stranger.acceptor.clone(),
        ),
    ] {
        let (address, server) = server(async move |listener| {
            let mut peer = Peer::accept(&listener).await;
            peer.opens("STARTTLS").await;
            peer.hears("STARTTLS").await;
            peer.says("220 go\r\n").await;
            assert!(peer.secure(&acceptor).await.is_err());
        })
        .await;
        let (concern, problem) = problem(&target(address, security)).await;
        assert!(matches!(problem, ConnectProblem::Handshake(_)), "{problem}");
        assert_eq!(concern, Concern::Tls);
        server.await.unwrap();
    }
}

#[tokio::test]
async fn required_tls_that_is_not_to_be_had() {
    let identity = Identity::new(HOST);
    let (address, server) = server(async |listener| {
        let mut peer = Peer::accept(&listener).await;
        peer.opens("PIPELINING").await;
        peer.is_left().await;
        let mut peer = Peer::accept(&listener).await;
        peer.opens("STARTTLS").await;
        peer.hears("STARTTLS").await;
        peer.says("454 4.7.0 not now\r\n").await;
        peer.is_left().await;
    })
    .await;
    let target = target(address, identity.trusted(RelayTls::Required));
    assert_eq!(problem(&target).await, (Concern::Tls, ConnectProblem::NoStartTls));
    let error = connect(&target).await.unwrap_err();
    assert_eq!((error.concern(), error.reply().map(|reply| reply.code)), (Concern::Tls, Some(454)));
    assert_eq!(error.remote_ip, Some(address.ip()));
    server.await.unwrap();
}

#[tokio::test]
async fn encryption_without_a_certificate_to_trust() {
    let stranger = Identity::new("other.example");
    let acceptor = stranger.acceptor.clone();
    let (address, server) = server(async move |listener| {
        // A certificate that nobody trusts.
        let mut peer = Peer::accept(&listener).await;
        peer.opens("STARTTLS").await;
        peer.starts_tls(&acceptor).await.offers("PIPELINING").await;
        // Not offered.
        let mut peer = Peer::accept(&listener).await;
        peer.opens("PIPELINING").await;
        peer.is_left().await;
        // Refused.
        let mut peer = Peer::accept(&listener).await;
        peer.opens("STARTTLS").await;
        peer.hears("STARTTLS").await;
        peer.says("454 4.7.0 not now\r\n").await;
        peer.is_left().await;
        // The handshake fails.
        let mut peer = Peer::accept(&listener).await;
        peer.opens("STARTTLS").await;
        peer.hears("STARTTLS").await;
        peer.says("220 go\r\n").await;
        peer.0.read_u8().await.unwrap();
        peer.says("this is no TLS\r\n").await;
    })
    .await;
    let target = target(address, Security::encrypted());
    assert!(connect(&target).await.unwrap().info().tls.is_some());
    assert_eq!(problem(&target).await, (Concern::Tls, ConnectProblem::NoStartTls));
    let refused = connect(&target).await.unwrap_err();
    assert_eq!((refused.concern(), refused.reply().map(|reply| reply.code)), (Concern::Tls, Some(454)));
    // Another try in clear would find nobody listening.
    let (concern, problem) = problem(&target).await;
    assert!(matches!(problem, ConnectProblem::Handshake(_)), "{problem}");
    assert_eq!(concern, Concern::Tls);
    server.await.unwrap();
}

#[tokio::test]
async fn opportunistic_tls() {
    let stranger = Identity::new("other.example");
    let acceptor = stranger.acceptor.clone();
    let (address, server) = server(async move |listener| {
        // A certificate that nobody trusts.
        let mut peer = Peer::accept(&listener).await;
        peer.opens("STARTTLS").await;
        peer.starts_tls(&acceptor).await.offers("PIPELINING").await;
        // Not offered.
        Peer::accept(&listener).await.opens("PIPELINING").await;
        // Refused.
        let mut peer = Peer::accept(&listener).await;
        peer.opens("STARTTLS PIPELINING").await;
        peer.hears("STARTTLS").await;
        peer.says("454 4.7.0 not now\r\n").await;
        // The handshake fails: again, in clear.
        let mut peer = Peer::accept(&listener).await;
        peer.opens("STARTTLS").await;
        peer.hears("STARTTLS").await;
        peer.says("220 go\r\n").await;
        peer.0.read_u8().await.unwrap();
        peer.says("this is no TLS\r\n").await;
        drop(peer);
        Peer::accept(&listener).await.opens("STARTTLS PIPELINING").await;
    })
    .await;
    let target = target(address, Security::new(RelayTls::Opportunistic, None).unwrap());
    for tls in [true, false, false, false] {
        let connection = connect(&target).await.unwrap();
        assert_eq!(connection.info().tls.is_some(), tls);
        assert!(connection.info().capabilities.pipelining);
    }
    server.await.unwrap();
}

#[tokio::test]
async fn replies_injected_behind_starttls() {
    let identity = Identity::new(HOST);
    let (address, server) = server(async |listener| {
        for _ in 0..2 {
            let mut peer = Peer::accept(&listener).await;
            peer.opens("STARTTLS").await;
            peer.hears("STARTTLS").await;
            peer.says("220 go\r\n250-injected\r\n250 AUTH PLAIN\r\n").await;
            peer.is_left().await;
        }
    })
    .await;
    for security in
        [identity.trusted(RelayTls::Required), Security::new(RelayTls::Opportunistic, None).unwrap()]
    {
        assert_eq!(problem(&target(address, security)).await, (Concern::Tls, ConnectProblem::Injected));
    }
    server.await.unwrap();
}

fn tim() -> Option<Credentials> {
    Some(Credentials::Password { username: "tim".into(), password: Password::new("tanstaaftanstaaf") })
}

#[tokio::test]
async fn auth_plain_and_login() {
    let identity = Identity::new(HOST);
    let acceptor = identity.acceptor.clone();
    let (address, server) = server(async move |listener| {
        let mut peer = Peer::accept(&listener).await.secure(&acceptor).await.unwrap();
        peer.opens("AUTH=PLAIN=LOGIN").await;
        peer.hears("AUTH PLAIN AHRpbQB0YW5zdGFhZnRhbnN0YWFm").await;
        peer.says("235 2.7.0 welcome\r\n").await;
        let mut peer = Peer::accept(&listener).await.secure(&acceptor).await.unwrap();
        peer.opens("AUTH=LOGIN").await;
        peer.hears("AUTH LOGIN").await;
        peer.says("334 VXNlcm5hbWU6\r\n").await;
        peer.hears("dGlt").await;
        peer.says("334 UGFzc3dvcmQ6\r\n").await;
        peer.hears("dGFuc3RhYWZ0YW5zdGFhZg==").await;
        peer.says("235 2.7.0 welcome\r\n").await;
    })
    .await;
    let target = Target { credentials: tim(), ..target(address, identity.trusted(RelayTls::Implicit)) };
    connect(&target).await.unwrap();
    connect(&target).await.unwrap();
    server.await.unwrap();
}

#[tokio::test]
async fn auth_that_fails() {
    let identity = Identity::new(HOST);
    let acceptor = identity.acceptor.clone();
    let (address, server) = server(async move |listener| {
        let mut peer = Peer::accept(&listener).await.secure(&acceptor).await.unwrap();
        peer.opens("AUTH=PLAIN").await;
        peer.line().await;
        peer.says("535 5.7.8 wrong\r\n").await;
        let mut peer = Peer::accept(&listener).await.secure(&acceptor).await.unwrap();
        peer.opens("AUTH=GSSAPI").await;
        let mut peer = Peer::accept(&listener).await.secure(&acceptor).await.unwrap();
        peer.opens("AUTH=LOGIN").await;
        peer.line().await;
        peer.says("334 Q29sb3VyOg==\r\n").await;
        peer.is_left().await;
    })
    .await;
    // The second address is not tried: credentials are no better there.
    let mut target = Target { credentials: tim(), ..target(address, identity.trusted(RelayTls::Implicit)) };
    target.addresses.push(address);
    let error = connect(&target).await.unwrap_err();
    assert_eq!((error.concern(), error.reply().map(|reply| reply.code)), (Concern::Auth, Some(535)));
    assert!(!format!("{error:?} {error}").contains("tanstaaf"));
    assert_eq!(problem(&target).await, (Concern::Auth, ConnectProblem::NoMechanism));
    let (concern, problem) = problem(&target).await;
    assert_eq!(concern, Concern::Protocol, "{problem}");
    server.await.unwrap();
}

#[tokio::test]
async fn credentials_never_go_in_clear() {
    let (address, server) = server(async |listener| {
        for offers in ["AUTH=PLAIN", "AUTH=PLAIN"] {
            let mut peer = Peer::accept(&listener).await;
            peer.opens(offers).await;
            peer.is_left().await;
        }
        let mut peer = Peer::accept(&listener).await;
        peer.opens("STARTTLS AUTH=PLAIN").await;
        peer.hears("STARTTLS").await;
        peer.says("220 go\r\nno").await;
        drop(peer);
        // A failed handshake must not lead to a second attempt in clear.
        let mut peer = Peer::accept(&listener).await;
        peer.opens("STARTTLS AUTH=PLAIN").await;
        peer.hears("STARTTLS").await;
        peer.says("220 go\r\n").await;
        peer.0.read_u8().await.unwrap();
        peer.says("this is no TLS\r\n").await;
    })
    .await;
    let opportunistic = Security::new(RelayTls::Opportunistic, None).unwrap();
    let clear = Target { credentials: tim(), ..target(address, Security::None) };
    let maybe = Target { credentials: tim(), ..target(address, opportunistic) };
    assert_eq!(problem(&clear).await, (Concern::Auth, ConnectProblem::AuthWithoutTls));
    assert_eq!(problem(&maybe).await, (Concern::Auth, ConnectProblem::AuthWithoutTls));
    assert_eq!(problem(&maybe).await, (Concern::Tls, ConnectProblem::Injected));
    let (_, problem) = problem(&maybe).await;
    assert!(matches!(problem, ConnectProblem::Handshake(_)), "{problem}");
    server.await.unwrap();
}

#[tokio::test]
async fn tls_sessions_resume() {
    let identity = Identity::new(HOST);
    let acceptor = identity.acceptor.clone();
    let (address, server) = server(async move |listener| {
        for resumed in [false, true] {
            let (tcp, _) = listener.accept().await.unwrap();
            let tls = acceptor.accept(tcp).await.unwrap();
            let kind = tls.get_ref().1.handshake_kind();
            assert_eq!(kind == Some(rustls::HandshakeKind::Resumed), resumed, "{kind:?}");
            Peer(BufReader::new(Box::new(tls))).opens("PIPELINING").await;
        }
    })
    .await;
    let target = target(address, identity.trusted(RelayTls::Implicit));
    connect(&target).await.unwrap();
    connect(&target.clone()).await.unwrap();
    server.await.unwrap();
}

#[tokio::test]
async fn openings_that_fail() {
    let greeting = |bytes: &'static str| {
        server(async move |listener| {
            let mut peer = Peer::accept(&listener).await;
            peer.says(bytes).await;
        })
    };
    let cases = [
        ("554 5.7.1 go away\r\n", Concern::Site, "server refused `connect`: 554 5.7.1 go away"),
        ("421 4.3.2 busy\r\n", Concern::Site, "server refused `connect`: 421 4.3.2 busy"),
        ("250 hello\r\n", Concern::Protocol, "protocol error: unexpected reply to `connect`: 250 hello"),
        (
            "HTTP/1.1 400 Bad Request\r\n",
            Concern::Protocol,
            "protocol error: not a reply: `HTTP/1.1 400 Bad Request`",
        ),
        ("220 one\r\n220 two\r\n", Concern::Protocol, "protocol error: reply to nothing before `EHLO`"),
        ("", Concern::Site, "connection lost at `connect`: unexpected end of file"),
        ("220-mx.test", Concern::Site, "connection lost at `connect`: unexpected end of file"),
    ];
    for (bytes, concern, text) in cases {
        let (address, server) = greeting(bytes).await;
        let (found, problem) = problem(&target(address, Security::None)).await;
        assert_eq!((found, problem.to_string().as_str()), (concern, text), "{bytes:?}");
        server.await.unwrap();
    }
}

#[tokio::test]
async fn helo_where_ehlo_is_not_known() {
    let (address, server) = server(async |listener| {
        let mut peer = Peer::accept(&listener).await;
        peer.says("220 old\r\n").await;
        peer.hears(EHLO).await;
        peer.says("502 5.5.2 what?\r\n").await;
        peer.hears("HELO client.test.example").await;
        peer.says("250 hello\r\n").await;
        let mut peer = Peer::accept(&listener).await;
        peer.says("220 old\r\n").await;
        peer.hears(EHLO).await;
        peer.says("421 4.3.2 no\r\n").await;
        peer.is_left().await;
    })
    .await;
    let target = target(address, Security::None);
    let connection = connect(&target).await.unwrap();
    assert_eq!(connection.info().capabilities, Capabilities::default());
    drop(connection);
    let error = connect(&target).await.unwrap_err();
    assert_eq!(error.reply().map(|reply| reply.code), Some(421));
    server.await.unwrap();
}

#[tokio::test]
async fn the_next_address_is_tried() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let (refusing, first) = server(async |listener| {
        Peer::accept(&listener).await.says("421 busy\r\n").await;
    })
    .await;
    let (open, second) = server(async |listener| {
        let mut peer = Peer::accept(&listener).await;
        peer.opens("PIPELINING").await;
    })
    .await;
    let mut target = target(closed, Security::None);
    let (concern, problem) = problem(&target).await;
    assert!(matches!(problem, ConnectProblem::Unreachable { .. }) && concern == Concern::Site, "{problem}");
    target.addresses = vec![closed, refusing, "[::1]:1".parse().unwrap(), open];
    target.local_ip = Some("127.0.0.2".parse().unwrap());
    let connection = connect(&target).await.unwrap();
    assert_eq!(connection.info().local_ip, "127.0.0.2".parse::<IpAddr>().unwrap());
    first.await.unwrap();
    second.await.unwrap();
    target.addresses = vec!["[::1]:1".parse().unwrap()];
    let error = connect(&target).await.unwrap_err();
    assert_eq!(error, ConnectError { remote_ip: None, problem: ConnectProblem::NoAddress });
}

#[tokio::test]
async fn a_silent_greeting() {
    let (address, server) = server(async |listener| {
        let mut peer = Peer::accept(&listener).await;
        peer.is_left().await;
    })
    .await;
    let mut target = target(address, Security::None);
    target.timeouts.greeting = Span(Duration::from_millis(20));
    let (concern, problem) = problem(&target).await;
    assert_eq!((concern, problem), (Concern::Site, ConnectProblem::Timeout { awaiting: Command::Connect }));
    server.await.unwrap();
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

#[tokio::test]
async fn a_refusal_in_the_middle_of_a_large_message() {
    for offers in ["PIPELINING CHUNKING", "PIPELINING"] {
        let (seen, reported) = oneshot::channel::<()>();
        let (connection, server) = connected(
            offers,
            |_| {},
            move |mut peer| async move {
                peer.hears("MAIL FROM:<>").await;
                peer.hears("RCPT TO:<u1@r.example>").await;
                peer.says("250 ok\r\n250 ok\r\n").await;
                let line = peer.line().await;
                if line == "DATA" {
                    peer.says("354 go\r\n").await;
                }
                peer.takes(1_000).await;
                peer.says("552 5.3.4 too big\r\n").await;
                // It reads nothing more, and the report must come all the same.
                reported.await.unwrap();
            },
        )
        .await;
        let mut serving = Serving::new(connection, Limits::default());
        serving.work.send(transaction(1, 20_000_000)).await.unwrap();
        let report = serving.report().await;
        assert!(
            matches!(&report.fate, Fate::Replied { reply, to: Command::EndOfMessage } if reply.code == 552),
            "{report:?}"
        );
        seen.send(()).unwrap();
        server.await.unwrap();
        assert!(matches!(serving.end().await, (reports, Closed::Lost(_)) if reports.is_empty()));
    }
}

#[tokio::test]
async fn a_server_that_does_not_read() {
    let (over, done) = oneshot::channel::<()>();
    let short = |timeouts: &mut Timeouts| timeouts.data = Span(Duration::from_millis(50));
    let (connection, server) = connected("PIPELINING CHUNKING", short, move |mut peer| async move {
        peer.hears("MAIL FROM:<>").await;
        peer.hears("RCPT TO:<u1@r.example>").await;
        peer.says("250 ok\r\n250 ok\r\n").await;
        done.await.unwrap();
    })
    .await;
    let mut serving = Serving::new(connection, Limits::default());
    serving.work.send(transaction(1, 20_000_000)).await.unwrap();
    let error = SessionError::Timeout { awaiting: Command::EndOfMessage };
    assert_eq!(serving.report().await.fate, Fate::Failed { error: error.clone() });
    assert_eq!(serving.end().await, (vec![], Closed::Lost(error)));
    over.send(()).unwrap();
    server.await.unwrap();
}

#[tokio::test]
async fn a_server_that_does_not_answer() {
    let short = |timeouts: &mut Timeouts| timeouts.end_of_data = Span(Duration::from_millis(20));
    let (connection, server) = connected("PIPELINING CHUNKING", short, |mut peer| async move {
        peer.hears("MAIL FROM:<>").await;
        peer.says("250 ok\r\n250 ok\r\n").await;
        peer.hears("RCPT TO:<u1@r.example>").await;
        peer.hears("BDAT 100 LAST").await;
        peer.takes(100).await;
        peer.is_left().await;
    })
    .await;
    let serving = Serving::new(connection, Limits::default());
    for id in 1..=3 {
        serving.work.send(transaction(id, 100)).await.unwrap();
    }
    let (reports, closed) = serving.end().await;
    let error = SessionError::Timeout { awaiting: Command::EndOfMessage };
    let fates: Vec<Fate> = reports.into_iter().map(|report| report.fate).collect();
    let left = Fate::NotStarted { why: NotStarted::Lost(error.clone()) };
    assert_eq!(fates, [Fate::InDoubt { error: error.clone() }, left.clone(), left]);
    assert_eq!(closed, Closed::Lost(error));
    server.await.unwrap();
}

#[tokio::test]
async fn several_messages_in_one_write() {
    let (connection, server) = connected(
        "PIPELINING CHUNKING",
        |_| {},
        |mut peer| async move {
            let mut message = String::new();
            for id in 1..=4 {
                let reset = if id == 1 { "" } else { "RSET\r\n" };
                message += &format!("{reset}MAIL FROM:<>\r\nRCPT TO:<u{id}@r.example>\r\nBDAT 3 LAST\r\n012");
            }
            let taken = peer.takes(message.len()).await;
            assert_eq!(String::from_utf8(taken).unwrap(), message);
            peer.says("250 m\r\n250 r\r\n250 b\r\n").await;
            for _ in 2..=4 {
                peer.says("250 s\r\n250 m\r\n550 r\r\n503 b\r\n").await;
            }
            // Nothing is under way any more, and the server's transaction is reset before the next.
            peer.hears("RSET").await;
            peer.says("250 s\r\n").await;
            peer.takes_over(5).await;
            peer.farewell().await;
        },
    )
    .await;
    let (work, taken) = mpsc::channel(16);
    for id in 1..=4 {
        work.send(transaction(id, 3)).await.unwrap();
    }
    let (told, mut reports) = mpsc::channel(16);
    let limits = Limits { depth: 8, ..Limits::default() };
    let serving = tokio::spawn(connection.serve(ConnectionId(1), taken, told, limits));
    for id in 1..=4 {
        let (_, report) = reports.recv().await.unwrap();
        assert_eq!((report.id, report.fate.is_accepted()), (id, id == 1), "{report:?}");
        if id == 4 {
            work.send(transaction(5, 3)).await.unwrap();
        }
    }
    assert!(reports.recv().await.unwrap().1.fate.is_accepted());
    drop(work);
    assert_eq!(serving.await.unwrap(), Closed::WorkEnded);
    server.await.unwrap();
}

#[tokio::test]
async fn the_message_limit() {
    let (connection, server) = connected(
        "PIPELINING CHUNKING",
        |_| {},
        |mut peer| async move {
            peer.takes_over(1).await;
            peer.takes_over(2).await;
            peer.farewell().await;
        },
    )
    .await;
    let (work, taken) = mpsc::channel(16);
    for id in 1..=4 {
        work.send(transaction(id, 10)).await.unwrap();
    }
    let (told, mut reports) = mpsc::channel(16);
    let limits = Limits { max_messages: 2, ..Limits::default() };
    let closed = connection.serve(ConnectionId(1), taken, told, limits).await;
    assert_eq!(closed, Closed::MessageLimit);
    let mut fates = Vec::new();
    while let Some((_, report)) = reports.recv().await {
        fates.push((
            report.id,
            report.fate.is_accepted(),
            report.fate == Fate::NotStarted { why: NotStarted::Closed },
        ));
    }
    fates.sort_unstable();
    assert_eq!(fates, [(1, true, false), (2, true, false), (3, false, true), (4, false, true)]);
    assert!(work.is_closed());
    server.await.unwrap();
}

#[tokio::test]
async fn without_work_it_says_goodbye() {
    let (connection, server) = connected(
        "PIPELINING",
        |_| {},
        |mut peer| async move {
            peer.farewell().await;
        },
    )
    .await;
    let limits = Limits { idle: Duration::from_millis(20), ..Limits::default() };
    let Serving { work, reports, serving } = Serving::new(connection, limits);
    assert_eq!(serving.await.unwrap(), Closed::Idle);
    server.await.unwrap();
    drop((work, reports));
}

#[tokio::test]
async fn the_server_closes_an_idle_connection() {
    for last_words in ["421 4.4.2 idle for too long\r\n", ""] {
        let (connection, server) = connected(
            "PIPELINING",
            |_| {},
            move |mut peer| async move {
                peer.says(last_words).await;
            },
        )
        .await;
        let serving = Serving::new(connection, Limits::default());
        let Closed::Lost(error) = serving.serving.await.unwrap() else { panic!("not lost") };
        match error {
            SessionError::Closing(reply) => assert_eq!(reply.code, 421),
            other => assert_eq!((last_words, other), ("", SessionError::ClosedIdle)),
        }
        assert!(serving.work.send(transaction(1, 1)).await.is_err());
        server.await.unwrap();
    }
}

#[tokio::test]
async fn the_server_closes_right_behind_the_opening() {
    let (address, server) = server(async |listener| {
        let mut peer = Peer::accept(&listener).await;
        peer.says("220 mx\r\n").await;
        peer.hears(EHLO).await;
        peer.says("250 mx\r\n421 4.3.2 sorry\r\n").await;
        peer.is_left().await;
    })
    .await;
    let connection = connect(&target(address, Security::None)).await.unwrap();
    let (reports, closed) = {
        let serving = Serving::new(connection, Limits::default());
        let _ = serving.work.send(transaction(1, 1)).await;
        serving.end().await
    };
    assert!(reports.iter().all(|report| matches!(report.fate, Fate::NotStarted { .. })), "{reports:?}");
    assert!(matches!(closed, Closed::Lost(SessionError::Closing(_))), "{closed:?}");
    server.await.unwrap();
}

#[tokio::test]
async fn reports_that_nobody_reads() {
    let (connection, server) = connected(
        "PIPELINING CHUNKING",
        |_| {},
        |mut peer| async move {
            peer.takes_over(1).await;
            peer.farewell().await;
        },
    )
    .await;
    let Serving { work, reports, serving } = Serving::new(connection, Limits::default());
    drop(reports);
    work.send(transaction(1, 10)).await.unwrap();
    drop(work);
    assert_eq!(serving.await.unwrap(), Closed::WorkEnded);
    server.await.unwrap();
}
