//! What tells others how a run ended: hooks, the metrics file, the health probe.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use mailrun::sandbox::Options;
use serde_json::Value;

use crate::kit::{Dir, Relay, campaign, list, program};
use crate::serve::Serve;

/// The run is planned and begun, and sends nothing.
const BEGIN_ONLY: [&str; 2] = ["--not-after", "2001-01-01T00:00:00Z"];

/// Hooks that keep what they are told in `finish.json` and `stop.json`.
const KEEP: &str = "[hooks]\non-finish = [\"/bin/sh\", \"-c\", \"cat > finish.json\"]\n\
                    on-stop = [\"/bin/sh\", \"-c\", \"cat > stop.json\"]";

/// What a hook was told; it goes, so that the next call finds what is new.
fn told(dir: &Dir, name: &str) -> Option<Value> {
    let path = dir.path().join(name);
    let text = fs::read_to_string(&path).ok()?;
    fs::remove_file(&path).unwrap();
    Some(serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}")))
}

#[test]
fn hooks_are_told_how_a_run_ended() {
    let dir = Dir::new();
    let relay = Relay::start(Options::default());
    list(&dir, "one", 2);
    fs::write(
        dir.path().join("one.csv"),
        "email,n\nann@a.example,1\nbob@a.example,2\nrcpt-550@a.example,3\nann@a.example,4\n",
    )
    .unwrap();
    let file = campaign(&dir, "one", relay.port(), "", KEEP);
    dir.run(&[&["send", &file, "--edition", "may"], BEGIN_ONLY.as_slice()].concat()).ended(4);
    let stopped = told(&dir, "stop.json").unwrap();
    let run = dir.run_of("one");
    let name = format!("one/{}", run.file_name().unwrap().to_str().unwrap());
    assert_eq!(stopped["hook"], "on-stop");
    assert_eq!(
        (&stopped["campaign"], &stopped["run"], &stopped["edition"]),
        (&"one".into(), &name.as_str().into(), &"may".into())
    );
    assert_eq!((&stopped["outcome"], &stopped["exit_code"]), (&"interrupted".into(), &4.into()));
    assert_eq!(stopped["state"]["stop"]["cause"], "not_after");
    assert_eq!((&stopped["counts"]["not_attempted"], &stopped["planned"]), (&3.into(), &3.into()));
    assert_eq!(told(&dir, "finish.json"), None);

    dir.run(&["send", &file, "--edition", "may"]).ended(1);
    let finished = told(&dir, "finish.json").unwrap();
    assert_eq!((&finished["hook"], &finished["schema_version"]), (&"on-finish".into(), &1.into()));
    assert_eq!((&finished["outcome"], &finished["exit_code"]), (&"some_not_accepted".into(), &1.into()));
    let counts = &finished["counts"];
    assert_eq!(
        (&counts["accepted"], &counts["bounced"], &counts["duplicate"]),
        (&2.into(), &1.into(), &1.into())
    );
    assert_eq!((&finished["rows"], &finished["error"]), (&4.into(), &Value::Null));
    for key in ["directory", "results"] {
        assert!(Path::new(finished[key].as_str().unwrap()).is_dir(), "{key}: {finished}");
    }
    for key in ["started", "finished"] {
        assert!(finished[key].as_str().unwrap().ends_with('Z'), "{key}: {finished}");
    }
    assert_eq!(told(&dir, "stop.json"), None);

    // A run that had finished before ends no second time, and a refused start ends none.
    dir.run(&["send", &file, "--edition", "may"]).ended(1);
    dir.run(&["send", &file, "--edition", "june", "--deadline", "2001-01-01T00:00:00Z"]).ended(3);
    assert_eq!((told(&dir, "finish.json"), told(&dir, "stop.json")), (None, None));
}

#[test]
fn tests_and_rehearsals_start_no_hook_and_leave_the_metrics_alone() {
    let dir = Dir::new();
    let relay = Relay::start(Options::default());
    list(&dir, "one", 2);
    let file = campaign(&dir, "one", relay.port(), "", KEEP);
    let metrics = ["--metrics-file", "one.prom"];
    for aside in [["--sandbox", "--unpaced"].as_slice(), &["--to", "me@b.example"], &["--dry-run"]] {
        dir.run(&[&["send", &file], aside, &metrics].concat()).ended(0);
    }
    assert_eq!((told(&dir, "finish.json"), told(&dir, "stop.json")), (None, None));
    assert!(!dir.path().join("one.prom").exists());
}

