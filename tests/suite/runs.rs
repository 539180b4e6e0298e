//! Runs by name: listed, found, resumed, and never hidden by one that could not be begun.

use std::fs;

use mailrun::sandbox::Options;
use serde_json::Value;

use crate::kit::{Dir, Relay, campaign, list};

/// The run is planned and begun, and sends nothing.
const BEGIN_ONLY: [&str; 2] = ["--not-after", "2001-01-01T00:00:00Z"];

#[test]
fn status_without_a_run_lists_all_with_their_next_step() {
    let dir = Dir::new();
    dir.run(&["status"]).ended(0);
    let relay = Relay::start(Options::default());
    let retry = "[delivery.retry]\nfirst = \"20ms\"\nlongest = \"50ms\"\ngive-up-after = \"200ms\"";
    let one = campaign(&dir, "one", relay.port(), "", retry);
    dir.write("one.csv", "email,n\nann@a.example,1\nrcpt-451-always@a.example,2\n");
    dir.run(&["send", &one]).ended(1);
    let two = campaign(&dir, "two", relay.port(), "", "");
    list(&dir, "two", 5);
    dir.run(&[&["send", &two, "--limit", "3"], BEGIN_ONLY.as_slice()].concat()).ended(4);

    let text = dir.run(&["status"]).ended(0).stdout();
    let lines: Vec<&str> = text.lines().collect();
    let names = |path: std::path::PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
    let (first, second) = (names(dir.run_of("one")), names(dir.run_of("two")));
    assert_eq!(lines.len(), 3, "{text}");
    for part in [&format!("two/{second}"), "interrupted", "5 waiting", "mailrun send two.toml --limit 3"] {
        assert!(lines[1].contains(part), "`{part}` is not in {}", lines[1]);
    }
    let again = format!("mailrun retry one/{first} --disposition deferred");
    for part in ["finished", "1 accepted, 1 deferred", " ago", &again] {
        assert!(lines[2].contains(part), "`{part}` is not in {}", lines[2]);
    }
    let json: Value = serde_json::from_str(&dir.run(&["status", "--json"]).ended(0).stdout()).unwrap();
    assert_eq!(json["runs"][0]["next"], "mailrun send two.toml --limit 3");
    assert_eq!(
        (&json["runs"][1]["counts"]["deferred"], &json["runs"][1]["next"]),
        (&1.into(), &again.into())
    );

    // The step that is shown works, and then there is none.
    dir.run(&["send", "two.toml", "--limit", "3"]).ended(0);
    let json: Value = serde_json::from_str(&dir.run(&["status", "--json"]).ended(0).stdout()).unwrap();
    assert_eq!(json["runs"][0]["counts"]["accepted"], 3);
    // A run that can't be read is listed and hides none.
    fs::write(dir.run_of("one").join("manifest.json"), "{").unwrap();
    let text = dir.run(&["status"]).ended(0).stdout();
    assert!(text.contains("unreadable") && text.contains("manifest.json") && text.contains("two/"), "{text}");
}

#[test]
fn a_campaign_may_be_named_by_its_folder() {
    let dir = Dir::new();
    let relay = Relay::start(Options::default());
    let file = campaign(&dir, "one", relay.port(), "", "");
    dir.write("my-news/campaign.toml", fs::read(dir.path().join(file)).unwrap());
    dir.write("my-news/letter.hbs", "Hello {{n}}\n");
    dir.write("my-news/one.csv", "email,n\nann@a.example,1\n");
    dir.run(&["plan", "my-news"]).ended(0);
    dir.run(&["send", "my-news"]).ended(0);
    let status = dir.run(&["status", "my-news/"]).ended(0).stdout();
    assert!(status.starts_with("one/") && status.contains("accepted"), "{status}");
    fs::create_dir(dir.path().join("empty")).unwrap();
    dir.run(&["send", "empty"]).ended(2).says("empty/campaign.toml");
}

#[test]
fn a_retry_that_fails_hides_no_run() {
    let dir = Dir::new();
    let relay = Relay::start(Options::default());
    let file = campaign(&dir, "one", relay.port(), "", "");
    list(&dir, "one", 2);
    dir.run(&["send", &file]).ended(0);
    let run = dir.run_of("one");
    dir.run(&["retry", "one", "--disposition", "deferred"]).ended(2).says("no rows");
    assert_eq!(dir.run_of("one"), run, "nothing is left behind");
    dir.run(&["status", "one"]).ended(0);
    dir.run(&["results", "one"]).ended(0);
    // Neither does one that was killed before it began.
    fs::create_dir(run.with_file_name("zzz")).unwrap();
    dir.run(&["status", "one"]).ended(0);
    dir.run(&["send", &file]).ended(0).says("nothing is sent again");
}

#[test]
fn an_unfinished_run_says_what_differs() {
    let dir = Dir::new();
    let relay = Relay::start(Options::default());
    let file = campaign(&dir, "one", relay.port(), "", "");
    list(&dir, "one", 2);
    dir.run(&[&["send", &file, "--run-id", "a"], BEGIN_ONLY.as_slice()].concat()).ended(4);
    // As after a kill.
    let path = dir.run_of("one").join("manifest.json");
    let mut manifest = mailrun::run_dir::Manifest::read(&path).unwrap();
    manifest.state = mailrun::run_dir::RunState::Running;
    manifest.write(&path).unwrap();
    let refused = dir.run(&["send", &file]).ended(2).says("run `a` of this campaign is unfinished");
    assert!(refused.stderr().contains("has the same content; only its name differs"), "{}", refused.stderr());
    dir.run(&["send", &file, "--limit", "1"]).ended(2).says("with different content (`--limit`)");
    let text = fs::read_to_string(dir.path().join(&file)).unwrap();
    dir.write(&file, text.replace("[sender]\n", "[sender]\nverp = true\n"));
    list(&dir, "one", 3);
    dir.run(&["send", &file]).ended(2).says("with different content (the target group, `[sender]`)");
    dir.write(&file, text);
    list(&dir, "one", 2);
    dir.run(&["send", &file, "--run-id", "a"]).ended(0);
}
