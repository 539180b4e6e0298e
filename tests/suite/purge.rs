//! Runs whose time is over are removed, and one person's data: as a whole, whenever the program is
//! killed.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use mailrun::sandbox::Options;
use serde_json::{Value, json};

use crate::kit::{Dir, Relay, campaign, list};

/// A run of `rows` recipients, whose results are not compressed. The first is refused by the relay,
/// with a reply that names it.
fn sent(dir: &Dir, rows: usize) {
    let relay = Relay::start(Options::default());
    list(dir, "one", rows);
    let path = dir.path().join("one.csv");
    let text = fs::read_to_string(&path).unwrap().replace("r0@", "rcpt-550-5.1.1@");
    fs::write(&path, text + "bob@@one.example,90\nR1@one.example,91\n").unwrap();
    let more = "[keep]\nrecover = \"45d\"\n[results]\ncompression = \"none\"\ncolumns = [\"n\"]\n[stop]\nbounce-percent = 0\n";
    let file = campaign(dir, "one", relay.port(), "", more);
    dir.run(&["send", &file, "--set", "stop.max-invalid-percent=90"]).ended(1);
    relay.stop();
}

/// The files of runs and state that hold a text, in any case.
fn kept_with(dir: &Dir, text: &str) -> Vec<PathBuf> {
    let mut found = dir.files_with(text);
    found.extend(dir.files_with(&text.to_uppercase()));
    found.retain(|path| ["runs", "state"].iter().any(|folder| path.starts_with(dir.path().join(folder))));
    found
}

fn asked(dir: &Dir, code: i32, args: &[&str]) -> Value {
    let ran = dir.run(&[&["purge", "--json"], args].concat()).ended(code);
    serde_json::from_str(&ran.stdout()).unwrap()
}

#[test]
fn of_a_person_nothing_is_left_and_other_rows_are_as_they_were() {
    let dir = Dir::new();
    sent(&dir, 6);
    let (gone, bounced) = ("r1@one.example", "rcpt-550-5.1.1@one.example");
    let event = json!({
        "RecordType": "Bounce", "Type": "HardBounce", "ID": 42, "Email": gone,
        "Details": format!("smtp;550 5.1.1 <{gone}> unknown"), "BouncedAt": "2025-11-02T10:00:00Z",
    });
    dir.write("events.jsonl", event.to_string());
    dir.run(&["feedback", "import", "events.jsonl"]).ended(0);
    dir.run(&["feedback", "tables"]).ended(0);
    dir.run(&["results", "one", "--with-feedback"]).ended(0);
    let before = dir.results("one");

    // Listed first, and nothing is removed.
    let said = asked(&dir, 0, &["--recipient", "R1@one.example"]);
    assert_eq!((&said["removed"], &said["runs"][0]["rows"]), (&false.into(), &2.into()), "{said:#}");
    assert_eq!((&said["feedback"], &said["suppressed"]), (&1.into(), &1.into()), "{said:#}");
    assert_eq!(dir.results("one"), before);
    let listed = dir.run(&["purge", "--recipient", gone]).ended(0).stdout();
    assert!(listed.contains("2 rows") && listed.contains("--yes removes this"), "{listed}");

    assert_eq!(asked(&dir, 0, &["--recipient", gone, "--yes"])["removed"], true);
    let only_state = kept_with(&dir, gone);
    let in_runs = |path: &&PathBuf| !path.starts_with(dir.path().join("state"));
    assert_eq!(only_state.iter().find(in_runs), None);
    dir.run(&["suppress", "check", gone]).ended(1);
    asked(&dir, 0, &["--recipient", gone, "--yes", "--with-suppression"]);
    assert_eq!(kept_with(&dir, gone), Vec::<PathBuf>::new());
    dir.run(&["suppress", "check", gone]).ended(0);
    let again = asked(&dir, 0, &["--recipient", gone]);
    assert_eq!((&again["runs"], &again["feedback"]), (&json!([]), &0.into()));

    let after = dir.results("one");
    assert_eq!(after.len(), before.len());
    for (before, after) in std::iter::zip(&before, &after) {
        if before.email.as_deref().is_some_and(|email| email.eq_ignore_ascii_case(gone)) {
            assert_eq!((before.row, before.disposition), (after.row, after.disposition));
            assert!(
                after.email.as_deref().is_none_or(|email| email == "removed@purged.invalid"),
                "{after:?}"
            );
        } else {
            assert_eq!(before, after);
        }
    }
    // The run is as good as before.
    dir.run(&["status", "one"]).ended(0);
    dir.run(&["results", "one"]).ended(0);
    assert_eq!(dir.results("one"), after);
    assert!(dir.run(&["trace", "--recipient", "r2@one.example"]).ended(0).stdout().contains("Number 2"));
    dir.run(&["trace", "--recipient", gone]).ended(2);
    dir.run(&["resend", "one", "1"]).ended(2).says("has sent nothing to `1`");
    dir.run(&["feedback", "summary"]).ended(0);

    // Nobody is left to send to again.
    asked(&dir, 0, &["--recipient", bounced, "--yes", "--with-suppression"]);
    assert_eq!(kept_with(&dir, bounced), Vec::<PathBuf>::new());
    dir.run(&["retry", "one", "--disposition", "bounced"]).ended(2).says("no rows");
}

