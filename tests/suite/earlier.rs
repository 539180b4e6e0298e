//! What version 0.1.0 left behind is read, resumed and finished: see `fixtures/earlier/README.md`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use mailrun::mail::Disposition;
use mailrun::sandbox::{Options, record};

use crate::kit::{Dir, Relay};

/// A copy of the fixture, its campaigns pointed at `port`. Years may have passed since the rows'
/// first attempts: what waited for a retry is still tried again.
fn left_behind(port: u16) -> Dir {
    let dir = Dir::new();
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/earlier");
    for name in ["done.csv", "half.csv", "letter.hbs"] {
        dir.write(name, fs::read(fixture.join(name)).unwrap());
    }
    for name in ["done.toml", "half.toml"] {
        let text = fs::read_to_string(fixture.join(name)).unwrap();
        let text = text
            .replace("port = 2525", &format!("port = {port}"))
            .replace("[delivery.retry]", "[delivery.retry]\ngive-up-after = \"36500d\"");
        dir.write(name, text);
    }
    copy(&fixture.join("runs-0.1.0"), &dir.path().join("runs"));
    copy(&fixture.join("state-0.1.0"), &dir.path().join("state"));
    dir
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// How often the receiver accepted a message for each recipient.
fn times(records: &[&Path]) -> BTreeMap<String, u64> {
    let mut times = BTreeMap::new();
    for entry in records.iter().flat_map(|path| record::read(path).unwrap()) {
        *times.entry(entry.recipient).or_default() += 1;
    }
    times
}

#[test]
fn a_half_finished_run_of_0_1_0_is_finished_and_nobody_gets_it_twice() {
    let before = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/earlier/taken.jsonl");
    let scratch = Dir::new();
    let after = scratch.path().join("taken.jsonl");
    let relay = Relay::start(Options { record: Some(after.clone()), ..Options::default() });
    let dir = left_behind(relay.port());

    let status = dir.run(&["status", "half", "--json"]).ended(0).stdout();
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    assert_eq!(status["counts"]["accepted"], 6, "{status}");
    assert_eq!(status["counts"]["bounced"], 1, "{status}");
    dir.run(&["results", "half"]).ended(0);
    dir.run(&["send", "half.toml", "--no-progress"]).ended(1);
    relay.stop();

    let results = dir.results("half");
    assert_eq!(results.len(), 25);
    let times = times(&[&before, &after]);
    let mut counts = BTreeMap::new();
    for row in &results {
        let taken = times.get(row.email.as_deref().unwrap()).copied().unwrap_or(0);
        match row.disposition {
            Disposition::Accepted => assert_eq!(taken, 1, "{:?}", row.email),
            Disposition::InDoubt => assert!(taken <= 1, "{:?} was accepted {taken} times", row.email),
            // The duplicate has the address of another row, but for its capital letter.
            _ => assert_eq!(taken, 0, "{:?} is {}", row.email, row.disposition),
        }
        *counts.entry(row.disposition.to_string()).or_insert(0) += 1;
    }
    let counts: Vec<(&str, i32)> = counts.iter().map(|(word, rows)| (word.as_str(), *rows)).collect();
    assert_eq!(
        counts,
        [
            ("accepted", 17),
            ("bounced", 1),
            ("duplicate", 1),
            ("in_doubt", 4),
            ("invalid", 1),
            ("suppressed", 1)
        ]
    );
}

#[test]
fn a_finished_run_of_0_1_0_is_read_and_not_sent_again() {
    let relay = Relay::start(Options::default());
    let dir = left_behind(relay.port());
    dir.run(&["send", "done.toml"]).ended(1).says("nothing is sent again");
    assert_eq!(relay.stop().accepted, 0);

    let accepted = [("accepted", 11), ("bounced", 1), ("duplicate", 1), ("invalid", 1)];
    let accepted = accepted.map(|(word, rows)| (word.to_owned(), rows));
    assert_eq!(dir.dispositions("done"), accepted, "the result files that 0.1.0 wrote");
    fs::remove_dir_all(dir.run_of("done").join("results")).unwrap();
    dir.run(&["results", "done"]).ended(0);
    assert_eq!(dir.dispositions("done"), accepted, "written again from its plan and journal");
    dir.run(&["status", "done", "--recipient", "r3@done.example"]).ended(0);
}

#[test]
fn the_state_of_0_1_0_is_read_and_kept() {
    let dir = left_behind(1);
    let listed = dir.run(&["suppress", "list"]).ended(0).stdout();
    assert!(listed.contains("suppressed@half.example"), "{listed}");
    let key = fs::read(dir.path().join("state/token.key")).unwrap();
    dir.run(&["capacity"]).ended(0);
    dir.run(&["suppress", "add", "new@half.example"]).ended(0);
    let of_list = ["--list-id", "news.example.com", "suppressed@half.example"];
    dir.run(&[&["suppress", "add"], of_list.as_slice()].concat()).ended(0).says("1 added");
    dir.run(&[&["suppress", "remove"], of_list.as_slice()].concat()).ended(0).says("1 removed");
    let listed = dir.run(&["suppress", "list"]).ended(0).stdout();
    assert!(listed.contains("suppressed@half.example") && listed.contains("new@half.example"), "{listed}");
    assert_eq!(fs::read(dir.path().join("state/token.key")).unwrap(), key);
}
