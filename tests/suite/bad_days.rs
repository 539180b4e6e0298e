//! What a run does when its disk, its files or its clock fail it: each ends in a stated error,
//! nothing is sent twice, and the same command goes on once the cause is gone. `docs/bad-days.md`
//! lists them all.

use std::collections::BTreeMap;
use std::fs;

use mailrun::campaign::Durability;
use mailrun::journal::{Outcome, RunKey, Verdict, Writer};
use mailrun::mail::{Disposition, Timestamp};
use mailrun::run_dir::{Manifest, RunDir};
use mailrun::sandbox::{Options, record};

use crate::disk::SmallDisk;
use crate::kit::{Dir, Ran, Relay, campaign, list, program};

/// What makes a run in which nothing waits: a test that hangs has found something that does.
const AT_ONCE: &str = "drain-seconds = 3600";
const UNPACED: &str = "[capacity]\nper-hour = 100000000";
/// Long ago: the run is planned, begun and ended, and nothing is sent.
const BEGIN_ONLY: [&str; 2] = ["--not-after", "2001-01-01T00:00:00Z"];

struct Scene {
    dir: Dir,
    relay: Relay,
    file: String,
    taken: std::path::PathBuf,
}

impl Scene {
    /// A campaign `one` over `rows` rows; `per_row` bytes are in each that can't be compressed.
    fn new(rows: usize, per_row: usize, more: &str) -> Self {
        let dir = Dir::new();
        let taken = dir.path().join("taken.jsonl");
        let relay = Relay::start(Options { record: Some(taken.clone()), ..Options::default() });
        let file = campaign(&dir, "one", relay.port(), "connections = 4", &format!("{UNPACED}\n{more}"));
        let text = fs::read_to_string(dir.path().join(&file)).unwrap();
        let text = text.replace("[delivery]\n", &format!("[delivery]\n{AT_ONCE}\n"));
        dir.write(&file, text.replace("[target-group]\n", "[target-group]\nid = \"id\"\n"));
        let mut random = 0x9e37_79b9_7f4a_7c15_u64;
        let mut lines = String::from("email,n,id\n");
        for row in 0..rows {
            lines.push_str(&format!("r{row}@one.example,{row},{row}-"));
            for _ in 0..per_row.div_ceil(8) {
                random =
                    random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                lines.push_str(&format!("{:08x}", random >> 32));
            }
            lines.push('\n');
        }
        dir.write("one.csv", lines);
        Self { dir, relay, file, taken }
    }

    /// With its runs on a small disk. `None` where there can't be one.
    fn on_small_disk(rows: usize, per_row: usize, bytes: u64) -> Option<(Self, SmallDisk)> {
        let scene = Self::new(rows, per_row, "");
        let disk = SmallDisk::mount(scene.dir.path().join("runs"), bytes)?;
        Some((scene, disk))
    }

    fn send(&self, more: &[&str]) -> crate::kit::Ran {
        let mut args = vec!["send", &self.file, "--no-progress"];
        args.extend(more);
        self.dir.run(&args)
    }

    /// How often each recipient's message was accepted by the receiver.
    fn taken(&self) -> BTreeMap<String, usize> {
        let mut times = BTreeMap::new();
        for entry in record::read(&self.taken).unwrap_or_default() {
            *times.entry(entry.recipient).or_insert(0) += 1;
        }
        times
    }

    /// Every row has a result; the receiver accepted it once if it is `accepted`, at most once if
    /// it is in doubt. The rows in doubt.
    fn check_results(&self, rows: usize) -> usize {
        let (results, taken) = (self.dir.results("one"), self.taken());
        assert_eq!(results.len(), rows);
        let mut in_doubt = 0;
        for row in results {
            let email = row.email.as_deref().unwrap();
            let times = taken.get(email).copied().unwrap_or(0);
            match row.disposition {
                Disposition::Accepted => assert_eq!(times, 1, "{email}"),
                Disposition::InDoubt => {
                    assert!(times <= 1, "{email} was accepted {times} times");
                    in_doubt += 1;
                }
                other => panic!("{email} is {other}: {:?}", row.detail),
            }
        }
        in_doubt
    }

    fn manifest(&self) -> Manifest {
        Manifest::read(&RunDir::at(self.dir.run_of("one")).manifest()).unwrap()
    }

    /// Changes a text in the manifest.
    fn edit_manifest(&self, from: &str, to: &str) {
        let path = self.dir.run_of("one").join("manifest.json");
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{text}");
        fs::write(path, text.replace(from, to)).unwrap();
    }
}

