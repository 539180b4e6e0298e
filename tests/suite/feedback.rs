//! `mailrun feedback`: mails that came back, from where mailboxes keep them, and what they do.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, SystemTime};

use arrow_array::cast::AsArray;
use mailrun::sandbox::{Options, record};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;

use crate::kit::{Dir, Relay, campaign, list};

const BOUNCE: &str = "\
From: MAILER-DAEMON@mx.example
To: news@sender.example
Subject: failure notice

I'm afraid I wasn't able to deliver your message to the following addresses.

<bob@x.example>:
Remote host said: 550 5.1.1 User unknown

--- Below this line is a copy of the message.

Message-ID: <1.2@sender.example>
From: news@sender.example
To: bob@x.example
";
const ANSWER: &str =
    "From: Eve <eve@x.example>\nSubject: Out of Office: news\nAuto-Submitted: auto-replied\n\nI am away.\n";

#[test]
fn mails_are_read_from_files_mboxes_and_maildirs() {
    let dir = Dir::new();
    dir.write("one.eml", BOUNCE);
    let mbox =
        format!("From a Thu Apr 29 23:34:45 2015\n{BOUNCE}\nFrom b Thu Apr 29 23:34:46 2015\n{ANSWER}");
    dir.write("some.mbox", mbox);
    for folder in ["box/cur", "box/new", "box/tmp"] {
        std::fs::create_dir_all(dir.path().join(folder)).unwrap();
    }
    dir.write("box/new/1", ANSWER);
    dir.write("box/tmp/2", BOUNCE);

    let bounce = "bounce  bob@x.example  bad_mailbox  5.1.1  hard  not_ours";
    let again = bounce.replace("not_ours", "read_before");
    let ran = dir.run(&["feedback", "read", "one.eml", "some.mbox", "box"]).ended(0);
    let expected = format!(
        "one.eml  {bounce}\nsome.mbox:1  {again}\nsome.mbox:2  auto_reply  eve@x.example\n\
         box/new/1  auto_reply  eve@x.example  read_before\n"
    );
    assert_eq!(ran.stdout(), expected);

    let json = dir.run(&["feedback", "read", "--json", "one.eml", "some.mbox"]).ended(0);
    let mails: Vec<Value> = json.stdout().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(mails[0]["hash"], mails[1]["hash"]);
    assert_eq!(mails[0]["original_message_id"], "1.2@sender.example");
    assert_eq!(mails[0]["events"][0]["class"], "bad_mailbox");
    assert_eq!(mails[0]["events"][0]["permanent"], true);
    assert_eq!(mails[2]["kind"], "auto_reply");
}

#[test]
fn what_is_not_there_is_said() {
    let dir = Dir::new();
    dir.run(&["feedback", "read", "gone.eml"]).ended(2).says("failed to read `gone.eml`");
}

/// A campaign whose return paths have tokens.
pub(crate) fn verp_campaign(dir: &Dir, port: u16, rows: usize) {
    let name = campaign(dir, "news", port, "", "");
    let text = fs::read_to_string(dir.path().join(&name)).unwrap();
    let sender = "verp = true\nreturn-path = \"bounces@mail.example.com\"\n[target-group]";
    dir.write(&name, text.replace("[target-group]", sender));
    list(dir, "news", rows);
}

/// Sends the campaign; the return path that each recipient's message had.
pub(crate) fn sent(dir: &Dir, rows: usize) -> BTreeMap<String, String> {
    sent_edition(dir, rows, "1")
}

fn sent_edition(dir: &Dir, rows: usize, edition: &str) -> BTreeMap<String, String> {
    let record = dir.path().join(format!("taken-{edition}.jsonl"));
    let relay = Relay::start(Options { record: Some(record.clone()), ..Options::default() });
    verp_campaign(dir, relay.port(), rows);
    dir.run(&["send", "news.toml", "--edition", edition]).ended(0);
    relay.stop();
    record::read(&record).unwrap().into_iter().map(|entry| (entry.recipient, entry.return_path)).collect()
}

