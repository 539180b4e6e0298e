//! Events: each row's, with the same ids whenever and from wherever they are read, also while the
//! run is sending.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use mailrun::sandbox::Options;
use serde_json::{Value, json};

use crate::json::Schemas;
use crate::kit::{Dir, Relay, campaign};

fn events(dir: &Dir, args: &[&str]) -> Vec<Value> {
    let ran = dir.run(&[&["events"], args].concat()).ended(0);
    ran.stdout().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The kinds of one recipient's events.
fn kinds<'a>(events: &'a [Value], recipient: &str) -> Vec<&'a str> {
    let own = events.iter().filter(|event| event["recipient"] == recipient);
    own.map(|event| event["kind"].as_str().unwrap()).collect()
}

fn texts<'a>(events: &'a [Value], key: &str) -> Vec<&'a str> {
    events.iter().map(|event| event[key].as_str().unwrap()).collect()
}

#[test]
fn the_events_of_a_run_are_the_same_from_every_cursor() {
    let dir = Dir::new();
    let relay = Relay::start(Options::default());
    let retry = "[stop]\nmax-invalid-percent = 90\n[delivery.retry]\nfirst = \"20ms\"\nlongest = \"20ms\"";
    let file = campaign(&dir, "one", relay.port(), "", retry);
    let rows = "ann@a.example,1\nrcpt-550-5.1.1@a.example,2\nrcpt-451-once@a.example,3\n\
                bob@@a.example,4\nann@a.example,5\n";
    dir.write("one.csv", format!("email,n\n{rows}"));
    dir.run(&["send", &file]).ended(1);
    let sent = events(&dir, &["one", "--kind", "accepted"]);
    let sent = sent.iter().find(|event| event["recipient"] == "ann@a.example").unwrap();
    let copy = format!("Message-ID: <{}>\nTo: ann@a.example\n", sent["message_id"].as_str().unwrap());
    let said = "<ann@a.example>:\nRemote host said: 550 5.1.1 User unknown";
    let head = "From: MAILER-DAEMON@mx.example\nTo: news@mail.example.com\nSubject: failure notice";
    let cut = "--- Below this line is a copy of the message.";
    dir.write("back.eml", format!("{head}\n\n{said}\n\n{cut}\n\n{copy}"));
    dir.run(&["feedback", "read", "back.eml"]).ended(0);

    let all = events(&dir, &["one"]);
    let mut schemas = Schemas::load();
    all.iter().for_each(|event| schemas.check("event", event));
    let ann = ["received", "received", "duplicate", "sent", "accepted", "bounced_later"];
    assert_eq!(kinds(&all, "ann@a.example"), ann);
    assert_eq!(kinds(&all, "rcpt-550-5.1.1@a.example"), ["received", "sent", "bounced"]);
    let again = ["received", "sent", "deferred", "sent", "accepted"];
    assert_eq!(kinds(&all, "rcpt-451-once@a.example"), again);
    assert_eq!(kinds(&all, "bob@@a.example"), ["received", "invalid"]);
    let bounced = all.iter().find(|event| event["kind"] == "bounced").unwrap();
    assert_eq!((&bounced["class"], &bounced["is_final"]), (&json!("bad_mailbox"), &json!(true)));
    assert!(bounced["reply"].as_str().unwrap().starts_with("550 5.1.1"), "{bounced}");
    let put_off = all.iter().find(|event| event["kind"] == "deferred").unwrap();
    assert_eq!(put_off["is_final"], false);

    let ids: BTreeSet<&str> = texts(&all, "id").into_iter().collect();
    assert_eq!(ids.len(), all.len(), "each event has its id");
    for (number, event) in all.iter().enumerate() {
        let cursor = event["cursor"].as_str().unwrap();
        assert_eq!(events(&dir, &["one", "--after", cursor]), all[number + 1..], "{cursor}");
    }
    let some = events(&dir, &["one", "--kind", "bounced,invalid"]);
    assert_eq!(texts(&some, "kind"), ["invalid", "bounced"]);
    let notification = bounced["notification"].as_str().unwrap();
    dir.run(&["status", "--notification", notification]).ended(0);

    dir.run(&["events", "one", "--kind", "noticed"]).ended(2).says("unknown kind `noticed`");
    dir.run(&["events", "one", "--after", "one"]).ended(2).says("is no cursor");
    let beyond = format!("one/0.{}.0.0", u64::MAX);
    dir.run(&["events", "one", "--after", &beyond]).ended(2).says("is no cursor");
    dir.run(&["events", "one", "--after", "other/0.0.0.0"]).ended(2).says("not one of run");
}

#[test]
fn a_run_is_followed_until_nobody_works_on_it() {
    let dir = Dir::new();
    let relay = Relay::start(Options::default());
    let retry = "[delivery.retry]\nfirst = \"1h\"\ngive-up-after = \"1d\"";
    let file = campaign(&dir, "one", relay.port(), "", retry);
    dir.write("one.csv", "email,n\nann@a.example,1\nrcpt-451@a.example,2\n");
    let mut sending = dir.start(&["send", &file]);
    // Once there is a run, it is being sent for an hour.
    while !dir.path().join("runs/one").is_dir() || dir.run(&["status", "one"]).code() != 0 {
        assert!(sending.try_wait().unwrap().is_none(), "the run has ended");
        std::thread::yield_now();
    }
    let mut follow = dir.command(&["events", "one", "--follow"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut followed: Vec<Value> = Vec::new();
    let mut lines = BufReader::new(follow.stdout.take().unwrap()).lines();
    while kinds(&followed, "rcpt-451@a.example").last() != Some(&"deferred")
        || kinds(&followed, "ann@a.example").last() != Some(&"accepted")
    {
        followed.push(serde_json::from_str(&lines.next().expect("an event").unwrap()).unwrap());
    }
    assert_eq!(events(&dir, &["one"]), followed, "while it is sending");
    sending.kill().unwrap();
    sending.wait().unwrap();
    assert!(follow.wait().unwrap().success());
    assert_eq!(lines.count(), 0);
    assert_eq!(events(&dir, &["one"]), followed, "afterwards");
}
