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
    assert!(all.contains("refused") && all.contains("see the hint below"), "{all}");
    let hint = json["refused"]["hint"].as_str().unwrap();
    assert!(json["next"].is_null(), "a command would be refused again: {json}");
    assert!(all.contains(&format!("    hint: {hint}\n")) && all.contains(why), "{all}");
    assert!(status.contains(&format!("\nhint: {hint}\n")), "{status}");
    assert!(!status.contains("nothing was sent"), "said once: {status}");
    let results = dir.run(&["results", "one"]).ended(2).says("has sent nothing: it was refused at").says(why);
    let results = results.says(&format!("hint: {hint}\n"));
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

/// `status`, its probe and `results` say that the start was refused, and why.
#[track_caller]
fn check_refused_start(dir: &Dir, why: &str) {
    for args in [["status", "one"].as_slice(), &["status", "one.toml"], &["status"], &["status", "--check"]] {
        let ran = dir.run(args);
        assert_eq!(ran.code(), if args.len() == 2 && args[1] == "--check" { 3 } else { 0 }, "{args:?}");
        let text = ran.stdout();
        assert!(
            text.contains("refused at") && text.contains(why) && text.contains("one"),
            "{args:?}: {text}"
        );
        let json = dir.run(&[args, &["--json"]].concat()).stdout();
        let json: Value = serde_json::from_str(&json).unwrap();
        let start = match args {
            ["status", "one" | "one.toml"] => &json["refused_start"],
            _ => &json["refused_starts"][0],
        };
        assert!(start["why"].as_str().unwrap().contains(why), "{args:?}: {json}");
        assert!(start["campaign_file"].as_str().unwrap().ends_with("/one.toml"), "{json}");
    }
    let probe = dir.run(&["status", "one", "--check", "--json"]).ended(3);
    let json: Value = serde_json::from_str(&probe.stdout()).unwrap();
    assert_eq!((&json["healthy"], &json["exit_code"]), (&false.into(), &3.into()));
}

#[test]
fn a_start_that_was_refused_before_there_was_a_run_says_so_until_one_gets_further() {
    let dir = Dir::new();
    let relay = Relay::start(Options::default());
    let file = campaign(&dir, "one", relay.port(), "", "");
    // Nothing is kept of the name of a file that never was a campaign, of a test or a rehearsal.
    dir.run(&["send", "non.toml"]).ended(2);
    for aside in ["--sandbox", "--dry-run", "--to=me@a.example"] {
        dir.run(&["send", &file, aside]).ended(2).says("one.csv");
    }
    assert!(dir.run(&["status", "--check"]).ended(0).stdout().contains("no runs yet"));

    let ran = dir.run(&["send", &file]).ended(2).says("one.csv");
    check_refused_start(&dir, "one.csv");
    let said = ran.stderr();
    let hint = said.split_once("\nhint: ").unwrap().1.trim_end();
    for args in [["status", "one"].as_slice(), &["status"], &["status", "--check"]] {
        let text = dir.run(args).stdout();
        assert!(text.contains(&format!("hint: {hint}\n")), "{args:?}: {text}");
    }
    dir.run(&["results", "one"]).ended(2).says("campaign `one` has no run: its last start was refused at");
    list(&dir, "one", 2);
    dir.write("letter.hbs", "Hello {{#if}}\n");
    dir.run(&["send", &file]).ended(2).says("letter.hbs");
    check_refused_start(&dir, "letter.hbs:1");
    dir.write("letter.hbs", "Hello {{n}}\n");
    dir.run(&["send", &file]).ended(0);
    let ends_well = || {
        assert!(!dir.run(&["status", "one"]).ended(0).stdout().contains("refused"));
        let json = dir.run(&["status", "--check", "--json"]).ended(0).stdout();
        let json: Value = serde_json::from_str(&json).unwrap();
        assert_eq!((&json["healthy"], &json["refused_starts"]), (&true.into(), &Value::Array(Vec::new())));
    };
    ends_well();

    // The campaign has a run now, and its next start is refused: the approval is of something else,
    // or its file can't be read.
    let good = fs::read_to_string(dir.path().join(&file)).unwrap();
    let refuse = |args: &[&str], code: i32, why: &str| {
        dir.run(&[&["send", file.as_str()], args].concat()).ended(code);
        check_refused_start(&dir, why);
        let results = dir.run(&["results", "one"]).ended(0);
        results.says("the last start of one was refused at").says(why);
        dir.run(&["status", "one/", "--check"]).ended(3);
        let id = dir.run_of("one").file_name().unwrap().to_str().unwrap().to_owned();
        assert!(!dir.run(&["status", &id]).ended(0).stdout().contains("refused"), "it is the run's own name");
    };
    refuse(&["--approved", &"ab".repeat(32)], 3, "differs from what was approved");
    dir.write(&file, good.replace("port = ", "prot = "));
    refuse(&[], 2, "unknown key `prot`");
    dir.write(&file, format!("{good}\n=\n"));
    refuse(&[], 2, "one.toml:");
    dir.write(&file, good.replace("127.0.0.1", "${RELAY}"));
    refuse(&[], 2, "the variable `RELAY` is not set");
    fs::remove_file(dir.path().join(&file)).unwrap();
    refuse(&[], 2, "can't read the campaign file");
    dir.write(&file, good);
    dir.run(&["send", &file]).ended(0);
    ends_well();
}
