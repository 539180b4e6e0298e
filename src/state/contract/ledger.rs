use std::time::Duration;

use super::{Fresh, reading};
use crate::campaign::Capacity;
use crate::pacing::{Account, Agreement, Holder, Request, Reservation, Unused, Usage};

/// A process of the campaign `news`, with the usual limits.
fn join(fresh: &Fresh, process: &str) -> Box<dyn Account> {
    join_with(fresh, process, &Capacity::default())
}

fn join_with(fresh: &Fresh, process: &str, capacity: &Capacity) -> Box<dyn Account> {
    fresh.open().ledger().join(Holder::new("news", process), capacity.into()).unwrap()
}

/// A request at `micros` after the begin.
fn request(micros: i64, want: u64) -> Request {
    let from = reading(micros).now;
    let line_start = from - Duration::from_secs(3_600);
    Request { want, at_least: 1, from, over: Duration::ZERO, line_start, unused: vec![] }
}

fn ask(fresh: &Fresh, account: &mut dyn Account, micros: i64, want: u64) -> Reservation {
    fresh.set_clock(micros);
    account.reserve(&request(micros, want)).unwrap()
}

/// How many tokens were granted.
fn granted(reservation: &Reservation) -> u64 {
    reservation.block.map_or(0, |block| block.count)
}

fn usage(fresh: &Fresh) -> Usage {
    fresh.open().ledger().usage().unwrap().remove(0)
}

pub(super) fn what_is_granted_is_on_record_for_every_process_and_after_a_restart(fresh: &Fresh) {
    let (mut first, mut second) = (join(fresh, "1"), join(fresh, "2"));
    assert_eq!(granted(&ask(fresh, &mut *first, 0, 10)), 10);
    let reservation = ask(fresh, &mut *second, 0, 1_000);
    // The bucket of 0.7 s at 15,625 in 303 s holds 37: 10 of them are taken.
    assert_eq!(granted(&reservation), 27);
    assert!(reservation.shared);
    drop((first, second));
    assert_eq!(usage(fresh).hour_used, 37);
    let mut third = join(fresh, "3");
    assert_eq!(granted(&ask(fresh, &mut *third, 0, 1_000)), 0);
    assert_eq!(granted(&ask(fresh, &mut *third, 600_000, 1_000)), 31);
}

pub(super) fn what_is_given_back_is_seen_by_the_others(fresh: &Fresh) {
    let (mut first, mut second) = (join(fresh, "1"), join(fresh, "2"));
    let block = ask(fresh, &mut *first, 0, 37).block.unwrap();
    assert_eq!(granted(&ask(fresh, &mut *second, 0, 5)), 0);
    let give_back = Request { unused: vec![Unused { block: block.id, used: 30 }], ..request(0, 0) };
    assert_eq!(granted(&first.reserve(&give_back).unwrap()), 0);
    assert_eq!(usage(fresh).hour_used, 30);
    assert_eq!(granted(&ask(fresh, &mut *second, 0, 5)), 5);
    // Given back twice, as after a failure that was none: it is no more than before.
    first.reserve(&give_back).unwrap();
    assert_eq!(usage(fresh).hour_used, 35);
}

pub(super) fn usage_shows_the_slots_of_the_last_hour_and_who_used_them(fresh: &Fresh) {
    assert!(fresh.open().ledger().usage().unwrap().is_empty());
    let (mut first, mut second) = (join(fresh, "1"), join(fresh, "2"));
    let mut now = 0;
    for minute in 0..150 {
        now = minute * 60_000_000;
        ask(fresh, &mut *first, now, 10);
        now += 5_000_000;
        ask(fresh, &mut *second, now, 2);
    }
    let usage = usage(fresh);
    assert_eq!((usage.account.as_str(), usage.in_force.per_slot), ("default", 15_625));
    // The block of an hour ago may have been sent until 2.5 s later.
    assert_eq!((usage.hour_used, usage.hour_free), (722, 149_278));
    assert_eq!((usage.slot_used, usage.slot_free), (62, 15_563));
    assert_eq!(usage.slots.len(), 13);
    assert!(usage.slots.iter().all(|slot| slot.start == slot.start.slot()));
    assert_eq!(usage.slots[12].start, reading(now).wall.slot());
    let by = [(Holder::new("news", "1"), 50), (Holder::new("news", "2"), 10)];
    assert_eq!((usage.slots[5].used, usage.slots[5].by.as_slice()), (60, by.as_slice()));
}

