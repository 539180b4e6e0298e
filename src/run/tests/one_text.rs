//! Runs with one text for all: many recipients in one transaction.

use super::*;
use crate::pacing::Rate;

fn together(rows: u32, together: usize) -> Setting {
    Setting { rows, together: Some(together), ..Setting::default() }
}

fn too_many() -> Fate {
    refused(452, "4.5.3 Too many recipients")
}

#[test]
fn one_message_is_composed_for_as_many_rows_as_the_site_takes() {
    let mut world = World::new(together(1_050, 100), |_| (10 * MS, accepted()));
    world.run().assert_all(1_050, Disposition::Accepted);
    let sizes: Vec<usize> = world.transactions.iter().map(Vec::len).collect();
    assert_eq!(sizes, [vec![100; 10], vec![50]].concat());
    assert_eq!(world.composed, 11);
    assert_eq!(world.sent.len(), 1_050, "no row twice");
}

#[test]
fn what_is_in_flight_is_a_message_more_than_the_depth_of_each_connection_with_all_its_recipients() {
    let setting = Setting { connections: 3, depth: 2, ..together(5_000, 100) };
    let mut world = World::new(setting, |_| (10 * MS, accepted()));
    world.run();
    assert_eq!(world.most_in_flight, 3 * (2 + 1) * 100);
}

#[test]
fn each_row_has_the_outcome_of_its_own_recipient() {
    let mut world = World::new(together(250, 100), |sent| {
        let fate = match sent.row {
            7 | 180 => refused(550, "5.1.1 no such user"),
            _ => accepted(),
        };
        (MS, fate)
    });
    world.run();
    let finals = world.finals();
    let bounced: Vec<u32> =
        finals.iter().filter(|(_, d)| **d == Disposition::Bounced).map(|(row, _)| *row).collect();
    assert_eq!((bounced, finals.len()), (vec![7, 180], 250));
    assert_eq!(world.suppressed, [7, 180]);
    assert_eq!(world.transactions.len(), 3);
}

#[test]
fn rows_that_drop_out_leave_the_message_to_the_others() {
    let mut world = World::new(together(100, 100), |_| (MS, accepted()));
    world.broken.insert(2, NotComposed::Suppressed("unsubscribed".into()));
    world.broken.insert(4, NotComposed::Suppressed("unsubscribed".into()));
    world.run();
    let finals = world.finals();
    assert_eq!(
        (finals[&2], finals[&4], finals[&3]),
        (Disposition::Suppressed, Disposition::Suppressed, Disposition::Accepted)
    );
    assert_eq!(world.transactions.iter().map(Vec::len).collect::<Vec<_>>(), [98]);
}

#[test]
fn what_was_deferred_together_comes_back_together() {
    let mut world = World::new(together(100, 100), |sent| {
        (
            MS,
            if sent.row.is_multiple_of(2) && sent.attempt == 1 {
                refused(450, "4.2.0 later")
            } else {
                accepted()
            },
        )
    });
    world.run().assert_all(100, Disposition::Accepted);
    assert_eq!(world.transactions.iter().map(Vec::len).collect::<Vec<_>>(), [100, 50]);
    assert_eq!(world.composed, 2, "a retry is composed again, once for all");
}

#[test]
fn a_lost_answer_leaves_all_in_doubt_that_were_not_refused() {
    let lost = SessionError::Closed { awaiting: Command::EndOfMessage };
    let mut world = World::new(together(100, 100), move |sent| {
        let fate = match sent.row {
            0 | 50 => refused(550, "5.1.1 no such user"),
            _ => Fate::InDoubt { error: lost.clone() },
        };
        (MS, fate)
    });
    world.run();
    let counts = world.dispatcher.counts();
    assert_eq!((counts.bounced, counts.in_doubt), (2, 98));
    assert_eq!(world.sent.len(), 100, "none is sent again");
}

/// RFC 5321 §4.5.3.1.10.
#[test]
fn recipients_that_are_too_many_follow_at_once_and_the_lane_learns_the_limit() {
    let setting = Setting { connections: 1, ..together(400, 100) };
    let mut world =
        World::new(setting, |sent| (10 * MS, if sent.place < 30 { accepted() } else { too_many() }));
    world.run().assert_all(400, Disposition::Accepted);
    assert!(world.now.since(START) < Duration::from_secs(5), "nobody waits for a retry");
    let counts = world.dispatcher.counts();
    assert_eq!(counts.retries, 0);
    assert!(world.outcomes.iter().all(|outcome| outcome.attempt == 1), "no attempt is counted twice");
    let large = world.transactions.iter().filter(|rows| rows.len() > 30).count();
    assert!((1..=2).contains(&large), "only what was granted before the first answer: {large}");
    assert_eq!(world.dispatcher.lanes().iter().next().unwrap().recipients(), 30);
    let window = world.dispatcher.lanes().iter().next().unwrap().window();
    assert_eq!(window, 1, "it is no complaint");
}

