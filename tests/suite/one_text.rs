//! `personalised = false` from the campaign file to the results: one text, signed once for many
//! recipients of a site.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;

use mailrun::mail::Disposition;
use mailrun::sandbox::{Keep, Options, Stats, record};

use crate::kit::{Dir, Relay, campaign};

/// A signed alarm to `list`, through a relay that is added as `relay` says.
fn alarm(dir: &Dir, list: &str, port: u16, relay: &str, more: &str) -> String {
    dir.write("alarm.csv", format!("email,name\n{list}"));
    let key = dir.write("key.pem", include_str!("../../fixtures/welcome/keys/test-only-rsa.pem"));
    fs::set_permissions(key, fs::Permissions::from_mode(0o600)).unwrap();
    let zone = fs::read_to_string(dir.path().join("dns/zone")).unwrap();
    let published = include_str!("../../fixtures/welcome/zone");
    let (_, record) = published.split_once("s2026._domainkey.mail IN TXT (").unwrap();
    let (record, _) = record.split_once(')').unwrap();
    dir.write("dns/zone", format!("{zone}s._domainkey.mail.example.com. IN TXT ({record})\n"));
    let dkim = "[[dkim]]\ndomain = \"mail.example.com\"\nselector = \"s\"\nkey = \"key.pem\"\n";
    let name = campaign(dir, "alarm", port, relay, &format!("{dkim}{more}"));
    dir.write("letter.hbs", "The power is out.\n");
    let path = dir.path().join(&name);
    let text = fs::read_to_string(&path).unwrap();
    let text = text.replace("id = \"alarm\"", "id = \"alarm\"\nkind = \"alarm\"");
    let text = text.replace("subject = \"Number {{n}}\"", "subject = \"Outage\"\npersonalised = false");
    fs::write(path, text).unwrap();
    name
}

/// What a relay took: its totals, and the `.eml` files.
struct Taken {
    stats: Stats,
    messages: Vec<String>,
}

/// 250 rows of two domains, three of which the relay refuses.
fn list() -> String {
    let refused = |n: usize| match n {
        10 => "rcpt-550-5.1.1",
        120 => "rcpt-550-5.7.1",
        249 => "rcpt-554-5.7.1",
        _ => "",
    };
    let row = |n: usize| match refused(n) {
        "" => format!("r{n}@{}.example,Name{n}\n", if n.is_multiple_of(5) { "small" } else { "large" }),
        script => format!("{script}+{n}@large.example,Name{n}\n"),
    };
    (0..250).map(row).collect()
}

#[track_caller]
fn send(change: impl FnOnce(&mut Options), settings: &str, code: i32) -> (Dir, Taken) {
    let dir = Dir::new();
    let (kept, taken) = (dir.path().join("kept"), dir.path().join("taken.jsonl"));
    let mut options = Options { keep: Keep::Eml(kept.clone()), record: Some(taken), ..Options::default() };
    change(&mut options);
    let relay = Relay::start(options);
    let file = alarm(
        &dir,
        &list(),
        relay.port(),
        settings,
        "[delivery.retry]\nfirst = \"50ms\"\n[stop]\nbounce-percent = 0\n[capacity]\nper-hour = 100000000\n",
    );
    dir.run(&["send", &file]).ended(code);
    let stats = relay.stop();
    let read = |entry: Result<fs::DirEntry, _>| fs::read_to_string(entry.unwrap().path()).unwrap();
    let messages = fs::read_dir(kept).unwrap().map(read).collect();
    (dir, Taken { stats, messages })
}

