//! `archive-bcc` from the campaign file to the results: the archive's copies, and what is said of
//! them.

use std::fs;
use std::path::Path;

use mailrun::mail::Disposition;
use mailrun::sandbox::{Options, record};

use crate::kit::{Dir, Relay, campaign};

const ANN: &str = "ann@a.example";
const REFUSED: &str = "rcpt-550-5.1.1@a.example";
const BOB: &str = "bob@a.example";

/// A campaign to the three of them, with an archive.
fn archived(dir: &Dir, archive: &str, relay: &Relay) -> String {
    dir.write("one.csv", format!("email,n\n{ANN},1\n{REFUSED},2\n{BOB},3\n"));
    let name = campaign(dir, "one", relay.port(), "", "");
    let path = dir.path().join(&name);
    let text = fs::read_to_string(&path).unwrap();
    let text = text.replacen("[target-group]", &format!("archive-bcc = \"{archive}\"\n[target-group]"), 1);
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
fn send(archive: &str, pipelining: bool, chunking: bool) -> Sent {
    let dir = Dir::new();
    let record = dir.path().join("taken.jsonl");
    let mut options = Options { record: Some(record.clone()), eager_data: true, ..Options::default() };
    options.extensions.pipelining = pipelining;
    options.extensions.chunking = chunking;
    let relay = Relay::start(options);
    let file = archived(&dir, archive, &relay);
    let stdout = dir.run(&["send", &file]).ended(1).stdout();
    assert_eq!(relay.stop().client_errors, 0);
    let rows = dir.results("one");
    assert!(rows.iter().all(|row| row.attempts == 1), "one transmission each, copy included: {rows:?}");
    let message = |email: &str| {
        let row = rows.iter().find(|row| row.email.as_deref() == Some(email)).unwrap();
        row.message_id.clone().unwrap().into_owned()
    };
    let names = [ANN, REFUSED, BOB].map(|email| (message(email), email));
    let mut got: Vec<String> = taken(&record)
        .into_iter()
        .map(|(id, to)| {
            let whose = names.iter().find(|(message, _)| *message == id).expect("no message is empty").1;
            format!("{to}: {whose}")
        })
        .collect();
    got.sort();
    let rows = rows.into_iter().map(|row| (row.disposition, row.archive.map(|reply| reply.into_owned())));
    Sent { rows: rows.collect(), got, stdout }
}

#[test]
fn the_archive_gets_what_its_recipients_get() {
    let archive = "archive@keep.example";
    for (pipelining, chunking) in [(true, true), (true, false), (false, true), (false, false)] {
        let Sent { rows, got, stdout } = send(archive, pipelining, chunking);
        let case = format!("PIPELINING {pipelining}, CHUNKING {chunking}: {rows:?}");
        for row in [0, 2] {
            assert_eq!(rows[row].0, Disposition::Accepted, "{case}");
            assert!(rows[row].1.as_ref().is_some_and(|reply| reply.starts_with("250 2.0.0 ")), "{case}");
        }
        assert_eq!(rows[1].0, Disposition::Bounced, "{case}");
        let mut expected = vec![format!("{ANN}: {ANN}"), format!("{BOB}: {BOB}")];
        expected.extend([ANN, BOB].map(|whose| format!("{archive}: {whose}")));
        // All of it was written before the refusal came.
        let in_one_go = pipelining && chunking;
        if in_one_go {
            expected.push(format!("{archive}: {REFUSED}"));
        }
        expected.sort();
        assert_eq!(got, expected, "{case}");
        assert_eq!(rows[1].1.as_ref().is_some_and(|reply| reply.starts_with("250")), in_one_go, "{case}");
        assert!(!stdout.contains("its copy was refused"), "{stdout}");
    }
}

#[test]
fn a_refused_archive_changes_nothing_for_the_recipients() {
    for (pipelining, chunking) in [(true, true), (true, false), (false, true), (false, false)] {
        let Sent { rows, got, stdout } = send("rcpt-550-5.7.1@keep.example", pipelining, chunking);
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
    let file = archived(&dir, "archive@keep.example", &relay);
    dir.run(&["send", &file, "--to", "me@b.example", "--row", "1"]).ended(0);
    let got: Vec<String> = taken(&record).into_iter().map(|(_, to)| to).collect();
    assert_eq!(got, ["me@b.example"]);
}