pub(crate) fn bounce(to: &str, address: &str, reply: &str) -> String {
    BOUNCE
        .replace("To: news@sender.example", &format!("To: {to}"))
        .replace("bob@x.example", address)
        .replace("550 5.1.1 User unknown", reply)
}

fn complaint(return_path: &str) -> String {
    format!(
        "From: staff@isp.example\nTo: abuse@mail.example.com\nSubject: complaint\nMIME-Version: 1.0\n\
         Content-Type: multipart/report; report-type=feedback-report; boundary=x\n\n--x\n\nA complaint.\n--x\n\
         Content-Type: message/feedback-report\n\nFeedback-Type: abuse\nUser-Agent: isp/1\nVersion: 1\n\n--x\n\
         Content-Type: message/rfc822\n\nReturn-Path: <{return_path}>\nFrom: news@mail.example.com\n\
         To: redacted@isp.example\nSubject: Number 3\n\nHello\n--x--\n"
    )
}

pub(crate) fn suppressed(dir: &Dir) -> Vec<(String, String)> {
    let lines = dir.run(&["suppress", "list", "--json"]).ended(0).stdout();
    let entries = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let word = |entry: &Value, name: &str| entry[name].as_str().unwrap().to_owned();
    entries.map(|entry| (word(&entry, "email"), word(&entry, "reason"))).collect()
}

/// The texts of a column of a Parquet file; empty where there is none.
pub(crate) fn column(file: &Path, name: &str) -> Vec<String> {
    let file = fs::File::open(file).unwrap();
    let batches = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    let texts = batches.flat_map(|batch| {
        let batch = batch.unwrap();
        let column = batch.column_by_name(name).unwrap().as_string::<i32>();
        column.iter().map(|text| text.unwrap_or_default().to_owned()).collect::<Vec<_>>()
    });
    texts.collect()
}

pub(crate) fn summary(dir: &Dir) -> Value {
    serde_json::from_str(&dir.run(&["feedback", "summary", "--json"]).ended(0).stdout()).unwrap()
}

