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
    for part in ["finished", "1 accepted, 1 deferred", &again] {
        assert!(lines[2].contains(part), "`{part}` is not in {}", lines[2]);
    }
    assert!(lines[2].contains("just now") || lines[2].contains("s ago"), "{}", lines[2]);
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
    let limited =
        dir.run(&["send", &file, "--limit", "1"]).ended(2).says("with different content (`--limit`)");
    assert!(
        limited.stderr().contains("resume it with the options that it was started with"),
        "{}",
        limited.stderr()
    );
    dir.run(&["send", &file, "--run-id", "a", "--limit", "1"])
        .ended(2)
        .says("use the options that it was started with");
    let text = fs::read_to_string(dir.path().join(&file)).unwrap();
    dir.write(&file, text.replace("[sender]\n", "[sender]\nverp = true\n"));
    list(&dir, "one", 3);
    let edited =
        dir.run(&["send", &file]).ended(2).says("with different content (the target group, `[sender]`)");
    assert!(edited.stderr().contains("restore its files"), "{}", edited.stderr());
    dir.write(&file, text);
    list(&dir, "one", 2);
    dir.run(&["send", &file, "--run-id", "a"]).ended(0);
}

/// The campaign `one` in a folder of its own.
fn in_folder(dir: &Dir, folder: &str, relay: &Relay, rows: &str) -> String {
    let file = campaign(dir, "one", relay.port(), "", "");
    dir.write(&format!("{folder}/letter.hbs"), "Hello {{n}}\n");
    dir.write(&format!("{folder}/one.csv"), format!("email,n\n{rows}"));
    let text = fs::read_to_string(dir.path().join(file)).unwrap();
    dir.write(&format!("{folder}/campaign.toml"), &text);
    text
}

#[test]
fn a_campaign_is_found_by_its_folder_whatever_its_file_says() {
    let dir = Dir::new();
    let relay = Relay::start(Options::default());
    let text = in_folder(&dir, "news", &relay, "ann@a.example,1\nrcpt-550@a.example,2\n");
    dir.run(&["send", "news"]).ended(1);
    for broken in [text.replace("127.0.0.1", "${RELAY}"), text.replace("port", "prot"), format!("{text}=\n")]
    {
        dir.write("news/campaign.toml", broken);
        let status = dir.run(&["status", "news"]).ended(0).stdout();
        assert!(status.starts_with("one/") && status.contains("bounced"), "{status}");
        dir.run(&["status", "news/campaign.toml", "--recipient", "ann@a.example"]).ended(0);
        dir.run(&["results", "news"]).ended(0);
        dir.run(&["capacity", "audit", "news"]).ended(0);
    }
    // What sends again needs the campaign, and says what is missing in it.
    dir.write("news/campaign.toml", text.replace("127.0.0.1", "${RELAY}"));
    dir.run(&["retry", "news", "--disposition", "bounced"]).ended(2).says("the variable `RELAY` is not set");
    fs::remove_dir_all(dir.path().join("news/runs")).unwrap();
    dir.write("news/campaign.toml", format!("{text}=\n"));
    dir.run(&["status", "news"]).ended(2).says("news/campaign.toml:");
}

#[test]
fn of_two_folders_with_one_campaign_id_the_latest_run_answers() {
    let dir = Dir::new();
    let relay = Relay::start(Options::default());
    for (folder, rows) in [("a", "ann@a.example,1\n"), ("b", "bob@b.example,1\neve@b.example,2\n")] {
        in_folder(&dir, folder, &relay, rows);
        dir.run(&["send", folder]).ended(0);
        // Of each folder the probe looks at the latest run.
        let probe = dir.run(&["status", "--check", "--json"]).ended(0).stdout();
        let probe: Value = serde_json::from_str(&probe).unwrap();
        assert_eq!(probe["runs"].as_array().unwrap().len(), if folder == "a" { 1 } else { 2 });
    }
    let rows = |name: &str| {
        let json = dir.run(&["status", name, "--json"]).ended(0).stdout();
        serde_json::from_str::<Value>(&json).unwrap()["rows"].clone()
    };
    assert_eq!((rows("one"), rows("a"), rows("b")), (2.into(), 1.into(), 2.into()));
    in_folder(&dir, "a", &relay, "ann@a.example,1\numa@a.example,2\nkim@a.example,3\n");
    dir.run(&["send", "a"]).ended(0);
    assert_eq!((rows("one"), rows("b")), (3.into(), 2.into()));
}

/// The next step of each run, the latest first.
fn next_steps(dir: &Dir) -> Vec<Value> {
    let json: Value = serde_json::from_str(&dir.run(&["status", "--json"]).ended(0).stdout()).unwrap();
    json["runs"].as_array().unwrap().iter().map(|run| run["next"].clone()).collect()
}

#[test]
fn no_next_step_repeats_what_another_run_did() {
    let dir = Dir::new();
    let relay = Relay::start(Options::default());
    let give_up = "[delivery.retry]\nfirst = \"20ms\"\nlongest = \"50ms\"\ngive-up-after = \"200ms\"";
    let file = campaign(&dir, "one", relay.port(), "", give_up);
    dir.write("one.csv", "email,n\nann@a.example,1\nrcpt-451-always@a.example,2\nbob@a.example,3\n");
    dir.run(&["send", &file, "--limit", "2"]).ended(1);
    let first = dir.run_of("one").file_name().unwrap().to_str().unwrap().to_owned();
    let step = |run: &str, dispositions: &str| {
        Value::from(format!("mailrun retry one/{run} --disposition {dispositions}"))
    };
    assert_eq!(next_steps(&dir), [step(&first, "deferred,not_attempted")]);
    dir.run(&["retry", "one", "--disposition", "deferred"]).ended(1);
    let steps = next_steps(&dir);
    assert_eq!(steps[1], step(&first, "not_attempted"), "{steps:?}");
    assert!(steps[0].as_str().unwrap().ends_with("--disposition deferred"), "{steps:?}");
    // The whole list is sent: nothing is left that `--limit` left out.
    dir.run(&["retry", &first, "--disposition", "not_attempted"]).ended(1);
    assert_eq!(next_steps(&dir)[2], Value::Null);
    let status = dir.run(&["status", &first, "--check"]).ended(1).stdout();
    assert!(!status.contains("mailrun retry"), "{status}");
}

#[test]
fn a_run_that_a_later_one_replaced_is_not_resumed() {
    let dir = Dir::new();
    let relay = Relay::start(Options::default());
    let file = campaign(&dir, "one", relay.port(), "", "");
    list(&dir, "one", 2);
    dir.run(&[&["send", &file], BEGIN_ONLY.as_slice()].concat()).ended(4);
    assert_eq!(next_steps(&dir), ["mailrun send one.toml"]);
    let set = ["--set", "template.subject=Hello, you"];
    dir.run(&[&["send", &file, "--new-run"], set.as_slice(), &BEGIN_ONLY].concat()).ended(4);
    assert_eq!(
        next_steps(&dir),
        ["mailrun send one.toml --set 'template.subject=Hello, you'".into(), Value::Null]
    );
    list(&dir, "one", 3);
    dir.run(&["send", &file, "--new-run"]).ended(0);
    assert_eq!(next_steps(&dir), [Value::Null, Value::Null, Value::Null]);
}
