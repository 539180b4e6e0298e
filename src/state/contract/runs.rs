//! Runs: found by name, worked on by one process at a time, with a manifest that only its holder
//! replaces.

use std::fs;
use std::path::Path;
use std::slice;
use std::sync::Arc;

use super::{Fresh, Store};
use crate::mail::Timestamp;
use crate::run_dir::testing::manifest;
use crate::run_dir::{self, Refused, RefusedStart, RunDir, RunDirError, RunState, RunStore, StoredRun};

impl Fresh {
    /// Opens the runs once more, as another process would.
    fn runs(&self) -> Arc<dyn RunStore> {
        match &self.store {
            Store::Sqlite(folder) => super::super::runs(&folder.path().join("runs")),
            Store::Memory { runs, .. } => Arc::new(runs.clone()),
        }
    }

    /// Gives the lease of a run to nobody, whoever has it.
    fn take_away(&self, run: &RunDir) {
        match &self.store {
            Store::Sqlite(_) => fs::remove_file(run.path().join("lock")).unwrap(),
            Store::Memory { runs, .. } => runs.expire(run),
        }
    }
}

fn find(runs: &Arc<dyn RunStore>, text: &str) -> Result<StoredRun, RunDirError> {
    run_dir::find(text, slice::from_ref(runs), &[])
}

fn create(runs: &dyn RunStore, campaign: &str, id: &str) -> RunDir {
    runs.create(campaign, &id.parse().unwrap()).unwrap()
}

pub(in crate::state) fn runs_are_listed_by_campaign_and_id_and_created_once(fresh: &Fresh) {
    let runs = fresh.runs();
    assert_eq!(runs.list().unwrap(), []);
    for (campaign, id) in [("spring", "b"), ("autumn", "z"), ("spring", "a"), ("spring", "b")] {
        let run = create(&*runs, campaign, id);
        assert_eq!((run.campaign_id(), run.run_id()), (campaign, id));
        assert!(run.path().is_dir());
    }
    let names: Vec<String> = fresh.runs().list().unwrap().iter().map(RunDir::name).collect();
    assert_eq!(names, ["autumn/z", "spring/a", "spring/b"]);
}

pub(in crate::state) fn runs_are_found_by_what_a_user_types(fresh: &Fresh) {
    let runs = fresh.runs();
    for (campaign, id) in [("spring", "abc1"), ("spring", "abd2"), ("autumn", "xyz"), ("winter", "xyz")] {
        create(&*runs, campaign, id);
    }
    let found = |text: &str| find(&runs, text).unwrap().dir().name();
    assert_eq!(found("abc1"), "spring/abc1");
    assert_eq!(found("abd"), "spring/abd2");
    assert_eq!(found("autumn/xyz"), "autumn/xyz");
    assert_eq!(found("autumn/xyz/"), "autumn/xyz");
    assert_eq!(found("winter/x"), "winter/xyz");
    assert_eq!(found("autumn"), "autumn/xyz");
    for text in ["ab", "xyz"] {
        let error = find(&runs, text).unwrap_err();
        let RunDirError::Ambiguous { candidates, .. } = &error else { panic!("{error}") };
        assert_eq!(candidates.len(), 2, "{error}");
    }
    for text in ["nothing", "", "spr"] {
        let error = find(&runs, text).unwrap_err();
        assert!(matches!(error, RunDirError::NotFound { .. }), "{text}: {error}");
    }
}

pub(in crate::state) fn a_campaign_stands_for_its_latest_run(fresh: &Fresh) {
    let runs = fresh.runs();
    for (id, created) in [("aaa", 300), ("bbb", 900), ("ccc", 600)] {
        let run = create(&*runs, "spring", id);
        runs.lease(&run).unwrap().keep(&manifest(Timestamp(created))).unwrap();
    }
    assert_eq!(find(&runs, "spring").unwrap().dir().name(), "spring/bbb");
}

