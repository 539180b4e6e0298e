//! A start that was refused leaves a trace: what refused it, and why.

use std::fs;

use mailrun::sandbox::Options;
use serde_json::Value;

use crate::kit::{Dir, Relay, campaign, list};

/// What is known of the run that was refused.
#[track_caller]
fn check_trace(dir: &Dir, why: &str) {
    let status = dir.run(&["status", "one"]).ended(0).stdout();
    assert!(
        status.contains("refused at") && status.contains("nothing sent") && status.contains(why),
        "{status}"
    );
    let json: Value = serde_json::from_str(&dir.run(&["status", "one", "--json"]).ended(0).stdout()).unwrap();
    assert!(json["refused"]["why"].as_str().unwrap().contains(why), "{json}");
    let all = dir.run(&["status"]).ended(0).stdout();
    assert!(all.contains("refused") && all.contains("mailrun send one.toml"), "{all}");
    let results = dir.run(&["results", "one"]).ended(2).says("has sent nothing: it was refused at").says(why);
    assert!(!results.stderr().contains("is not known"), "{}", results.stderr());
    dir.run(&["retry", "one", "--disposition", "deferred"]).ended(2).says("has sent nothing");
}

#[test]
fn a_run_that_a_check_refused_says_so_until_it_is_started() {
    let dir = Dir::new();
    let relay = Relay::start(Options::default());
    list(&dir, "one", 4);
    let file = campaign(&dir, "one", relay.port(), "", "[stop]\nmin-rows = 5");
    dir.run(&["send", &file]).ended(2);
    check_trace(&dir, "`[stop] min-rows` is 5");
    let manifest = fs::read_to_string(dir.run_of("one").join("manifest.json")).unwrap();
    assert!(manifest.contains("\"refused\": {"), "{manifest}");
    dir.run(&["send", &file, "--deadline", "2001-01-01T00:00:00Z"]).ended(2);
    campaign(&dir, "one", relay.port(), "", "");
    dir.run(&["send", &file, "--deadline", "2001-01-01T00:00:00Z"]).ended(3);
    check_trace(&dir, "the deadline can't be met");
    dir.run(&["send", &file]).ended(0);
    let status = dir.run(&["status", "one"]).ended(0).stdout();
    assert!(status.contains("finished") && !status.contains("refused"), "{status}");
    dir.run(&["results", "one"]).ended(0);
}

#[test]
fn a_run_that_was_refused_while_it_was_planned_says_so() {
    let dir = Dir::new();
    let relay = Relay::start(Options::default());
    list(&dir, "one", 4);
    let file = campaign(&dir, "one", relay.port(), "", "");
    dir.run(&["send", &file]).ended(0);
    let first = dir.run_of("one");
    dir.write("letter.hbs", "Another text {{n}}\n");
    dir.run(&["send", &file]).ended(2);
    fs::remove_dir_all(first).unwrap();
    check_trace(&dir, "got this edition already");
}