#[test]
fn what_comes_back_to_a_run_takes_its_recipients_off_the_next() {
    let dir = Dir::new();
    let paths = sent(&dir, 6);
    let path = |n: u32| paths[&format!("r{n}@news.example")].clone();
    let mut forged = path(1).into_bytes();
    forged[12] = if forged[12] == b'a' { b'b' } else { b'a' };
    let forged = String::from_utf8(forged).unwrap();
    let unknown = "550 5.1.1 User unknown";
    let mails = [
        ("1", bounce(&path(0), "forwarded@else.example", unknown)),
        ("2", bounce(&forged, "r1@news.example", unknown)),
        ("3", bounce("bounces@mail.example.com", "r2@news.example", unknown)),
        ("4", complaint(&path(3))),
        ("5", bounce(&path(4), "r4@news.example", "452 4.2.2 mailbox full")),
        ("6", bounce(&path(5), "r5@news.example", "550 5.7.1 blocked for spam")),
        ("7", bounce("x@else.example", "somebody@else.example", unknown)),
    ];
    for (name, text) in &mails {
        dir.write(&format!("box/new/{name}"), text);
    }
    for folder in ["box/cur", "box/tmp"] {
        fs::create_dir_all(dir.path().join(folder)).unwrap();
    }
    let effects = |args: &[&str]| -> Vec<String> {
        let lines = dir.run(&[&["feedback", "read", "box", "--json"], args].concat()).ended(0).stdout();
        let mails = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        mails.map(|mail| mail["events"][0]["effect"].as_str().unwrap().to_owned()).collect()
    };
    let expected = ["suppressed", "unverified", "unverified", "suppressed", "counted", "none", "not_ours"];
    assert_eq!(effects(&["--dry-run"]), expected);
    assert_eq!(suppressed(&dir), []);
    assert_eq!(summary(&dir)["events"], 0);

    let pairs = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs.iter().map(|(one, other)| ((*one).to_owned(), (*other).to_owned())).collect()
    };
    let both = pairs(&[("r0@news.example", "bad_mailbox"), ("r3@news.example", "complaint")]);
    assert_eq!(effects(&[]), expected);
    assert_eq!(suppressed(&dir), both);
    assert_eq!(effects(&[]), ["read_before"; 7], "a mail that is read twice counts once");
    assert_eq!(suppressed(&dir), both);
    let kinds = serde_json::json!({"bounce": 6, "complaint": 1});
    assert_eq!(summary(&dir)["kinds"], kinds);
    let events = |args: &[&str]| {
        let said = dir.run(&[&["feedback", "summary", "--json"], args].concat()).ended(0).stdout();
        serde_json::from_str::<Value>(&said).unwrap()["events"].clone()
    };
    assert_eq!(summary(&dir)["days"].as_object().unwrap().values().collect::<Vec<_>>(), [&kinds]);
    for (args, count) in [
        (["--since", "2020-01-01"], 7),
        (["--since", "2999-01-01"], 0),
        (["--until", "2020-01-01T00:00:00Z"], 0),
        (["--campaign", "news"], 6),
        (["--campaign", "olds"], 0),
        (["--domain", "else.example"], 1),
        (["--class", "mailbox_full"], 1),
    ] {
        assert_eq!(events(&args), count, "{args:?}");
    }

    let story = dir.run(&["status", "news", "--recipient", "r0@news.example"]).ended(0).stdout();
    assert!(story.contains("CH_SENT") && story.contains("bounce, bad_mailbox, 5.1.1, suppressed"), "{story}");

    // The results stay as they were; what came later is in tables of its own.
    let run = dir.run_of("news");
    let results = fs::read(run.join("results/part-00000.parquet")).unwrap();
    let said = dir.run(&["results", "news", "--with-feedback", "--json"]).ended(0).stdout();
    let said: Value = serde_json::from_str(&said).unwrap();
    let counts = ["bounced_later", "complained", "unsubscribed", "taken_back"];
    assert_eq!(counts.map(|name| said["with_feedback"][name].as_u64().unwrap()), [3, 1, 0, 0]);
    let file = run.join("with-feedback.parquet");
    let accepted = "accepted";
    let outcomes = ["bounced_later", accepted, accepted, "complained", "bounced_later", "bounced_later"];
    assert_eq!(column(&file, "outcome"), outcomes);
    assert_eq!(column(&file, "bounced_later_class"), ["bad_mailbox", "", "", "", "mailbox_full", "spam"]);
    assert_eq!(column(&file, "disposition"), [accepted; 6]);
    assert_eq!(fs::read(run.join("results/part-00000.parquet")).unwrap(), results);
    dir.run(&["results", "news", "--with-feedback"]).ended(0).says("3 bounced later, 1 complained; ");

    let tables = dir.path().join("state/feedback");
    let day =
        || fs::read_dir(&tables).unwrap().map(|day| day.unwrap().path()).find(|day| day.is_dir()).unwrap();
    for _ in 0..2 {
        dir.run(&["feedback", "tables"]).ended(0).says("7 rows of 1 day written to");
        assert_eq!(column(&day().join("part-00000.parquet"), "effect"), expected);
    }
    let mut files = column(&file, "source_file");
    files.push(String::new());
    assert_eq!(column(&day().join("part-00000.parquet"), "source_file"), files);
    // What a killed writer and earlier tables left goes.
    let left = ["part-00000.parquet.new", "part-00007.parquet"].map(|name| day().join(name));
    left.iter().for_each(|path| fs::write(path, "x").unwrap());
    fs::create_dir(tables.join("day=2020-01-01")).unwrap();
    dir.run(&["feedback", "tables"]).ended(0);
    assert!(!left.iter().any(|path| path.exists()) && !tables.join("day=2020-01-01").exists());

    // The next run goes to the rest.
    let relay = Relay::start(Options::default());
    fs::remove_dir_all(dir.path().join("runs")).unwrap();
    verp_campaign(&dir, relay.port(), 6);
    dir.run(&["send", "news.toml", "--edition", "2"]).ended(0);
    relay.stop();
    assert_eq!(dir.dispositions("news"), [("accepted".to_owned(), 4), ("suppressed".to_owned(), 2)]);

    // What one mail did can be taken back, and stays so.
    let line = dir.run(&["feedback", "read", "box/new/1", "--json"]).ended(0).stdout();
    let hash = serde_json::from_str::<Value>(&line).unwrap()["hash"].as_str().unwrap().to_owned();
    dir.run(&["feedback", "undo", &hash[..8]]).ended(0).says("1 event taken back, 1 entry");
    assert_eq!(suppressed(&dir), both[1..]);
    assert_eq!(effects(&[]), ["read_before"; 7]);
    assert_eq!(suppressed(&dir), both[1..]);
    dir.run(&["feedback", "undo", "--import", "1"]).ended(0);
    assert_eq!(suppressed(&dir), []);
    dir.run(&["feedback", "undo", "--import", "1"]).ended(1).says("0 events taken back");
}

