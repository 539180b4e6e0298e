//! `mailrun feedback listen`: what a relay delivers over LMTP and SMTP.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use mailrun::sandbox::Options;

use crate::disk::SmallDisk;
use crate::feedback::{bounce, sent, summary, suppressed, verp_campaign};
use crate::kit::{Dir, Relay};

const UNKNOWN: &str = "550 5.1.1 User unknown";
const KEPT: &str = "250 2.0.0 Ok: kept";
const LATER: &str = "451 4.3.0 Error: can't be kept now, try again later";

/// A listener on a port of loopback that the system chose.
struct Listener {
    child: Child,
    output: BufReader<ChildStdout>,
    address: String,
}

impl Listener {
    fn start(dir: &Dir, more: &[&str]) -> Self {
        Self::on(dir, "127.0.0.1:0", more)
    }

    fn on(dir: &Dir, place: &str, more: &[&str]) -> Self {
        let args = [&["feedback", "listen", "--listen", place], more].concat();
        let mut command = dir.command(&args);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut first = String::new();
        output.read_line(&mut first).unwrap();
        let address = match serde_json::from_str::<serde_json::Value>(&first) {
            Ok(line) => line["listening"][0].as_str().map(str::to_owned),
            Err(_) => first.trim_end().strip_prefix("listening on ").map(str::to_owned),
        };
        let address = address.unwrap_or_else(|| panic!("it says `{first}`"));
        Self { child, output, address }
    }

    fn client(&self) -> Client<TcpStream> {
        self.try_client().unwrap()
    }

