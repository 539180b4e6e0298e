//! The sandbox over real sockets: what only they can show. The conversations themselves are in
//! `session/tests.rs`.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::*;

/// A client that sends only what the test says.
struct Client<S>(BufReader<S>);

impl Client<TcpStream> {
    /// Connects and reads the greeting.
    async fn connect(sandbox: &Sandbox) -> Self {
        let mut client = Self(BufReader::new(TcpStream::connect(sandbox.addr()).await.unwrap()));
        assert_eq!(client.reply().await, "220 sandbox.localhost ESMTP mailrun sandbox\r\n");
        client
    }

    async fn into_tls(self, sandbox: &Sandbox) -> Client<TlsStream<TcpStream>> {
        Client(BufReader::new(tls(sandbox, self.0.into_inner()).await.unwrap()))
    }
}

async fn tls(sandbox: &Sandbox, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(sandbox.certificate_pem().as_bytes()).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    /// One reply with all its lines; empty if the connection was closed gracefully.
    async fn reply(&mut self) -> String {
        self.try_reply().await.unwrap()
    }

    async fn try_reply(&mut self) -> io::Result<String> {
        let mut reply = String::new();
        loop {
            let start = reply.len();
            self.0.read_line(&mut reply).await?;
            if reply.as_bytes()[start..].get(3) != Some(&b'-') {
                return Ok(reply);
            }
        }
    }

    async fn write(&mut self, text: &[u8]) {
        self.0.write_all(text).await.unwrap();
        self.0.flush().await.unwrap();
    }

    async fn say(&mut self, text: &str) -> String {
        self.write(text.as_bytes()).await;
        self.reply().await
    }

    /// Sends a message in one group; returns the reply to its end, or why there is none.
    async fn send(&mut self, recipient: &str, content: &str) -> io::Result<String> {
        let length = content.len();
        let group = format!(
            "MAIL FROM:<a@example.com> BODY=8BITMIME\r\nRCPT TO:<{recipient}>\r\nBDAT {length} LAST\r\n{content}"
        );
        self.write(group.as_bytes()).await;
        assert_eq!(self.try_reply().await?, "250 2.1.0 Ok\r\n");
        assert_eq!(self.try_reply().await?, "250 2.1.5 Ok\r\n");
        self.try_reply().await
    }
}

const EHLO: &str = "EHLO client.example\r\n";

async fn greeted(sandbox: &Sandbox) -> Client<TcpStream> {
    let mut client = Client::connect(sandbox).await;
    assert!(client.say(EHLO).await.ends_with("250 BINARYMIME\r\n"));
    client
}

fn queue_id(reply: &str) -> &str {
    reply.strip_prefix("250 2.0.0 Ok: queued as ").unwrap().trim_end()
}

