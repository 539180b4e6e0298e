//! Nobody gets one edition of a campaign twice, whatever run sends it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use mailrun::results::{Column, ResultFiles};
use mailrun::sandbox::{Options, record};

use crate::kit::{Dir, Ran, Relay, campaign, list};

/// A campaign `one` of five recipients, and a relay that keeps a record.
struct Scene {
    dir: Dir,
    relay: Relay,
    file: String,
}

impl Scene {
    fn new() -> Self {
        let dir = Dir::new();
        let taken = dir.path().join("taken.jsonl");
        let relay = Relay::start(Options { record: Some(taken), ..Options::default() });
        list(&dir, "one", 5);
        let file = campaign(&dir, "one", relay.port(), "", "");
        Self { dir, relay, file }
    }

    fn send(&self, more: &[&str]) -> Ran {
        self.dir.run(&[&["send", &self.file], more].concat())
    }

    /// How often each recipient got something.
    fn taken(&self) -> Vec<(String, u64)> {
        let mut times = BTreeMap::new();
        for entry in record::read(&self.dir.path().join("taken.jsonl")).unwrap() {
            *times.entry(entry.recipient).or_insert(0) += 1;
        }
        times.into_iter().collect()
    }

    /// Asserts that the first `recipients` of the list got `times` messages each, and nobody else.
    #[track_caller]
    fn everybody_got(&self, recipients: usize, times: u64) {
        let expected: Vec<_> = (0..recipients).map(|n| (format!("r{n}@one.example"), times)).collect();
        assert_eq!(self.taken(), expected);
    }
}

/// The run directories of a campaign, the oldest first.
fn runs(folder: &Path) -> Vec<PathBuf> {
    let mut runs: Vec<_> =
        fs::read_dir(folder.join("runs/one")).unwrap().map(|e| e.unwrap().path()).collect();
    runs.sort_by_key(|run| fs::metadata(run.join("plan.arrow")).unwrap().modified().unwrap());
    runs
}

/// The dispositions of a run, row by row.
fn dispositions(run: &Path) -> Vec<String> {
    let files = ResultFiles::open(&run.join("results")).unwrap();
    files.rows(&Column::ALL).map(|row| row.unwrap().disposition.to_string()).collect()
}

#[test]
fn a_longer_list_reaches_its_newcomers_only() {
    let scene = Scene::new();
    scene.send(&[]).ended(0);
    list(&scene.dir, "one", 7);
    scene.send(&[]).ended(0).says("5 already_sent");
    scene.everybody_got(7, 1);
    let second = runs(scene.dir.path()).pop().unwrap();
    assert_eq!(dispositions(&second), [["already_sent"; 5].as_slice(), &["accepted"; 2]].concat());
}

#[test]
fn after_a_limit_the_rest_gets_it() {
    let scene = Scene::new();
    scene.send(&["--limit", "2"]).ended(0);
    scene.everybody_got(2, 1);
    scene.send(&[]).ended(0);
    scene.everybody_got(5, 1);
}

#[test]
fn after_a_limit_retry_sends_the_rest_and_plan_counts_who_got_it() {
    let scene = Scene::new();
    scene.send(&["--limit", "2"]).ended(0);
    let plan = scene.dir.run(&["plan", &scene.file, "--json"]).ended(0).stdout();
    let plan: serde_json::Value = serde_json::from_str(&plan).unwrap();
    assert_eq!((&plan["screening"]["already_sent"], &plan["screening"]["accepted"]), (&2.into(), &3.into()));
    let plan = scene.dir.run(&["plan", &scene.file, "--edition", "next", "--json"]).ended(0).stdout();
    let plan: serde_json::Value = serde_json::from_str(&plan).unwrap();
    assert_eq!((&plan["edition"], &plan["screening"]["accepted"]), (&"next".into(), &5.into()));
    scene.dir.run(&["retry", "one", "--disposition", "not_attempted"]).ended(0).says("2 already_sent");
    scene.everybody_got(5, 1);
    scene.dir.run(&["retry", "one", "--disposition", "not_attempted"]).ended(2).says("no rows");
}

