//! `mailrun feedback read` of IMAP mailboxes: from a small server in this process, which keeps a
//! folder and writes down what it is asked.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::feedback::{bounce, sent, summary, suppressed};
use crate::kit::{Dir, Ran};

const UNKNOWN: &str = "550 5.1.1 User unknown";
const PASSWORD: &str = "tr0ub4dor \"and\\3";

/// A mail in a folder.
#[derive(Debug, Clone, Default)]
struct Mail {
    text: String,
    flags: Vec<String>,
}

/// What the server has, and how it behaves.
#[derive(Debug, Default)]
struct Mailboxes {
    folders: BTreeMap<String, BTreeMap<u32, Mail>>,
    /// What the client asked, without tags.
    asked: Vec<String>,
    /// Besides IMAP4rev1.
    capabilities: &'static str,
    /// The connection ends when a command begins so.
    dies_at: Option<&'static str>,
    /// The password is repeated when it is wrong.
    repeats: bool,
    /// So many bytes are sent when mails are fetched.
    floods: usize,
}

struct Imap {
    port: u16,
    ca: String,
    state: Arc<Mutex<Mailboxes>>,
}

impl Imap {
    fn start(starttls: bool, mails: &[String]) -> Self {
        let signed = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(signed.signing_key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![signed.cert.der().clone()], key)
            .unwrap();
        let config = Arc::new(config);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let folder = (1..)
            .zip(mails)
            .map(|(uid, text)| (uid * 2, Mail { text: text.replace('\n', "\r\n"), flags: Vec::new() }));
        let folders = BTreeMap::from([("INBOX".to_owned(), folder.collect())]);
        let state = Mailboxes { folders, capabilities: "UIDPLUS MOVE", ..Mailboxes::default() };
        let state = Arc::new(Mutex::new(state));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (config, state) = (Arc::clone(&config), Arc::clone(&shared));
                std::thread::spawn(move || serve(stream.unwrap(), &config, &state, starttls));
            }
        });
        Self { port, ca: signed.cert.pem(), state }
    }

    fn settings(&self, dir: &Dir, more: &str) {
        dir.write("state/ca.pem", &self.ca);
        dir.write("state/imap.password", format!("{PASSWORD}\n"));
        let text = format!(
            "[[feedback.mailbox]]\nhost = \"localhost\"\nport = {}\nusername = \"bounces\"\n\
             password-file = \"imap.password\"\nca-file = \"ca.pem\"\n{more}\n",
            self.port
        );
        dir.write("state/feedback.toml", text);
    }

    fn folder(&self, name: &str) -> BTreeMap<u32, Mail> {
        self.state.lock().unwrap().folders.get(name).cloned().unwrap_or_default()
    }

    fn flags(&self) -> Vec<String> {
        self.folder("INBOX").values().map(|mail| mail.flags.join(" ")).collect()
    }

    fn asked(&self, what: &str) -> usize {
        self.state.lock().unwrap().asked.iter().filter(|asked| asked.contains(what)).count()
    }

    fn set(&self, change: impl FnOnce(&mut Mailboxes)) {
        change(&mut self.state.lock().unwrap());
    }
}

fn serve(mut tcp: TcpStream, config: &Arc<ServerConfig>, state: &Mutex<Mailboxes>, starttls: bool) {
    if starttls {
        tcp.write_all(b"* OK ready\r\n").unwrap();
        let mut line = String::new();
        BufReader::new(tcp.try_clone().unwrap()).read_line(&mut line).unwrap();
        let (tag, command) = line.trim_end().split_once(' ').unwrap();
        assert_eq!(command, "STARTTLS", "nothing else goes in clear");
        // What follows in clear must not be taken for what comes under TLS.
        tcp.write_all(format!("{tag} OK go ahead\r\n* OK [ALERT] injected\r\n").as_bytes()).ok();
    }
    let tls = StreamOwned::new(ServerConnection::new(Arc::clone(config)).unwrap(), tcp);
    let mut stream = BufReader::new(tls);
    if !starttls && stream.get_mut().write_all(b"* OK ready\r\n").is_err() {
        return;
    }
    let mut selected = (String::new(), false);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        let (tag, command) = line.trim_end().split_once(' ').unwrap();
        let mut state = state.lock().unwrap();
        state.asked.push(command.to_owned());
        if state.dies_at.is_some_and(|at| command.starts_with(at)) {
            state.dies_at = None;
            return;
        }
        let answer = answer(&mut state, &mut selected, command);
        drop(state);
        let sent = stream.get_mut().write_all(answer.replace("TAG", tag).as_bytes());
        if sent.and_then(|()| stream.get_mut().flush()).is_err() {
            return;
        }
    }
}

