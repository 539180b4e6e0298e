//! What was sent can be found and composed again, byte for byte, and sent once more.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use mailrun::sandbox::{Keep, Options};

use crate::kit::{Dir, Relay, campaign, list};

/// A relay that keeps what it takes in this folder.
fn keeping(dir: &Dir, name: &str) -> (Relay, PathBuf) {
    let folder = dir.path().join(name);
    let keep = Keep::Eml(folder.clone());
    (Relay::start(Options { keep, ..Options::default() }), folder)
}

fn campaign_that_keeps(dir: &Dir, port: u16, more: &str) -> String {
    let file = campaign(dir, "one", port, "", &format!("[keep]\nrecover = \"45d\"\n{more}"));
    dir.write("terms.txt", "The terms.\n");
    dir.write("greeting.hbs", "Dear number");
    dir.write("letter.hbs", format!("{{{{> greeting}}}} {{{{n}}}}\n{}\n", "A long text. ".repeat(100)));
    let text = fs::read_to_string(dir.path().join(&file)).unwrap();
    let text = text.replace("[template]\n", "[template]\nattachments = [\"terms.txt\"]\n");
    dir.write(&file, text.replace("[sender]\n", "[sender]\nverp = true\n"));
    file
}

/// The messages in a folder, by the number in their text, without trace fields, dates and
/// signatures; and their recipients.
fn messages(folder: &Path) -> Vec<String> {
    let mut found: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap())
        .map(|message| {
            let (head, body) = message.split_once("\r\n\r\n").unwrap();
            let unfolded = head.replace("\r\n ", "\n ").replace("\r\n\t", "\n\t");
            let moving = ["Date:", "DKIM-Signature:", "Received:", "Return-Path:", "Delivered-To:", "X-"];
            let fields =
                unfolded.split("\r\n").filter(|line| !moving.iter().any(|name| line.starts_with(name)));
            format!("{}\r\n\r\n{body}", fields.collect::<Vec<_>>().join("\r\n"))
        })
        .collect();
    found.sort();
    found
}

#[test]
fn a_message_is_composed_again_as_it_was_whatever_has_become_of_its_files() {
    let dir = Dir::new();
    let (relay, first) = keeping(&dir, "first");
    list(&dir, "one", 5);
    let file = campaign_that_keeps(&dir, relay.port(), "");
    dir.run(&["send", &file]).ended(0);
    let sent = messages(&first);
    relay.stop();
    assert_eq!(sent.len(), 5);

    // The next issue is being written: nothing is as it was.
    let (relay, second) = keeping(&dir, "second");
    let text = fs::read_to_string(dir.path().join(&file)).unwrap();
    let port = text.split("port = ").nth(1).unwrap().split('\n').next().unwrap().to_owned();
    let text = text.replace(&format!("port = {port}"), &format!("port = {}", relay.port()));
    dir.write(&file, text.replace("subject = \"Number", "subject = \"Next issue"));
    dir.write("letter.hbs", "The next issue {{n}} {{new}}\n");
    dir.write("terms.txt", "New terms.\n");
    fs::remove_file(dir.path().join("greeting.hbs")).unwrap();
    fs::remove_file(dir.path().join("one.csv")).unwrap();

    dir.run(&["resend", "one", "r3@one.example"]).ended(0);
    dir.run(&["resend", "one", "2", "--to", "else@where.example"]).ended(0);
    let resent = messages(&second);
    assert_eq!(resent.len(), 2);
    for message in &resent {
        assert!(sent.contains(message), "{message}\n---\n{}", sent.join("\n---\n"));
    }
    assert!(resent.iter().any(|message| message.contains("r2@one.example")), "{resent:#?}");

    // Once is enough, unless more is asked for.
    dir.run(&["resend", "one", "r3@one.example"]).ended(0);
    assert_eq!(relay.stats().accepted, 2);
    dir.run(&["resend", "one", "r3@one.example", "--again"]).ended(0);
    assert_eq!(relay.stop().accepted, 3);
    let traced = dir.run(&["trace", "--recipient", "r3@one.example"]).ended(0).stdout();
    assert_eq!(traced.matches("CH_SENT").count(), 3, "{traced}");
    assert_eq!(traced.matches("Dear number 3").count(), 1, "{traced}");
}