#[test]
fn changed_templates_are_refused_until_the_user_says_who_gets_them() {
    let scene = Scene::new();
    scene.send(&[]).ended(0);
    list(&scene.dir, "one", 6);
    scene.dir.write("letter.hbs", "Another text {{n}}\n");
    let refused = scene.send(&[]).ended(2).says("5 recipients of this list got this edition already");
    for way_on in ["1 did not", "--only-new", "--again", "--edition NAME"] {
        assert!(refused.stderr().contains(way_on), "{}", refused.stderr());
    }
    scene.everybody_got(5, 1);
    scene.send(&["--only-new"]).ended(0);
    scene.everybody_got(6, 1);
    scene.send(&["--edition", "second"]).ended(0);
    scene.everybody_got(6, 2);
    scene.send(&["--edition", "second", "--run-id", "named"]).ended(0);
    scene.everybody_got(6, 2);
    for times in [3, 4] {
        scene.send(&["--edition", "second", "--again"]).ended(0);
        scene.everybody_got(6, times);
    }
}

#[test]
fn who_got_this_letter_too_is_no_reason_to_refuse() {
    let scene = Scene::new();
    scene.send(&[]).ended(0);
    scene.dir.write("letter.hbs", "Another text {{n}}\n");
    scene.send(&["--again"]).ended(0);
    scene.everybody_got(5, 2);
    scene.send(&[]).ended(0).says("5 already_sent, 0 of 5 rows to send");
    list(&scene.dir, "one", 6);
    scene.send(&[]).ended(0);
    let [newcomer, old] = [("r5@one.example".into(), 1), ("r4@one.example".into(), 2)];
    assert!(scene.taken().contains(&newcomer) && scene.taken().contains(&old), "{:?}", scene.taken());
}

#[test]
fn a_refused_start_is_forgotten_once_another_gets_through() {
    let scene = Scene::new();
    let letter = fs::read_to_string(scene.dir.path().join("letter.hbs")).unwrap();
    scene.send(&[]).ended(0);
    scene.dir.write("letter.hbs", "Another text {{n}}\n");
    scene.send(&[]).ended(2);
    scene.dir.run(&["status", "one", "--check"]).ended(3);
    scene.dir.write("letter.hbs", letter);
    scene.send(&[]).ended(0);
    scene.dir.run(&["status", "one", "--check"]).ended(0);
    assert!(scene.dir.run(&["status", "one"]).ended(0).stdout().contains("accepted"));
    assert_eq!(runs(scene.dir.path()).len(), 1);
}

#[test]
fn an_edition_can_be_named_in_the_campaign_file() {
    let scene = Scene::new();
    scene.send(&[]).ended(0);
    let path = scene.dir.path().join(&scene.file);
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("id = \"one\"", "id = \"one\"\nedition = \"winter\"")).unwrap();
    scene.send(&[]).ended(0);
    scene.everybody_got(5, 2);
    scene.send(&["--limit", "3"]).ended(0);
    scene.everybody_got(5, 2);
}

#[test]
fn without_its_runs_the_state_knows_who_got_it() {
    let scene = Scene::new();
    scene.send(&[]).ended(0);
    fs::remove_dir_all(scene.dir.path().join("runs")).unwrap();
    scene.send(&[]).ended(0);
    scene.send(&["--runs", "other-runs"]).ended(0);
    scene.dir.write("copy/one.csv", fs::read(scene.dir.path().join("one.csv")).unwrap());
    scene.dir.write("copy/letter.hbs", fs::read(scene.dir.path().join("letter.hbs")).unwrap());
    let campaign = fs::read(scene.dir.path().join(&scene.file)).unwrap();
    scene.dir.write("copy/one.toml", campaign);
    scene.dir.run(&["send", "copy/one.toml"]).ended(0);
    scene.everybody_got(5, 1);
}