fn answer(state: &mut Mailboxes, selected: &mut (String, bool), command: &str) -> String {
    let words: Vec<&str> = command.split(' ').collect();
    let quoted = |text: &str| text.trim_matches('"').replace("\\\"", "\"").replace("\\\\", "\\");
    let folder = selected.0.clone();
    let uids = |set: &str| set.split(',').map(|uid| uid.parse::<u32>().unwrap()).collect::<Vec<_>>();
    match words[..] {
        ["CAPABILITY"] => format!("* CAPABILITY IMAP4rev1 {}\r\nTAG OK done\r\n", state.capabilities),
        ["LOGIN", user, ..] => {
            let password = quoted(command.strip_prefix(&format!("LOGIN {user} ")).unwrap());
            match (user, password == PASSWORD, state.repeats) {
                ("\"bounces\"", true, _) => "TAG OK logged in\r\n".to_owned(),
                (.., true) => format!("TAG NO [AUTHENTICATIONFAILED] not with {password}\r\n"),
                _ => "TAG NO [AUTHENTICATIONFAILED] wrong\r\n".to_owned(),
            }
        }
        ["SELECT" | "EXAMINE", name] => {
            *selected = (quoted(name), words[0] == "EXAMINE");
            match state.folders.get(&selected.0) {
                Some(mails) => format!(
                    "* {} EXISTS\r\n* 0 RECENT\r\n* FLAGS (\\Flagged \\Deleted)\r\n\
                     * OK [UIDVALIDITY 7] ok\r\nTAG OK [READ-WRITE] done\r\n",
                    mails.len()
                ),
                None => "TAG NO [NONEXISTENT] no such folder\r\n".to_owned(),
            }
        }
        ["UID", "SEARCH", ref what @ ..] => {
            let without = |mail: &Mail| {
                what.iter().all(|word| {
                    let flag = format!("\\{}", word.strip_prefix("UN").unwrap().to_lowercase());
                    mail.flags.iter().all(|own| own.to_lowercase() != flag)
                })
            };
            let found = state.folders[&folder].iter().filter(|(_, mail)| without(mail));
            let found: String = found.map(|(uid, _)| format!(" {uid}")).collect();
            format!("* SEARCH{found}\r\nTAG OK done\r\n")
        }
        ["UID", "FETCH", set, ref what @ ..] => {
            let mut out = String::new();
            for uid in uids(set) {
                let Some(mail) = state.folders[&folder].get(&uid) else { continue };
                match what.join(" ").as_str() {
                    "(UID RFC822.SIZE)" => {
                        out += &format!("* 1 FETCH (UID {uid} RFC822.SIZE {})\r\n", mail.text.len());
                    }
                    "(UID BODY.PEEK[])" if state.floods > 0 => {
                        out += &format!("* 1 FETCH (UID {uid} BODY[] {{{}}}\r\n", state.floods);
                        out += &"x".repeat(state.floods);
                    }
                    "(UID BODY.PEEK[])" => {
                        let text = &mail.text;
                        out += &format!("* 1 FETCH (UID {uid} BODY[] {{{}}}\r\n{text})\r\n", text.len());
                    }
                    "(UID BODY.PEEK[]<0.16777216>)" => {
                        let text = &mail.text[..mail.text.len().min(16 << 20)];
                        out += &format!("* 1 FETCH (UID {uid} BODY[]<0> {{{}}}\r\n{text})\r\n", text.len());
                    }
                    other => panic!("{other}"),
                }
            }
            out + "TAG OK done\r\n"
        }
        _ if selected.1 && command != "LOGOUT" => panic!("a dry run asks `{command}`"),
        ["UID", "STORE", set, "+FLAGS.SILENT", flag] => {
            for uid in uids(set) {
                let mail = state.folders.get_mut(&folder).unwrap().get_mut(&uid).unwrap();
                mail.flags.push(flag.trim_matches(['(', ')']).to_owned());
            }
            "TAG OK done\r\n".to_owned()
        }
        ["UID", what @ ("MOVE" | "COPY"), set, ref to @ ..] => {
            let to = quoted(&to.join(" "));
            if !state.folders.contains_key(&to) {
                return "TAG NO [TRYCREATE] no such folder\r\n".to_owned();
            }
            for uid in uids(set) {
                let mail = match what {
                    "MOVE" => state.folders.get_mut(&folder).unwrap().remove(&uid),
                    _ => state.folders[&folder].get(&uid).cloned(),
                };
                state.folders.get_mut(&to).unwrap().insert(uid, mail.unwrap());
            }
            "TAG OK done\r\n".to_owned()
        }
        ["UID", "EXPUNGE", set] => {
            for uid in uids(set) {
                let mail = state.folders.get_mut(&folder).unwrap().remove(&uid).unwrap();
                assert!(mail.flags.contains(&"\\Deleted".to_owned()));
            }
            "TAG OK done\r\n".to_owned()
        }
        ["CREATE", ref name @ ..] => {
            state.folders.insert(quoted(&name.join(" ")), BTreeMap::new());
            "TAG OK done\r\n".to_owned()
        }
        ["LOGOUT"] => "* BYE\r\nTAG OK done\r\n".to_owned(),
        _ => panic!("{command}"),
    }
}

