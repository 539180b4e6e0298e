//! Tests and rehearsals are kept apart from the campaign's runs, and say in their rows what they
//! are.

use std::fs;
use std::path::{Path, PathBuf};

use mailrun::mail::Disposition;
use mailrun::results::{Column, ResultFiles, ResultRow};
use mailrun::sandbox::{Options, record};

use crate::kit::{Dir, Relay, campaign, list};

fn runs(dir: &Dir, folder: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir.path().join(folder)).into_iter().flatten();
    entries.map(|entry| entry.unwrap().path()).collect()
}

fn rows(run: &Path) -> Vec<ResultRow<'static>> {
    let files = ResultFiles::open(&run.join("results")).unwrap();
    files.rows(&Column::ALL).map(|row| row.unwrap()).collect()
}

fn name(run: &Path) -> &str {
    run.file_name().unwrap().to_str().unwrap()
}

#[test]
fn a_test_goes_to_each_address_and_says_so_in_its_rows() {
    let dir = Dir::new();
    let taken = dir.path().join("taken.jsonl");
    let relay = Relay::start(Options { record: Some(taken.clone()), ..Options::default() });
    list(&dir, "one", 3);
    let file = campaign(&dir, "one", relay.port(), "", "");
    dir.run(&["send", &file, "--to", "me@b.example,you@c.example", "--row", "2"]).ended(0);
    let sent: Vec<String> = record::read(&taken).unwrap().into_iter().map(|entry| entry.recipient).collect();
    assert_eq!(sent.len(), 2);
    assert!(sent.contains(&"me@b.example".into()) && sent.contains(&"you@c.example".into()), "{sent:?}");
    let tests = runs(&dir, "runs/tests/one");
    assert_eq!(tests.len(), 1);
    let found: Vec<_> = rows(&tests[0])
        .iter()
        .map(|row| {
            (row.email.clone().unwrap(), row.is_test, row.delivered_to.clone().unwrap(), row.disposition)
        })
        .collect();
    let row = |to: &'static str| ("r1@one.example".into(), true, to.into(), Disposition::Accepted);
    assert_eq!(found, [row("me@b.example"), row("you@c.example")]);

    // It has a name of its own, and never the campaign's.
    dir.run(&["status", "one"]).ended(2);
    dir.run(&["status", &file]).ended(2);
    dir.run(&["status", name(&tests[0])]).ended(0);
    dir.run(&["results", &format!("one/{}", name(&tests[0]))]).ended(0);
    assert!(!dir.run(&["status"]).ended(0).stdout().contains("test-"));
    dir.run(&["send", &file]).ended(0);
    let run = dir.run_of("one");
    assert!(dir.run(&["status", "one"]).ended(0).stdout().starts_with(&format!("one/{}", name(&run))));
    assert!(rows(&run).iter().all(|row| !row.is_test && row.delivered_to.is_none()));
}

/// The globs that the pages of `docs/` show for all results of a campaign.
#[test]
fn what_queries_read_has_no_test_and_no_rehearsal() {
    let dir = Dir::new();
    let relay = Relay::start(Options::default());
    list(&dir, "one", 3);
    let file = campaign(&dir, "one", relay.port(), "", "");
    dir.run(&["send", &file, "--to", "me@b.example"]).ended(0);
    dir.run(&["send", &file, "--sandbox", "--unpaced"]).ended(0);
    let read = || -> Vec<PathBuf> {
        let mut found = Vec::new();
        for campaign in runs(&dir, "runs") {
            for run in fs::read_dir(campaign).into_iter().flatten().map(|entry| entry.unwrap().path()) {
                let files = fs::read_dir(run.join("results")).into_iter().flatten();
                found.extend(files.map(|entry| entry.unwrap().path()));
            }
        }
        found
    };
    assert_eq!(read(), Vec::<PathBuf>::new());
    dir.run(&["send", &file]).ended(0);
    let results = dir.run_of("one").join("results");
    let found = read();
    assert!(!found.is_empty() && found.iter().all(|path| path.starts_with(&results)), "{found:?}");
}

#[test]
fn a_rehearsal_is_kept_apart_and_hides_no_run() {
    let dir = Dir::new();
    let relay = Relay::start(Options::default());
    dir.write("one.csv", "email,n\nann@a.example,1\nrcpt-451-always@a.example,2\nbob@a.example,3\n");
    let retry = "[delivery.retry]\nfirst = \"20ms\"\ngive-up-after = \"100ms\"";
    let file = campaign(&dir, "one", relay.port(), "", retry);
    dir.run(&["send", &file, "--sandbox", "--unpaced"]).ended(1);
    assert_eq!(runs(&dir, "runs/one"), Vec::<PathBuf>::new());
    let rehearsals = runs(&dir, "runs/rehearsals/one");
    assert_eq!(rehearsals.len(), 1);
    let is_marked = |row: &ResultRow<'_>| row.is_test && row.delivered_to.as_deref() == Some("sandbox");
    assert!(rows(&rehearsals[0]).iter().all(is_marked));
    dir.run(&["status", "one"]).ended(2);
    dir.run(&["send", &file, "--sandbox", "--unpaced"]).ended(1).says("nothing is sent again");
    // What is rehearsed again stays a rehearsal.
    dir.run(&["retry", name(&rehearsals[0]), "--disposition", "deferred", "--unpaced"]).ended(1);
    assert_eq!(runs(&dir, "runs/rehearsals/one").len(), 2);
    assert_eq!(relay.stop().connections, 0);
}

#[test]
fn a_campaign_may_have_the_name_of_their_folder() {
    let dir = Dir::new();
    let relay = Relay::start(Options::default());
    list(&dir, "tests", 2);
    let file = campaign(&dir, "tests", relay.port(), "", "");
    dir.run(&["send", &file, "--to", "me@b.example"]).ended(0);
    dir.run(&["send", &file]).ended(0);
    assert!(dir.run(&["status", "tests"]).ended(0).stdout().contains("2"));
    assert_eq!(dir.run(&["status"]).ended(0).stdout().lines().count(), 2);
}

#[test]
fn a_second_rehearsal_that_keeps_nothing_says_so() {
    let dir = Dir::new();
    list(&dir, "one", 2);
    let file = campaign(&dir, "one", 9, "", "");
    let kept = |folder: &str| fs::read_dir(dir.path().join(folder)).map_or(0, Iterator::count);
    let rehearse = |more: &[&str]| dir.run(&[&["send", &file, "--sandbox", "--unpaced"], more].concat());
    rehearse(&["--sandbox-keep", "first"]).ended(0);
    assert_eq!(kept("first"), 2);
    rehearse(&["--sandbox-keep", "second"]).ended(2).says("nothing was kept in `second`: rehearsal one/");
    rehearse(&["--sandbox-record", "second.jsonl"]).ended(2).says("--again");
    rehearse(&["--sandbox-keep", "second", "--again"]).ended(0);
    assert_eq!(kept("second"), 2);
    rehearse(&[]).ended(0).says("nothing is sent again");
}
