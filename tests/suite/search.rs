//! `mailrun search`: in results, in journals, in feedback, and in what is left of all these.

use std::fs;
use std::thread;

use mailrun::sandbox::Options;
use serde_json::Value;

use crate::json::Schemas;
use crate::kit::{Dir, Relay, campaign};

/// Two campaigns: `one` to three recipients of whom one is refused and one is no address, `two` to
/// one of them.
fn sent() -> Dir {
    let dir = Dir::new();
    let relay = Relay::start(Options::default());
    for (id, rows) in [
        ("one", "Ann@A.example,1\nrcpt-550-5.1.1@b.example,2\ncleo@münchen.example,3\nnobody,4\n"),
        ("two", "ann@a.example,1\n"),
    ] {
        let file = campaign(&dir, id, relay.port(), "", "[stop]\nmax-invalid-percent = 50");
        dir.write(&format!("{id}.csv"), format!("email,n\n{rows}"));
        dir.run(&["send", &file]).ended(i32::from(id == "one"));
    }
    dir
}

/// What is found, as `CAMPAIGN recipient disposition`.
#[track_caller]
fn found(dir: &Dir, args: &[&str]) -> Vec<String> {
    let words = |one: &Value| {
        let text = |key: &str| one[key].as_str().unwrap_or("-").to_owned();
        format!("{} {} {}", text("run").split('/').next().unwrap(), text("recipient"), text("disposition"))
    };
    answer(dir, 0, args)["found"].as_array().unwrap().iter().map(words).collect()
}

#[track_caller]
fn answer(dir: &Dir, code: i32, args: &[&str]) -> Value {
    let said = dir.run(&[&["search", "--json"], args].concat()).ended(code).stdout();
    let answer = serde_json::from_str(&said).unwrap();
    Schemas::load().check("search", &answer);
    answer
}

/// A message comes back.
fn came_back(dir: &Dir, message_id: &str, to: &str) {
    let head = "From: MAILER-DAEMON@mx.example\nTo: news@mail.example.com\nSubject: failure notice";
    let said = format!("<{to}>:\nRemote host said: 552 5.2.2 Mailbox full");
    let copy =
        format!("--- Below this line is a copy of the message.\n\nMessage-ID: <{message_id}>\nTo: {to}\n");
    dir.write("back.eml", format!("{head}\n\n{said}\n\n{copy}"));
    dir.run(&["feedback", "read", "back.eml"]).ended(0);
}

const ANN: &str = "one Ann@A.example accepted";
const REFUSED: &str = "one rcpt-550-5.1.1@b.example bounced";
const CLEO: &str = "one cleo@münchen.example accepted";
const NOBODY: &str = "one nobody invalid";
const TWO: &str = "two ann@a.example accepted";