#[test]
fn a_disk_that_fills_up_under_the_journal_ends_the_run_and_room_lets_it_go_on() {
    let Some((scene, disk)) = Scene::on_small_disk(400, 0, 8 << 20) else { return };
    scene.send(&BEGIN_ONLY).ended(4);
    disk.leave(256 << 10);
    let ran = scene.send(&[]).ended(4).says("no space left for journal").says("free some space");
    assert!(ran.stderr().contains("journal.db"));
    let sent = scene.taken().len();
    assert!(sent > 0 && sent < 400, "{sent} of 400 were sent before the disk was full");
    // What is known can still be read.
    let status: serde_json::Value =
        serde_json::from_str(&scene.dir.run(&["status", "one", "--json"]).ended(0).stdout()).unwrap();
    assert!(status["counts"]["accepted"].as_u64().unwrap() > 0, "{status}");
    // Still full: the same again, and what is known does not get less.
    scene.send(&[]).says("space");
    disk.make_room();
    let code = scene.send(&[]).code();
    assert!([0, 1].contains(&code), "{code}");
    let in_doubt = scene.check_results(400);
    // Four connections with a message on the wire and one that waits, each time that it ran into
    // the full disk.
    assert!(in_doubt <= 2 * 4 * 2, "{in_doubt} in doubt");
}

#[test]
fn a_disk_that_is_too_small_for_the_plan_sends_nothing_and_room_lets_it_go_on() {
    let Some((scene, disk)) = Scene::on_small_disk(300, 3_000, 8 << 20) else { return };
    disk.leave(128 << 10);
    scene.send(&[]).ended(2).says("plan.arrow").says("make room on the disk");
    assert_eq!(scene.relay.stats().connections, 0);
    disk.make_room();
    scene.send(&[]).ended(0);
    assert_eq!(scene.check_results(300), 0);
}

#[test]
fn a_disk_that_is_full_when_results_are_due_costs_only_the_results() {
    let Some((scene, disk)) = Scene::on_small_disk(500, 600, 8 << 20) else { return };
    scene.send(&[]).ended(0);
    // As if it had been cut off just before.
    fs::remove_dir_all(scene.dir.run_of("one").join("results")).unwrap();
    scene.edit_manifest("finished", "running");
    disk.leave(96 << 10);
    scene.send(&[]).ended(4).says("results").says("free some space");
    disk.make_room();
    scene.send(&[]).ended(0);
    assert_eq!(scene.check_results(500), 0);
}

#[test]
fn a_read_only_run_directory_is_reported_and_nothing_is_sent() {
    let Some((scene, disk)) = Scene::on_small_disk(20, 0, 8 << 20) else { return };
    disk.writable(false);
    scene.send(&[]).ended(2).says("--runs DIR");
    disk.writable(true);
    scene.send(&BEGIN_ONLY).ended(4);
    disk.writable(false);
    scene.send(&[]).ended(2).says("Read-only file system");
    assert_eq!(scene.relay.stats().connections, 0);
    // What is known can still be read.
    scene.dir.run(&["status", "one", "--json"]).ended(0);
    disk.writable(true);
    scene.send(&[]).ended(0);
    assert_eq!(scene.check_results(20), 0);
}

#[test]
fn a_file_in_place_of_the_runs_is_reported_and_nothing_is_sent() {
    let scene = Scene::new(5, 0, "");
    scene.dir.write("blocked", "");
    scene.send(&["--runs", "blocked"]).ended(2).says("blocked");
    let mut command = scene.dir.command(&["send", &scene.file]);
    let state = scene.dir.write("not-a-folder", "");
    let ran = command.env("MAILRUN_STATE", &state).output().unwrap();
    crate::kit::Ran(ran).ended(2).says("not-a-folder");
    assert_eq!(scene.relay.stats().connections, 0);
}

#[test]
fn of_a_damaged_journal_what_is_known_is_written_out_and_nothing_more_is_sent() {
    let scene = Scene::new(2_000, 0, "");
    scene.send(&[]).ended(0);
    let connections = scene.relay.stats().connections;
    scene.edit_manifest("finished", "running");
    let path = scene.dir.run_of("one").join("journal.db");
    let whole = fs::read(&path).unwrap();
    let mut spoiled = whole.clone();
    let middle = whole.len() / 2;
    spoiled[middle..middle + 64].fill(0xa5);
    for damaged in [&whole[..whole.len() * 3 / 4], &spoiled] {
        fs::write(&path, damaged).unwrap();
        scene.send(&[]).ended(2).says("journal.db").says("mailrun results RUN");
        scene.dir.run(&["results", "one"]).ended(0);
        let in_doubt = scene.check_results(2_000);
        assert!(in_doubt > 0 && in_doubt < 2_000, "{in_doubt} of 2,000 in doubt");
    }
    assert_eq!(scene.relay.stats().connections, connections);
    fs::write(&path, whole).unwrap();
    scene.send(&[]).ended(0);
    assert_eq!(scene.check_results(2_000), 0);
}

