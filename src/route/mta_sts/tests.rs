use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::pki_types::PrivateKeyDer;
use tempfile::{NamedTempFile, TempDir};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::fetch::FetchError;
use super::*;
use crate::route::testing;
use crate::route::{MxHost, MxSecurity};

const POLICY: &str = "version: STSv1\nmode: enforce\nmx: mx.example.com\nmax_age: 86400\n";

const ZONE: &str = r#"
_mta-sts.example.com.   IN TXT "v=STSv1; id=one;"
mta-sts.example.com.    IN A 127.0.0.1
_mta-sts.other.example. IN TXT "v=STSv1; id=one;"
mta-sts.other.example.  IN A 127.0.0.1
_mta-sts.twice.example. IN TXT "v=STSv1; id=one;"
_mta-sts.twice.example. IN TXT "v=STSv1; id=two;"
mta-sts.twice.example.  IN A 127.0.0.1
_mta-sts.bad.example.   IN TXT "v=STSv1; id=not an id;"
mta-sts.bad.example.    IN A 127.0.0.1
_mta-sts.lost.example.  IN TXT "v=STSv1; id=one;"
"#;

/// A web server whose certificate is for `mta-sts.example.com`, and a client that trusts it.
struct Web {
    port: u16,
    requests: Arc<AtomicUsize>,
    response: Arc<Mutex<String>>,
    ca_file: NamedTempFile,
}

fn ok(body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

impl Web {
    async fn start() -> Self {
        let (acceptor, ca_file) = identity("mta-sts.example.com");
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (requests, response) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(ok(POLICY))));
        let (count, says) = (Arc::clone(&requests), Arc::clone(&response));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(stream.read_u8().await.unwrap());
                }
                let head = String::from_utf8(head).unwrap();
                assert!(head.starts_with("GET /.well-known/mta-sts.txt HTTP/1.1\r\n"), "{head}");
                assert!(head.to_lowercase().contains("\r\nhost: mta-sts.example.com\r\n"), "{head}");
                count.fetch_add(1, Ordering::SeqCst);
                let response = says.lock().unwrap().clone();
                // A client that has read enough closes.
                let _ = stream.write_all(response.as_bytes()).await;
                let _ = stream.shutdown().await;
            }
        });
        Self { port, requests, response, ca_file }
    }

    fn says(&self, response: &str) {
        *self.response.lock().unwrap() = response.to_owned();
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    fn client(&self, resolver: &Resolver) -> MtaSts {
        let security = MxSecurity::new(Some(self.ca_file.path())).unwrap();
        let mx = Mx { private_addresses: true, ..Mx::default() };
        MtaSts::on_port(resolver.clone(), security.verifier().clone(), &mx, self.port)
    }
}

/// A certificate for `host`, and the file with the authority that signed it.
fn identity(host: &str) -> (TlsAcceptor, NamedTempFile) {
    let mut authority = CertificateParams::new(vec![]).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages.push(KeyUsagePurpose::KeyCertSign);
    let key = KeyPair::generate().unwrap();
    let mut ca_file = NamedTempFile::new().unwrap();
    ca_file.write_all(authority.self_signed(&key).unwrap().pem().as_bytes()).unwrap();
    let issuer = Issuer::new(authority, key);
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec![host.into()]).unwrap().signed_by(&key, &issuer).unwrap();
    let config =
        rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
            .unwrap();
    (TlsAcceptor::from(Arc::new(config)), ca_file)
}

fn domain(text: &str) -> Domain {
    Domain::parse(text).unwrap()
}

fn at(seconds: u64) -> Timestamp {
    Timestamp(0) + Duration::from_secs(seconds)
}

fn zone() -> (TempDir, Resolver) {
    testing::zone(ZONE)
}

/// The same names, but `example.com` announces `id`.
fn zone_with_id(id: &str) -> (TempDir, Resolver) {
    testing::zone(&ZONE.replacen("id=one", &format!("id={id}"), 1))
}

#[tokio::test]
async fn a_policy_is_fetched_once_and_kept_for_its_time() {
    let (_folder, resolver) = zone();
    let web = Web::start().await;
    let sts = web.client(&resolver);
    for now in [0, 86_399] {
        let policy = sts.policy_at(&domain("example.com"), at(now)).await.unwrap();
        assert_eq!(
            (policy.mode, policy.mx.as_slice()),
            (Mode::Enforce, ["mx.example.com".to_owned()].as_slice())
        );
        assert_eq!(web.requests(), 1);
    }
    web.says(&ok(&POLICY.replace("enforce", "none")));
    assert_eq!(sts.policy_at(&domain("example.com"), at(86_400)).await, None);
    assert_eq!(web.requests(), 2);
    assert_eq!(sts.policy_at(&domain("example.com"), at(86_401)).await, None);
    assert_eq!(web.requests(), 2, "a withdrawn policy is kept as well");
}

#[tokio::test]
async fn domains_that_announce_nothing_are_not_asked() {
    let (_folder, resolver) = zone();
    let web = Web::start().await;
    let sts = web.client(&resolver);
    for name in ["nothing.example", "twice.example", "bad.example"] {
        assert_eq!(sts.policy_at(&domain(name), at(0)).await, None, "{name}");
    }
    assert_eq!(web.requests(), 0);
}

#[tokio::test]
async fn a_certificate_for_another_host_is_no_policy() {
    let (_folder, resolver) = zone();
    let web = Web::start().await;
    assert_eq!(web.client(&resolver).policy_at(&domain("other.example"), at(0)).await, None);
    let stranger = Web::start().await;
    let untrusting = Web { port: stranger.port, ..web };
    assert_eq!(untrusting.client(&resolver).policy_at(&domain("example.com"), at(0)).await, None);
    assert_eq!(stranger.requests(), 0);
}

