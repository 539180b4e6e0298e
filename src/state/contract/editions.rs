use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::Fresh;
use crate::campaign::Duplicates;
use crate::edition::{Claim, Edition, Editions, PastRun, Recipient, Recognise, RunMark};
use crate::mail::{Address, Timestamp};

fn recipients(numbers: impl IntoIterator<Item = u32>) -> Vec<Recipient> {
    let recognise = Recognise::by(Duplicates::IgnoreCase);
    let address = |n| Address::parse(&format!("r{n}@b.example")).unwrap();
    let mut recipients: Vec<_> = numbers.into_iter().map(|n| recognise.of(&address(n), None)).collect();
    recipients.sort_unstable();
    recipients
}

fn run(name: &str, edition: &str) -> PastRun {
    PastRun {
        mark: RunMark(format!("spring/{name}@1")),
        edition: Edition { campaign: "spring".into(), name: edition.into() },
        run_id: name.into(),
        dir: PathBuf::from("/runs/spring").join(name),
        letter: "a1".into(),
        at: Timestamp(7),
        is_open: true,
    }
}

/// Whom a run does not get.
fn claim(editions: &dyn Editions, run: &PastRun, wanted: &[Recipient]) -> Vec<Recipient> {
    let claim = Claim { run, wanted, again: false, repeats: false, from: None };
    editions.claim(&claim).unwrap().refused
}

pub(super) fn nobody_is_claimed_by_two_runs_of_an_edition(fresh: &Fresh) {
    let (one, other) = (fresh.open().editions().unwrap(), fresh.open().editions().unwrap());
    assert_eq!(claim(&*one, &run("a", ""), &recipients(0..10)), []);
    assert_eq!(claim(&*other, &run("b", ""), &recipients(5..15)), recipients(5..10));
    assert_eq!(other.recipients(&run("b", "").mark).unwrap(), recipients(10..15));
    assert_eq!(claim(&*other, &run("c", "winter"), &recipients(0..10)), [], "another edition");
    let autumn = Edition { campaign: "autumn".into(), name: String::new() };
    assert_eq!(claim(&*other, &PastRun { edition: autumn, ..run("d", "") }, &recipients(0..10)), []);
    assert_eq!(other.runs(&run("a", "").edition).unwrap(), [run("a", ""), run("b", "")]);
}

pub(super) fn who_was_not_mailed_is_free_once_the_run_settles(fresh: &Fresh) {
    let editions = fresh.open().editions().unwrap();
    assert_eq!(claim(&*editions, &run("a", ""), &recipients(0..10)), []);
    editions.settle(&run("a", ""), &recipients(0..4)).unwrap();
    assert!(!editions.run(&run("a", "").mark).unwrap().unwrap().is_open);
    assert_eq!(claim(&*editions, &run("b", ""), &recipients(0..10)), recipients(0..4));
}

/// A run that was killed claims again what it has; one whose journal lost what it settled with gets
/// nobody twice.
pub(super) fn a_run_that_resumes_keeps_what_it_has(fresh: &Fresh) {
    let editions = fresh.open().editions().unwrap();
    assert_eq!(claim(&*editions, &run("a", ""), &recipients(0..10)), []);
    assert_eq!(claim(&*editions, &run("a", ""), &recipients(5..10)), []);
    assert_eq!(editions.recipients(&run("a", "").mark).unwrap(), recipients(0..10));
    editions.settle(&run("a", ""), &recipients(0..7)).unwrap();
    assert_eq!(claim(&*editions, &run("a", ""), &recipients(5..10)), recipients(5..7));
    editions.settle(&run("a", ""), &recipients(0..10)).unwrap();
    let rows_of_one =
        Claim { run: &run("a", ""), wanted: &recipients(9..10), again: false, repeats: true, from: None };
    assert_eq!(editions.claim(&rows_of_one).unwrap().refused, [], "another row of the recipient");
}

pub(super) fn sending_again_refuses_nobody(fresh: &Fresh) {
    let editions = fresh.open().editions().unwrap();
    assert_eq!(claim(&*editions, &run("a", ""), &recipients(0..10)), []);
    let again =
        Claim { run: &run("b", ""), wanted: &recipients(0..10), again: true, repeats: false, from: None };
    assert_eq!(editions.claim(&again).unwrap().refused, []);
    assert_eq!(claim(&*editions, &run("c", ""), &recipients(9..11)), recipients(9..10));
}

pub(super) fn rows_that_are_sent_again_go_over_to_the_retry(fresh: &Fresh) {
    let editions = fresh.open().editions().unwrap();
    editions.settle(&run("a", ""), &recipients(0..10)).unwrap();
    let (source, wanted) = (run("a", "").mark, recipients(3..5));
    let retry = |run| Claim { run, wanted: &wanted, again: false, repeats: false, from: Some(&source) };
    let (first, second) = (run("b", ""), run("c", ""));
    assert_eq!(editions.claim(&retry(&first)).unwrap().refused, []);
    assert_eq!(editions.recipients(&source).unwrap(), recipients((0..3).chain(5..10)));
    assert_eq!(editions.claim(&retry(&second)).unwrap().refused, wanted, "the first retry has them");
}

pub(super) fn a_state_has_an_identity_and_keeps_runs_as_they_are(fresh: &Fresh) {
    let editions = fresh.open().editions().unwrap();
    assert_eq!(editions.state_id().unwrap(), fresh.open().editions().unwrap().state_id().unwrap());
    // A folder whose name is no UTF-8.
    let odd = PastRun { dir: PathBuf::from(OsStr::from_bytes(b"/runs/\xe9t\xe9")), ..run("a", "x") };
    editions.settle(&odd, &recipients(0..100_000)).unwrap();
    assert_eq!(editions.run(&odd.mark).unwrap(), Some(PastRun { is_open: false, ..odd.clone() }));
    assert_eq!(editions.recipients(&odd.mark).unwrap(), recipients(0..100_000), "several parts");
}

pub(super) fn threads_that_claim_at_the_same_moment_share_nobody(fresh: &Fresh) {
    let wanted = recipients(0..500);
    let got: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|n| {
                let (editions, wanted) = (fresh.open().editions().unwrap(), &wanted);
                scope
                    .spawn(move || wanted.len() - claim(&*editions, &run(&format!("r{n}"), ""), wanted).len())
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(got, wanted.len());
}
