//! `mailrun serve`: what recipients get who follow their unsubscribe links.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Command, Stdio};

use crate::disk::SmallDisk;
use crate::feedback::{summary, suppressed};
use crate::kit::{Dir, campaign};

const ONE_CLICK: &str = "List-Unsubscribe=One-Click";
const FORM: &str = "application/x-www-form-urlencoded";

/// A folder with a campaign for three recipients, and settings of serve.
fn dir(unsubscribe: &str) -> Dir {
    let dir = Dir::new();
    campaign(&dir, "news", 9, "", unsubscribe);
    dir.write("news.csv", "email,n\nann@x.example,1\nbob@x.example,2\ncleo@x.example,3\n");
    dir
}

fn https() -> Dir {
    dir("[unsubscribe]\nhttps = \"https://mail.example.com/u/{{token}}\"\n")
}

fn token(dir: &Dir, row: &str) -> String {
    let message = dir.run(&["render", "news.toml", "--row", row]).ended(0).stdout();
    let (_, after) = message.split_once("https://mail.example.com/u/").expect("the message has the link");
    after.split_once('>').unwrap().0.to_owned()
}

pub(crate) struct Serve {
    child: Child,
    output: BufReader<ChildStdout>,
    pub(crate) address: String,
}

/// An answer: its status, its head in lower case, and its body.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Serve {
    fn start(dir: &Dir) -> Self {
        Self::with(dir, "")
    }

    /// With more settings.
    fn with(dir: &Dir, more: &str) -> Self {
        Self::of(dir, &format!("[recipients]\nlisten = [\"127.0.0.1:0\"]\n{more}"))
    }

    /// With these settings, of one face.
    pub(crate) fn of(dir: &Dir, settings: &str) -> Self {
        dir.write("serve.toml", settings);
        let mut command = dir.command(&["serve", "--config", "serve.toml"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut first = String::new();
        output.read_line(&mut first).unwrap();
        let place = first.trim_end().split_once(" answered at ");
        let address = place.and_then(|(_, place)| Some(place.split_once("://")?.1.to_owned()));
        let address = address.unwrap_or_else(|| panic!("it says `{first}`"));
        Self { child, output, address }
    }

    pub(crate) fn ask(&self, method: &str, target: &str, head: &str, body: &str) -> Answer {
        let length = body.len();
        let asked = format!(
            "{method} {target} HTTP/1.1\r\nhost: mail.example.com\r\nconnection: close\r\n{head}\
             content-length: {length}\r\n\r\n{body}"
        );
        self.say(asked.as_bytes())
    }

    pub(crate) fn say(&self, bytes: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        // Who is refused early may have closed already.
        drop(stream.write_all(bytes));
        let mut bytes = Vec::new();
        drop(stream.read_to_end(&mut bytes));
        // An image is no text.
        let text = String::from_utf8_lossy(&bytes);
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        Answer { status, head: head.to_lowercase(), body: body.to_owned() }
    }

    fn get(&self, target: &str) -> Answer {
        self.ask("GET", target, "", "")
    }

    fn post(&self, target: &str, kind: &str, body: &str) -> Answer {
        self.ask("POST", target, &format!("content-type: {kind}\r\n"), body)
    }

    /// Asks it to end; what it logged.
    pub(crate) fn end(mut self) -> String {
        let sent = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        assert!(sent.unwrap().success());
        let (mut said, mut log) = (String::new(), String::new());
        self.output.read_to_string(&mut said).unwrap();
        self.child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        assert_eq!(self.child.wait().unwrap().code(), Some(0), "{log}");
        log
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        // A test that fails leaves none behind; others have ended it.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[test]
fn a_get_changes_nothing_and_a_post_unsubscribes() {
    let dir = https();
    let token = token(&dir, "2");
    let serve = Serve::start(&dir);
    let link = format!("/u/{token}");
    // As scanners do, again and again.
    for _ in 0..50 {
        let page = serve.get(&link);
        assert_eq!(page.status, 200);
        assert!(page.body.contains("<form method=\"post\">") && page.body.contains("b…@x.example"));
        assert!(!page.body.contains("bob"), "a link that is passed on tells no address: {}", page.body);
        for field in ["default-src 'none'", "no-store", "no-referrer", "noindex", "nosniff"] {
            assert!(page.head.contains(field), "{}", page.head);
        }
        assert!(!page.head.contains("set-cookie") && !page.head.contains("location"));
    }
    let german = serve.ask("GET", &link, "accept-language: de-AT,en;q=0.5\r\n", "");
    assert!(german.body.contains("<html lang=\"de\">") && german.body.contains("Abmelden"));
    assert_eq!(serve.ask("HEAD", &link, "", "").body, "");
    assert_eq!(suppressed(&dir), []);

    let done = serve.post(&link, FORM, ONE_CLICK);
    assert_eq!(done.status, 200, "{}", done.body);
    assert!(!done.head.contains("set-cookie") && !done.head.contains("location"));
    let bob = [("bob@x.example".to_owned(), "unsubscribe".to_owned())];
    assert_eq!(suppressed(&dir), bob);
    assert_eq!(serve.post(&link, FORM, ONE_CLICK).status, 200, "once more is no error");
    assert_eq!(summary(&dir)["kinds"]["unsubscribe"], 1, "and counts once");

    // Taken off the list by mistake, or because they asked for mail again, and then left again.
    dir.run(&["suppress", "remove", "bob@x.example"]).ended(0);
    assert_eq!(serve.post(&link, FORM, ONE_CLICK).status, 200);
    assert_eq!(suppressed(&dir), bob);
    assert_eq!(serve.end().lines().filter(|line| line.contains("warning")).count(), 0);
}

#[test]
fn whatever_scanners_ask_for_they_unsubscribe_nobody() {
    let dir = https();
    let token = token(&dir, "1");
    let serve = Serve::start(&dir);
    for method in ["GET", "HEAD"] {
        let head = format!("content-type: {FORM}\r\nx-http-method-override: POST\r\n");
        assert_eq!(serve.ask(method, &format!("/u/{token}"), &head, ONE_CLICK).status, 200);
    }
    let asked: String = (0..10_000)
        .map(|number| match number % 5 {
            0 => format!("GET /u/{token} HTTP/1.1\r\nhost: x\r\n\r\n"),
            1 => format!("GET /u/{token}?{ONE_CLICK} HTTP/1.1\r\nhost: x\r\nsec-purpose: prefetch\r\n\r\n"),
            2 => format!("GET /u/{token} HTTP/1.1\r\nhost: x\r\ncookie: a=b\r\n\r\n"),
            3 => format!("GET /u/{token} HTTP/1.1\r\nhost: x\r\ncontent-type: {FORM}\r\n\r\n"),
            _ => format!("HEAD /u/{token} HTTP/1.1\r\nhost: x\r\n\r\n"),
        })
        .collect();
    let mut stream = TcpStream::connect(&serve.address).unwrap();
    let mut reading = stream.try_clone().unwrap();
    // Read while it is written: neither side has room for all of it.
    let reader = std::thread::spawn(move || {
        let mut said = String::new();
        reading.read_to_string(&mut said).unwrap();
        said
    });
    stream.write_all(asked.as_bytes()).unwrap();
    stream.write_all(b"GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    let said = reader.join().unwrap();
    assert_eq!(said.matches("HTTP/1.1 200 ").count(), 10_001);
    assert!(!said.contains("set-cookie") && !said.contains("location:"));
    assert_eq!(suppressed(&dir), []);
    serve.end();
}

#[test]
fn both_encodings_and_any_path_are_taken() {
    let dir = https();
    let tokens = [token(&dir, "1"), token(&dir, "2"), token(&dir, "3")];
    let serve = Serve::start(&dir);
    let multipart = "--x7\r\nContent-Disposition: form-data; name=\"other\"\r\n\r\n1\r\n\
                     --x7\r\nContent-Disposition: form-data; name=\"List-Unsubscribe\"\r\n\r\nOne-Click\r\n--x7--\r\n";
    let first = serve.post(&format!("/a/b/{}", tokens[0]), "multipart/form-data; boundary=x7", multipart);
    assert_eq!(first.status, 200);
    let second = serve.post(&format!("/?campaign=1&t={}", tokens[1]), FORM, &format!("a=b&{ONE_CLICK}"));
    assert_eq!(second.status, 200);
    assert_eq!(serve.post(&format!("/{}", tokens[2]), FORM, "List%2DUnsubscribe=One%2dClick").status, 200);
    assert_eq!(suppressed(&dir).len(), 3);
    serve.end();
}

#[test]
fn what_is_no_request_of_a_recipient_unsubscribes_nobody() {
    let dir = https();
    let token = token(&dir, "1");
    let serve = Serve::start(&dir);
    let link = format!("/u/{token}");
    let mut altered = token.clone().into_bytes();
    altered[5] = if altered[5] == b'A' { b'B' } else { b'A' };
    let altered = String::from_utf8(altered).unwrap();
    for target in
        ["/", "/u/", "/u/<script>", "/u/%00", "/../../etc/passwd", "/u/?t=", &format!("/u/{altered}")]
    {
        let answer = serve.post(target, FORM, ONE_CLICK);
        assert!(matches!(answer.status, 400 | 404), "{target}: {}", answer.status);
        assert!(!answer.body.contains("<script>"), "{}", answer.body);
    }
    for (kind, body) in [
        (FORM, ""),
        (FORM, "List-Unsubscribe=Two-Clicks"),
        (FORM, "list-unsubscribe=One-Click"),
        ("multipart/form-data", ONE_CLICK),
        ("multipart/form-data; boundary=x", "--x\r\n\r\n"),
        (FORM, &"x".repeat(100_000)),
    ] {
        let answer = serve.post(&link, kind, body);
        assert!(matches!(answer.status, 400 | 413), "{kind} {body:.20}: {}", answer.status);
    }
    for method in ["PUT", "DELETE", "OPTIONS", "PATCH"] {
        assert_eq!(serve.ask(method, &link, "", ONE_CLICK).status, 405, "{method}");
    }
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(200_000));
    for bytes in
        [long.as_bytes(), b"\x16\x03\x01\x02\x00", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET\0/ x\r\n\r\n"]
    {
        assert!(!matches!(serve.say(bytes).status, 200..400));
    }
    assert_eq!(suppressed(&dir), []);
    assert_eq!(serve.get("/health").body, "ok\n");
    assert!(serve.get("/robots.txt").body.contains("Disallow: /"));
    serve.end();
}

#[test]
fn a_campaigns_own_secret_is_read_where_it_is_named() {
    let dir =
        dir("[unsubscribe]\nhttps = \"https://mail.example.com/u/{{token}}\"\nsecret-file = \"secret\"\n");
    dir.write("secret", "0123456789abcdef0123456789abcdef");
    let token = token(&dir, "1");
    let serve = Serve::start(&dir);
    assert_eq!(serve.post(&format!("/{token}"), FORM, ONE_CLICK).status, 404);
    serve.end();
    let serve = Serve::with(&dir, "campaigns = [\"news.toml\"]\n");
    assert_eq!(serve.post(&format!("/{token}"), FORM, ONE_CLICK).status, 200);
    assert_eq!(suppressed(&dir).len(), 1);
    serve.end();
}

#[test]
fn with_a_certificate_only_tls_is_answered() {
    let dir = https();
    let token = token(&dir, "1");
    let made = rcgen::generate_simple_self_signed(vec!["mail.example.com".to_owned()]).unwrap();
    dir.write("full.pem", made.cert.pem());
    dir.write("key.pem", made.signing_key.serialize_pem());
    let serve = Serve::with(&dir, "certificate = \"full.pem\"\nkey = \"key.pem\"\n");
    let asked = format!(
        "POST /u/{token} HTTP/1.1\r\nhost: mail.example.com\r\nconnection: close\r\ncontent-type: {FORM}\r\n\
         content-length: {}\r\n\r\n{ONE_CLICK}",
        ONE_CLICK.len()
    );
    assert_eq!(serve.say(asked.as_bytes()).status, 0, "in clear nothing is answered");
    assert_eq!(suppressed(&dir), []);

    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = "mail.example.com".try_into().unwrap();
    let client = rustls::ClientConnection::new(std::sync::Arc::new(config), name).unwrap();
    let mut stream = rustls::StreamOwned::new(client, TcpStream::connect(&serve.address).unwrap());
    stream.write_all(asked.as_bytes()).unwrap();
    let mut said = String::new();
    stream.read_to_string(&mut said).unwrap();
    assert!(said.starts_with("HTTP/1.1 200 "), "{said}");
    assert_eq!(suppressed(&dir).len(), 1);
    let log = serve.end();
    assert!(log.contains("key.pem` can be read by others"), "{log}");
}

#[test]
fn what_was_answered_survives_a_kill() {
    let dir = https();
    let tokens: Vec<String> = (1..=3).map(|row| token(&dir, &row.to_string())).collect();
    for (number, token) in tokens.iter().enumerate() {
        let mut serve = Serve::start(&dir);
        assert_eq!(serve.post(&format!("/{token}"), FORM, ONE_CLICK).status, 200);
        serve.child.kill().unwrap();
        serve.child.wait().unwrap();
        assert_eq!(suppressed(&dir).len(), number + 1);
    }
}

#[test]
fn what_can_not_be_kept_is_not_answered_done() {
    let dir = https();
    let Some(disk) = SmallDisk::mount(dir.path().join("state"), 8 << 20) else { return };
    let token = token(&dir, "1");
    let serve = Serve::start(&dir);
    disk.leave(0);
    let answer = serve.post(&format!("/{token}"), FORM, ONE_CLICK);
    assert_eq!(answer.status, 503);
    assert!(answer.head.contains("retry-after"));
    disk.make_room();
    assert_eq!(serve.post(&format!("/{token}"), FORM, ONE_CLICK).status, 200);
    assert!(serve.end().contains("recipients can't unsubscribe"));
    assert_eq!(suppressed(&dir).len(), 1);
}

#[test]
fn settings_that_can_not_be_right_are_refused_with_their_place() {
    let dir = https();
    for (text, said) in [
        ("[recipients]\nlisten = [\"0.0.0.0:0\"]\n", "is no loopback address"),
        ("[recipients]\nlisten = [\"127.0.0.1:0\"]\nports = 1\n", "serve.toml:3:1"),
        ("[recipients]\nlisten = [\"127.0.0.1:0\"]\ncertificate = \"c\"\nkey = \"k\"\n", "can't be used"),
    ] {
        dir.write("serve.toml", text);
        dir.run(&["serve", "--config", "serve.toml"]).ended(2).says(said);
    }
    dir.run(&["serve", "--config", "none.toml"]).ended(2).says("can't read the settings of serve");
}
