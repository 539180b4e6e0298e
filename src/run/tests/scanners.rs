//! Scanners that find something, that can't look, and that give no answer.

use super::*;

const HOUR: Duration = Duration::from_secs(3_600);

fn world(rows: u32) -> World {
    let retry = RetryPolicy { give_up_after: Span(HOUR), ..RetryPolicy::default() };
    World::new(Setting { rows, retry, ..Setting::default() }, |_| (MS, accepted()))
}

#[test]
fn what_is_infected_ends_and_what_can_not_be_scanned_is_deferred() {
    let mut world = world(10);
    world.broken.insert(2, NotComposed::Infected("Eicar in `a.pdf`".into()));
    world.broken.insert(4, NotComposed::NotScannable("too large".into()));
    world.run();
    let finals = world.finals();
    assert_eq!((finals[&2], finals[&4]), (Disposition::Infected, Disposition::Deferred));
    assert_eq!(world.sent.len(), 8);
    let detail = |row| world.outcomes.iter().find(|outcome| outcome.row == row).unwrap().detail.clone();
    assert_eq!(detail(2).as_deref(), Some("Eicar in `a.pdf`"));
    assert_eq!(world.dispatcher.counts().infected, 1);
}

#[test]
fn rows_wait_for_a_scanner_and_all_leave_when_it_is_back() {
    let mut world = world(10_000);
    let (from, to) = (START + Duration::from_millis(40), START + HOUR / 2);
    world.scanner_is_down = Box::new(move |_, now| now >= from && now < to);
    world.run().assert_all(10_000, Disposition::Accepted);
    // What was scanned before still leaves.
    let settled = from + Duration::from_secs(1);
    assert!(world.sent.iter().all(|sent| sent.at < settled || sent.at >= to));
    assert!(world.sent.iter().any(|sent| sent.at < from));
    assert!(world.now < to + Duration::from_secs(400), "{} seconds", world.now.since(START).as_secs());
    assert!(world.composed < 20_000, "{} messages composed", world.composed);
}

#[test]
fn rows_are_deferred_when_a_scanner_is_gone_for_too_long() {
    let mut world = world(10_000);
    world.scanner_is_down = Box::new(|_, _| true);
    world.run().assert_all(10_000, Disposition::Deferred);
    assert!(world.sent.is_empty());
    let took = world.now.since(START);
    assert!(took > HOUR - Duration::from_secs(600) && took < HOUR + Duration::from_secs(600), "{took:?}");
    let why = world.outcomes[0].detail.as_deref().unwrap();
    assert!(why.starts_with("not scanned: no answer"), "{why}");
    assert!(world.composed < 10_000, "{} messages composed", world.composed);
}

#[test]
fn one_row_that_no_scanner_answers_for_ends_alone() {
    let mut world = world(1_000);
    world.scanner_is_down = Box::new(|row, _| row == 7);
    world.run();
    let finals = world.finals();
    assert_eq!(finals[&7], Disposition::Deferred);
    assert_eq!(finals.values().filter(|end| **end == Disposition::Accepted).count(), 999);
    assert!(world.sent.iter().all(|sent| sent.at < START + HOUR / 4), "the others wait for it");
}