fn files(folder: &Path) -> Vec<String> {
    let names =
        std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_message_becomes_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("deep/kept");
    let options = Options { keep: Keep::Eml(folder.clone()), ..Options::default() };
    let sandbox = Sandbox::start(options).await.unwrap();
    let mut client = greeted(&sandbox).await;

    let body: String = (0..50_000).map(|n| format!(".{n} zażółć gęślą jaźń\r\n")).collect();
    let message = format!("Subject: long\r\nMessage-ID: <1@x>\r\n\r\n{body}");
    let by_chunk = client.send("b@example.com", &message).await.unwrap();
    client
        .write(b"MAIL FROM:<> BODY=8BITMIME\r\nRCPT TO:<b@example.com>\r\nRCPT TO:<c@example.com>\r\n")
        .await;
    for _ in 0..3 {
        assert!(client.reply().await.starts_with("250 "));
    }
    assert!(client.say("DATA\r\n").await.starts_with("354 "));
    let by_data = client.say(&format!("{}.\r\n", message.replace("\r\n.", "\r\n.."))).await;

    let read =
        |reply: &str| std::fs::read_to_string(folder.join(format!("{}.eml", queue_id(reply)))).unwrap();
    let (first, second) = (read(&by_chunk), read(&by_data));
    let trace = first.strip_suffix(&message).expect("the message's bytes are unchanged");
    let start = format!(
        "Return-Path: <a@example.com>\r\nDelivered-To: b@example.com\r\nReceived: from client.example ([127.0.0.1])\r\n\t\
         by sandbox.localhost with ESMTP id {}\r\n\tfor <b@example.com>;\r\n\t",
        queue_id(&by_chunk)
    );
    let date = trace.strip_prefix(&start).unwrap().strip_suffix("\r\n").unwrap();
    assert!(chrono::DateTime::parse_from_rfc2822(date).is_ok(), "{date}");
    let trace = second.strip_suffix(&message).expect("the message's bytes are unchanged");
    assert!(
        trace
            .starts_with("Return-Path: <>\r\nDelivered-To: b@example.com\r\nDelivered-To: c@example.com\r\n")
    );

    assert_eq!(files(&folder).len(), 2, "{:?}", files(&folder));
    let stats = sandbox.stop().await;
    let bytes = 2 * message.len() as u64;
    assert_eq!(stats, Stats { connections: 1, accepted: 2, recipients: 3, bytes, ..Stats::default() });
}

#[tokio::test]
async fn answered_messages_are_in_the_record() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("record.jsonl");
    let sandbox = Sandbox::start(Options { record: Some(path.clone()), ..Options::default() }).await.unwrap();
    let mut client = greeted(&sandbox).await;
    let message = "Message-ID: <1@x>\r\n\r\n";
    let reply = client.send("b@example.com", message).await.unwrap();
    let entries = record::read(&path).unwrap();
    let [entry] = &entries[..] else { panic!("{entries:?}") };
    assert_eq!(entry.queue_id, queue_id(&reply));
    assert_eq!((entry.connection, entry.return_path.as_str()), (1, "a@example.com"));
    assert_eq!((entry.recipient.as_str(), entry.message_id.as_str()), ("b@example.com", "1@x"));
    assert_eq!((entry.bytes, entry.replied), (21, true));

    assert!(client.send("data-554@example.com", message).await.unwrap().starts_with("554 "));
    assert_eq!(client.send("drop-after-dot@example.com", message).await.unwrap(), "");
    let entries = record::read(&path).unwrap();
    let recipients: Vec<_> = entries.iter().map(|entry| (entry.recipient.as_str(), entry.replied)).collect();
    assert_eq!(recipients, [("b@example.com", true), ("drop-after-dot@example.com", false)]);

    let second = Sandbox::start(Options { record: Some(path.clone()), ..Options::default() }).await;
    assert_eq!(second.err().unwrap().kind(), ErrorKind::WouldBlock);
    sandbox.stop().await;
    let again = Sandbox::start(Options { record: Some(path.clone()), ..Options::default() }).await.unwrap();
    greeted(&again).await.send("c@example.com", message).await.unwrap();
    assert_eq!(record::read(&path).unwrap().len(), 3, "a record is continued");
}

#[tokio::test]
async fn a_message_without_its_record_or_file_is_not_accepted() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("kept");
    let options = Options { keep: Keep::Eml(folder.clone()), ..Options::default() };
    let sandbox = Sandbox::start(options).await.unwrap();
    std::fs::remove_dir(&folder).unwrap();
    let reply = greeted(&sandbox).await.send("b@example.com", "A: b\r\n").await.unwrap();
    assert!(reply.starts_with("452 4.3.1 Insufficient system storage: "), "{reply}");
    assert_eq!(sandbox.stop().await.accepted, 0);
}