#[test]
fn killed_at_any_moment_a_run_is_whole_and_the_rest_is_removed_later() {
    let dir = Dir::new();
    let rows = 14;
    sent(&dir, rows);
    let run = dir.run_of("one");
    let version = dir.path().join("runs/.purged/one").join(run.file_name().unwrap());
    let inode = |path: &Path| fs::metadata(path).map(|data| data.ino()).ok();
    let mut killed = 0;
    for n in 1..rows {
        let gone = format!("r{n}@one.example");
        let old = inode(&run);
        // What a version of the run gets, one after the other; that it takes the run's place; and
        // that the run before it is gone.
        let moment = || match (n - 1) % 7 {
            0 => version.exists(),
            1 => version.join("plan.arrow").exists(),
            2 => version.join("journal.db").exists(),
            3 => version.join("manifest.json").exists(),
            4 => version.join("results").exists(),
            5 => inode(&run) != old,
            _ => inode(&run) != old && !version.exists(),
        };
        killed += usize::from(dir.killed_once(&["purge", "--recipient", &gone, "--yes"], moment));
        dir.run(&["status", "one"]).ended(0);
        let results = dir.results("one");
        assert_eq!(results.len(), rows + 2);
        let left = results.iter().filter(|row| row.email.as_deref() == Some(gone.as_str())).count();
        assert_eq!(left > 0, kept_with(&dir, &gone).contains(&run.join("plan.arrow")), "{gone}");
        asked(&dir, 0, &["--recipient", &gone, "--yes"]);
        assert_eq!(kept_with(&dir, &gone), Vec::<PathBuf>::new());
        assert!(!dir.path().join("runs/.purged").exists());
        dir.run(&["results", "one"]).ended(0);
    }
    assert!(killed > 5, "{killed} kills came in time");
}

#[test]
fn runs_go_when_their_time_is_over_and_their_recipients_get_nothing_again() {
    let dir = Dir::new();
    sent(&dir, 3);
    // The time that it is kept is not over.
    assert_eq!(asked(&dir, 0, &["--yes"])["runs"], json!([]));
    let listed = asked(&dir, 0, &["--older-than", "1ms"]);
    assert_eq!((&listed["removed"], listed["runs"].as_array().unwrap().len()), (&false.into(), 1));
    dir.run_of("one");
    asked(&dir, 0, &["--older-than", "1ms", "--yes"]);
    assert!(!dir.path().join("runs/one").exists() && !dir.path().join("runs/.purged").exists());
    assert!(dir.run(&["status"]).ended(0).stdout().contains("no runs yet"));
    // The state knows who got it.
    let relay = Relay::start(Options::default());
    dir.run(&[
        "send",
        "one.toml",
        "--set",
        "stop.max-invalid-percent=90",
        "--set",
        &format!("delivery.relay.port={}", relay.port()),
    ]);
    assert_eq!(relay.stop().accepted, 0);
}

#[test]
fn a_run_that_is_not_over_is_refused() {
    let dir = Dir::new();
    let relay = Relay::start(Options::default());
    list(&dir, "one", 3);
    let file = campaign(&dir, "one", relay.port(), "", "");
    dir.run(&["send", &file, "--not-after", "2001-01-01T00:00:00Z"]).ended(4);
    dir.run(&["purge", "--recipient", "r1@one.example", "--yes"]).ended(2).says("is not finished");
    assert_eq!(asked(&dir, 0, &["--older-than", "1ms", "--yes"])["runs"], json!([]));
    dir.run_of("one");
    relay.stop();
}