/// A run of `rows` rows, all of which bounce into a mailbox.
fn bounced(dir: &Dir, rows: usize, starttls: bool) -> Imap {
    let paths = sent(dir, rows);
    let mails: Vec<String> = paths.iter().map(|(address, path)| bounce(path, address, UNKNOWN)).collect();
    Imap::start(starttls, &mails)
}

fn read(dir: &Dir) -> Ran {
    dir.run(&["feedback", "read"])
}

#[test]
fn a_mailbox_is_read_and_its_mails_are_flagged() {
    for (starttls, more) in [(false, ""), (true, "tls = \"starttls\"")] {
        let dir = Dir::new();
        let imap = bounced(&dir, 3, starttls);
        imap.settings(&dir, more);
        let dry = dir.run(&["feedback", "read", "--dry-run"]).ended(0);
        assert_eq!(dry.stdout().matches("suppressed").count(), 3);
        assert_eq!((suppressed(&dir).len(), imap.flags()), (0, vec![String::new(); 3]));

        let ran = read(&dir).ended(0).says("3 mails read, 3 suppressed: import 1");
        assert!(
            ran.stdout().starts_with("bounces@localhost/INBOX:2  bounce  r0@news.example"),
            "{}",
            ran.stdout()
        );
        assert_eq!((suppressed(&dir).len(), imap.flags()), (3, vec!["\\Flagged".to_owned(); 3]));
        assert_eq!(read(&dir).ended(0).stdout(), "");
        // Somebody takes a flag away, and the mail is still the same.
        imap.set(|state| state.folders.get_mut("INBOX").unwrap().values_mut().next().unwrap().flags.clear());
        assert!(read(&dir).ended(0).stdout().contains("read_before"));
        assert_eq!(summary(&dir)["events"], 3);
    }
}

#[test]
fn a_mail_of_a_run_that_cant_be_read_stays() {
    let dir = Dir::new();
    let imap = bounced(&dir, 2, false);
    imap.settings(&dir, "done = \"delete\"");
    let plan = dir.run_of("news").join("plan.arrow");
    let content = fs::read(&plan).unwrap();
    fs::write(&plan, "this is none").unwrap();
    read(&dir).ended(75).says("2 mails not kept");
    assert_eq!((suppressed(&dir).len(), imap.flags()), (0, vec![String::new(); 2]));
    fs::write(&plan, content).unwrap();
    read(&dir).ended(0);
    assert_eq!((suppressed(&dir).len(), imap.flags().len()), (2, 0));
}

#[test]
fn mails_are_moved_or_deleted_as_the_server_can() {
    for (done, capabilities, kept) in
        [("move:Old mail", "MOVE", 2), ("move:Old mail", "UIDPLUS", 2), ("delete", "UIDPLUS", 0)]
    {
        let dir = Dir::new();
        let imap = bounced(&dir, 2, false);
        imap.set(|state| state.capabilities = capabilities);
        imap.settings(&dir, &format!("done = \"{done}\""));
        read(&dir).ended(0);
        assert_eq!((suppressed(&dir).len(), imap.folder("INBOX").len()), (2, 0), "{done} {capabilities}");
        assert_eq!(imap.folder("Old mail").len(), kept, "{done} {capabilities}");
    }
    let dir = Dir::new();
    let imap = bounced(&dir, 2, false);
    imap.set(|state| state.capabilities = "");
    imap.settings(&dir, "done = \"move:Old\"");
    read(&dir).ended(2).says("it can't move mails");
    imap.settings(&dir, "done = \"delete\"");
    read(&dir).ended(0);
    assert_eq!(imap.flags(), ["\\Deleted"; 2]);
    assert_eq!(read(&dir).ended(0).stdout(), "", "what is deleted and not yet removed is not read");
}

