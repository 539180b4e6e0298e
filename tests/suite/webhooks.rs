//! `mailrun webhooks`: events reach a receiver at least once, signed, whatever it answers and
//! whenever a kill comes.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mailrun::sandbox::Options;
use ring::hmac;
use serde_json::Value;

use crate::json::Schemas;
use crate::kit::{Dir, Ran, Relay, campaign, list};

const UNPACED: &str = "[capacity]\nper-hour = 100000000";
/// The batches that are delivered and not known to be so after a kill, as docs/webhooks.md says.
const UNSETTLED: usize = 64;

/// A request as the receiver got it.
#[derive(Debug, Clone)]
struct Request {
    at: Instant,
    fields: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl Request {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The events in it.
    fn events(&self) -> Vec<Value> {
        match self.json()["data"].clone() {
            Value::Array(events) => events,
            event => vec![event],
        }
    }

    /// Whether a secret has signed it.
    fn is_signed_by(&self, secret: &[u8]) -> bool {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let (id, at) = (&self.fields["webhook-id"], &self.fields["webhook-timestamp"]);
        let signed = [format!("{id}.{at}.").as_bytes(), &self.body].concat();
        let signature = format!("v1,{}", STANDARD.encode(hmac::sign(&key, &signed)));
        self.fields["webhook-signature"].split(' ').any(|one| one == signature)
    }
}

/// What a receiver answers to the request with this number, from 0; nothing: it hangs.
type Answers = dyn Fn(usize) -> Option<String> + Send + Sync;

/// A program that gets events.
pub(crate) struct Receiver {
    port: u16,
    got: Arc<Mutex<Vec<Request>>>,
}

fn status(line: &str) -> Option<String> {
    Some(format!("HTTP/1.1 {line}\r\ncontent-length: 0\r\n\r\n"))
}

impl Receiver {
    fn start(answers: impl Fn(usize) -> Option<String> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let got = Arc::new(Mutex::new(Vec::new()));
        let (kept, answers): (_, Arc<Answers>) = (Arc::clone(&got), Arc::new(answers));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, kept, answers) = (stream.unwrap(), Arc::clone(&kept), Arc::clone(&answers));
                thread::spawn(move || serve(stream, &kept, &*answers));
            }
        });
        Self { port, got }
    }

    /// One that takes everything.
    pub(crate) fn glad() -> Self {
        Self::start(|_| status("204 No Content"))
    }

    fn got(&self) -> Vec<Request> {
        self.got.lock().unwrap().clone()
    }

    fn count(&self) -> usize {
        self.got.lock().unwrap().len()
    }

    /// The ids of all events that came, in order.
    fn ids(&self) -> Vec<String> {
        ids(&self.got().iter().flat_map(Request::events).collect::<Vec<_>>())
    }

    /// Settings with it as the webhook `crm`.
    pub(crate) fn settings(&self, dir: &Dir, more: &str) {
        dir.write("new.secret", format!("whsec_{}\n", STANDARD.encode([7; 32])));
        dir.write("old.secret", format!("whsec_{}", STANDARD.encode([8; 24])));
        let port = self.port;
        dir.write(
            "serve.toml",
            format!(
                "[recipients]\nlisten = [\"127.0.0.1:0\"]\n[[webhook]]\nname = \"crm\"\n\
                 url = \"http://127.0.0.1:{port}/hook?a=b\"\nsecret-file = \"new.secret\"\nallow-private = true\n{more}\n"
            ),
        );
    }
}