    fn try_client(&self) -> io::Result<Client<TcpStream>> {
        Client::greeted(TcpStream::connect(&self.address)?, "LHLO")
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to end; what it said.
    fn end(mut self) -> (String, String) {
        signal(&self.child, "TERM");
        self.ended()
    }

    fn ended(&mut self) -> (String, String) {
        let (mut said, mut log) = (String::new(), String::new());
        self.output.read_to_string(&mut said).unwrap();
        self.child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        assert_eq!(self.child.wait().unwrap().code(), Some(0), "{log}");
        (said, log)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // A test that fails leaves none behind; others have ended it.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status();
    assert!(sent.unwrap().success());
}

/// A relay that delivers.
struct Client<S: Read + Write> {
    stream: BufReader<S>,
}

impl<S: Read + Write> Client<S> {
    fn greeted(stream: S, hello: &str) -> io::Result<Self> {
        let mut client = Self { stream: BufReader::new(stream) };
        assert!(client.reply()?.starts_with("220 "));
        assert!(client.try_say(&format!("{hello} relay.example"))?.starts_with("250"));
        Ok(client)
    }

    /// The last line of a reply.
    fn reply(&mut self) -> io::Result<String> {
        loop {
            let mut line = String::new();
            if self.stream.read_line(&mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if line.as_bytes().get(3) != Some(&b'-') {
                return Ok(line.trim_end().to_owned());
            }
        }
    }

    fn try_say(&mut self, line: &str) -> io::Result<String> {
        self.stream.get_mut().write_all(format!("{line}\r\n").as_bytes())?;
        self.reply()
    }

    fn say(&mut self, line: &str) -> String {
        self.try_say(line).unwrap()
    }

    /// Delivers a mail: the reply to its end, or the one that refuses its recipient.
    fn deliver(&mut self, to: &str, mail: &str) -> io::Result<String> {
        self.try_say("MAIL FROM:<>")?;
        let reply = self.try_say(&format!("RCPT TO:<{to}>"))?;
        if !reply.starts_with("250") {
            self.try_say("RSET")?;
            return Ok(reply);
        }
        self.try_say("DATA")?;
        self.try_say(&format!("{}\r\n.", mail.replace('\n', "\r\n")))
    }
}

#[test]
fn what_a_relay_delivers_is_done_before_it_is_answered() {
    let dir = Dir::new();
    let paths = sent(&dir, 3);
    let path = |n: u32| paths[&format!("r{n}@news.example")].clone();
    dir.write("state/feedback.toml", "[feedback.listen]\nrecipients = [\"FBL@mail.example.com\"]\n");
    let socket = dir.path().join("feedback.sock");
    // A socket that nobody listens on any longer is replaced.
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    let listener =
        Listener::start(&dir, &["--listen", socket.to_str().unwrap(), "--recipient", "out@mail.example.com"]);
    let (tcp, _) = listener.address.split_once(", ").unwrap();

    let mut lmtp = Client::greeted(TcpStream::connect(tcp).unwrap(), "LHLO").unwrap();
    // The envelope says whom it concerns, whatever the mail says.
    let plain = bounce("bounces@mail.example.com", "forwarded@else.example", UNKNOWN);
    assert_eq!(lmtp.deliver(&path(0).to_uppercase(), &plain).unwrap(), KEPT);
    assert_eq!(suppressed(&dir), [("r0@news.example".to_owned(), "bad_mailbox".to_owned())]);
    // The same content for another recipient is another mail; for the same one it is known.
    assert_eq!(lmtp.deliver(&path(1), &plain).unwrap(), KEPT);
    assert_eq!(lmtp.deliver(&path(1), &plain).unwrap(), KEPT);
    assert_eq!((suppressed(&dir).len(), summary(&dir)["events"].as_u64()), (2, Some(2)));

    let mut smtp = Client::greeted(UnixStream::connect(&socket).unwrap(), "EHLO").unwrap();
    let mut forged = path(2).into_bytes();
    forged[12] = if forged[12] == b'a' { b'b' } else { b'a' };
    let forged = String::from_utf8(forged).unwrap();
    for stranger in [forged.as_str(), "bounces@mail.example.com", "r0@news.example"] {
        let refused = format!("550 5.1.1 <{stranger}>: no mail came from here with this return path");
        assert_eq!(smtp.deliver(stranger, &plain).unwrap(), refused);
    }
    for known in ["fbl@mail.example.com", "out@mail.example.com"] {
        assert_eq!(smtp.deliver(known, &plain).unwrap(), KEPT);
    }
    assert_eq!(summary(&dir)["events"], 4);

    // Nobody is cut off between the end of a mail and its reply.
    assert_eq!(lmtp.say("MAIL FROM:<>"), "250 2.1.0 Ok");
    lmtp.say(&format!("RCPT TO:<{}>", path(2)));
    assert!(lmtp.say("DATA").starts_with("354"));
    signal(&listener.child, "TERM");
    let reply = smtp.reply().unwrap();
    assert_eq!(reply, "421 4.3.2 mailrun.localhost is stopping");
    assert_eq!(lmtp.say(&format!("{}\r\n.", plain.replace('\n', "\r\n"))), KEPT);
    let mut listener = listener;
    let (said, log) = listener.ended();
    assert!(
        said.contains(&format!("{}  bounce  r1@news.example  bad_mailbox  5.1.1  hard", path(1))),
        "{said}"
    );
    assert!(said.lines().nth(2).unwrap().ends_with("read_before"), "{said}");
    assert!(
        log.contains("finishing mails in transfer") && log.contains("6 mails kept, 3 suppressed"),
        "{log}"
    );
    assert!(!socket.exists());
    assert_eq!(suppressed(&dir).len(), 3);
}

#[test]
fn without_an_address_it_says_where_one_goes() {
    let dir = Dir::new();
    dir.run(&["feedback", "listen"]).ended(2).says("no address to listen on").says("feedback.toml");
    let busy = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = busy.local_addr().unwrap().to_string();
    dir.run(&["feedback", "listen", "--listen", &address]).ended(2).says("failed to listen on `127.0.0.1");
}

#[test]
fn a_run_that_begins_meanwhile_is_known() {
    let dir = Dir::new();
    let listener = Listener::start(&dir, &["--json"]);
    let paths = sent(&dir, 1);
    let (address, path) = paths.iter().next().unwrap();
    let mut client = listener.client();
    assert_eq!(client.deliver(path, &bounce(path, address, UNKNOWN)).unwrap(), KEPT);
    assert_eq!(suppressed(&dir).len(), 1);
    let (said, _) = listener.end();
    let mail: serde_json::Value = serde_json::from_str(said.lines().next().unwrap()).unwrap();
    assert_eq!(mail["events"][0]["recipient"]["by"], "envelope");
    assert_eq!(mail["events"][0]["effect"], "suppressed");
}

#[test]
fn mails_of_a_run_that_cant_be_read_wait_and_others_dont() {
    let dir = Dir::new();
    let paths = sent(&dir, 4);
    let path = |n: u32| paths[&format!("r{n}@news.example")].clone();
    let run = dir.run_of("news");
    let listener = Listener::start(&dir, &["--recipient", "fbl@mail.example.com"]);
    let mut client = listener.client();
    let plain = bounce("bounces@mail.example.com", "forwarded@else.example", UNKNOWN);
    let aside = run.join("aside");
    let spoil = |file: &str| {
        fs::rename(run.join(file), &aside).unwrap();
        fs::write(run.join(file), "this is none").unwrap();
    };
    spoil("plan.arrow");
    assert_eq!(client.deliver(&path(0), &plain).unwrap(), LATER);
    let stranger = bounce("x@x.example", "somebody@else.example", UNKNOWN);
    assert_eq!(client.deliver("fbl@mail.example.com", &stranger).unwrap(), KEPT);
    fs::rename(&aside, run.join("plan.arrow")).unwrap();
    assert_eq!(client.deliver(&path(0), &plain).unwrap(), KEPT);
    assert_eq!(suppressed(&dir).len(), 1);
    drop(listener);

    // Of the run nothing is known but its name.
    spoil("manifest.json");
    let listener = Listener::start(&dir, &[]);
    let mut client = listener.client();
    let reply = client.deliver(&path(1), &plain).unwrap();
    assert_eq!(reply, "451 4.3.0 Error: not available now, try again later");
    fs::rename(&aside, run.join("manifest.json")).unwrap();
    assert_eq!(client.deliver(&path(1), &plain).unwrap(), KEPT);
    let (_, log) = listener.end();
    assert!(log.contains("are left out"), "{log}");
    assert_eq!(suppressed(&dir).len(), 2);
}

/// Mails of a run: a third of the rows bounces hard, the rest three times softly. Each with its
/// recipient.
fn mails(paths: &BTreeMap<String, String>) -> Vec<(String, String)> {
    let mut mails = Vec::new();
    for (number, (address, path)) in paths.iter().enumerate() {
        let (times, reply) = if number % 3 == 0 { (1, UNKNOWN) } else { (3, "452 4.2.2 full") };
        for time in 0..times {
            let mail = bounce(path, address, reply).replace("Subject:", &format!("X-Time: {time}\nSubject:"));
            mails.push((path.clone(), mail));
        }
    }
    mails
}

/// Delivers what is not yet answered over some connections, until all is, or the listener is gone.
/// `answered` grows by what was.
fn deliver_all(
    listener: &Listener,
    mails: &[(String, String)],
    answered: &Mutex<BTreeSet<usize>>,
    after: &(dyn Fn(usize) + Sync),
) {
    let left: Vec<usize> = (0..mails.len()).filter(|n| !answered.lock().unwrap().contains(n)).collect();
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let Ok(mut client) = listener.try_client() else { return };
                while let Some(&number) = left.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let (to, mail) = &mails[number];
                    let Ok(reply) = client.deliver(to, mail) else { return };
                    assert_eq!(reply, KEPT);
                    let mut answered = answered.lock().unwrap();
                    answered.insert(number);
                    after(answered.len());
                }
            });
        }
    });
}