#[test]
fn a_run_that_cant_be_read_keeps_no_other_from_being_read() {
    let dir = Dir::new();
    let first = sent(&dir, 8);
    let broken = dir.run_of("news");
    let second = sent_edition(&dir, 8, "2");
    let unknown = "550 5.1.1 User unknown";
    let effects = |code: i32, path: &str| -> Vec<String> {
        let mut ran = dir.run(&["feedback", "read", path, "--json"]).ended(code);
        if code != 0 {
            let id = broken.file_name().unwrap().to_str().unwrap();
            ran = ran.says(&format!("mails about run `news/{id}` are left out")).says("1 mail not kept");
        }
        let lines = ran.stdout();
        let mails = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        mails.map(|mail| mail["events"][0]["effect"].as_str().unwrap().to_owned()).collect()
    };
    for (number, file) in ["plan.arrow", "journal.db", "manifest.json"].into_iter().enumerate() {
        let [one, other, third] = [0, 1, 2].map(|n| format!("r{}@news.example", (3 * number + n) % 8));
        let mails = [
            bounce(&first[&one], &one, unknown),
            bounce(&second[&other], &other, unknown),
            // Without a token, it is looked for in all runs.
            bounce("x@x.example", &third, "452 4.2.2 mailbox full")
                .replace("Subject:", &format!("X-For: {file}\nSubject:")),
        ];
        for (at, mail) in mails.iter().enumerate() {
            dir.write(&format!("{file}/{at}.eml"), mail);
        }
        let (path, aside) = (broken.join(file), broken.join("aside"));
        fs::rename(&path, &aside).unwrap();
        fs::write(&path, "this is none").unwrap();
        let before = suppressed(&dir).len();
        assert_eq!(effects(75, file), ["left_out", "suppressed", "unverified"], "{file}");
        assert_eq!(effects(75, file), ["left_out", "read_before", "read_before"], "{file}");
        assert_eq!(suppressed(&dir).len(), before + 1);
        fs::rename(&aside, &path).unwrap();
        assert_eq!(effects(0, file), ["suppressed", "read_before", "read_before"], "{file}");
        assert_eq!(suppressed(&dir).len(), before + 2);
    }
}