#[tokio::test]
async fn answers_that_are_no_policy() {
    let (_folder, resolver) = zone();
    let web = Web::start().await;
    let long = format!("{POLICY}{}", "x: y\n".repeat(20_000));
    let check = async |response: &str, expected: &str| {
        web.says(response);
        let error = web.client(&resolver).fetcher.fetch(&domain("example.com")).await.unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    };
    check("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "status 404").await;
    let elsewhere = "HTTP/1.1 302 Found\r\nLocation: https://mta-sts.example.com/.well-known/mta-sts.txt\r\nContent-Length: 0\r\n\r\n";
    check(elsewhere, "status 302").await;
    check(&ok(POLICY).replace("text/plain", "text/html"), "not `text/plain`").await;
    check(&ok(POLICY).replace("Content-Type", "X-Type"), "not `text/plain`").await;
    check(&ok(&long), "longer than 64 KiB").await;
    check(&ok("<html>"), "does not have the form").await;
    check(&ok(POLICY)[..120], "HTTP with").await;
    check("SSH-2.0-OpenSSH_9.9\r\n", "HTTP with").await;
    let lost = web.client(&resolver).fetcher.fetch(&domain("lost.example")).await.unwrap_err();
    assert!(matches!(lost, FetchError::Dns(_)), "{lost}");
}

#[tokio::test]
async fn an_older_policy_holds_on_when_the_new_one_can_not_be_had() {
    let (_one, resolver) = zone();
    let web = Web::start().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mta-sts.json");
    let sts = web.client(&resolver);
    assert!(sts.policy_at(&domain("example.com"), at(0)).await.is_some());
    sts.save(&file).unwrap();

    // Another run: DNS announces another id, and the web server fails.
    let (_two, resolver) = zone_with_id("two");
    web.says("HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n");
    let sts = web.client(&resolver);
    sts.load_at(&file, at(10)).unwrap();
    let policy = async |now| sts.policy_at(&domain("example.com"), at(now)).await;
    assert_eq!(policy(10).await.unwrap().mode, Mode::Enforce);
    assert_eq!(web.requests(), 2);
    assert_eq!(policy(309).await.unwrap().mode, Mode::Enforce);
    assert_eq!(web.requests(), 2, "it is not fetched again for a while");
    web.says(&ok(&POLICY.replace("enforce", "testing")));
    assert_eq!(policy(310).await.unwrap().mode, Mode::Testing);

    // And one more: DNS announces nothing.
    let (_three, resolver) = testing::zone("example.com. IN A 192.0.2.1\n");
    let sts = web.client(&resolver);
    sts.load_at(&file, at(10)).unwrap();
    assert_eq!(sts.policy_at(&domain("example.com"), at(86_399)).await.unwrap().mode, Mode::Enforce);
    assert_eq!(sts.policy_at(&domain("example.com"), at(86_400)).await, None);
}

#[tokio::test]
async fn policies_are_written_down_for_the_next_run() {
    let (_folder, resolver) = zone();
    let web = Web::start().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mta-sts.json");
    let sts = web.client(&resolver);
    sts.load(&file).unwrap();
    sts.save(&file).unwrap();
    assert!(!file.exists(), "there is nothing to write");
    sts.policy_at(&domain("example.com"), at(100)).await.unwrap();
    sts.save(&file).unwrap();

    let next = web.client(&resolver);
    next.load_at(&file, at(200)).unwrap();
    assert!(next.policy_at(&domain("example.com"), at(200)).await.is_some());
    assert_eq!(web.requests(), 1);
    // A clock that was far ahead gave it a longer life than any policy has.
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("86500000000", "9000000000000000")).unwrap();
    let next = web.client(&resolver);
    next.load_at(&file, at(200)).unwrap();
    assert_eq!(next.kept().held(&domain("example.com"), at(86_600)), None);
    assert!(next.kept().held(&domain("example.com"), at(86_599)).is_some());
    std::fs::write(&file, "{").unwrap();
    assert!(next.load(&file).unwrap_err().to_string().contains("mta-sts.json"));
}

#[test]
fn an_enforced_policy_leaves_the_hosts_that_it_allows() {
    let host = |preference, name: &str| MxHost { preference, name: name.to_owned() };
    let hosts = vec![host(1, "mx.example.net"), host(2, "mx.example.com"), host(3, "mx2.example.com")];
    let destination = Destination { hosts, implicit: false, valid_until: std::time::Instant::now() };
    let policy = |mode: &str, mx: &str| {
        let text = POLICY.replace("enforce", mode).replace("mx.example.com", mx);
        Policy::parse(text.as_bytes()).unwrap()
    };
    let left = |policy: &Policy| {
        allowed(&domain("example.com"), destination.clone(), policy)
            .map(|left| left.hosts.iter().map(|host| host.preference).collect::<Vec<_>>())
    };
    assert_eq!(left(&policy("enforce", "*.example.com")).unwrap(), [2, 3]);
    assert_eq!(left(&policy("enforce", "mx.example.net")).unwrap(), [1]);
    assert_eq!(left(&policy("testing", "mx.example.net")).unwrap(), [1, 2, 3]);
    let error = left(&policy("enforce", "elsewhere.example")).unwrap_err();
    assert!(!error.is_permanent(), "the policy may change");
    assert_eq!(error.classification().class, crate::mail::Class::TlsRequired);
    assert!(error.to_string().contains("mx2.example.com"), "{error}");
}