/// The program is killed after so many answers, wherever it is then. What it answered is kept, and
/// a relay that delivers the rest again changes nothing twice.
#[test]
fn a_listener_that_is_killed_loses_nothing_that_it_answered() {
    const ROWS: usize = 120;
    let dir = Dir::new();
    let paths = sent(&dir, ROWS);
    let mails = mails(&paths);
    let fresh = dir.path().join("state.fresh");
    let state = dir.path().join("state");
    assert!(Command::new("cp").arg("-r").arg(&state).arg(&fresh).status().unwrap().success());
    let listener = Listener::start(&dir, &[]);
    let all = Mutex::new(BTreeSet::new());
    deliver_all(&listener, &mails, &all, &|_| {});
    listener.end();
    let clean = (suppressed(&dir), summary(&dir));
    assert_eq!((clean.0.len(), clean.1["events"].as_u64()), (ROWS / 3, Some(mails.len() as u64)));

    fs::remove_dir_all(&state).unwrap();
    fs::rename(&fresh, &state).unwrap();
    let answered = Mutex::new(BTreeSet::new());
    for kill_after in [1, 20, 21, 90, 170] {
        let listener = Listener::start(&dir, &[]);
        let (id, is_killed) = (listener.child.id().to_string(), AtomicBool::new(false));
        deliver_all(&listener, &mails, &answered, &|count| {
            if count >= kill_after && !is_killed.swap(true, Ordering::Relaxed) {
                assert!(Command::new("kill").args(["-KILL", &id]).status().unwrap().success());
            }
        });
        listener.kill();
        let answered = answered.lock().unwrap().len() as u64;
        let kept = summary(&dir)["events"].as_u64().unwrap();
        assert!(answered >= kill_after as u64 && answered < mails.len() as u64);
        // On each of four connections one may be kept and not answered.
        assert!((answered..=answered + 4 * 5).contains(&kept), "{answered} answered, {kept} kept");
    }
    // One whose reply nobody waits for.
    let listener = Listener::start(&dir, &[]);
    let (to, mail) = &mails[mails.len() - 1];
    let mut client = listener.client();
    client.say("MAIL FROM:<>");
    client.say(&format!("RCPT TO:<{to}>"));
    client.say("DATA");
    client.stream.get_mut().write_all(format!("{}\r\n.\r\n", mail.replace('\n', "\r\n")).as_bytes()).unwrap();
    listener.kill();
    let listener = Listener::start(&dir, &[]);
    deliver_all(&listener, &mails, &answered, &|_| {});
    listener.end();
    assert_eq!(answered.lock().unwrap().len(), mails.len());
    assert_eq!((suppressed(&dir), summary(&dir)), clean);
}