fn serve(stream: TcpStream, kept: &Mutex<Vec<Request>>, answers: &Answers) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut writer = stream;
    loop {
        let mut fields = BTreeMap::new();
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        assert_eq!(line, "POST /hook?a=b HTTP/1.1\r\n");
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            let Some((name, value)) = line.trim_end().split_once(": ") else { break };
            fields.insert(name.to_lowercase(), value.to_owned());
        }
        let mut body = vec![0; fields["content-length"].parse().unwrap()];
        if reader.read_exact(&mut body).is_err() {
            return;
        }
        let number = {
            let mut kept = kept.lock().unwrap();
            kept.push(Request { at: Instant::now(), fields, body });
            kept.len() - 1
        };
        match answers(number) {
            Some(answer) => {
                if writer.write_all(answer.as_bytes()).is_err() {
                    return;
                }
                if !answer.contains("content-length") {
                    return;
                }
            }
            // Until the client closes.
            None => drop(reader.read(&mut [0])),
        }
    }
}

fn deliver(dir: &Dir) -> Ran {
    dir.run(&["webhooks", "deliver", "--config", "serve.toml"])
}

fn events(dir: &Dir, run: &str) -> Vec<Value> {
    let ran = dir.run(&["events", run]).ended(0);
    ran.stdout().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn ids(events: &[Value]) -> Vec<String> {
    events.iter().map(|event| event["id"].as_str().unwrap().to_owned()).collect()
}

fn sorted(mut ids: Vec<String>) -> Vec<String> {
    ids.sort();
    ids
}

/// A finished run of a campaign with so many rows.
fn sent(dir: &Dir, id: &str, rows: usize) {
    let relay = Relay::start(Options::default());
    let file = campaign(dir, id, relay.port(), "", UNPACED);
    list(dir, id, rows);
    dir.run(&["send", &file]).ended(0);
}

/// The message of the first accepted event comes back.
fn bounced(dir: &Dir, events: &[Value]) {
    let accepted = events.iter().find(|event| event["kind"] == "accepted").unwrap();
    let (id, to) = (accepted["message_id"].as_str().unwrap(), accepted["recipient"].as_str().unwrap());
    let head = "From: MAILER-DAEMON@mx.example\nTo: news@mail.example.com\nSubject: failure notice";
    let said = format!("<{to}>:\nRemote host said: 550 5.1.1 User unknown");
    let copy = format!("--- Below this line is a copy of the message.\n\nMessage-ID: <{id}>\nTo: {to}\n");
    dir.write("back.eml", format!("{head}\n\n{said}\n\n{copy}"));
    dir.run(&["feedback", "read", "back.eml"]).ended(0);
}

#[test]
fn each_event_is_delivered_once_and_signed_with_both_secrets() {
    let dir = Dir::new();
    sent(&dir, "one", 3);
    let receiver = Receiver::glad();
    receiver.settings(&dir, "previous-secret-file = \"old.secret\"");
    let said = deliver(&dir).ended(0).stdout();
    assert_eq!(said, "crm: 9 events delivered\n");
    let expected = events(&dir, "one");
    assert_eq!(sorted(receiver.ids()), sorted(ids(&expected)));
    let mut schemas = Schemas::load();
    for request in receiver.got() {
        assert!(request.is_signed_by(&[7; 32]) && request.is_signed_by(&[8; 24]));
        assert!(!request.is_signed_by(&[9; 32]));
        let (body, fields) = (request.json(), &request.fields);
        assert!(expected.contains(&body["data"]), "as `mailrun events` prints it: {body}");
        assert_eq!((&body["type"], &body["timestamp"]), (&body["data"]["kind"], &body["data"]["at"]));
        assert_eq!(fields["webhook-id"], body["data"]["id"].as_str().unwrap());
        assert_eq!(fields["content-type"], "application/json");
        schemas.check("event", &body["data"]);
    }
    assert_eq!(deliver(&dir).ended(0).stdout(), "crm: 0 events delivered\n");

    // What comes later, also in another run.
    bounced(&dir, &expected);
    sent(&dir, "two", 1);
    let before = receiver.count();
    deliver(&dir).ended(0);
    let later: Vec<Value> = receiver.got()[before..].iter().flat_map(Request::events).collect();
    assert_eq!(
        sorted(ids(&later)),
        sorted(ids(&[events(&dir, "two"), events(&dir, "one")[9..].to_vec()].concat()))
    );
    assert!(later.iter().any(|event| event["kind"] == "bounced_later"));
}

#[test]
fn kinds_campaigns_times_and_batches_are_chosen() {
    let dir = Dir::new();
    sent(&dir, "one", 25);
    sent(&dir, "two", 1);
    let receiver = Receiver::glad();
    receiver.settings(&dir, "kinds = [\"accepted\"]\ncampaigns = [\"one\"]\nbatch = 10");
    assert_eq!(deliver(&dir).ended(0).stdout(), "crm: 25 events delivered\n");
    let sizes: Vec<usize> = receiver.got().iter().map(|request| request.events().len()).collect();
    assert_eq!(sizes.iter().sum::<usize>(), 25);
    assert!(sizes.iter().all(|size| *size <= 10) && sizes.contains(&10), "{sizes:?}");
    for request in receiver.got() {
        assert_eq!(request.json()["type"], "events");
        assert!(request.is_signed_by(&[7; 32]));
        let only = |event: &Value| event["kind"] == "accepted" && event["campaign"] == "one";
        assert!(request.events().iter().all(only));
    }
    assert_eq!(deliver(&dir).ended(0).stdout(), "crm: 0 events delivered\n");
    let later = Receiver::glad();
    later.settings(&dir, "after = \"2999-01-01T00:00:00Z\"");
    assert_eq!(deliver(&dir).ended(0).stdout(), "crm: 0 events delivered\n");
}

#[test]
fn what_fails_is_repeated_with_the_same_id() {
    let dir = Dir::new();
    sent(&dir, "one", 2);
    // Not HTTP; a redirect; an endless head; an error; then all is well.
    let receiver = Receiver::start(|number| match number {
        0 => Some("hello\r\n\r\n".to_owned()),
        1 => status("302 Found\r\nlocation: http://127.0.0.1:9/"),
        2 => Some(format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "x".repeat(1 << 20))),
        3 => status("500 Oops"),
        // Delivered, although the body never ends.
        4 => Some(format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(1 << 20))),
        _ => status("200 OK"),
    });
    receiver.settings(&dir, "kinds = [\"accepted\"]\nbatch = 1000");
    assert_eq!(deliver(&dir).ended(0).stdout(), "crm: 2 events delivered\n");
    let got = receiver.got();
    assert_eq!(got.len(), 5);
    let first: BTreeSet<&String> = got.iter().map(|request| &request.fields["webhook-id"]).collect();
    assert_eq!(first.len(), 1, "one id");
    assert!(got.iter().all(|request| request.is_signed_by(&[7; 32])), "each is signed again");
}