pub(in crate::state) fn one_process_at_a_time_works_on_a_run(fresh: &Fresh) {
    let (one, other) = (fresh.runs(), fresh.runs());
    let (run, second) = (create(&*one, "spring", "a"), create(&*one, "spring", "b"));
    assert!(!other.is_leased(&run).unwrap());
    let lease = one.lease(&run).unwrap();
    assert_eq!(lease.run(), &run);
    assert!(matches!(other.lease(&run), Err(RunDirError::Locked { .. })));
    assert!(other.is_leased(&run).unwrap() && !other.is_leased(&second).unwrap());
    let elsewhere = other.lease(&second).unwrap();
    drop(lease);
    assert!(!other.is_leased(&run).unwrap());
    other.lease(&run).unwrap();
    elsewhere.check().unwrap();
}

pub(in crate::state) fn each_lease_has_a_larger_epoch(fresh: &Fresh) {
    let runs = fresh.runs();
    let run = create(&*runs, "spring", "a");
    let epochs: Vec<u64> = (0..4).map(|_| fresh.runs().lease(&run).unwrap().epoch()).collect();
    assert!(epochs.is_sorted_by(|a, b| a < b), "{epochs:?}");
}

pub(in crate::state) fn the_manifest_of_a_run_is_replaced_as_a_whole(fresh: &Fresh) {
    let (runs, other) = (fresh.runs(), fresh.runs());
    let run = create(&*runs, "spring", "a");
    assert!(other.manifest(&run).unwrap().is_none());
    let lease = runs.lease(&run).unwrap();
    let mut written = manifest(Timestamp(7));
    for state in [RunState::Planned, RunState::Running, RunState::Finished] {
        written.state = state;
        lease.keep(&written).unwrap();
        let read = other.manifest(&run).unwrap().unwrap();
        assert_eq!((read.state, read.created), (written.state.clone(), Timestamp(7)));
    }
    assert_eq!(other.created(&run), Timestamp(7));
}

pub(in crate::state) fn who_has_lost_the_lease_changes_nothing(fresh: &Fresh) {
    let (runs, other) = (fresh.runs(), fresh.runs());
    let run = create(&*runs, "spring", "a");
    let lost = runs.lease(&run).unwrap();
    lost.keep(&manifest(Timestamp(1))).unwrap();
    fs::write(run.plan(), "the plan").unwrap();
    fresh.take_away(&run);
    let is_lost = |result| matches!(result, Err(RunDirError::LeaseLost(_)));
    assert!(is_lost(lost.check()));
    let lease = other.lease(&run).unwrap();
    assert!(is_lost(lost.keep(&manifest(Timestamp(2)))) && is_lost(lost.discard_plan()));
    drop(lost);
    lease.check().unwrap();
    assert!(runs.is_leased(&run).unwrap(), "the end of the lost lease is not the end of the other's");
    assert_eq!(runs.manifest(&run).unwrap().unwrap().created, Timestamp(1));
    assert!(run.plan().exists());
}

pub(in crate::state) fn an_unfinished_plan_is_discarded(fresh: &Fresh) {
    let runs = fresh.runs();
    let run = create(&*runs, "spring", "a");
    let lease = runs.lease(&run).unwrap();
    lease.discard_plan().unwrap();
    fs::write(run.screened(), "rows").unwrap();
    lease.discard_plan().unwrap();
    assert!(!run.screened().exists() && !run.plan().exists());
}

pub(in crate::state) fn a_run_that_could_not_be_begun_is_removed(fresh: &Fresh) {
    let runs = fresh.runs();
    let (run, begun) = (create(&*runs, "spring", "a"), create(&*runs, "spring", "b"));
    let (lease, of_begun) = (runs.lease(&run).unwrap(), runs.lease(&begun).unwrap());
    fs::write(run.plan(), "rows").unwrap();
    of_begun.keep(&manifest(Timestamp(1))).unwrap();
    lease.abandon().unwrap();
    of_begun.abandon().unwrap();
    assert_eq!(runs.list().unwrap(), std::slice::from_ref(&begun));
    assert!(!run.path().exists());
    of_begun.withdraw().unwrap();
    assert_eq!(runs.list().unwrap(), []);
    assert!(!begun.path().exists());
}

pub(in crate::state) fn a_run_that_never_began_hides_no_other(fresh: &Fresh) {
    let runs = fresh.runs();
    let run = create(&*runs, "spring", "a");
    runs.lease(&run).unwrap().keep(&manifest(Timestamp(1))).unwrap();
    create(&*runs, "spring", "b");
    assert_eq!(find(&runs, "spring").unwrap().dir(), &run);
}