#[test]
fn on_a_full_disk_mails_are_deferred_and_kept_later() {
    let dir = Dir::new();
    let state = dir.path().join("state");
    let Some(disk) = SmallDisk::mount(state, 8 << 20) else { return };
    let paths = sent(&dir, 40);
    let listener = Listener::start(&dir, &[]);
    let mut client = listener.client();
    let mails = mails(&paths);
    let mut mails = mails.iter();
    let mut deliver = |(to, mail): &(String, String)| client.deliver(to, mail).unwrap();
    assert_eq!(deliver(mails.next().unwrap()), KEPT);
    disk.leave(0);
    let refused = mails.by_ref().find(|mail| deliver(mail) == LATER).expect("the disk is full");
    let kept = summary_without_writing(&dir);
    assert_eq!(deliver(refused), LATER);
    disk.make_room();
    assert_eq!(deliver(refused), KEPT);
    assert_eq!(summary(&dir)["events"].as_u64().unwrap(), kept + 1);
    let (_, log) = listener.end();
    assert_eq!(log.matches("mails are deferred: ").count(), 1, "{log}");
}

/// Of a copy: SQLite can't read a database on a full disk.
fn summary_without_writing(dir: &Dir) -> u64 {
    let copy = tempfile::tempdir().unwrap();
    let to = copy.path().join("state");
    let copied = Command::new("cp").arg("-r").arg(dir.path().join("state")).arg(&to).status();
    assert!(copied.unwrap().success());
    drop(fs::remove_file(to.join("filler")));
    let shown = dir.run(&["feedback", "summary", "--json", "--state", path_text(&to)]).ended(0).stdout();
    serde_json::from_str::<serde_json::Value>(&shown).unwrap()["events"].as_u64().unwrap()
}

fn path_text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn connections_and_memory_are_bounded() {
    let dir = Dir::new();
    let paths = sent(&dir, 1);
    let path = paths.values().next().unwrap();
    let listener = Listener::start(&dir, &[]);
    let mut clients: Vec<_> = (0..100).map(|_| listener.client()).collect();
    let mut one_more = BufReader::new(TcpStream::connect(&listener.address).unwrap());
    let mut line = String::new();
    one_more.read_line(&mut line).unwrap();
    assert_eq!(line, "421 4.3.2 mailrun.localhost too many connections\r\n");

    let piece = vec![b'x'; 1 << 20];
    let mut refused = 0;
    for client in &mut clients[..20] {
        client.say("MAIL FROM:<>");
        client.say(&format!("RCPT TO:<{path}>"));
        client.say("DATA");
        for _ in 0..4 {
            client.stream.get_mut().write_all(&piece).unwrap();
        }
    }
    for client in &mut clients[..20] {
        refused += usize::from(client.say("\r\n.").starts_with("452 4.3.1"));
    }
    // The most that it ever took: all of them are read by now.
    let memory = peak_memory(&listener.child);
    assert!((12..20).contains(&refused), "{refused} of 20 mails of 4 MiB found no room");
    assert!(memory < 128 << 10, "{memory} KiB");
    listener.kill();
}

/// In KiB.
fn peak_memory(child: &Child) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn the_next_run_leaves_out_whom_a_delivered_bounce_names() {
    let dir = Dir::new();
    let paths = sent(&dir, 4);
    let listener = Listener::start(&dir, &[]);
    let mut client = listener.client();
    let (address, path) = paths.iter().next().unwrap();
    assert_eq!(client.deliver(path, &bounce(path, address, UNKNOWN)).unwrap(), KEPT);
    let relay = Relay::start(Options::default());
    fs::remove_dir_all(dir.path().join("runs")).unwrap();
    verp_campaign(&dir, relay.port(), 4);
    dir.run(&["send", "news.toml", "--edition", "2"]).ended(0);
    relay.stop();
    assert_eq!(dir.dispositions("news"), [("accepted".to_owned(), 3), ("suppressed".to_owned(), 1)]);
    listener.end();
}