#[test]
fn a_receiver_that_hangs_is_given_up_and_gets_all_later() {
    let dir = Dir::new();
    sent(&dir, "one", 3);
    let receiver = Receiver::start(|number| (number >= 32).then(|| status("200 OK")).flatten());
    receiver.settings(&dir, "timeout = \"200ms\"");
    let args = ["webhooks", "deliver", "--failures", "1", "--config", "serve.toml"];
    let gave_up = dir.run(&args).ended(1).stdout();
    assert!(gave_up.contains("given up: no answer from `127.0.0.1` within its time"), "{gave_up}");
    // Those that hung in its first call came once each.
    while receiver.count() < 32 {
        dir.run(&args).ended(1);
    }
    deliver(&dir).ended(0);
    let got: BTreeSet<String> = receiver.ids().into_iter().collect();
    assert_eq!(got, ids(&events(&dir, "one")).into_iter().collect());
}

#[test]
fn retry_after_is_kept_and_410_ends_it_until_it_is_enabled() {
    let dir = Dir::new();
    sent(&dir, "one", 1);
    let receiver = Receiver::start(|number| match number {
        0 => status("429 Too Many Requests\r\nretry-after: 1"),
        1 => status("503 Service Unavailable\r\nretry-after: 600"),
        2 | 4 => status("410 Gone"),
        _ => status("200 OK"),
    });
    receiver.settings(&dir, "batch = 10");
    let busy = deliver(&dir).ended(1).stdout();
    assert!(busy.contains("answered 503; not before "), "{busy}");
    let got = receiver.got();
    assert_eq!(got.len(), 2);
    assert!(got[1].at - got[0].at >= Duration::from_secs(1), "429 with Retry-After");
    // The next call keeps to it too, without a request.
    assert!(deliver(&dir).ended(1).stdout().contains("not before "));
    assert_eq!(receiver.count(), 2);
    // As if the time had come.
    let place = dir.path().join("state/webhooks/crm.json");
    let mut progress: Value = serde_json::from_slice(&std::fs::read(&place).unwrap()).unwrap();
    progress["not_before"] = Value::Null;
    std::fs::write(&place, progress.to_string()).unwrap();

    assert!(deliver(&dir).ended(1).stdout().contains("disabled: the receiver answered 410"));
    assert!(deliver(&dir).ended(1).stdout().contains("disabled since "));
    assert_eq!(receiver.count(), 3, "it gets nothing");
    dir.run(&["webhooks", "enable", "crm", "--config", "serve.toml"]).ended(0);
    deliver(&dir).ended(0);
    assert_eq!(sorted(ids(&receiver.got()[3].events())), sorted(ids(&events(&dir, "one"))));
    // Said to a replay it counts as well.
    dir.run(&["webhooks", "replay", "crm", "--after", "2001-01-01", "--config", "serve.toml"]).ended(1);
    assert!(deliver(&dir).ended(1).stdout().contains("disabled since "));
    assert_eq!(receiver.count(), 5);
}