#[test]
fn messages_are_found_by_what_is_known_of_them() {
    let dir = sent();
    assert_eq!(found(&dir, &[]), [TWO, ANN, REFUSED, CLEO, NOBODY]);
    assert_eq!(found(&dir, &["--recipient", "aNN@a.EXAMPLE"]), [TWO, ANN]);
    assert_eq!(found(&dir, &["--recipient", "cleo@xn--mnchen-3ya.example"]), [CLEO]);
    assert_eq!(found(&dir, &["--recipient", "CLEO@MÜNCHEN.example"]), [CLEO]);
    assert_eq!(found(&dir, &["--recipient", "NN@a"]), [TWO, ANN]);
    assert_eq!(found(&dir, &["--recipient", "nobody"]), [NOBODY]);
    assert_eq!(found(&dir, &["--recipient", "else@a.example"]), [] as [&str; 0]);
    assert_eq!(found(&dir, &["--class", "bad_mailbox"]), [REFUSED]);
    assert_eq!(found(&dir, &["--campaign", "two"]), [TWO]);
    assert_eq!(found(&dir, &["--sender", "NEWS@mail.example.com", "--campaign", "two"]), [TWO]);
    assert_eq!(found(&dir, &["--sender", "else@mail.example.com"]), [] as [&str; 0]);
    assert_eq!(found(&dir, &["--since", "2999-01-01"]), [] as [&str; 0]);
    assert_eq!(found(&dir, &["--until", "2001-01-01", "--since", "2000-01-01"]), [] as [&str; 0]);
    assert_eq!(found(&dir, &["--recipient", "ann@a.example", "--until", "2001-01-01"]), [] as [&str; 0]);
    assert_eq!(found(&dir, &["--since", "2001-01-01", "--recipient", "@a.example"]), [TWO, ANN]);
    let limited = answer(&dir, 0, &["--limit", "2"]);
    assert_eq!((limited["found"].as_array().unwrap().len(), &limited["has_more"]), (2, &true.into()));

    let row = dir.results("one").into_iter().next().unwrap();
    let id = row.message_id.unwrap().into_owned();
    assert_eq!(row.email_folded.as_deref(), Some("ann@a.example"));
    assert_eq!(found(&dir, &["--message-id", &id]), [ANN]);
    assert_eq!(found(&dir, &["--message-id", &format!("<{id}>")]), [ANN]);
    assert_eq!(found(&dir, &["--message-id", &id, "--class", "spam"]), [] as [&str; 0]);
    assert_eq!(found(&dir, &["--message-id", "made-up@mail.example.com"]), [] as [&str; 0]);
    let said = dir.run(&["search", "--message-id", &id]).ended(0).stdout();
    for part in [", row 0  ", "news@mail.example.com to Ann@A.example  one.csv, row 1", &id, "accepted"] {
        assert!(said.contains(part), "`{part}`: {said}");
    }
    assert_eq!(dir.run(&["search", "--recipient", "zoe"]).ended(0).stdout(), "nothing is found\n");
    assert!(dir.run(&["search", "--limit", "1"]).ended(0).stdout().contains("there are more; 1 message is"));

    // What came back is a reason and has a time, too.
    came_back(&dir, &id, "Ann@A.example");
    assert_eq!(found(&dir, &["--class", "mailbox_full"]), [ANN]);
    assert_eq!(found(&dir, &["--class", "mailbox_full", "--recipient", "ann@a.example"]), [ANN]);
    assert_eq!(found(&dir, &["--class", "mailbox_full", "--recipient", "@b.example"]), [] as [&str; 0]);
    let back = &answer(&dir, 0, &["--message-id", &id])["found"][0]["came_back"][0];
    assert_eq!((&back["kind"], &back["class"]), (&"bounce".into(), &"mailbox_full".into()));
}

#[test]
fn runs_without_results_are_searched_in_their_journal() {
    let dir = Dir::new();
    let relay = Relay::start(Options::default());
    let retry = "[delivery.retry]\nfirst = \"1h\"\ngive-up-after = \"1d\"\n[stop]\nmax-invalid-percent = 50";
    let file = campaign(&dir, "one", relay.port(), "", retry);
    dir.write("one.csv", "email,n\nann@a.example,1\nrcpt-451@a.example,2\nnobody,3\n");
    let mut sending = dir.start(&["send", &file]);
    let all = ["one ann@a.example accepted", "one rcpt-451@a.example deferred", "one nobody invalid"];
    // The second recipient waits for an hour.
    let is_there = || dir.run(&["status", "one"]).code() == 0 && found(&dir, &[]) == all;
    while !is_there() {
        assert!(sending.try_wait().unwrap().is_none(), "the run goes on");
        thread::yield_now();
    }
    assert_eq!(found(&dir, &["--recipient", "ANN@a.example"]), all[..1]);
    sending.kill().unwrap();
    sending.wait().unwrap();
    assert_eq!(found(&dir, &["--recipient", "rcpt"]), all[1..2]);
    let one = answer(&dir, 0, &["--recipient", "ann@a.example"]);
    let id = one["found"][0]["message_id"].as_str().unwrap().to_owned();
    assert_eq!(found(&dir, &["--message-id", &id]), all[..1]);
    assert_eq!(found(&dir, &["--limit", "1"]), all[..1]);
    assert_eq!(found(&dir, &["--until", "2001-01-01"]), [] as [&str; 0]);
}

