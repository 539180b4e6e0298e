use chrono::NaiveDate;

use super::Fresh;

fn day(day: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 11, day).unwrap()
}

pub(super) fn a_cap_is_shared_and_what_is_given_back_can_be_taken_again(fresh: &Fresh) {
    let (one, other) = (fresh.open().daily_caps().unwrap(), fresh.open().daily_caps().unwrap());
    assert_eq!(one.take("192.0.2.1", day(1), 500, 400).unwrap(), 400);
    assert_eq!(other.take("192.0.2.1", day(1), 500, 400).unwrap(), 100);
    assert_eq!(one.take("192.0.2.1", day(1), 500, 1).unwrap(), 0);
    assert_eq!(one.take("192.0.2.2", day(1), 500, 1).unwrap(), 1, "each address has its own");
    assert_eq!(one.used("192.0.2.1", day(1)).unwrap(), 500);
    assert_eq!(one.used("192.0.2.1", day(2)).unwrap(), 0);
    one.give_back("192.0.2.1", day(1), 30).unwrap();
    assert_eq!(other.used("192.0.2.1", day(1)).unwrap(), 470);
    assert_eq!(other.take("192.0.2.1", day(1), 500, 400).unwrap(), 30);
    assert_eq!(other.take("192.0.2.1", day(2), 1_000, 5_000).unwrap(), 1_000, "a new day, a new cap");
    one.give_back("192.0.2.2", day(1), 50).unwrap();
    assert_eq!(one.take("192.0.2.2", day(1), 10, 50).unwrap(), 10, "no more comes back than was taken");
    assert_eq!(one.take("192.0.2.2", day(1), 5, 50).unwrap(), 0, "a cap that was lowered");
}

pub(super) fn threads_that_take_at_the_same_moment_exceed_no_cap(fresh: &Fresh) {
    let taken: u64 = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let caps = fresh.open().daily_caps().unwrap();
                scope.spawn(move || {
                    (0..20).map(|_| caps.take("192.0.2.1", day(1), 100, 1).unwrap()).sum::<u64>()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(taken, 100);
}