/// The connection ends at each command in turn; what was kept by then counts once.
#[test]
fn a_connection_that_ends_anywhere_loses_nothing_and_counts_nothing_twice() {
    let dir = Dir::new();
    let imap = bounced(&dir, 450, false);
    imap.settings(&dir, "done = \"move:Done\"");
    imap.set(|state| drop(state.folders.insert("Done".to_owned(), BTreeMap::new())));
    let stages = [
        ("LOGIN", 0),
        ("CAPABILITY", 0),
        ("SELECT", 0),
        ("UID SEARCH", 0),
        ("UID FETCH", 0),
        ("UID MOVE", 200),
    ];
    for (at, kept) in stages {
        imap.set(|state| state.dies_at = Some(at));
        read(&dir).ended(2).says("mailbox `bounces@localhost/INBOX`");
        assert_eq!(summary(&dir)["events"], kept, "{at}");
        assert_eq!(imap.folder("Done").len(), 0, "{at}: nothing is moved before it is kept");
    }
    let ran = read(&dir).ended(0);
    assert_eq!(ran.stdout().matches("read_before").count(), 200);
    assert_eq!((summary(&dir)["events"].as_u64(), suppressed(&dir).len()), (Some(450), 450));
    assert_eq!((imap.folder("INBOX").len(), imap.folder("Done").len()), (0, 450));
}

/// Between the log and the mailbox there is no moment at which a kill loses a mail.
#[test]
fn a_reading_that_is_killed_goes_on_where_it_was() {
    let dir = Dir::new();
    let imap = bounced(&dir, 450, false);
    imap.settings(&dir, "");
    for _ in 0..3 {
        let mut child = dir.start(&["feedback", "read"]);
        let before = imap.asked("UID STORE");
        // The second command of a group: it is being read then.
        while imap.asked("UID STORE") == before && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let flagged = imap.flags().iter().filter(|flags| !flags.is_empty()).count() as u64;
        assert!(summary(&dir)["events"].as_u64().unwrap() >= flagged, "nothing is flagged that is not kept");
    }
    read(&dir).ended(0);
    assert_eq!((summary(&dir)["events"].as_u64(), suppressed(&dir).len()), (Some(450), 450));
    assert!(imap.flags().iter().all(|flags| flags == "\\Flagged"));
}

#[test]
fn what_is_wrong_is_said_and_the_password_never() {
    let dir = Dir::new();
    let imap = bounced(&dir, 1, false);
    let check = |more: &str, why: &str| {
        imap.settings(&dir, more);
        let ran = read(&dir).ended(2).says(why);
        for secret in [PASSWORD, "tr0ub4dor", "wrong-secret"] {
            assert!(!ran.stderr().contains(secret) && !ran.stdout().contains(secret), "{}", ran.stderr());
        }
    };
    check("folder = \"Bounces\"", "failed to open mailbox `bounces@localhost/Bounces`: ");
    check("folder = \"Bounces\"", "no such folder");
    check("done = \"keep\"", "none of `flag`, `delete` and `move:Folder`");
    imap.set(|state| state.repeats = true);
    imap.settings(&dir, "");
    dir.write("state/imap.password", "wrong-secret");
    let ran = read(&dir).ended(2).says("failed to log in to mailbox `bounces@localhost/INBOX`: ");
    let ran = ran.says("not with [secret]");
    assert!(!ran.stderr().contains("wrong-secret"));
    imap.set(|state| state.floods = 40 << 20);
    check("", "the server sends more than it was asked for");
    // Nobody is trusted who can't show a certificate from somebody trusted.
    let other = Imap::start(false, &[]);
    imap.settings(&dir, "");
    dir.write("state/ca.pem", &other.ca);
    read(&dir).ended(2).says("failed to connect to mailbox").says("ca-file");
    std::fs::remove_file(dir.path().join("state/imap.password")).unwrap();
    read(&dir).ended(2).says("the mailbox's password").says("imap.password");
    std::fs::remove_file(dir.path().join("state/feedback.toml")).unwrap();
    read(&dir).ended(2).says("there is nothing to read").says("feedback.toml");
}

#[test]
fn a_mailbox_that_fails_keeps_no_other_from_being_read() {
    let dir = Dir::new();
    let imap = bounced(&dir, 1, false);
    imap.settings(&dir, "");
    let text = std::fs::read_to_string(dir.path().join("state/feedback.toml")).unwrap();
    let broken = text.replace("[[feedback.mailbox]]\n", "[[feedback.mailbox]]\nfolder = \"Gone\"\n");
    dir.write("state/feedback.toml", format!("{broken}{text}"));
    read(&dir).ended(2).says("/Gone`: ").says("no such folder");
    assert_eq!(suppressed(&dir).len(), 1);
}

#[test]
fn of_a_mail_that_is_too_large_the_beginning_is_read() {
    let dir = Dir::new();
    let paths = sent(&dir, 1);
    let (address, path) = paths.iter().next().unwrap();
    let large = format!("{}{}", bounce(path, address, UNKNOWN), "x\n".repeat(12 << 20));
    let imap = Imap::start(false, &[large]);
    imap.settings(&dir, "");
    let ran = dir.run(&["feedback", "read", "--json"]).ended(0);
    let mail: serde_json::Value = serde_json::from_str(&ran.stdout()).unwrap();
    assert_eq!((&mail["cut"], &mail["events"][0]["effect"]), (&true.into(), &"suppressed".into()));
}