#[test]
fn events_stay_out_of_private_networks() {
    let dir = Dir::new();
    sent(&dir, "one", 1);
    let receiver = Receiver::glad();
    dir.write("dns/zone", "inside.example. 300 IN A 127.0.0.1\nmeta.example. 300 IN A 169.254.169.254\n");
    for host in ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "inside.example", "meta.example"] {
        receiver.settings(&dir, "");
        let text = std::fs::read_to_string(dir.path().join("serve.toml")).unwrap();
        let text =
            text.replace("allow-private = true", "").replace("http://127.0.0.1", &format!("https://{host}"));
        dir.write("serve.toml", text);
        let args = ["webhooks", "deliver", "--failures", "1", "--config", "serve.toml"];
        let said = dir.run(&args).ended(1).stdout();
        assert!(said.contains("an address that events must not go to"), "{host}: {said}");
    }
    assert_eq!(receiver.count(), 0);
    receiver.settings(&dir, "");
    let text = std::fs::read_to_string(dir.path().join("serve.toml")).unwrap();
    dir.write("serve.toml", text.replace("allow-private = true", ""));
    deliver(&dir).ended(2).says("no `https` URL");
    dir.write("serve.toml", text.replace("batch", "x") + "batch = 0");
    deliver(&dir).ended(2).says("from 1 to 1000").says("serve.toml:");
    dir.write("new.secret", "secret");
    receiver.settings(&dir, "previous-secret-file = \"dns/zone\"");
    deliver(&dir).ended(2).says("holds no secret of a webhook");
}