#[test]
fn an_address_waits_for_a_run_that_cant_be_read() {
    let dir = Dir::new();
    let relay = Relay::start(Options::default());
    let name = campaign(&dir, "news", relay.port(), "", "");
    list(&dir, "news", 4);
    dir.run(&["send", &name]).ended(0);
    relay.stop();
    let broken = dir.run_of("news");
    let read = |code: i32, path: &str, effect: &str| {
        let ran = dir.run(&["feedback", "read", path]).ended(code);
        let ran = if code == 0 { ran } else { ran.says("are left out").says("1 mail not kept") };
        assert!(ran.stdout().trim_end().ends_with(effect), "{path}: {}", ran.stdout());
    };
    for (number, file) in ["plan.arrow", "journal.db", "manifest.json"].into_iter().enumerate() {
        let mail = format!("{number}.eml");
        let address = format!("r{number}@news.example");
        dir.write(&mail, bounce("news@sender.example", &address, "550 5.1.1 User unknown"));
        let (path, aside) = (broken.join(file), broken.join("aside"));
        fs::rename(&path, &aside).unwrap();
        fs::write(&path, "this is none").unwrap();
        read(75, &mail, "left_out");
        read(75, &mail, "left_out");
        fs::rename(&aside, &path).unwrap();
        read(0, &mail, "suppressed");
    }
    // Nor does a run of last year keep anybody waiting.
    let stranger = "stranger.eml";
    dir.write(stranger, bounce("news@sender.example", "r9@elsewhere.example", "550 5.1.1 User unknown"));
    fs::write(broken.join("manifest.json"), "this is none").unwrap();
    read(75, stranger, "left_out");
    let year = Duration::from_secs(365 * 86_400);
    let folder = fs::File::open(&broken).unwrap();
    folder.set_modified(SystemTime::now() - year).unwrap();
    read(0, stranger, "not_ours");
}

/// Kills it wherever it is, and reads the rest: as if nothing had happened.
#[test]
fn reading_that_is_killed_loses_nothing_and_counts_nothing_twice() {
    const ROWS: usize = 1_200;
    let dir = Dir::new();
    let paths = sent(&dir, ROWS);
    let mut mbox = String::new();
    for (number, (recipient, path)) in paths.iter().enumerate() {
        // A third of them hard, and each of the rest three times soft, in messages of one run.
        let (times, reply) =
            if number % 3 == 0 { (1, "550 5.1.1 User unknown") } else { (3, "452 4.2.2 full") };
        for time in 0..times {
            let mail =
                bounce(path, recipient, reply).replace("Subject:", &format!("X-Time: {time}\nSubject:"));
            mbox.push_str(&format!("From a Thu Apr 29 23:34:45 2015\n{mail}\n"));
        }
    }
    dir.write("all.mbox", &mbox);
    let mails: Vec<&str> = mbox.split_inclusive("\n\nFrom a ").collect();
    killed_while_it_keeps(&dir, "read", "all.mbox", &mails);
}

/// Lets `mailrun feedback COMMAND` take `file`, whose `parts` are 2,800 bounces of which 400
/// addresses are suppressed. Then kills it at points that are known, and lets it take the same once
/// more: as if nothing had happened.
pub(crate) fn killed_while_it_keeps(dir: &Dir, command: &str, file: &str, parts: &[&str]) {
    let (state, fresh) = (dir.path().join("state"), dir.path().join("state.fresh"));
    let copied = std::process::Command::new("cp").arg("-r").arg(&state).arg(&fresh).status();
    assert!(copied.unwrap().success());
    dir.run(&["feedback", command, file]).ended(0);
    let clean = (suppressed(dir), summary(dir));
    assert_eq!((clean.0.len(), clean.1["events"].as_u64()), (400, Some(2_800)));

    fs::remove_dir_all(&state).unwrap();
    fs::rename(&fresh, &state).unwrap();
    // A thousand are kept together; the pipe stays open, so that it waits for more.
    for (fed, kept) in [(1_500, 1_000), (2_500, 2_000)] {
        let mut taking = dir.command(&["feedback", command, "-"]);
        let mut child = taking.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let mut pipe = child.stdin.take().unwrap();
        pipe.write_all(parts[..fed].concat().as_bytes()).unwrap();
        while summary(dir)["events"] != kept {
            assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
        }
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(summary(dir)["events"], kept, "what was not kept whole is not kept");
        assert!(suppressed(dir).len() < 400);
    }
    dir.run(&["feedback", command, file]).ended(0);
    assert_eq!((suppressed(dir), summary(dir)), clean);
}