#[test]
fn the_pace_counts_recipients() {
    let capacity = Capacity { per_hour: 36_000, ..Capacity::default() };
    let setting = Setting { capacity: Some(capacity), ..together(3_000, 100) };
    let mut world = World::new(setting, |_| (MS, accepted()));
    world.run().assert_all(3_000, Disposition::Accepted);
    let took = world.now.since(START).as_secs_f64();
    assert!((295.0..=330.0).contains(&took), "3,000 recipients at 10/s took {took} s");
    assert!(world.composed <= 60, "{} signatures for 3,000 rows", world.composed);
    for (at, sent) in world.sent.iter().enumerate() {
        let window =
            world.sent[at..].iter().take_while(|later| later.at < sent.at + Duration::from_secs(300));
        assert!(window.count() <= 3_750, "no window of 300 s has more than the agreement");
    }
}

#[test]
fn a_rate_of_the_site_and_the_allowance_of_a_source_count_recipients() {
    let limits =
        LaneLimits { rate: Some(Rate { tokens: 50, micros: 1_000_000 }), ..limits_of(&together(1_000, 100)) };
    let mut lane = Lane::new(hops("relay"), limits, None, START);
    lane.add(Segment::whole((0..1_000).collect()));
    let sources = vec![SourceLimits { allowance: Some(730), ..SourceLimits::default() }];
    let setting = Setting { sources, ..together(1_000, 100) };
    let mut world = World::with(setting, vec![lane], Directory::empty(), |_| (MS, accepted()));
    world.run();
    assert_eq!(*world.stopped(), StopReason::WarmUpSpent);
    assert_eq!(world.sent.len(), 730);
    let took = world.now.since(START).as_secs_f64();
    assert!((14.0..=16.0).contains(&took), "730 at 50/s took {took} s");
}

#[test]
fn a_transaction_is_one_complaint_however_many_recipients_it_has() {
    let setting = Setting { connections: 4, ..together(100, 100) };
    let mut world = World::new(setting, |sent| {
        (MS, if sent.attempt == 1 { refused(451, "4.7.1 slow down") } else { accepted() })
    });
    world.run_until(START + Duration::from_secs(1));
    let window = world.dispatcher.lanes().iter().next().unwrap().window();
    assert_eq!(window, 3, "100 refusals in one transaction take one connection away");
}

#[test]
fn a_transaction_that_was_not_started_goes_back_whole_and_in_order() {
    let mut expired = 0;
    let mut world = World::new(Setting { connections: 1, ..together(100, 50) }, move |sent| {
        expired += u32::from(sent.row == 0);
        let fate = if sent.row < 50 && expired < 2 {
            Fate::NotStarted { why: NotStarted::Expired }
        } else {
            accepted()
        };
        (MS, fate)
    });
    world.run().assert_all(100, Disposition::Accepted);
    assert!(world.sent.iter().all(|sent| sent.attempt == 1));
    let withdrawn = world.outcomes.iter().filter(|outcome| outcome.verdict == Verdict::Withdrawn).count();
    assert_eq!(withdrawn, 50);
    assert!(world.transactions.iter().all(|rows| rows.is_sorted() && rows.len() == 50));
}

/// At an agreement of 150,000 an hour about six recipients share a message, and the run takes no
/// longer for it.
#[test]
fn a_paced_run_gathers_recipients_and_keeps_the_pace() {
    let run = |together: Option<usize>| {
        let capacity = Capacity { per_hour: 150_000, ..Capacity::default() };
        let setting = Setting {
            rows: 20_000,
            connections: 20,
            capacity: Some(capacity),
            together,
            ..Setting::default()
        };
        let mut world = World::new(setting, |_| (20 * MS, accepted()));
        world.run().assert_all(20_000, Disposition::Accepted);
        world
    };
    let (one_by_one, together) = (run(None), run(Some(100)));
    let seconds = |world: &World| world.sent.last().unwrap().at.since(START).as_secs_f64();
    let (before, after) = (seconds(&one_by_one), seconds(&together));
    assert!(after <= before * 1.005, "{after} s instead of {before} s");
    assert!(together.transactions.len() <= 20_000 / 5, "{} messages", together.transactions.len());
}