/// Every row has its result, and the receiver's record agrees with it.
#[track_caller]
fn assert_each_row_once(dir: &Dir, refused: usize) {
    let mut times = BTreeMap::new();
    for entry in record::read(&dir.path().join("taken.jsonl")).unwrap() {
        *times.entry(entry.recipient).or_insert(0) += 1;
    }
    let results = dir.results("alarm");
    assert_eq!(results.len(), 250);
    let bounced = results.iter().filter(|row| row.disposition == Disposition::Bounced).count();
    assert_eq!(bounced, refused);
    for row in &results {
        let email = row.email.as_deref().unwrap();
        let taken = times.get(email).copied().unwrap_or(0);
        assert_eq!(
            taken,
            usize::from(row.disposition == Disposition::Accepted),
            "{email}: {:?}",
            row.disposition
        );
        assert_eq!(row.attempts, 1, "{email}");
        if let Some(code) = email.strip_prefix("rcpt-").and_then(|rest| rest.get(..3)) {
            assert_eq!(row.smtp_code.map(|code| code.to_string()).as_deref(), Some(code), "its own reply");
        }
    }
}

#[test]
fn one_message_goes_to_many_and_each_row_has_its_own_outcome() {
    for (pipelining, chunking) in [(true, true), (true, false), (false, true), (false, false)] {
        let change = |options: &mut Options| {
            options.extensions.pipelining = pipelining;
            options.extensions.chunking = chunking;
        };
        let (dir, taken) = send(change, "", 1);
        assert_eq!(taken.stats.client_errors, 0);
        assert_eq!(taken.stats.recipients, 247);
        // The pacer may split the first ones; the text and its signature stay the same.
        assert!(taken.stats.accepted <= 12, "{} messages", taken.stats.accepted);
        assert_each_row_once(&dir, 3);
        // The trace fields that the receiver adds name the recipients: they are its own.
        let sent = |message: &String| message[message.find("\r\nDKIM-Signature:").unwrap()..].to_owned();
        let sent: Vec<String> = taken.messages.iter().map(sent).collect();
        let signature = |message: &String| message[..message.find("\r\nFrom:").unwrap()].to_owned();
        assert!(sent.iter().map(signature).collect::<BTreeSet<_>>().len() <= 3, "signed once for 100 rows");
        for message in &sent {
            assert_eq!(message.matches("DKIM-Signature:").count(), 1);
            assert!(message.contains("\r\nTo: Undisclosed recipients:;\r\n"), "{message}");
            assert!(!message.contains("Name") && !message.contains("large.example"), "{message}");
        }
        let ids: BTreeSet<_> = dir.results("alarm").iter().map(|row| row.message_id.clone()).collect();
        assert_eq!(ids.len(), 1, "it is one message");
    }
}

/// RFC 5321 §4.5.3.1.10.
#[test]
fn a_relay_that_takes_fewer_recipients_gets_fewer_and_no_row_waits() {
    for (pipelining, chunking) in [(true, true), (true, false), (false, false)] {
        let change = |options: &mut Options| {
            options.most_recipients = 20;
            options.extensions.pipelining = pipelining;
            options.extensions.chunking = chunking;
        };
        let (dir, taken) = send(change, "connections = 1", 1);
        assert_eq!(taken.stats.recipients, 247);
        assert!((13..=30).contains(&taken.stats.accepted), "{} messages", taken.stats.accepted);
        assert_each_row_once(&dir, 3);
    }
}

#[test]
fn the_limits_of_the_relay_hold() {
    let settings = "recipients-per-message = 7\nmessages-per-connection = 3\nconnections = 2";
    let (dir, taken) = send(|_| {}, settings, 1);
    assert_eq!(taken.stats.recipients, 247);
    assert!(taken.stats.accepted >= 36, "at most seven recipients each: {}", taken.stats.accepted);
    assert!(taken.stats.connections >= taken.stats.accepted / 3, "a connection carries three messages");
    assert_each_row_once(&dir, 3);
}

