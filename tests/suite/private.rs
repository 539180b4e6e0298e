//! Who can read what a run leaves behind.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use mailrun::sandbox::Options;

use crate::kit::{Dir, Relay, campaign, list, program};

/// Runs `mailrun` under umask 022, under which new files are usually readable by all.
fn run(dir: &Dir, args: &[&str]) {
    let plain = dir.command(args);
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "umask 022; exec \"$0\" \"$@\""]).arg(program()).args(args);
    command.env_clear().envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let ran = command.current_dir(dir.path()).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
}

/// All files and folders below `folder`, itself included, with their permissions.
fn modes(folder: &Path) -> Vec<(PathBuf, u32)> {
    let mut found = Vec::new();
    let mut left = vec![folder.to_owned()];
    while let Some(path) = left.pop() {
        let metadata = fs::metadata(&path).unwrap();
        if metadata.is_dir() {
            left.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
        found.push((path, metadata.permissions().mode() & 0o777));
    }
    found
}

fn names(modes: &[(PathBuf, u32)]) -> Vec<&str> {
    modes.iter().filter_map(|(path, _)| path.file_name()?.to_str()).collect()
}

#[test]
fn only_its_owner_can_read_a_finished_run_its_state_and_its_exports() {
    let dir = Dir::new();
    let relay = Relay::start(Options::default());
    let file = campaign(&dir, "one", relay.port(), "", "");
    list(&dir, "one", 3);
    run(&dir, &["check", &file, "--offline"]);
    run(&dir, &["suppress", "add", "a@b.example"]);
    run(&dir, &["send", &file]);
    run(&dir, &["results", "one"]);
    run(&dir, &["render", &file, "--all", "--out", "rendered"]);
    fs::create_dir(dir.path().join("exports")).unwrap();
    fs::set_permissions(dir.path().join("exports"), fs::Permissions::from_mode(0o700)).unwrap();
    run(&dir, &["suppress", "export", "exports/list.csv"]);
    run(&dir, &["suppress", "export", "exports/list.parquet"]);

    let mut all = Vec::new();
    for folder in ["runs", "state", "exports", "rendered"] {
        all.extend(modes(&dir.path().join(folder)));
    }
    for (path, mode) in &all {
        let expected = if path.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(*mode, expected, "{} has mode {mode:o}", path.display());
    }
    for name in
        ["manifest.json", "plan.arrow", "screened.arrow", "journal.db", "part-00000.parquet", "state.db"]
    {
        assert!(names(&all).contains(&name), "{name}");
    }
}

#[test]
fn results_are_shared_with_those_whom_the_campaign_names() {
    let dir = Dir::new();
    let relay = Relay::start(Options::default());
    let file = campaign(&dir, "one", relay.port(), "", "[results]\nmode = \"0640\"\n");
    list(&dir, "one", 3);
    run(&dir, &["send", &file]);
    let results = dir.run_of("one").join("results");
    for (path, mode) in modes(&results) {
        assert_eq!(mode, if path.is_dir() { 0o750 } else { 0o640 }, "{}", path.display());
    }
    for folder in results.ancestors().skip(1).take(3) {
        assert_eq!(fs::metadata(folder).unwrap().permissions().mode() & 0o777, 0o750, "{}", folder.display());
    }
    for name in ["manifest.json", "plan.arrow", "journal.db"] {
        let mode = fs::metadata(dir.run_of("one").join(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{name}");
    }
    dir.write("bad.toml", fs::read_to_string(dir.path().join(&file)).unwrap().replace("0640", "0777"));
    dir.run(&["plan", "bad.toml"]).ended(2).says("not the permissions of a file");
}