#[test]
fn an_error_that_ends_a_run_stops_it_too() {
    let dir = Dir::new();
    let relay = Relay::start(Options::default());
    list(&dir, "one", 2);
    let file = campaign(&dir, "one", relay.port(), "", KEEP);
    dir.run(&[&["send", &file], BEGIN_ONLY.as_slice()].concat()).ended(4);
    told(&dir, "stop.json").unwrap();
    // The results can't be written.
    let results = dir.run_of("one").join("results");
    fs::remove_dir_all(&results).unwrap();
    fs::write(&results, "").unwrap();
    dir.run(&["send", &file]).ended(4).says("results");
    let stopped = told(&dir, "stop.json").unwrap();
    assert!(stopped["error"]["message"].as_str().unwrap().contains("results"), "{stopped}");
    assert_eq!((&stopped["counts"]["accepted"], &stopped["results"]), (&2.into(), &Value::Null));
}

#[test]
fn a_hook_that_fails_or_hangs_changes_nothing_and_is_said() {
    let dir = Dir::new();
    let relay = Relay::start(Options::default());
    list(&dir, "one", 2);
    let with = |hook: &str| {
        // Long enough for a busy machine, but for the one that never ends.
        let timeout = if hook.contains("sleep") { "2s" } else { "5m" };
        let hooks = format!("[hooks]\ntimeout = \"{timeout}\"\non-finish = {hook}");
        campaign(&dir, "one", relay.port(), "", &hooks)
    };
    let send = |hook: &str, edition: &str| {
        let ran = dir.run(&["send", &with(hook), "--edition", edition, "--json"]).ended(0);
        let summary: Value = serde_json::from_str(&ran.stdout()).unwrap();
        assert_eq!(summary["state"]["is"], "finished", "{summary}");
        dir.run(&["status", "--check", summary["run"].as_str().unwrap()]).ended(0);
        ran
    };
    send("[\"/bin/true\"]", "1");
    let ran = send("[\"/bin/sh\", \"-c\", \"echo a; echo '\\u001b[31mno pager' >&2; exit 3\"]", "2");
    let ran =
        ran.says("warning: the hook on-finish (`/bin/sh`) ended with exit status: 3: \\u{1b}[31mno pager");
    assert!(!ran.stderr().contains('\u{1b}') && !ran.stdout().contains("no pager"), "{}", ran.stderr());
    send("[\"./nothing\"]", "3").says("the hook on-finish (`./nothing`) can't be run: No such file");
    let begun = Instant::now();
    let hangs = "[\"/bin/sh\", \"-c\", \"sleep 600 & echo $! > pid; wait\"]";
    send(hangs, "4").says("the hook on-finish (`/bin/sh`) took longer than 2.0s and was killed");
    assert!(begun.elapsed() < Duration::from_secs(300));
    // What it started is gone as well, or at least dead.
    let started = fs::read_to_string(dir.path().join("pid")).unwrap();
    let stat = || fs::read_to_string(format!("/proc/{}/stat", started.trim()));
    while stat().is_ok_and(|stat| !stat.contains(") Z ")) {
        assert!(begun.elapsed() < Duration::from_secs(300), "still running");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(relay.stop().accepted, 8);
}

#[test]
fn a_hook_may_work_on_the_run_that_ended() {
    let dir = Dir::new();
    let relay = Relay::start(Options::default());
    list(&dir, "one", 1);
    let hook = format!("{} results one --json > written.json", program().display());
    let hooks = format!("[hooks]\non-finish = [\"/bin/sh\", \"-c\", \"{hook}\"]");
    let file = campaign(&dir, "one", relay.port(), "", &hooks);
    let ran = dir.run(&["send", &file]).ended(0);
    assert!(!ran.stderr().contains("hook"), "{}", ran.stderr());
    assert_eq!(told(&dir, "written.json").unwrap()["state"]["is"], "finished");
}

#[test]
fn the_metrics_file_keeps_the_last_success_over_runs_that_fail() {
    let dir = Dir::new();
    let relay = Relay::start(Options::default());
    list(&dir, "one", 2);
    let file = campaign(&dir, "one", relay.port(), "", "");
    let send = |args: &[&str], code: i32| {
        dir.run(&[&["send", &file, "--metrics-file", "one.prom"], args].concat()).ended(code);
        let text = fs::read_to_string(dir.path().join("one.prom")).unwrap();
        // The text exposition format: a help, a type, then samples of that name.
        let mut name = String::new();
        for line in text.lines() {
            match line.strip_prefix("# TYPE ") {
                Some(rest) => name = rest.strip_suffix(" gauge").unwrap().to_owned(),
                None if line.starts_with("# HELP ") => {}
                None => {
                    assert!(line.starts_with(&format!("{name}{{campaign=\"one\"")), "{line}");
                    line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap();
                }
            }
        }
        assert!(text.ends_with('\n'));
        move |sample: &str| -> f64 {
            let line = text.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
            line.unwrap_or_else(|| panic!("no {sample} in {text}")).parse().unwrap()
        }
    };
    let success = "mailrun_last_success_timestamp_seconds{campaign=\"one\"}";
    let exit_code = "mailrun_last_exit_code{campaign=\"one\"}";
    let accepted = "mailrun_last_run_rows{campaign=\"one\",disposition=\"accepted\"}";
    let value = send(&BEGIN_ONLY, 4);
    assert_eq!((value(success), value(exit_code), value(accepted)), (0.0, 4.0, 0.0));
    let value = send(&[], 0);
    let when = value(success);
    assert!(when > 1.7e9 && value("mailrun_last_end_timestamp_seconds{campaign=\"one\"}") == when);
    assert_eq!((value(exit_code), value(accepted)), (0.0, 2.0));
    // Refused, and then a campaign file that can't even be read.
    let value = send(&["--edition", "june", "--deadline", "2001-01-01T00:00:00Z"], 3);
    assert_eq!((value(success), value(exit_code)), (when, 3.0));
    let text = fs::read_to_string(dir.path().join(&file)).unwrap();
    dir.write(&file, "[campaign");
    let value = send(&[], 2);
    assert_eq!((value(success), value(exit_code)), (when, 2.0));
    dir.write(&file, text);
    // Nothing but the file is left, and the mail does not depend on it.
    let left = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(left.filter(|name| name.to_string_lossy().contains(".prom")).count(), 1);
    fs::create_dir(dir.path().join("folder.prom")).unwrap();
    let args = ["send", &file, "--edition", "july", "--metrics-file", "folder.prom"];
    dir.run(&args).ended(0).says("can't write the metrics file `folder.prom`");
    let args = ["send", &file, "--edition", "august", "--metrics-file", "nowhere/m.prom"];
    let ran = dir.run(&args).ended(0).says("can't write the metrics file `nowhere/m.prom`: No such file");
    assert!(!ran.stderr().contains(".new"), "its temporary name is nobody's: {}", ran.stderr());
    dir.run(&["send", &file, "--metrics-file", &file]).ended(2).says("`.prom`");
}

#[test]
fn status_says_by_its_exit_code_whether_all_is_well() {
    let dir = Dir::new();
    assert_eq!(dir.run(&["status", "--check"]).ended(0).stdout(), "no runs yet\n");
    let relay = Relay::start(Options::default());
    let good = campaign(&dir, "good", relay.port(), "", "");
    list(&dir, "good", 2);
    dir.run(&["send", &good]).ended(0);
    let text = dir.run(&["status", "--check"]).ended(0).stdout();
    assert!(
        text.trim_start().starts_with("well") && text.contains("good/") && text.contains("2 accepted"),
        "{text}"
    );

    let bad = campaign(&dir, "bad", relay.port(), "", "");
    dir.write("bad.csv", "email,n\nann@a.example,1\nrcpt-550@a.example,2\n");
    dir.run(&["send", &bad]).ended(1);
    dir.run(&["status", "--check"]).ended(1);
    dir.run(&["status", "--check", "--fail-above", "50%"]).ended(0);
    dir.run(&["status", "--check", "good"]).ended(0);

    let refused = campaign(&dir, "refused", relay.port(), "", "");
    list(&dir, "refused", 2);
    dir.run(&["send", &refused, "--deadline", "2001-01-01T00:00:00Z"]).ended(3);
    dir.run(&["status", "--check"]).ended(3);

    let cut = campaign(&dir, "cut", relay.port(), "", "");
    list(&dir, "cut", 2);
    dir.run(&[&["send", &cut], BEGIN_ONLY.as_slice()].concat()).ended(4);
    let text = dir.run(&["status", "--check"]).ended(4).stdout();
    assert!(text.contains("not well") && text.contains("mailrun send cut.toml"), "{text}");
    assert_eq!(dir.run(&["status", "--check", "-q"]).ended(4).stdout(), "");
    let json: Value =
        serde_json::from_str(&dir.run(&["status", "--check", "--json"]).ended(4).stdout()).unwrap();
    assert_eq!((&json["healthy"], &json["exit_code"]), (&false.into(), &4.into()));
    let runs: Vec<_> = json["runs"].as_array().unwrap().iter().map(|run| &run["exit_code"]).collect();
    assert_eq!(runs, [4, 3, 1, 0]);

    // A later run of a campaign that is well is what counts.
    dir.run(&["send", &cut]).ended(0);
    dir.run(&["send", &refused]).ended(0);
    dir.write("bad.csv", "email,n\nann@a.example,1\nbob@a.example,3\n");
    dir.run(&["send", &bad]).ended(0);
    dir.run(&["status", "--check"]).ended(0);

    fs::write(dir.run_of("cut").join("manifest.json"), "{").unwrap();
    dir.run(&["status", "--check"]).ended(2);
    dir.run(&["status", "--check", "nothing"]).ended(2);
    dir.run(&["status", "--fail-above", "2%"]).ended(2);
}

/// The names of metrics in a text.
fn metrics_in(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("mailrun_")).map(str::to_owned).collect()
}