#[test]
fn killed_while_it_delivers_nothing_is_lost_and_little_repeated() {
    let dir = Dir::new();
    sent(&dir, "one", 200);
    let expected = ids(&events(&dir, "one"));
    // It answers so many requests, then none: so each kill comes while events are being delivered.
    let answered = Arc::new(AtomicUsize::new(0));
    let most = Arc::clone(&answered);
    let receiver = Receiver::start(move |number| match number < most.load(Ordering::SeqCst) {
        true => status("204 No Content"),
        false => None,
    });
    receiver.settings(&dir, "");
    let kills = 5;
    for kill in 0..kills {
        let wanted = receiver.count() + 40 + 17 * kill;
        answered.store(wanted, Ordering::SeqCst);
        let args = ["webhooks", "deliver", "--config", "serve.toml"];
        assert!(dir.killed_once(&args, || receiver.count() > wanted), "kill {kill}");
    }
    answered.store(usize::MAX, Ordering::SeqCst);
    deliver(&dir).ended(0);
    let got = receiver.ids();
    let distinct: BTreeSet<&String> = got.iter().collect();
    assert_eq!(distinct, expected.iter().collect(), "none lost, the same ids");
    let repeats = got.len() - distinct.len();
    assert!(repeats <= kills * UNSETTLED, "{repeats} repeats after {kills} kills");
}

#[test]
fn webhooks_are_listed_tried_and_replayed() {
    let dir = Dir::new();
    sent(&dir, "one", 3);
    let receiver = Receiver::start(|number| if number == 0 { status("500 Oops") } else { status("200 OK") });
    receiver.settings(&dir, "kinds = [\"accepted\"]");
    let ask = |args: &[&str]| dir.run(&[&["webhooks"], args, &["--config", "serve.toml"]].concat());
    let said = ask(&["test", "crm"]).ended(1).stdout();
    assert!(said.starts_with("crm: answered 500 after "), "{said}");
    assert!(ask(&["test", "crm"]).ended(0).stdout().starts_with("crm: answered 200 after "));
    let tried = receiver.got()[1].json();
    assert_eq!((&tried["type"], &tried["data"]["kind"]), (&"test".into(), &"accepted".into()));
    Schemas::load().check("event", &tried["data"]);
    let line =
        |said: String| said.lines().nth(1).unwrap().split_whitespace().take(4).collect::<Vec<_>>().join(" ");
    assert_eq!(line(ask(&[]).ended(0).stdout()), "crm ready 0 3", "a test counts for nothing");
    ask(&["deliver"]).ended(0);
    assert_eq!(line(ask(&[]).ended(0).stdout()), "crm ready 3 0");

    let accepted: Vec<Value> =
        events(&dir, "one").into_iter().filter(|event| event["kind"] == "accepted").collect();
    let replayed = |after: &str| {
        let before = receiver.count();
        ask(&["replay", "crm", "--after", after]).ended(0);
        sorted(receiver.got()[before..].iter().flat_map(|request| ids(&request.events())).collect())
    };
    assert_eq!(replayed("2001-01-01T00:00:00Z"), sorted(ids(&accepted)));
    assert_eq!(replayed(accepted[0]["cursor"].as_str().unwrap()), sorted(ids(&accepted[1..])));
    assert_eq!(replayed("2999-01-01"), [] as [String; 0]);
    assert_eq!(line(ask(&[]).ended(0).stdout()), "crm ready 3 0", "the place is as it was");
    ask(&["replay", "crm", "--after", "gone/1.2.3.4"]).ended(2).says("no run");
    ask(&["replay", "other", "--after", "2001-01-01"]).ended(2).says("no webhook has the name `other`");
}

#[test]
fn the_cursors_of_runs_that_are_gone_go_too_and_those_out_of_sight_stay() {
    let dir = Dir::new();
    for campaign in ["one", "two"] {
        sent(&dir, campaign, 2);
    }
    let receiver = Receiver::glad();
    receiver.settings(&dir, "");
    deliver(&dir).ended(0);
    let count = receiver.count();
    let place = dir.path().join("state/webhooks/crm.json");
    let cursors = || {
        let progress: Value = serde_json::from_slice(&std::fs::read(&place).unwrap()).unwrap();
        progress["cursors"].as_object().unwrap().len()
    };
    assert_eq!(cursors(), 2);
    // As on a disk that is not mounted.
    let (runs, away) = (dir.path().join("runs"), dir.path().join("away"));
    std::fs::rename(&runs, &away).unwrap();
    deliver(&dir).ended(0);
    assert_eq!(cursors(), 2);
    std::fs::rename(&away, &runs).unwrap();
    let kept = events(&dir, "one")[0]["cursor"].as_str().unwrap().to_owned();
    dir.run(&["purge", "--older-than", "1ms", "--yes"]).ended(0);
    assert_eq!(deliver(&dir).ended(0).stdout(), "crm: 0 events delivered\n");
    assert_eq!((cursors(), receiver.count()), (0, count));
    let replay = ["webhooks", "replay", "crm", "--after", &kept, "--config", "serve.toml"];
    dir.run(&replay).ended(2).says("no run");
    dir.run(&["events", "one", "--after", &kept]).ended(2);
}