#[test]
fn rehearsals_count_for_nothing() {
    let scene = Scene::new();
    scene.send(&["--sandbox", "--unpaced"]).ended(0);
    scene.send(&[]).ended(0);
    scene.send(&["--sandbox", "--unpaced", "--limit", "2"]).ended(0);
    scene.everybody_got(5, 1);
}

#[test]
fn two_retries_of_one_run_send_a_row_once() {
    let scene = Scene::new();
    let rows = "rcpt-550-5.7.1-once@one.example,1\nrcpt-550-5.7.1-twice@one.example,2\nr0@one.example,3\n";
    scene.dir.write("one.csv", format!("email,n\n{rows}"));
    scene.send(&[]).ended(1);
    let first = runs(scene.dir.path()).pop().unwrap();
    let first = first.to_str().unwrap();
    scene.dir.run(&["retry", first, "--disposition", "bounced"]).ended(1);
    scene.dir.run(&["retry", first, "--disposition", "bounced,deferred"]).ended(0);
    assert!(scene.taken().iter().all(|(_, times)| *times == 1), "{:?}", scene.taken());
    let last = runs(scene.dir.path()).pop().unwrap();
    assert_eq!(dispositions(&last), ["already_sent", "accepted"]);
}

/// Copies a folder with all that is in it.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(|entry| entry.unwrap()) {
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy(&from, &to);
        } else {
            fs::copy(from, to).unwrap();
        }
    }
}

/// Sends to two of four recipients: the other two are refused for now. Then the process is killed.
fn begin(scene: &Scene) {
    let mut child = start(scene);
    child.kill().unwrap();
    child.wait().unwrap();
}

/// The same process, still waiting to try the other two again.
fn start(scene: &Scene) -> Child {
    let rows =
        "r0@one.example,0\nr1@one.example,1\nrcpt-451-once+a@one.example,2\nrcpt-451-once+b@one.example,3\n";
    scene.dir.write("one.csv", format!("email,n\n{rows}"));
    let path = scene.dir.path().join(&scene.file);
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text + "[delivery.retry]\nfirst = \"30s\"\n").unwrap();
    let mut child = scene.dir.start(&["send", &scene.file]);
    while record::read(&scene.dir.path().join("taken.jsonl")).unwrap_or_default().len() < 2
        || scene.relay.stats().deferred < 2
    {
        assert!(child.try_wait().unwrap().is_none());
        std::thread::yield_now();
    }
    child
}

#[test]
fn a_longer_list_waits_for_the_run_that_is_being_sent() {
    let scene = Scene::new();
    let mut child = start(&scene);
    let rows = fs::read_to_string(scene.dir.path().join("one.csv")).unwrap();
    scene.dir.write("one.csv", rows + "r9@one.example,9\n");
    scene.send(&[]).ended(75).says("another process");
    child.kill().unwrap();
    child.wait().unwrap();
    scene.send(&[]).ended(2).says("was started with different content (the target group)");
}

/// Begins a run that sends nothing yet.
fn begin_late(scene: &Scene) {
    scene.send(&["--not-after", "2026-01-01T00:00:00Z"]).ended(4);
    scene.everybody_got(0, 0);
}

#[test]
fn a_copied_run_is_refused_until_it_is_adopted() {
    let scene = Scene::new();
    begin_late(&scene);
    let (folder, copied) = (scene.dir.path(), scene.dir.path().join("copied"));
    fs::create_dir(&copied).unwrap();
    for name in ["one.csv", "letter.hbs", "one.toml"] {
        fs::copy(folder.join(name), copied.join(name)).unwrap();
    }
    copy(&folder.join("runs"), &copied.join("runs"));
    scene.dir.run(&["send", "copied/one.toml"]).ended(2).says("is a copy of").says("mailrun run adopt");
    scene.send(&[]).ended(0);
    let copy = runs(&copied).pop().unwrap();
    scene.dir.run(&["run", "adopt", copy.to_str().unwrap()]).ended(0).says("adopted");
    scene.dir.run(&["send", "copied/one.toml"]).ended(0);
    scene.everybody_got(5, 1);
    assert_eq!(dispositions(&copy), ["already_sent"; 5]);
}

