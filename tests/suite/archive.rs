//! `archive-bcc` from the campaign file to the results: the archive's copies, and what is said of
//! them.

use std::fs;
use std::path::Path;
use std::process::Command;

use mailrun::mail::Disposition;
use mailrun::results::ResultRow;
use mailrun::sandbox::{Options, record};

use crate::kit::{Dir, Relay, campaign};

const ANN: &str = "ann@a.example";
const REFUSED: &str = "rcpt-550-5.1.1@a.example";
const BOB: &str = "bob@a.example";

/// A campaign to the three of them, with an archive.
fn archived(dir: &Dir, archive: &str, relay: &Relay, more: &str) -> String {
    dir.write("one.csv", format!("email,n\n{ANN},1\n{REFUSED},2\n{BOB},3\n"));
    let name = campaign(dir, "one", relay.port(), "", more);
    let path = dir.path().join(&name);
    let text = fs::read_to_string(&path).unwrap();
    let text = text.replacen("[target-group]", &format!("archive-bcc = {archive}\n[target-group]"), 1);
    fs::write(path, text).unwrap();
    name
}

/// Who got which message: its `Message-ID` and the recipient.
fn taken(record: &Path) -> Vec<(String, String)> {
    let mut taken: Vec<_> =
        record::read(record).unwrap().into_iter().map(|entry| (entry.message_id, entry.recipient)).collect();
    taken.sort();
    taken
}

/// What a campaign came to.
struct Sent {
    /// Of each row: its disposition and the archive's reply.
    rows: Vec<(Disposition, Option<String>)>,
    /// Who got whose message, as `to: whose`, in order.
    got: Vec<String>,
    stdout: String,
}

/// Sends through a relay that offers these extensions or does not.
#[track_caller]
fn send(archive: &str, more: &str, pipelining: bool, chunking: bool) -> Sent {
    let dir = Dir::new();
    let record = dir.path().join("taken.jsonl");
    let mut options = Options { record: Some(record.clone()), eager_data: true, ..Options::default() };
    options.extensions.pipelining = pipelining;
    options.extensions.chunking = chunking;
    let relay = Relay::start(options);
    let file = archived(&dir, archive, &relay, more);
    let stdout = dir.run(&["send", &file]).ended(1).stdout();
    assert_eq!(relay.stop().client_errors, 0);
    let rows = dir.results("one");
    assert!(rows.iter().all(|row| row.attempts == 1), "one transmission to each recipient: {rows:?}");
    let got = got(&rows, &record);
    let rows = rows.into_iter().map(|row| (row.disposition, row.archive.map(|reply| reply.into_owned())));
    Sent { rows: rows.collect(), got, stdout }
}