pub(in crate::state) fn the_latest_run_is_found_among_several_stores(fresh: &Fresh) {
    let (runs, other) = (fresh.runs(), Fresh::memory().runs());
    for (runs, id, created) in [(&runs, "aaa", 300), (&other, "bbb", 900), (&other, "aaa", 200)] {
        let run = create(&**runs, "spring", id);
        runs.lease(&run).unwrap().keep(&manifest(Timestamp(created))).unwrap();
    }
    for stores in [[Arc::clone(&runs), Arc::clone(&other)], [Arc::clone(&other), Arc::clone(&runs)]] {
        let found = |text: &str| run_dir::find(text, &stores, &[]).unwrap();
        assert_eq!(found("spring").dir().name(), "spring/bbb");
        assert_eq!(found("aa").folder(), runs.folder(), "the later one of two with one name");
        let aside = run_dir::find("spring", &stores[..0], &stores);
        assert!(matches!(aside, Err(RunDirError::NotFound { .. })), "{aside:?}");
        assert_eq!(run_dir::find("bb", &stores[..0], &stores).unwrap().dir().name(), "spring/bbb");
    }
}

pub(in crate::state) fn a_run_is_removed_or_replaced_as_a_whole(fresh: &Fresh) {
    let runs = fresh.runs();
    let [one, two] = ["a", "b"].map(|id| create(&*runs, "spring", id));
    for run in [&one, &two] {
        runs.lease(run).unwrap().keep(&manifest(Timestamp(1))).unwrap();
        fs::write(run.path().join("plan.arrow"), "old").unwrap();
    }
    let lease = runs.lease(&one).unwrap();
    let version = lease.begin_version().unwrap();
    fs::write(version.path().join("plan.arrow"), "new").unwrap();
    assert_eq!(fresh.runs().list().unwrap().len(), 2, "a version is no run");
    lease.replace(&version, &manifest(Timestamp(2))).unwrap();
    lease.check().unwrap();
    assert!(matches!(runs.lease(&one), Err(RunDirError::Locked { .. })));
    assert_eq!(fs::read_to_string(one.path().join("plan.arrow")).unwrap(), "new");
    assert_eq!(runs.manifest(&one).unwrap().unwrap().created, Timestamp(2));
    assert!(!version.path().exists());
    drop(lease);

    let lease = runs.lease(&two).unwrap();
    fresh.take_away(&two);
    assert!(matches!(lease.remove(), Err(RunDirError::LeaseLost(_))));
    drop(lease);
    runs.lease(&two).unwrap().remove().unwrap();
    assert_eq!(fresh.runs().list().unwrap(), [one]);
    assert!(!two.path().exists());
    // What a killed process left is removed.
    let lease = runs.lease(&runs.list().unwrap()[0]).unwrap();
    lease.begin_version().unwrap();
    runs.sweep().unwrap();
    assert_eq!(fresh.runs().list().unwrap().len(), 1);
}

pub(in crate::state) fn the_last_refused_start_of_a_campaign_is_kept_until_it_is_forgotten(fresh: &Fresh) {
    let runs = fresh.runs();
    assert_eq!(runs.refused_starts().unwrap(), []);
    let refused = |file: &str, id: Option<&str>, at: i64| RefusedStart {
        campaign: id.map(str::to_owned),
        campaign_file: file.into(),
        refused: Refused { at: Timestamp(at), why: "no list".into(), hint: None },
    };
    let [first, second] = [300, 400].map(|at| refused("/a/spring.toml", None, at));
    let (moved, other) =
        (refused("/old/spring.toml", Some("spring"), 200), refused("/a/x.toml", Some("x"), 1));
    for start in [&first, &second, &moved, &other] {
        runs.keep_refused_start(start).unwrap();
    }
    let kept = fresh.runs().refused_starts().unwrap();
    assert!(
        kept.len() == 3 && [&second, &moved, &other].iter().all(|start| kept.contains(start)),
        "{kept:?}"
    );
    assert_eq!(runs.list().unwrap(), [], "no run");
    runs.forget_refused_starts(Path::new("/a/spring.toml"), "spring").unwrap();
    assert_eq!(fresh.runs().refused_starts().unwrap(), [other]);
}
