//! `[submission]` of `mailrun serve`: mails that programs hand over, and the spool that keeps them.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::Arc;

use base64::prelude::{BASE64_STANDARD, Engine};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::api::hash;
use crate::disk::SmallDisk;
use crate::kit::Dir;
use crate::serve::Serve;

fn settings(more: &str) -> String {
    let (news, shop) = (hash("news-secret"), hash("shop-secret"));
    format!(
        "[submission]\nlisten = [\"127.0.0.1:0\"]\nspool = \"spool\"\n{more}\n\
         [[account]]\nname = \"news\"\npassword-hash = \"{news}\"\nsenders = [\"a.example\", \"Own@b.example\"]\n\
         submit = {{ recipients-per-hour = 5 }}\n\
         [[account]]\nname = \"shop\"\npassword-hash = \"{shop}\"\nsenders = [\"shop.example\"]\nsubmit = {{ recipients-per-hour = 1 }}\n\
         [[account]]\nname = \"reader\"\npassword-hash = \"{shop}\"\ncampaigns = [\"*\"]\n"
    )
}

/// A program that hands over mails.
struct Program<S> {
    stream: BufReader<S>,
}

impl<S: std::io::Read + Write> Program<S> {
    /// Sends this; the reply, its lines in one text.
    fn say(&mut self, text: &str) -> String {
        self.stream.get_mut().write_all(text.as_bytes()).unwrap();
        self.reply()
    }

    fn reply(&mut self) -> String {
        let mut reply = String::new();
        loop {
            let mut line = String::new();
            let length = self.stream.read_line(&mut line).unwrap();
            reply += &line;
            if length == 0 || line.as_bytes().get(3) == Some(&b' ') {
                return reply;
            }
        }
    }

    fn login(&mut self, user: &str, password: &str) -> String {
        self.say("EHLO program.example\r\n");
        let plain = BASE64_STANDARD.encode(format!("\0{user}\0{password}"));
        self.say(&format!("AUTH PLAIN {plain}\r\n"))
    }

    /// Hands a mail over; the last reply.
    fn send(&mut self, from: &str, to: &[&str], content: &str) -> String {
        let reply = self.say(&format!("MAIL FROM:<{from}>\r\n"));
        if !reply.starts_with("250") {
            return reply;
        }
        for to in to {
            let reply = self.say(&format!("RCPT TO:<{to}>\r\n"));
            assert!(reply.starts_with("250"), "{reply}");
        }
        assert!(self.say("DATA\r\n").starts_with("354"));
        self.say(&format!("{content}\r\n.\r\n"))
    }
}

/// In clear, on this machine.
fn connect(serve: &Serve) -> Program<TcpStream> {
    let mut program = Program { stream: BufReader::new(TcpStream::connect(&serve.address).unwrap()) };
    assert!(program.reply().starts_with("220 "));
    program
}

/// The files of an account, in order.
fn spooled(dir: &Dir, account: &str) -> Vec<String> {
    let folder = dir.path().join("spool").join(account);
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let is_whole = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "bsmtp");
    paths.iter().filter(|path| is_whole(path)).map(|path| fs::read_to_string(path).unwrap()).collect()
}

const MAIL: &str = "From: News <news@a.example>\r\nSubject: x\r\n\r\n.hidden";

#[test]
fn an_account_hands_over_mails_of_its_own_senders_only() {
    let dir = Dir::new();
    let serve = Serve::of(&dir, &settings(""));
    let mut program = connect(&serve);
    assert!(program.login("news", "wrong").starts_with("535 5.7.8"));
    assert!(program.say("MAIL FROM:<news@a.example>\r\n").starts_with("530 5.7.0"));
    // An account without `submit` hears the same as one with a wrong password.
    assert!(program.login("reader", "shop-secret").starts_with("535 5.7.8"));
    let mut program = connect(&serve);
    assert!(program.login("news", "news-secret").starts_with("235"));
    for foreign in ["x@shop.example", "other@b.example", "x@a.example.evil.example", ""] {
        assert!(program.send(foreign, &[], "").starts_with("550 5.7.1"), "{foreign}");
    }
    for (wrong, reply) in [
        ("From: x@shop.example\r\n\r\nx", "550 5.7.1"),
        ("Subject: no sender\r\n\r\nx", "554 5.6.0"),
        ("From: news@a.example\r\nFrom: x@shop.example\r\n\r\nx", "554 5.6.0"),
        ("From: news@a.example, x@shop.example\r\n\r\nx", "554 5.6.0"),
        ("From: news@a.example\r\nno field\r\n\r\nx", "554 5.6.0"),
        ("From: news@a.example\r\nDate: x\r\nDate: y\r\n\r\nx", "554 5.6.0"),
    ] {
        let said = program.send("news@a.example", &["u@x.example"], wrong);
        assert!(said.starts_with(reply), "{wrong}: {said}");
    }
    assert!(spooled(&dir, "news").is_empty());
    let reply = program.send("own@b.example", &["u@x.example", "v@x.example"], MAIL);
    assert!(reply.starts_with("250 2.0.0"), "{reply}");
    let files = spooled(&dir, "news");
    let [file] = files.as_slice() else { panic!("{files:?}") };
    let begin =
        "MAIL FROM:<own@b.example>\r\nRCPT TO:<u@x.example>\r\nRCPT TO:<v@x.example>\r\nDATA\r\nDate: ";
    let (added, text) = file.strip_prefix(begin).unwrap().split_once("From: ").unwrap();
    assert!(added.contains("\r\nMessage-ID: <") && added.contains("@a.example>\r\n"), "{added}");
    // The dot that the program wrote was a stuffed one.
    assert_eq!(format!("From: {text}"), format!("{}\r\n.\r\n", MAIL.replace("\r\n.hidden", "\r\nhidden")));
    // Two of five are used up.
    let four = ["a@x.example", "b@x.example", "c@x.example", "d@x.example"];
    assert!(program.send("news@a.example", &four, MAIL).starts_with("452 4.7.1"));
    assert!(program.send("news@a.example", &four[..3], MAIL).starts_with("250"));
    assert!(program.say("QUIT\r\n").starts_with("221"));
    assert_eq!(spooled(&dir, "news").len(), 2);
    serve.end();
}