#[test]
fn what_is_damaged_or_gone_is_said_and_the_rest_is_found() {
    let dir = sent();
    let id = dir.results("two")[0].message_id.clone().unwrap().into_owned();
    came_back(&dir, &id, "ann@a.example");
    let results = dir.run_of("one").join("results/part-00000.parquet");
    let bytes = fs::read(&results).unwrap();
    for damaged in [&bytes[..bytes.len() / 2], b"", b"PAR1"] {
        fs::write(&results, damaged).unwrap();
        assert_eq!(found(&dir, &["--recipient", "ann@a.example"]), [TWO, "one Ann@a.example accepted"]);
        dir.run(&["search"]).ended(0).says("can't be read, so its journal is");
    }
    fs::remove_file(&results).unwrap();
    assert_eq!(found(&dir, &["--class", "bad_mailbox"]), [REFUSED]);
    let manifest = dir.run_of("one").join("manifest.json");
    fs::write(&manifest, "{}").unwrap();
    let left = answer(&dir, 1, &["--recipient", "ann@a.example"]);
    assert_eq!(left["found"].as_array().unwrap().len(), 1);
    assert!(left["left_out"][0]["run"].as_str().unwrap().starts_with("one/"), "{left}");
    dir.run(&["search"]).ended(1).says("could not be searched");

    fs::remove_dir_all(dir.run_of("one")).unwrap();
    fs::remove_dir_all(dir.run_of("two")).unwrap();
    let gone = answer(&dir, 0, &["--recipient", "ann@a.example"]);
    let one = &gone["found"][0];
    assert_eq!((&one["disposition"], &one["sender"]), (&Value::Null, &Value::Null));
    assert_eq!(one["came_back"][0]["kind"], "bounce");
    assert!(dir.run(&["search", "--recipient", "ann@a.example"]).ended(0).stdout().contains("removed"));
    assert_eq!(found(&dir, &["--recipient", "else@a.example"]), [] as [&str; 0]);
}

#[test]
fn of_rows_that_share_a_message_id_only_those_that_are_meant_are_found() {
    let dir = Dir::new();
    let relay = Relay::start(Options::default());
    let file = campaign(&dir, "one", relay.port(), "", "");
    let path = dir.path().join(&file);
    let text = fs::read_to_string(&path).unwrap();
    let text = text.replace("id = \"one\"", "id = \"one\"\nkind = \"alarm\"");
    let text = text.replace("subject = \"Number {{n}}\"", "subject = \"Outage\"\npersonalised = false");
    fs::write(path, text).unwrap();
    dir.write("letter.hbs", "The power is out.\n");
    dir.write("one.csv", "email,n\nann@a.example,1\nbob@a.example,2\nrcpt-550-5.1.1@b.example,3\n");
    dir.run(&["send", &file]).ended(1);
    let id = dir.results("one")[0].message_id.clone().unwrap().into_owned();
    let all =
        ["one ann@a.example accepted", "one bob@a.example accepted", "one rcpt-550-5.1.1@b.example bounced"];
    let check = || {
        assert_eq!(found(&dir, &["--message-id", &id]), all);
        let limited = answer(&dir, 0, &["--message-id", &id, "--limit", "1"]);
        assert_eq!((limited["found"].as_array().unwrap().len(), &limited["has_more"]), (1, &true.into()));
        // The limit counts those that are meant.
        let refused = ["--message-id", &id, "--class", "bad_mailbox", "--limit", "1"];
        assert_eq!(found(&dir, &refused), all[2..]);
    };
    check();
    came_back(&dir, &id, "bob@a.example");
    let full = ["--message-id", &id, "--class", "mailbox_full", "--limit", "1"];
    assert_eq!(found(&dir, &full), all[1..2]);
    fs::write(dir.run_of("one").join("results/part-00000.parquet"), "").unwrap();
    check();
    assert_eq!(found(&dir, &full), all[1..2]);
}

#[test]
fn what_a_journal_says_of_a_row_last_is_its_class() {
    let dir = Dir::new();
    let relay = Relay::start(Options::default());
    let retry = "[delivery.retry]\nfirst = \"20ms\"\nlongest = \"20ms\"";
    let file = campaign(&dir, "one", relay.port(), "", retry);
    dir.write("one.csv", "email,n\nrcpt-450-4.1.1-once@a.example,1\nrcpt-550-5.1.1@a.example,2\n");
    dir.run(&["send", &file]).ended(1);
    // Both had this class; one was accepted later.
    let events = dir.run(&["events", "one", "--kind", "deferred"]).ended(0).stdout();
    let deferred: Value = serde_json::from_str(events.lines().next().unwrap()).unwrap();
    assert_eq!(deferred["class"], "bad_mailbox", "{events}");
    let bounced = ["one rcpt-550-5.1.1@a.example bounced"];
    assert_eq!(found(&dir, &["--class", "bad_mailbox"]), bounced);
    fs::write(dir.run_of("one").join("results/part-00000.parquet"), "").unwrap();
    let warned = |args: &[&str]| {
        let args = [&["search", "--json", "--class", "bad_mailbox"], args].concat();
        let said = dir.run(&args).stdout();
        let answer: Value = serde_json::from_str(&said).unwrap();
        let found = answer["found"].as_array().unwrap();
        found.iter().map(|one| one["recipient"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    for args in [&["--limit", "1"][..], &["--recipient", "rcpt"]] {
        assert_eq!(warned(args), ["rcpt-550-5.1.1@a.example"], "{args:?}");
    }
}