#[test]
fn complaints_stop_a_run_that_is_being_sent() {
    let dir = Dir::new();
    let record = dir.path().join("taken.jsonl");
    let relay = Relay::start(Options { record: Some(record.clone()), ..Options::default() });
    verp_campaign(&dir, relay.port(), 3);
    let file = dir.path().join("news.toml");
    // The last row waits for another attempt, so that the run goes on.
    let stop = "[stop]\ncomplaint-percent = 0.15\n[delivery.retry]\nfirst = \"1h\"\ngive-up-after = \"1d\"\n";
    fs::write(&file, fs::read_to_string(&file).unwrap() + stop).unwrap();
    let csv = dir.path().join("news.csv");
    fs::write(&csv, fs::read_to_string(&csv).unwrap() + "rcpt-451@news.example,9\n").unwrap();
    let sending =
        dir.command(&["send", "news.toml", "--edition", "1"]).stderr(Stdio::piped()).spawn().unwrap();
    let path = |row: usize| {
        let until = std::time::Instant::now() + std::time::Duration::from_secs(60);
        loop {
            let taken = record::read(&record).unwrap_or_default();
            let of_row = taken.into_iter().find(|entry| entry.recipient == format!("r{row}@news.example"));
            if let Some(entry) = of_row {
                return entry.return_path;
            }
            assert!(std::time::Instant::now() < until, "row {row} is not sent");
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
    };
    // One is 0.1 % of the thousand that fewer mails count as, and so is the same once more; what
    // can be made up does not count.
    dir.write("1.eml", complaint(&path(0)));
    dir.write("2.eml", complaint(&path(0)).replace("A complaint", "Another"));
    let mut forged = path(1).into_bytes();
    forged[12] = if forged[12] == b'a' { b'b' } else { b'a' };
    dir.write("3.eml", complaint(&String::from_utf8(forged).unwrap()));
    dir.run(&["feedback", "read", "1.eml", "2.eml", "3.eml"]).ended(0);
    dir.write("4.eml", complaint(&path(1)));
    dir.run(&["feedback", "read", "4.eml"]).ended(0);
    let ended = sending.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(ended.status.code(), Some(4), "{said}");
    assert!(said.contains("2 complaints about 3 accepted mails"), "{said}");
    relay.stop();
}

#[test]
fn complaints_about_earlier_runs_are_a_finding() {
    let dir = Dir::new();
    let paths = sent(&dir, 6);
    let found = |id: &str| {
        let report = dir.run(&["check", "news.toml", "--offline", "--json"]).stdout();
        let report: Value = serde_json::from_str(&report).unwrap();
        let findings = report["findings"].as_array().unwrap().clone();
        findings.into_iter().find(|finding| finding["id"] == id).map(|finding| {
            (finding["level"].as_str().unwrap().to_owned(), finding["seen"].as_str().unwrap().to_owned())
        })
    };
    let (level, seen) = found("reputation").unwrap();
    let good = "of 6 mails from `mail.example.com` in 30 days 0 bounced and 0 brought complaints";
    assert_eq!((level.as_str(), seen.as_str()), ("ok", good));
    let complain = |n: u32| {
        dir.write("one.eml", complaint(&paths[&format!("r{n}@news.example")]));
        dir.run(&["feedback", "read", "one.eml"]).ended(0);
    };
    complain(0);
    assert_eq!(found("reputation-complaints"), None, "one of a thousand");
    complain(1);
    let (level, seen) = found("reputation-complaints").unwrap();
    let some = "`mail.example.com`: 2 complaints of 6 mails in 1 day, 0.20 %";
    assert_eq!((level.as_str(), seen.as_str()), ("note", some));
    (2..4).for_each(complain);
    assert_eq!(found("reputation-complaints").unwrap().0, "warning");
    // What was taken back counts no longer.
    for import in 1..=4 {
        dir.run(&["feedback", "undo", "--import", &import.to_string()]).ended(0);
    }
    assert_eq!(found("reputation-complaints"), None);
}