#[test]
fn rows_of_one_address_and_rows_that_need_smtputf8_stand_apart() {
    let dir = Dir::new();
    let taken = dir.path().join("taken.jsonl");
    let mut options = Options { record: Some(taken.clone()), ..Options::default() };
    options.extensions.smtp_utf8 = false;
    let relay = Relay::start(options);
    let list = "a@x.example,1\nb@x.example,2\na@x.example,3\né@x.example,4\n";
    let file = alarm(&dir, list, relay.port(), "", "");
    let path = dir.path().join(&file);
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("files =", "duplicates = \"keep\"\nfiles =")).unwrap();
    dir.run(&["send", &file]).ended(1);
    relay.stop();
    let mut entries: Vec<_> =
        record::read(&taken).unwrap().into_iter().map(|entry| (entry.queue_id, entry.recipient)).collect();
    entries.sort();
    let recipients: Vec<_> = entries.iter().map(|(_, recipient)| recipient.as_str()).collect();
    assert_eq!(recipients.iter().filter(|recipient| **recipient == "a@x.example").count(), 2);
    assert_eq!(entries.iter().collect::<BTreeSet<_>>().len(), 3, "no address twice in one message");
    let told = dir.dispositions("alarm");
    assert_eq!(told, [("accepted".to_owned(), 3), ("bounced".to_owned(), 1)]);
}

#[test]
fn a_test_message_is_one_for_each_row_that_was_asked_for() {
    let dir = Dir::new();
    let taken = dir.path().join("taken.jsonl");
    let relay = Relay::start(Options { record: Some(taken.clone()), ..Options::default() });
    let file = alarm(&dir, &list(), relay.port(), "", "");
    dir.run(&["send", &file, "--to", "me@b.example", "--row", "2"]).ended(0);
    let got: Vec<_> = record::read(&taken).unwrap().into_iter().map(|entry| entry.recipient).collect();
    assert_eq!(got, ["me@b.example"]);
}

#[test]
fn the_other_commands_know_of_it() {
    let dir = Dir::new();
    let file = alarm(&dir, &list(), 1, "", "");
    let first = dir.run(&["render", &file, "--row", "1"]).ended(0).stdout();
    let later = dir.run(&["render", &file, "--row", "200"]).ended(0).stdout();
    let unsigned = |text: &str| {
        text[text.find("From: ").unwrap()..]
            .lines()
            .filter(|l| !l.starts_with("Date:"))
            .collect::<Vec<_>>()
            .join("\n")
    };
    assert_eq!(unsigned(&first), unsigned(&later));
    assert!(first.contains("To: Undisclosed recipients:;"), "{first}");
    let plan = dir.run(&["plan", &file]).ended(0).stdout();
    assert!(plan.contains("one text for everybody"), "{plan}");
    let dry = dir.run(&["send", &file, "--dry-run"]).ended(0).stdout();
    assert!(dry.contains("250 composed and signed") || dry.contains("250 rows"), "{dry}");
    dir.write("letter.hbs", "Dear {{name}}\n");
    let refused = dir.run(&["send", &file]).ended(2).stderr();
    assert!(
        refused.contains("letter.hbs:1:6") && refused.contains("`name` differs from row to row"),
        "{refused}"
    );
}

#[test]
fn who_unsubscribes_after_the_plan_was_made_gets_nothing_and_the_others_do() {
    let dir = Dir::new();
    let taken = dir.path().join("taken.jsonl");
    let relay = Relay::start(Options { record: Some(taken.clone()), ..Options::default() });
    let list: String = (0..20).map(|n| format!("r{n}@x.example,{n}\n")).collect();
    let file = alarm(&dir, &list, relay.port(), "", "");
    dir.run(&["send", &file, "--not-after", "2001-01-01T00:00:00Z"]).ended(4);
    dir.run(&["suppress", "add", "R7@x.example", "--reason", "unsubscribe"]).ended(0);
    dir.run(&["send", &file]).ended(0);
    relay.stop();
    let got: Vec<_> = record::read(&taken).unwrap().into_iter().map(|entry| entry.recipient).collect();
    assert_eq!(got.len(), 19);
    assert!(!got.contains(&"r7@x.example".to_owned()));
    let told = dir.dispositions("alarm");
    assert_eq!(told, [("accepted".to_owned(), 19), ("suppressed".to_owned(), 1)]);
}
