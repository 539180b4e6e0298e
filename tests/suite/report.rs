//! `mailrun report`: a run's page and figures, and what messages ended as on a day.

use std::fs;

use chrono::{Timelike, Utc};
use mailrun::sandbox::Options;
use serde_json::Value;

use crate::json::Schemas;
use crate::kit::{Dir, Relay, campaign};

/// A time zone in which it is about noon, so that no day ends in the middle of a test.
pub(crate) fn noon() -> String {
    format!("{:+03}:00", 12 - i32::try_from(Utc::now().hour()).unwrap())
}

pub(crate) fn today(zone: &str) -> String {
    let offset: chrono::FixedOffset = zone.parse().unwrap();
    Utc::now().with_timezone(&offset).format("%Y-%m-%d").to_string()
}

fn sent() -> (Dir, Relay) {
    let dir = Dir::new();
    let relay = Relay::start(Options::default());
    let more = "[stop]\nmax-invalid-percent = 90\n[delivery.retry]\nfirst = \"20ms\"\nlongest = \"20ms\"\n[variants]\na = { share = 1 }\n";
    let file = campaign(&dir, "one", relay.port(), "", more);
    let rows = "ann@a.example,1\nrcpt-550-5.1.1@a.example,2\nrcpt-451-once@a.example,3\n=bob@@a.example,4\n\
                ann@a.example,5\neve@a.example,6\n";
    dir.write("one.csv", format!("email,n\n{rows}"));
    dir.run(&["send", &file]).ended(1);
    (dir, relay)
}

/// A mail comes back for what Ann accepted.
fn bounce_ann(dir: &Dir) {
    let events = dir.run(&["events", "one", "--kind", "accepted"]).ended(0).stdout();
    let mut events = events.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let ann = events.find(|event| event["recipient"] == "ann@a.example").unwrap();
    let copy = format!("Message-ID: <{}>\nTo: ann@a.example\n", ann["message_id"].as_str().unwrap());
    let said = "<ann@a.example>:\nRemote host said: 550 5.1.1 User unknown";
    let head = "From: MAILER-DAEMON@mx.example\nTo: news@mail.example.com\nSubject: failure notice";
    let cut = "--- Below this line is a copy of the message.";
    dir.write("back.eml", format!("{head}\n\n{said}\n\n{cut}\n\n{copy}"));
    dir.run(&["feedback", "read", "back.eml"]).ended(0);
}

/// The rows of a report of today, each as its cells.
fn rows(dir: &Dir, zone: &str, more: &[&str]) -> Vec<Vec<String>> {
    let day = today(zone);
    let zone = format!("--zone={zone}");
    let ran = dir.run(&[&["report", "--day", &day, &zone, "--output", "days"], more].concat());
    ran.ended(0).says("is not over");
    let mut reader = csv::Reader::from_path(dir.path().join("days").join(format!("{day}.csv"))).unwrap();
    let head = "at,status,event,campaign,run,notification,message_id,sender,recipient,kind,class,reply,detail,attempts";
    assert_eq!(reader.headers().unwrap().iter().collect::<Vec<_>>().join(","), head);
    reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect()
}

fn states(rows: &[Vec<String>]) -> Vec<String> {
    let mut states: Vec<String> =
        rows.iter().map(|row| format!("{} {} {} {}", row[8], row[1], row[2], row[9])).collect();
    states.sort();
    states
}

#[test]
fn a_day_has_each_message_once_with_what_it_ended_as() {
    let (dir, _relay) = sent();
    let zone = noon();
    let before = [
        "'=bob@@a.example ERROR DROPPED invalid",
        "ann@a.example ERROR DROPPED duplicate",
        "ann@a.example OK DELIVERED accepted",
        "eve@a.example OK DELIVERED accepted",
        "rcpt-451-once@a.example OK DELIVERED accepted",
        "rcpt-550-5.1.1@a.example ERROR BOUNCED bounced",
    ];
    let all = rows(&dir, &zone, &[]);
    assert_eq!(states(&all), before);
    assert_eq!(states(&rows(&dir, &zone, &["--campaign", "one"])), before);
    assert_eq!(rows(&dir, &zone, &["--campaign", "two"]), Vec::<Vec<String>>::new());
    let twice = all.iter().find(|row| row[8].starts_with("rcpt-451")).unwrap();
    assert_eq!((&*twice[13], &*twice[3], &*twice[7]), ("2", "one", "news@mail.example.com"));
    assert!(twice[0].ends_with(&zone) || zone == "+00:00", "{twice:?}");
    // What came back is what Ann's message ended as.
    bounce_ann(&dir);
    let mut after = before.map(str::to_owned);
    after[2] = "ann@a.example ERROR BOUNCED bounced_later".into();
    after.sort();
    assert_eq!(states(&rows(&dir, &zone, &[])), after);
    // A day on which nothing was sent has a file as well, and what is no day is refused.
    dir.run(&["report", "--day", "2020-02-29", "--output", "days"]).ended(0).says("0 messages");
    assert_eq!(fs::read_to_string(dir.path().join("days/2020-02-29.csv")).unwrap().lines().count(), 1);
    dir.run(&["report", "--day", "2021-02-29", "--output", "days"]).ended(2).says("use a date");
    dir.run(&["report", "--day", "yesterday", "--zone", "Europe/Zürich", "--output", "days"])
        .ended(2)
        .says("did you mean `Europe/Zurich`?");
    dir.run(&["report", "one", "--day", "yesterday", "--output", "days"])
        .ended(2)
        .says("cannot be used with");
}

