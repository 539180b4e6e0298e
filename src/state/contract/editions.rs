use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::Fresh;
use crate::campaign::{Duplicates, Identity};
use crate::edition::{Cap, Claim, Edition, Editions, PastRun, Recipient, Recognise, RunMark};
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
        list_id: String::new(),
        is_alarm: false,
        letter: "a1".into(),
        at: Timestamp(7),
        is_open: true,
    }
}

/// Whom a run does not get.
fn claim(editions: &dyn Editions, run: &PastRun, wanted: &[Recipient]) -> Vec<Recipient> {
    let claim = Claim { run, wanted, again: false, repeats: false, from: None, cap: None };
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
    let rows_of_one = Claim {
        run: &run("a", ""),
        wanted: &recipients(9..10),
        again: false,
        repeats: true,
        from: None,
        cap: None,
    };
    assert_eq!(editions.claim(&rows_of_one).unwrap().refused, [], "another row of the recipient");
}

pub(super) fn sending_again_refuses_nobody(fresh: &Fresh) {
    let editions = fresh.open().editions().unwrap();
    assert_eq!(claim(&*editions, &run("a", ""), &recipients(0..10)), []);
    let again = Claim {
        run: &run("b", ""),
        wanted: &recipients(0..10),
        again: true,
        repeats: false,
        from: None,
        cap: None,
    };
    assert_eq!(editions.claim(&again).unwrap().refused, []);
    assert_eq!(claim(&*editions, &run("c", ""), &recipients(9..11)), recipients(9..10));
}