/// All texts behind this key, however deep.
fn texts<'v>(value: &'v Value, key: &str, found: &mut Vec<&'v str>) {
    match value {
        Value::Object(object) => {
            found.extend(object.get(key).and_then(Value::as_str));
            object.values().for_each(|value| texts(value, key, found));
        }
        Value::Array(array) => array.iter().for_each(|value| texts(value, key, found)),
        _ => {}
    }
}

#[test]
fn the_dashboard_and_the_page_name_the_metrics_that_there_are_and_no_others() {
    let dir = Dir::new();
    let relay = Relay::start(Options::default());
    let retry = "[delivery.retry]\nfirst = \"1h\"\ngive-up-after = \"1d\"";
    list(&dir, "one", 1);
    let file = campaign(&dir, "one", relay.port(), "", retry);
    dir.run(&["send", &file, "--metrics-file", "one.prom"]).ended(0);
    // A run that goes on has more to tell.
    dir.write("two.csv", "email,n\nrcpt-451@a.example,1\n");
    let mut sending = dir.start(&["send", &campaign(&dir, "two", relay.port(), "", retry)]);
    let account = "[[account]]\nname = \"all\"\nallow = [\"127.0.0.1\"]\ncampaigns = [\"*\"]";
    let serve = Serve::of(&dir, &format!("[api]\nlisten = [\"127.0.0.1:0\"]\n{account}"));
    let served = loop {
        let answer = serve.ask("GET", "/metrics", "", "");
        if answer.body.contains("mailrun_run_messages_per_second{campaign=\"two\"}") {
            break answer.body;
        }
        assert!(sending.try_wait().unwrap().is_none(), "the run goes on: {answer:?}");
        thread::yield_now();
    };
    sending.kill().unwrap();
    sending.wait().unwrap();
    serve.end();
    let written = fs::read_to_string(dir.path().join("one.prom")).unwrap();
    let there = metrics_in(&format!("{served}{written}"));
    assert!(there.len() > 8, "{there:?}");

    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let dashboard: Value = serde_json::from_slice(&fs::read(docs.join("grafana.json")).unwrap()).unwrap();
    let mut queries = Vec::new();
    for key in ["expr", "query", "definition"] {
        texts(&dashboard, key, &mut queries);
    }
    assert!(
        queries.len() > 10 && queries.iter().any(|query| query.contains("rate") || query.contains("sum"))
    );
    assert_eq!(metrics_in(&queries.join(" ")), there, "docs/grafana.json");
    assert_eq!(metrics_in(&fs::read_to_string(docs.join("monitoring.md")).unwrap()), there);
}