#[tokio::test]
async fn starttls_and_login() {
    let auth = Credentials { user: "news".to_owned(), password: "secret".to_owned() };
    let options = Options { tls: Tls::Required, auth: Some(auth), keep: Keep::Count, ..Options::default() };
    let sandbox = Sandbox::start(options).await.unwrap();
    let mut client = Client::connect(&sandbox).await;
    assert!(client.say(EHLO).await.contains("250-STARTTLS\r\n"));
    assert_eq!(client.say("STARTTLS\r\n").await, "220 2.0.0 Ready to start TLS\r\n");
    let mut client = client.into_tls(&sandbox).await;
    assert!(client.say(EHLO).await.contains("250-AUTH PLAIN LOGIN\r\n"));
    let login = client.say("AUTH PLAIN AG5ld3MAc2VjcmV0\r\n").await;
    assert_eq!(login, "235 2.7.0 Authentication successful\r\n");
    for recipient in ["b@one.example", "b@two.example", "c@TWO.example"] {
        queue_id(&client.send(recipient, "A: b\r\n").await.unwrap());
    }
    assert_eq!(client.say("QUIT\r\n").await, "221 2.0.0 Bye\r\n");
    assert_eq!(client.reply().await, "", "closed in good order, with close_notify");
    let expected = Stats {
        connections: 1,
        tls: 1,
        logins: 1,
        accepted: 3,
        recipients: 3,
        bytes: 18,
        domains: vec![("two.example".to_owned(), 2), ("one.example".to_owned(), 1)],
        ..Stats::default()
    };
    assert_eq!(sandbox.stop().await, expected);
}

#[tokio::test]
async fn implicit_tls() {
    let sandbox = Sandbox::start(Options { tls: Tls::Implicit, ..Options::default() }).await.unwrap();
    let stream = TcpStream::connect(sandbox.addr()).await.unwrap();
    let mut client = Client(BufReader::new(tls(&sandbox, stream).await.unwrap()));
    assert!(client.reply().await.starts_with("220 "));
    let offer = client.say(EHLO).await;
    assert!(!offer.contains("STARTTLS") && offer.ends_with("250 REQUIRETLS\r\n"), "{offer}");
    queue_id(&client.send("b@example.com", "A: b\r\n").await.unwrap());
    let dropped = client.send("drop-after-dot@example.com", "A: b\r\n").await;
    assert_eq!(dropped.unwrap_err().kind(), ErrorKind::UnexpectedEof, "closed without close_notify");
}

#[tokio::test]
async fn another_sandbox_is_not_trusted() {
    let sandbox = Sandbox::start(Options { tls: Tls::Implicit, ..Options::default() }).await.unwrap();
    let other = Sandbox::start(Options { tls: Tls::Implicit, ..Options::default() }).await.unwrap();
    let stream = TcpStream::connect(sandbox.addr()).await.unwrap();
    assert!(tls(&other, stream).await.is_err());
}

#[tokio::test]
async fn connections_are_closed_and_reset() {
    let sandbox = Sandbox::start(Options::default()).await.unwrap();
    for recipient in ["drop-after-dot@example.com", "lose-after-dot@example.com"] {
        let mut client = greeted(&sandbox).await;
        assert_eq!(client.send(recipient, "A: b\r\n").await.unwrap(), "");
    }
    for recipient in ["reset-after-dot@example.com", "reset-in-data@example.com"] {
        let mut client = greeted(&sandbox).await;
        let reset = client.send(recipient, "A: b\r\n").await;
        assert_eq!(reset.unwrap_err().kind(), ErrorKind::ConnectionReset, "{recipient}");
    }
    assert_eq!(sandbox.stats().dropped, 4);
}

#[tokio::test]
async fn a_slow_reply_comes() {
    let sandbox = Sandbox::start(Options::default()).await.unwrap();
    let mut client = greeted(&sandbox).await;
    queue_id(&client.send("slow-1ms@example.com", "A: b\r\n").await.unwrap());
}