#[test]
fn a_day_is_written_in_parts_and_other_formats_and_earlier_parts_are_removed() {
    let (dir, _relay) = sent();
    let zone = noon();
    let (day, zone) = (today(&zone), format!("--zone={zone}"));
    let names = || {
        let mut names: Vec<String> = fs::read_dir(dir.path().join("days"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap().replace(&day, "DAY"))
            .collect();
        names.sort();
        names
    };
    let report = |more: &[&str]| {
        dir.run(&[&["report", "--day", &day, &zone, "--output", "days"], more].concat()).ended(0);
    };
    report(&["--rows", "2"]);
    assert_eq!(names(), ["DAY-001.csv", "DAY-002.csv", "DAY-003.csv"]);
    let lines = |name: &str| fs::read_to_string(dir.path().join("days").join(name)).unwrap();
    assert_eq!(lines(&format!("{day}-003.csv")).lines().count(), 3);
    dir.write("days/notes.csv", "mine");
    report(&["--rows", "4"]);
    assert_eq!(names(), ["DAY-001.csv", "DAY-002.csv", "notes.csv"]);
    report(&["--format", "json"]);
    report(&["--format", "parquet"]);
    report(&["--zip", "--rows", "4"]);
    assert_eq!(names()[..4], ["DAY-001.csv", "DAY-001.csv.zip", "DAY-002.csv", "DAY-002.csv.zip"]);
    let zip = fs::read(dir.path().join(format!("days/{day}-001.csv.zip"))).unwrap();
    let inside = format!("{day}-001.csv");
    assert!(zip.starts_with(b"PK\x03\x04") && zip[30..].starts_with(inside.as_bytes()));
    let mut schemas = Schemas::load();
    let objects = lines(&format!("{day}.jsonl"));
    assert_eq!(objects.lines().count(), 6);
    for object in objects.lines() {
        schemas.check("report_day", &serde_json::from_str(object).unwrap());
    }
    let parquet = fs::read(dir.path().join(format!("days/{day}.parquet"))).unwrap();
    assert_eq!((&parquet[..4], &parquet[parquet.len() - 4..]), (&b"PAR1"[..], &b"PAR1"[..]));
}

#[test]
fn a_run_has_a_page_and_its_figures() {
    let (dir, _relay) = sent();
    bounce_ann(&dir);
    dir.run(&["report", "one", "--html", "pages/one.html", "--output", "one.csv"]).ended(0);
    let page = fs::read_to_string(dir.path().join("pages/one.html")).unwrap();
    for part in
        ["Outcome of 6 rows", "Sent in five minutes", "Variants", "What came back for 3 accepted", "bounce"]
    {
        assert!(page.contains(part), "{part}: {page}");
    }
    let figures = fs::read_to_string(dir.path().join("one.csv")).unwrap();
    for line in [
        "part,name,count",
        "outcome,accepted,3",
        "class,bad_mailbox,1",
        "variant,a accepted,3",
        "domain,a.example bounced,1",
        "came_back,bounce,1",
        "total,attempts,5",
    ] {
        assert!(figures.lines().any(|found| found == line), "{line}: {figures}");
    }
    dir.run(&["report", "one", "--format", "json", "--output", "one.jsonl"]).ended(0);
    let mut schemas = Schemas::load();
    for object in fs::read_to_string(dir.path().join("one.jsonl")).unwrap().lines() {
        schemas.check("report_figure", &serde_json::from_str(object).unwrap());
    }
    dir.run(&["report", "one"]).ended(2).says("--output");
}