#[test]
fn a_damaged_state_database_is_refused_and_kept() {
    let scene = Scene::new(5, 0, "");
    scene.send(&BEGIN_ONLY).ended(4);
    let path = scene.dir.path().join("state/state.db");
    let whole = fs::read(&path).unwrap();
    for damaged in [&whole[..whole.len() / 2], &whole[..10], &[0x5a; 8_192]] {
        for log in ["state/state.db-wal", "state/state.db-shm"] {
            let _ = fs::remove_file(scene.dir.path().join(log));
        }
        fs::write(&path, damaged).unwrap();
        scene.send(&[]).ended(2).says("state.db");
        assert_eq!(fs::read(&path).unwrap(), *damaged, "it is left as it was found");
    }
    assert_eq!(scene.relay.stats().connections, 0);
    fs::write(&path, whole).unwrap();
    scene.send(&[]).ended(0);
}

#[test]
fn a_run_of_a_newer_version_is_left_alone_and_one_of_an_older_version_goes_on() {
    let scene = Scene::new(5, 0, "");
    scene.send(&BEGIN_ONLY).ended(4);
    scene.edit_manifest("\"format\": 1", "\"format\": 9");
    scene.send(&[]).ended(2).says("format 9").says("use the mailrun that wrote it");
    scene.edit_manifest("\"format\": 9", "\"format\": 1");

    let journal = rusqlite::Connection::open(scene.dir.run_of("one").join("journal.db")).unwrap();
    journal.pragma_update(None, "user_version", 9).unwrap();
    scene.send(&[]).ended(2).says("format 9 of the file").says("use the mailrun that wrote it");
    journal.pragma_update(None, "user_version", 1).unwrap();
    drop(journal);

    let state = rusqlite::Connection::open(scene.dir.path().join("state/state.db")).unwrap();
    state.execute("UPDATE capacity_format SET format = 9", []).unwrap();
    scene.send(&[]).ended(2).says("state.db").says("format 9").says("use the mailrun that wrote it");
    state.execute("UPDATE capacity_format SET format = 1", []).unwrap();
    drop(state);
    assert_eq!(scene.relay.stats().connections, 0);

    let version = format!("\"mailrun\": \"{}\"", env!("CARGO_PKG_VERSION"));
    scene.edit_manifest(&version, "\"mailrun\": \"0.0.1\"");
    scene.send(&[]).ended(0);
    assert_eq!(scene.check_results(5), 0);
}

#[test]
fn a_list_that_was_replaced_in_the_middle_of_a_run_is_refused() {
    let scene = Scene::new(10, 0, "");
    scene.send(&BEGIN_ONLY).ended(4);
    // That one ended by choice. A kill in the middle looks like this:
    let path = scene.dir.run_of("one").join("manifest.json");
    let mut manifest = scene.manifest();
    manifest.state = mailrun::run_dir::RunState::Running;
    manifest.write(&path).unwrap();
    let before = fs::read(scene.dir.path().join("one.csv")).unwrap();
    scene.dir.write("one.csv", "email,n,id\nsomebody@else.example,1,1\n");
    scene.send(&[]).ended(2).says("is unfinished and was started with different content").says("--new-run");
    assert_eq!(scene.relay.stats().connections, 0);
    scene.dir.write("one.csv", before);
    scene.send(&[]).ended(0);
    assert_eq!(scene.check_results(10), 0);
}

#[test]
fn a_list_that_is_replaced_while_the_run_goes_on_changes_nothing() {
    let scene = Scene::new(0, 0, "");
    let slow: String = (0..20).map(|n| format!("slow-50ms+{n}@one.example,{n},{n}\n")).collect();
    scene.dir.write("one.csv", format!("email,n,id\n{slow}"));
    let mut child = scene.dir.start(&["send", &scene.file]);
    while scene.taken().is_empty() {
        std::thread::yield_now();
    }
    scene.dir.write("one.csv", "email,n,id\nsomebody@else.example,1,1\n");
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(scene.check_results(20), 0);
    assert!(scene.taken().keys().all(|email| email.ends_with("@one.example")));
}