#[test]
fn other_machines_need_tls() {
    let dir = Dir::new();
    let open = settings("").replace("127.0.0.1:0", "0.0.0.0:0");
    dir.write("serve.toml", &open);
    dir.run(&["serve", "--config", "serve.toml"]).ended(2).says("no loopback address");
    let made = rcgen::generate_simple_self_signed(vec!["mail.example.com".to_owned()]).unwrap();
    dir.write("full.pem", made.cert.pem());
    dir.write("key.pem", made.signing_key.serialize_pem());
    let files = "certificate = \"full.pem\"\nkey = \"key.pem\"";
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(made.cert)).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let config = Arc::new(config);
    let tls = |tcp: TcpStream| {
        let name = ServerName::try_from("mail.example.com").unwrap();
        let connection = ClientConnection::new(Arc::clone(&config), name).unwrap();
        Program { stream: BufReader::new(StreamOwned::new(connection, tcp)) }
    };
    for is_implicit in [false, true] {
        let mut text = settings(files);
        if is_implicit {
            text = text.replace("listen = [", "listen-tls = [");
        }
        let serve = Serve::of(&dir, &text);
        let mut program = if is_implicit {
            let mut program = tls(TcpStream::connect(&serve.address).unwrap());
            assert!(program.reply().starts_with("220 "));
            program
        } else {
            let mut clear = connect(&serve);
            assert!(clear.say("EHLO x\r\n").contains("250-STARTTLS"));
            assert!(clear.say("STARTTLS\r\n").starts_with("220"));
            tls(clear.stream.into_inner())
        };
        assert!(program.login("shop", "shop-secret").starts_with("235"));
        let mail = MAIL.replace("a.example", "shop.example");
        assert!(program.send("x@shop.example", &["u@x.example"], &mail).starts_with("250"));
        serve.end();
        assert_eq!(spooled(&dir, "shop").len(), 1 + usize::from(is_implicit));
    }
}

#[test]
fn what_was_answered_survives_a_kill_and_what_cannot_be_kept_is_deferred() {
    let dir = Dir::new();
    for round in 1..=5 {
        let serve = Serve::of(&dir, &settings(""));
        let mut program = connect(&serve);
        assert!(program.login("shop", "shop-secret").starts_with("235"));
        let mail = MAIL.replace("a.example", "shop.example");
        assert!(program.send("x@shop.example", &["u@x.example"], &mail).starts_with("250"));
        // Dropping it is SIGKILL.
        drop(serve);
        let kept = spooled(&dir, "shop");
        assert_eq!(kept.len(), round);
        assert!(kept.iter().all(|text| text.ends_with("\r\n.\r\n")));
    }
    let Some(disk) = SmallDisk::mount(dir.path().join("spool"), 4 << 20) else { return };
    let serve = Serve::of(&dir, &settings(""));
    disk.leave(0);
    let mut program = connect(&serve);
    assert!(program.login("shop", "shop-secret").starts_with("235"));
    let mail = format!("{}\r\n{}", MAIL.replace("a.example", "shop.example"), "x\r\n".repeat(10_000));
    assert!(program.send("x@shop.example", &["u@x.example"], &mail).starts_with("451 4.3.0"));
    assert_eq!(spooled(&dir, "shop").len(), 0);
    disk.make_room();
    assert!(program.send("x@shop.example", &["u@x.example"], &mail).starts_with("250"));
    assert_eq!(spooled(&dir, "shop").len(), 1);
    assert!(serve.end().contains("the spool can't be written"));
}