/// Who got whose message, as `to: whose`, in order.
fn got(rows: &[ResultRow<'_>], record: &Path) -> Vec<String> {
    let message = |email: &str| {
        let row = rows.iter().find(|row| row.email.as_deref() == Some(email)).unwrap();
        row.message_id.clone().unwrap().into_owned()
    };
    let names = [ANN, REFUSED, BOB].map(|email| (message(email), email));
    let mut got: Vec<String> = taken(record)
        .into_iter()
        .map(|(id, to)| {
            let whose = names.iter().find(|(message, _)| *message == id).expect("no message is empty").1;
            format!("{to}: {whose}")
        })
        .collect();
    got.sort();
    got
}

const ARCHIVE: &str = "archive@keep.example";

#[test]
fn the_archive_gets_what_its_recipients_get() {
    let ways = [(true, true), (true, false), (false, true), (false, false)];
    for (pipelining, chunking) in ways {
        for strict in [false, true] {
            archives(pipelining, chunking, strict);
        }
    }
}

#[track_caller]
fn archives(pipelining: bool, chunking: bool, strict: bool) {
    let archive = format!("\"{ARCHIVE}\"\narchive-strict = {strict}");
    let Sent { rows, got, stdout } = send(&archive, "", pipelining, chunking);
    let case = format!("PIPELINING {pipelining}, CHUNKING {chunking}, strict {strict}: {rows:?}");
    for row in [0, 2] {
        assert_eq!(rows[row].0, Disposition::Accepted, "{case}");
        assert!(rows[row].1.as_ref().is_some_and(|reply| reply.starts_with("250 2.0.0 ")), "{case}");
    }
    assert_eq!(rows[1].0, Disposition::Bounced, "{case}");
    let mut expected = vec![format!("{ANN}: {ANN}"), format!("{BOB}: {BOB}")];
    expected.extend([ANN, BOB].map(|whose| format!("{ARCHIVE}: {whose}")));
    // All of it was written before the refusal came.
    let in_one_go = pipelining && chunking && strict;
    if in_one_go {
        expected.push(format!("{ARCHIVE}: {REFUSED}"));
    }
    expected.sort();
    assert_eq!(got, expected, "{case}");
    assert_eq!(rows[1].1.as_ref().is_some_and(|reply| reply.starts_with("250")), in_one_go, "{case}");
    assert!(!stdout.contains("its copy was refused"), "{stdout}");
}

#[test]
fn a_copy_that_is_refused_for_now_is_sent_again_and_its_recipient_gets_nothing_more() {
    for (pipelining, chunking) in [(true, true), (false, false)] {
        let archive = "rcpt-451-4.7.1-3-times@keep.example";
        let retry = "[delivery.retry]\nfirst = \"300ms\"";
        let Sent { rows, got, stdout } = send(&format!("\"{archive}\""), retry, pipelining, chunking);
        for row in [0, 2] {
            assert!(rows[row].1.as_ref().is_some_and(|reply| reply.starts_with("250 ")), "{rows:?}");
        }
        let expected = [ANN, BOB].map(|whose| format!("{whose}: {whose}")).into_iter();
        let mut expected: Vec<String> =
            expected.chain([ANN, BOB].map(|whose| format!("{archive}: {whose}"))).collect();
        expected.sort();
        assert_eq!(got, expected);
        assert!(!stdout.contains("copies"), "{stdout}");
    }
}

#[test]
fn a_copy_that_waits_outlives_the_process() {
    let dir = Dir::new();
    let record = dir.path().join("taken.jsonl");
    let relay = Relay::start(Options { record: Some(record.clone()), ..Options::default() });
    // Its RCPT comes with each of the three recipients.
    let archive = "rcpt-451-4.7.1-3-times@keep.example";
    let file = archived(&dir, &format!("\"{archive}\""), &relay, "[delivery.retry]\nfirst = \"60s\"");
    let mut child = dir.start(&["send", &file]);
    while record::read(&record).unwrap_or_default().len() < 2 {
        std::thread::yield_now();
    }
    let kill = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
    assert!(kill.unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(4), "copies are still to be sent");
    let archived = |rows: &[ResultRow<'_>]| {
        rows.iter().map(|row| row.archive.as_deref().map(|reply| reply[..3].to_owned())).collect::<Vec<_>>()
    };
    let refused = Some("451".to_owned());
    assert_eq!(archived(&dir.results("one")), [refused.clone(), None, refused]);

    dir.run(&["send", &file]).ended(1);
    let rows = dir.results("one");
    let taken = Some("250".to_owned());
    assert_eq!(archived(&rows), [taken.clone(), None, taken]);
    assert_eq!(got(&rows, &record).len(), 4, "each recipient once, and the archive twice");
    assert!(rows.iter().all(|row| row.attempts == 1));

    // Each copy that was sent again is a message that the agreement counts.
    let copies: Vec<usize> = rows.iter().map(|row| row.archive_attempts_at.len()).collect();
    assert_eq!(copies, [1, 0, 1]);
    let audit = dir.run(&["capacity", "audit", "one"]).ended(0).stdout();
    assert!(audit.contains("kept; 5 attempts"), "{audit}");
}

#[test]
fn a_refused_archive_changes_nothing_for_the_recipients() {
    for (pipelining, chunking) in [(true, true), (true, false), (false, true), (false, false)] {
        let Sent { rows, got, stdout } = send("\"rcpt-550-5.7.1@keep.example\"", "", pipelining, chunking);
        let case = format!("PIPELINING {pipelining}, CHUNKING {chunking}: {rows:?}");
        for row in [0, 2] {
            assert_eq!(rows[row].0, Disposition::Accepted, "{case}");
            assert!(rows[row].1.as_ref().is_some_and(|reply| reply.starts_with("550 5.7.1 ")), "{case}");
        }
        assert_eq!(rows[1], (Disposition::Bounced, None), "{case}");
        assert_eq!(got, [format!("{ANN}: {ANN}"), format!("{BOB}: {BOB}")], "{case}");
        assert!(stdout.contains("the copies of 2 accepted messages were refused"), "{stdout}");
    }
}

#[test]
fn a_test_message_is_not_archived() {
    let dir = Dir::new();
    let record = dir.path().join("taken.jsonl");
    let relay = Relay::start(Options { record: Some(record.clone()), ..Options::default() });
    let file = archived(&dir, "\"archive@keep.example\"", &relay, "");
    dir.run(&["send", &file, "--to", "me@b.example", "--row", "1"]).ended(0);
    let got: Vec<String> = taken(&record).into_iter().map(|(_, to)| to).collect();
    assert_eq!(got, ["me@b.example"]);
}