#[tokio::test]
async fn a_silent_client_gets_421_and_is_closed() {
    let options = Options { idle_timeout: Duration::from_millis(1), ..Options::default() };
    let sandbox = Sandbox::start(options).await.unwrap();
    let mut client = Client::connect(&sandbox).await;
    let farewell = "421 4.4.2 sandbox.localhost timeout exceeded, closing transmission channel\r\n";
    assert_eq!(client.reply().await, farewell);
    assert_eq!(client.reply().await, "");
}

#[tokio::test]
async fn stopping_ends_every_connection() {
    let sandbox = Sandbox::start(Options::default()).await.unwrap();
    let mut idle = greeted(&sandbox).await;
    let mut stalled = greeted(&sandbox).await;
    stalled.write(b"MAIL FROM:<>\r\nRCPT TO:<stall-after-dot@example.com>\r\nBDAT 0 LAST\r\n").await;
    let mut deaf = greeted(&sandbox).await;
    deaf.write(b"MAIL FROM:<>\r\nRCPT TO:<stall-in-data@example.com>\r\nBDAT 9 LAST\r\nx").await;
    let mut slow = greeted(&sandbox).await;
    slow.write(b"MAIL FROM:<>\r\nRCPT TO:<slow-3600s@example.com>\r\n").await;
    slow.write(b"BDAT 0 LAST\r\n").await;
    let mut handshaking = greeted(&sandbox).await;
    handshaking.say("STARTTLS\r\n").await;
    // Both commands of each were answered, so each is where it should be or on its way there.
    for client in [&mut stalled, &mut deaf, &mut slow] {
        assert_eq!(client.reply().await, "250 2.1.0 Ok\r\n");
        assert_eq!(client.reply().await, "250 2.1.5 Ok\r\n");
    }
    assert_eq!(sandbox.stats().open, 5);
    let addr = sandbox.addr();
    let stats = sandbox.stop().await;
    assert_eq!((stats.connections, stats.open), (5, 0));
    let farewell = "421 4.4.2 sandbox.localhost sandbox is stopping, closing transmission channel\r\n";
    assert_eq!(idle.reply().await, farewell);
    assert_eq!(idle.reply().await, "");
    let mut rest = Vec::new();
    stalled.0.read_to_end(&mut rest).await.unwrap();
    assert_eq!(rest, b"", "a stalled connection gets no last words");
    assert!(TcpStream::connect(addr).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn only_loopback_by_default() {
    let open = Options { listen: "0.0.0.0:0".parse().unwrap(), ..Options::default() };
    let refused = Sandbox::start(open.clone()).await.err().unwrap();
    assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    assert_eq!(refused.to_string(), "`0.0.0.0:0` is not a loopback address");
    let six = Options { listen: "[::1]:0".parse().unwrap(), ..Options::default() };
    assert!(six.check().is_ok());
    assert!(Options { allow_remote: true, ..open }.check().is_ok());
}

#[test]
fn options_that_cannot_be_meant() {
    let auth = Some(Credentials { user: "news".to_owned(), password: "secret".to_owned() });
    let clear = Options { auth, tls: Tls::Off, ..Options::default() };
    assert_eq!(clear.check().unwrap_err().kind(), ErrorKind::InvalidInput);
    assert!(!format!("{clear:?}").contains("secret"), "the password is not shown");
    assert!(Options { auth_in_clear: true, ..clear }.check().is_ok());
    let named = Options { host_name: "a b\r\n".to_owned(), ..Options::default() };
    assert_eq!(named.check().unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[test]
fn the_module_lists_every_behaviour() {
    let page = include_str!("mod.rs");
    for (forms, what) in BEHAVIOURS.iter().chain(BEHAVIOUR_SUFFIXES) {
        let forms = forms.split(", ").map(|form| format!("`{form}`")).collect::<Vec<_>>().join(", ");
        let plain = |text: &str| text.replace('`', "");
        let row = format!("//! | {forms} | {what} |");
        assert!(page.lines().any(|line| plain(line) == plain(&row)), "mod.rs has no row: {row}");
    }
}