/// A copy that was made in the middle of a run has sent what the run had sent, and no more.
/// Whichever goes on first, nobody gets anything twice.
#[test]
fn a_run_that_is_copied_in_its_middle_and_goes_on_twice_sends_once() {
    for first in ["one.toml", "copied/one.toml"] {
        let scene = Scene::new();
        let rows: String = (0..20).map(|n| format!("slow-100ms+{n}@one.example,{n}\n")).collect();
        scene.dir.write("one.csv", format!("email,n\n{rows}"));
        let mut child = scene.dir.start(&["send", &scene.file]);
        let taken = scene.dir.path().join("taken.jsonl");
        while record::read(&taken).unwrap_or_default().len() < 3 {
            std::thread::yield_now();
        }
        let stopped = Command::new("kill").arg(child.id().to_string()).status().unwrap();
        assert!(stopped.success());
        assert_eq!(child.wait().unwrap().code(), Some(4));
        let (folder, copied) = (scene.dir.path(), scene.dir.path().join("copied"));
        fs::create_dir(&copied).unwrap();
        for name in ["one.csv", "letter.hbs", "one.toml"] {
            fs::copy(folder.join(name), copied.join(name)).unwrap();
        }
        copy(&folder.join("runs"), &copied.join("runs"));
        let copy = runs(&copied).pop().unwrap();
        scene.dir.run(&["run", "adopt", copy.to_str().unwrap()]).ended(0).says("adopted");
        scene.dir.run(&["send", first]).ended(0);
        let second = if first == "one.toml" { "copied/one.toml" } else { "one.toml" };
        scene.dir.run(&["send", second]).ended(0);
        let twice: Vec<_> = scene.taken().into_iter().filter(|(_, times)| *times != 1).collect();
        assert_eq!((scene.taken().len(), twice), (20, Vec::new()), "{first} went on first");
        for run in [runs(folder).pop().unwrap(), copy] {
            let ends = dispositions(&run);
            assert!(ends.iter().all(|end| end == "accepted" || end == "already_sent"), "{ends:?}");
        }
    }
}

#[test]
fn a_run_of_another_state_is_refused_until_it_is_adopted() {
    let scene = Scene::new();
    begin_late(&scene);
    scene.send(&["--state", "other"]).ended(2).says("belongs to another state").says("mailrun run adopt");
    let run = runs(scene.dir.path()).pop().unwrap();
    scene.dir.run(&["run", "adopt", run.to_str().unwrap(), "--state", "other"]).ended(0);
    scene.send(&[]).ended(2).says("belongs to another state");
    scene.send(&["--state", "other"]).ended(0);
    scene.everybody_got(5, 1);
}

#[test]
fn after_a_kill_a_new_run_leaves_out_who_got_it() {
    let scene = Scene::new();
    begin(&scene);
    list(&scene.dir, "one", 3);
    scene.send(&[]).ended(2).says("--new-run");
    scene.send(&["--new-run"]).ended(0);
    let times: Vec<_> = scene.taken();
    assert!(times.len() == 3 && times.iter().all(|(_, times)| *times == 1), "{times:?}");
}

/// What its journal knew is gone: each of its rows may have been sent.
#[test]
fn a_killed_run_whose_directory_is_gone_holds_all_its_rows() {
    let scene = Scene::new();
    begin(&scene);
    fs::remove_dir_all(scene.dir.path().join("runs")).unwrap();
    scene.send(&[]).ended(0).says("4 already_sent");
    assert_eq!(scene.taken().len(), 2);
}