#[test]
fn what_needs_somebody_decides_the_exit_code_whichever_webhook_it_is() {
    let dir = Dir::new();
    sent(&dir, "one", 1);
    let (gone, glad) = (Receiver::start(|_| status("410 Gone")), Receiver::glad());
    for (first, second) in [(&gone, &glad), (&glad, &gone)] {
        first.settings(&dir, "");
        let one = std::fs::read_to_string(dir.path().join("serve.toml")).unwrap();
        let port = second.port;
        let other = format!(
            "[[webhook]]\nname = \"other\"\nurl = \"http://127.0.0.1:{port}/hook?a=b\"\n\
             secret-file = \"new.secret\"\nallow-private = true\n"
        );
        dir.write("serve.toml", one + &other);
        // The one that is disabled stays so.
        assert!(deliver(&dir).ended(1).stdout().contains("disabled"));
        std::fs::remove_dir_all(dir.path().join("state/webhooks")).unwrap();
    }
}

#[test]
fn serve_delivers_without_listening_anywhere() {
    let dir = Dir::new();
    let receiver = Receiver::glad();
    receiver.settings(&dir, "");
    let text = std::fs::read_to_string(dir.path().join("serve.toml")).unwrap();
    dir.write("serve.toml", &text[text.find("[[webhook]]").unwrap()..]);
    sent(&dir, "one", 2);
    let mut serve = dir.command(&["serve", "--config", "serve.toml"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(serve.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "events are delivered to crm\n");
    while receiver.count() < 6 {
        assert!(serve.try_wait().unwrap().is_none(), "serve goes on");
        thread::yield_now();
    }
    let sent = Command::new("kill").args(["-TERM", &serve.id().to_string()]).status();
    assert!(sent.unwrap().success());
    assert_eq!(serve.wait().unwrap().code(), Some(0));
    dir.write("serve.toml", "");
    dir.run(&["serve", "--config", "serve.toml"]).ended(2).says("and `[[webhook]]`");
}

#[test]
fn serve_delivers_as_events_come_and_ends_in_order() {
    let dir = Dir::new();
    let receiver = Receiver::glad();
    receiver.settings(&dir, "");
    let mut serve = dir.command(&["serve", "--config", "serve.toml"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(serve.stdout.take().unwrap()).read_line(&mut line).unwrap();
    sent(&dir, "one", 3);
    let mut wait_for = |events: usize| {
        let end = Instant::now() + Duration::from_secs(60);
        while receiver.count() < events {
            assert!(Instant::now() < end, "{} of {events} came", receiver.count());
            assert!(serve.try_wait().unwrap().is_none(), "serve goes on");
            thread::yield_now();
        }
    };
    wait_for(9);
    bounced(&dir, &events(&dir, "one"));
    wait_for(10);
    let sent = Command::new("kill").args(["-TERM", &serve.id().to_string()]).status();
    assert!(sent.unwrap().success());
    assert_eq!(serve.wait().unwrap().code(), Some(0));
    assert_eq!(deliver(&dir).ended(0).stdout(), "crm: 0 events delivered\n", "all of it is on disk");
    assert_eq!(sorted(receiver.ids()), sorted(ids(&events(&dir, "one"))));
}