#[test]
fn a_clock_that_was_set_back_a_year_does_not_put_rows_off_for_a_year() {
    let scene = Scene::new(3, 0, "");
    scene.send(&BEGIN_ONLY).ended(4);
    // As a process left it whose clock was ahead: one row was put off, one had an outcome.
    let year = std::time::Duration::from_secs(365 * 86_400);
    let then = Timestamp::wall() + year;
    let manifest = scene.manifest();
    let run = RunDir::at(scene.dir.run_of("one"));
    let key = RunKey {
        run_id: manifest.run_id.to_string(),
        plan_rows: 3,
        plan_hash: manifest.plan.as_ref().unwrap().hash.clone(),
        has_passwords: false,
    };
    let state =
        mailrun::state::open(&scene.dir.path().join("state/state.db"), mailrun::pacing::Clock::system());
    let journal = state.open_journal(&run, &key, Durability::PowerLoss).unwrap();
    let writer: Writer<()> = Writer::spawn(journal, |_| (), |_| (), |error| panic!("{error}")).unwrap();
    let outcome = |row, verdict| Outcome {
        first_attempt_at: Some(then),
        last_attempt_at: Some(then),
        ..Outcome::new(row, 1, verdict, then)
    };
    writer.record(outcome(0, Verdict::Retry { at: then }));
    writer.record(outcome(1, Verdict::Final(Disposition::Accepted)));
    drop(writer.close().unwrap());

    let retry = "[delivery.retry]\nfirst = \"20ms\"\nlongest = \"50ms\"";
    let text = fs::read_to_string(scene.dir.path().join(&scene.file)).unwrap();
    scene.dir.write(&scene.file, format!("{text}\n{retry}\n"));
    scene.send(&["--run-id", manifest.run_id.as_str()]).ended(0);
    assert_eq!(scene.taken(), BTreeMap::from([("r0@one.example".into(), 1), ("r2@one.example".into(), 1)]));
}

#[test]
fn a_low_limit_of_open_files_defers_no_row() {
    let mut codes = Vec::new();
    for limit in ["-S 20", "64", "48", "40", "36", "32", "28", "24", "20", "12", "4"] {
        let dir = Dir::new();
        let relay = Relay::start(Options::default());
        list(&dir, "one", 60);
        let file = campaign(&dir, "one", relay.port(), "connections = 20", "");
        let script = format!("ulimit -n {limit}; exec {} send {file}", program().display());
        let mailrun = dir.command(&[]);
        let output = std::process::Command::new("sh")
            .args(["-c", &script])
            .current_dir(dir.path())
            .env_clear()
            .envs(mailrun.get_envs().filter_map(|(key, value)| Some((key, value?))))
            .output()
            .unwrap();
        let ran = Ran(output);
        let accepted = relay.stop().accepted;
        match ran.code() {
            0 => assert_eq!(accepted, 60, "{limit}: {}", ran.stderr()),
            2 | 4 => {
                assert_eq!(accepted, 0, "{limit}: {}", ran.stderr());
                assert!(ran.stderr().to_lowercase().contains("open"), "{limit}: {}", ran.stderr());
            }
            code => panic!("{limit}: {code}\n{}", ran.stderr()),
        }
        let rows = if ran.code() == 2 { Vec::new() } else { dir.results("one") };
        assert!(rows.iter().all(|row| row.disposition != Disposition::Deferred), "{limit}: {rows:?}");
        codes.push((limit, ran.code(), ran.stderr()));
    }
    for (limit, code, said) in &codes[codes.len() - 3..] {
        assert!(
            *code == 2 && said.contains("needs 24 at least; raise `ulimit -n`"),
            "{limit}: {code} {said}"
        );
    }
    assert_eq!(codes[0].1, 0, "the soft limit is raised: {}", codes[0].2);
    assert!(!codes[0].2.contains("ulimit"), "{}", codes[0].2);
    assert!(
        codes.iter().any(|(_, code, said)| *code == 0 && said.contains("connections at once")),
        "{codes:#?}"
    );
}

#[test]
fn a_row_whose_message_would_not_end_costs_itself_only() {
    let dir = Dir::new();
    let relay = Relay::start(Options::default());
    let file = campaign(&dir, "one", relay.port(), "", "");
    let text = fs::read_to_string(dir.path().join(&file)).unwrap();
    dir.write(&file, text.replace("one.csv", "one.jsonl"));
    dir.write(
        "letter.hbs",
        "{{#each a}}{{#each @root.a}}{{#each @root.a}}{{/each}}{{/each}}{{/each}}Hello\n",
    );
    let row = |name: &str, items: usize| {
        format!("{{\"email\": \"{name}@one.example\", \"n\": 1, \"a\": [{}0]}}\n", "0,".repeat(items - 1))
    };
    dir.write("one.jsonl", row("ann", 2) + &row("bob", 2_000) + &row("cid", 3));
    dir.run(&["send", &file]).ended(1);
    let expected = [("accepted".to_owned(), 2), ("render_failed".to_owned(), 1)];
    assert_eq!(dir.dispositions("one"), expected);
    let failed = dir.results("one").into_iter().nth(1).unwrap();
    assert_eq!((failed.row, failed.email.as_deref()), (2, Some("bob@one.example")));
    let detail = failed.detail.as_deref().unwrap_or_default().to_owned();
    assert!(detail.contains("more than 1,000,000 steps (letter.hbs:1:"), "{detail}");
}