#[test]
fn trace_finds_a_message_with_its_end_and_its_text() {
    let dir = Dir::new();
    let (relay, _) = keeping(&dir, "first");
    list(&dir, "one", 5);
    let file = campaign_that_keeps(&dir, relay.port(), "");
    dir.run(&["send", &file]).ended(0);
    relay.stop();
    dir.write("letter.hbs", "The next issue\n");
    let by_recipient = dir.run(&["trace", "--recipient", "R3@one.example"]).ended(0).stdout();
    for part in ["row 3", "CH_SENT", "Subject: Number 3", "Dear number 3", "A long text.", "  …"] {
        assert!(by_recipient.contains(part), "`{part}`: {by_recipient}");
    }
    let row = dir.results("one").into_iter().find(|row| row.email.as_deref() == Some("r3@one.example"));
    let id = format!("<{}>", row.unwrap().message_id.unwrap());
    assert_eq!(dir.run(&["trace", "--message-id", &id]).ended(0).stdout(), by_recipient);
    let all = dir.run(&["trace", "--sender", "news@mail.example.com", "--limit", "4"]).ended(0).stdout();
    assert_eq!(all.matches("Dear number").count(), 4);
    assert!(all.contains("there are more"), "{all}");
    dir.run(&["trace", "--recipient", "nobody@one.example"]).ended(2).says("no message is found");
    dir.run(&["trace", "--recipient", "r3@one.example", "--until", "2020-01-01T00:00:00Z"]).ended(2);
    dir.run(&["trace"]).ended(2);
}

#[test]
fn what_was_not_kept_is_not_sent_again() {
    let dir = Dir::new();
    let relay = Relay::start(Options::default());
    list(&dir, "one", 2);
    let file = campaign(&dir, "one", relay.port(), "", "");
    dir.run(&["send", &file]).ended(0);
    dir.run(&["resend", "one", "1"]).ended(2).says("kept nothing").says("[keep]");
    let traced = dir.run(&["trace", "--recipient", "r1@one.example"]).ended(0).stdout();
    assert!(traced.contains("its text is not shown"), "{traced}");
    assert_eq!(relay.stop().accepted, 2);
}

#[test]
fn a_row_that_is_not_there_or_is_there_twice_is_refused() {
    let dir = Dir::new();
    let relay = Relay::start(Options::default());
    dir.write("one.csv", "email,n\na@one.example,1\na@one.example,2\n");
    let file = campaign_that_keeps(&dir, relay.port(), "");
    let text = fs::read_to_string(dir.path().join(&file)).unwrap();
    dir.write(&file, text.replace("[target-group]\n", "[target-group]\nduplicates = \"keep\"\n"));
    dir.run(&["send", &file]).ended(0);
    dir.run(&["resend", "one", "7"]).ended(2).says("has sent nothing to `7`");
    dir.run(&["resend", "one", "b@one.example"]).ended(2).says("has sent nothing");
    dir.run(&["resend", "one", "a@one.example"]).ended(2).says("several rows").says("0, 1");
    // Who was suppressed since gets nothing, as ever.
    dir.run(&["suppress", "add", "a@one.example"]).ended(0);
    dir.run(&["resend", "one", "1"]).ended(1);
    assert_eq!(relay.stop().accepted, 2);
}

#[test]
fn a_resend_that_is_killed_at_any_moment_reaches_its_recipient_once() {
    let dir = Dir::new();
    let rows = 12;
    let record = dir.path().join("record.jsonl");
    let relay = Relay::start(Options { record: Some(record.clone()), ..Options::default() });
    list(&dir, "one", rows);
    let more = "[journal]\ndurability = \"process-crash\"\n";
    let file = campaign_that_keeps(&dir, relay.port(), more);
    dir.run(&["send", &file]).ended(0);
    let resent = || -> BTreeSet<PathBuf> {
        let entries = fs::read_dir(dir.path().join("runs/resent/one")).into_iter().flatten();
        entries.map(|entry| entry.unwrap().path()).collect()
    };
    let lines = || fs::read_to_string(&record).unwrap().lines().count();
    let (mut killed, mut in_doubt) = (0, 0);
    for n in 0..rows {
        let recipient = format!("r{n}@one.example");
        let resend = ["resend", "one", &recipient];
        let known = resent();
        let taken = lines();
        let of_new = |file: &str| resent().difference(&known).any(|run| run.join(file).exists());
        // What its run gets, one after the other, and that its message was taken.
        let moment = || match n % 6 {
            0 => resent() != known,
            1 => of_new("manifest.json"),
            2 => of_new("plan.arrow"),
            3 => of_new("journal.db"),
            4 => lines() > taken,
            _ => of_new("results"),
        };
        killed += usize::from(dir.killed_once(&resend, moment));
        // The row may be in doubt: then it was sent, or it was not, and is not sent again.
        let ended = dir.run(&resend).code();
        assert!([0, 1].contains(&ended), "{recipient} ended with {ended}");
        in_doubt += usize::from(ended == 1);
        assert_eq!(dir.run(&resend).code(), ended, "a run that is over sends nothing");
    }
    relay.stop();
    let times = mailrun::sandbox::record::read(&record).unwrap();
    let times = |recipient: &str| times.iter().filter(|one| one.recipient == recipient).count();
    let got: Vec<usize> = (0..rows).map(|n| times(&format!("r{n}@one.example"))).collect();
    assert!(got.iter().all(|times| (1..=2).contains(times)), "the first message and one more: {got:?}");
    let missing = got.iter().filter(|times| **times == 1).count();
    assert!(missing <= in_doubt, "{missing} got none, and {in_doubt} are in doubt");
    assert!(killed > 5, "{killed} kills came in time");
}