pub(super) fn rows_that_are_sent_again_go_over_to_the_retry(fresh: &Fresh) {
    let editions = fresh.open().editions().unwrap();
    editions.settle(&run("a", ""), &recipients(0..10)).unwrap();
    let (source, wanted) = (run("a", "").mark, recipients(3..5));
    let retry =
        |run| Claim { run, wanted: &wanted, again: false, repeats: false, from: Some(&source), cap: None };
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

/// Two mails within 7 seconds, as seen at second 10: what was mailed from second 3 on counts.
fn cap(duplicates: Duplicates, more: &str, sending: &[&PastRun]) -> Cap {
    let text = format!("id = \"x\"\nmax-per = \"2/7s\"\n{more}");
    let campaign: Identity = toml::from_str(&text).unwrap();
    let sending = sending.iter().map(|run| run.mark.clone()).collect();
    Cap::of(&campaign, second(10), sending, Recognise::by(duplicates)).unwrap()
}

fn second(second: i64) -> Timestamp {
    Timestamp(second * 1_000_000)
}

/// A run that ended at a second.
fn ended(name: &str, at: i64) -> PastRun {
    PastRun { at: second(at), ..run(name, name) }
}

pub(super) fn mails_are_counted_over_the_runs_of_some_time(fresh: &Fresh) {
    let editions = fresh.open().editions().unwrap();
    let of_list = |run| PastRun { list_id: "l.example.com".into(), ..run };
    let (long, alarm) = (ended("long", 1), PastRun { is_alarm: true, ..ended("alarm", 9) });
    // More than a store reads at a time.
    editions.settle(&ended("a", 3), &recipients(0..70_000)).unwrap();
    editions.settle(&of_list(ended("b", 9)), &recipients(5..70_005)).unwrap();
    editions.settle(&of_list(ended("c", 9)), &recipients(8..10)).unwrap();
    editions.settle(&ended("before", 2), &recipients(0..5)).unwrap();
    editions.settle(&alarm, &recipients(0..5)).unwrap();
    editions.settle(&long, &recipients(0..2)).unwrap();
    let counted = |cap: &Cap, except: &PastRun| {
        let mailed = editions.mailed(cap, &except.mark).unwrap();
        (mailed.len(), mailed.iter().map(|one| u64::from(one.times())).sum::<u64>())
    };
    let usual = cap(Duplicates::IgnoreCase, "", &[]);
    assert_eq!(counted(&usual, &alarm), (69_995, 2 * 69_995 + 2));
    assert_eq!(counted(&usual, &ended("b", 9)), (2, 4), "the run itself does not count");
    let while_sent = cap(Duplicates::IgnoreCase, "", &[&long]);
    assert_eq!(counted(&while_sent, &alarm), (69_997, 2 * 69_997 + 2), "however long it takes");
    let list = "list-id = \"l.example.com\"\nmax-per-scope = \"list\"";
    assert_eq!(counted(&cap(Duplicates::IgnoreCase, list, &[]), &alarm), (2, 4));
    let with_own = cap(Duplicates::Keep, "", &[]);
    assert_eq!(counted(&with_own, &alarm), (70_005, 140_002), "its own rows may add to one mail");
    let all: Vec<_> = editions.all_runs().unwrap().into_iter().map(|run| run.run_id).collect();
    assert_eq!(all, ["a", "b", "c", "before", "alarm", "long"]);
}

/// Whom a run does not get for the mail that they got.
fn capped(editions: &dyn Editions, run: &PastRun, wanted: &[Recipient], cap: &Cap) -> Vec<Recipient> {
    let from = None;
    let claim = Claim { run, wanted, again: true, repeats: false, from, cap: Some(cap) };
    let claimed = editions.claim(&claim).unwrap();
    assert_eq!(claimed.refused, []);
    claimed.capped
}

pub(super) fn nobody_is_claimed_beyond_a_cap(fresh: &Fresh) {
    let editions = fresh.open().editions().unwrap();
    let two = cap(Duplicates::IgnoreCase, "", &[]);
    assert_eq!(capped(&*editions, &ended("a", 5), &recipients(0..10), &two), []);
    assert_eq!(capped(&*editions, &ended("b", 6), &recipients(5..15), &two), [], "two are allowed");
    assert_eq!(capped(&*editions, &ended("c", 7), &recipients(0..15), &two), recipients(5..10));
    assert_eq!(editions.recipients(&ended("c", 7).mark).unwrap(), recipients((0..5).chain(10..15)));
    // Resumed: what it has does not count against it.
    assert_eq!(capped(&*editions, &ended("c", 8), &recipients(0..15), &two), recipients(5..10));
    // Once `a` has settled with fewer, they are free.
    editions.settle(&ended("a", 5), &recipients(0..7)).unwrap();
    assert_eq!(capped(&*editions, &ended("c", 8), &recipients(0..10), &two), recipients(5..7));
    // A retry: the rows come over, and count once.
    let retry = ended("d", 9);
    let from = ended("c", 8).mark;
    let (wanted, from) = (recipients(0..5), Some(&from));
    let claim = Claim { run: &retry, wanted: &wanted, again: false, repeats: false, from, cap: Some(&two) };
    assert_eq!(editions.claim(&claim).unwrap().capped, []);
    assert_eq!(editions.recipients(&ended("c", 8).mark).unwrap(), recipients(7..15));

    // Where rows of one run can have one address, they count too.
    let row =
        |id: &str| Recognise::by(Duplicates::Keep).of(&Address::parse("twice@b.example").unwrap(), Some(id));
    let mut rows = ["1", "2", "3"].map(row);
    rows.sort_unstable();
    let keep = cap(Duplicates::Keep, "", &[]);
    assert_eq!(capped(&*editions, &ended("e", 9), &rows, &keep), [rows[2]]);
    // The first went out before it was killed.
    assert_eq!(capped(&*editions, &ended("e", 9), &rows[1..], &keep), [rows[2]]);
}

pub(super) fn threads_that_claim_at_the_same_moment_exceed_no_cap(fresh: &Fresh) {
    let (wanted, cap) = (recipients(0..500), cap(Duplicates::IgnoreCase, "", &[]));
    let got: usize = std::thread::scope(|scope| {
        let (wanted, cap) = (&wanted, &cap);
        let claim = move |n| {
            let editions = fresh.open().editions().unwrap();
            wanted.len() - capped(&*editions, &ended(&format!("r{n}"), 9), wanted, cap).len()
        };
        let threads: Vec<_> = (0..5).map(|n| scope.spawn(move || claim(n))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(got, 2 * wanted.len());
}