pub(super) fn accounts_are_apart(fresh: &Fresh) {
    let mut first = join(fresh, "1");
    let capacity = Capacity { account: "other".into(), ..Capacity::default() };
    let mut second = join_with(fresh, "2", &capacity);
    assert_eq!(granted(&ask(fresh, &mut *first, 0, 37)), 37);
    assert_eq!(granted(&ask(fresh, &mut *second, 0, 37)), 37);
    let used = fresh.open().ledger().usage().unwrap();
    let used: Vec<_> = used.iter().map(|usage| (usage.account.as_str(), usage.hour_used)).collect();
    assert_eq!(used, [("default", 37), ("other", 37)]);
}

pub(super) fn the_strictest_limits_named_are_in_force(fresh: &Fresh) {
    let narrow = Capacity { per_hour: 1_200, ..Capacity::default() };
    let (mut first, mut second) = (join(fresh, "1"), join_with(fresh, "2", &narrow));
    assert_eq!(ask(fresh, &mut *first, 0, 1).in_force, (&Capacity::default()).into());
    ask(fresh, &mut *second, 0, 1);
    assert_eq!(ask(fresh, &mut *first, 1_000_000, 1).in_force, Agreement::from(&narrow));
    assert_eq!(usage(fresh).in_force, Agreement::from(&narrow));
    let hour_later = 3_610_000_000;
    assert_eq!(ask(fresh, &mut *first, hour_later, 1).in_force, (&Capacity::default()).into());
}

pub(super) fn limits_that_are_set_hold_for_every_process_and_what_was_sent_still_counts(fresh: &Fresh) {
    let narrow = Capacity { per_hour: 1_200, ..Capacity::default() };
    let wide = Agreement::from(&Capacity::default());
    let (mut first, mut second) = (join_with(fresh, "1", &narrow), join(fresh, "2"));
    assert_eq!(granted(&ask(fresh, &mut *first, 0, 1)), 1);
    assert_eq!(ask(fresh, &mut *second, 1_000_000, 1).in_force, Agreement::from(&narrow));
    let (limits, until) = usage(fresh).stricter_than(wide).unwrap();
    assert_eq!(limits, Agreement::from(&narrow));
    let hour_later = reading(0).wall + Duration::from_secs(3_600);
    assert!(until > hour_later && until < hour_later + Duration::from_secs(5), "{until}");

    let ledger = fresh.open().ledger();
    assert!(ledger.set_limits("default", wide).unwrap() > 0);
    assert_eq!(ledger.set_limits("default", wide).unwrap(), 0, "nothing is left to change");
    assert_eq!(ledger.set_limits("unknown", wide).unwrap(), 0);
    let used = usage(fresh).hour_used;
    assert!(used > 0 && usage(fresh).stricter_than(wide).is_none());
    assert_eq!(ask(fresh, &mut *second, 2_000_000, 1).in_force, wide, "a process that works sees it");
    assert_eq!(usage(fresh).hour_used, used + 1);
    // Who still names the narrow limits is held to them, and so are the rest.
    assert_eq!(ask(fresh, &mut *first, 3_000_000, 1).in_force, Agreement::from(&narrow));
    assert_eq!(ask(fresh, &mut *second, 4_000_000, 1).in_force, Agreement::from(&narrow));
}

pub(super) fn who_has_priority_goes_first_and_nobody_waits_longer_than_a_slot(fresh: &Fresh) {
    let urgent = Capacity { priority: Some(5), ..Capacity::default() };
    let (mut alarm, mut news) = (join_with(fresh, "alarm", &urgent), join(fresh, "news"));
    let begin = reading(0).now;
    let ask = |account: &mut dyn Account, second: i64, want: u64| {
        fresh.set_clock(second * 1_000_000);
        let request = Request { line_start: begin, ..request(second * 1_000_000, want) };
        granted(&account.reserve(&request).unwrap())
    };
    assert!(ask(&mut *news, 0, 5) > 0, "nobody waits");
    let mut served = Vec::new();
    for second in 1..320 {
        let is_urgent = ask(&mut *alarm, second, 1_000) > 0;
        let is_news = ask(&mut *news, second, 5) > 0;
        assert!(is_urgent || is_news || second < 3, "second {second}");
        if is_news {
            served.push(second);
        }
    }
    assert!(matches!(served[..], [second] if (290..=300).contains(&second)), "once a slot: {served:?}");
    // Once the alarm has what it wants, the rest is the others'.
    assert_eq!(ask(&mut *alarm, 330, 5), 5);
    assert_eq!(ask(&mut *news, 330, 5), 5);
}

pub(super) fn threads_that_ask_at_the_same_moment_get_no_more_than_one_would(fresh: &Fresh) {
    let total: u64 = std::thread::scope(|scope| {
        let ask = |process: usize| {
            let mut account = join(fresh, &process.to_string());
            (0..20).map(|_| granted(&account.reserve(&request(0, 1)).unwrap())).sum::<u64>()
        };
        let threads: Vec<_> = (0..8).map(|process| scope.spawn(move || ask(process))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(total, 37);
}
