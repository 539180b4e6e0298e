//! Sites that take so many messages a second and answer the rest with "later".

use std::collections::VecDeque;

use super::*;
use crate::pacing::Rate;
use crate::run::meter::Meter;
use crate::run::snapshot::Earlier;

/// How a site counts its ten messages a second.
#[derive(Debug, Clone, Copy)]
enum Count {
    /// In any second.
    Sliding,
    /// In each second of its clock.
    Seconds,
    /// One each 100 ms.
    Spaced,
}

/// The answers of a site that takes ten messages a second.
fn ten_a_second(count: Count, text: &'static str) -> impl FnMut(Sent) -> (Duration, Fate) {
    let mut taken: VecDeque<Timestamp> = VecDeque::new();
    move |sent| {
        let second = Duration::from_secs(1);
        let is_old = |at: &Timestamp| match count {
            Count::Sliding => sent.at.since(*at) >= second,
            Count::Seconds => at.0 / 1_000_000 < sent.at.0 / 1_000_000,
            Count::Spaced => sent.at.since(*at) >= second / 10,
        };
        while taken.front().is_some_and(is_old) {
            taken.pop_front();
        }
        let most = if matches!(count, Count::Spaced) { 1 } else { 10 };
        let takes = taken.len() < most;
        if takes {
            taken.push_back(sent.at);
        }
        (20 * MS, if takes { accepted() } else { refused(451, text) })
    }
}

#[test]
fn a_site_that_takes_ten_a_second_has_300_rows_within_a_minute() {
    for count in [Count::Sliding, Count::Seconds, Count::Spaced] {
        for text in ["4.7.0 too many messages, slow down", "4.3.2 busy"] {
            let setting = Setting { rows: 300, connections: 20, ..Setting::default() };
            let mut world = World::new(setting, ten_a_second(count, text));
            world.run().assert_all(300, Disposition::Accepted);
            let took = world.now.since(START).as_secs_f64();
            let refused = world.sent.len() - 300;
            assert!(took <= 60.0, "{count:?}, {text}: {took} s, {refused} refused");
            assert!(refused <= 50, "{count:?}, {text}: {refused} refused");
        }
    }
}

/// The same site as others see it: its answers take `5 + (0..=spread)` ms, by chance.
fn with_latency(
    seed: u32,
    spread: u32,
    mut site: impl FnMut(Sent) -> (Duration, Fate),
) -> impl FnMut(Sent) -> (Duration, Fate) {
    let mut state = seed.wrapping_mul(0x9e37_79b9) | 1;
    move |sent| {
        // Marsaglia's xorshift.
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        let (_, fate) = site(sent);
        // A refusal at RCPT comes sooner than what follows the whole message.
        let least = if fate.is_accepted() { 5 } else { 1 };
        (MS * (least + state % (spread + 1)), fate)
    }
}

/// When the last row was accepted, and the most refusals of one row.
fn measured(world: &World) -> (f64, u16) {
    let most = world.sent.iter().map(|sent| sent.attempt).max().unwrap_or(0);
    (world.now.since(START).as_secs_f64(), most - 1)
}

#[test]
fn rows_that_came_too_fast_do_not_wait_for_the_schedule_where_the_site_accepts_others() {
    for count in [Count::Sliding, Count::Seconds, Count::Spaced] {
        for seed in 1..=4 {
            for (rows, connections, most) in [(300, 20, 60.0), (300, 4, 60.0), (40, 20, 15.0), (40, 4, 15.0)]
            {
                let site = ten_a_second(count, "4.4.5 too many messages, slow down");
                let setting = Setting { rows, connections, ..Setting::default() };
                let mut world = World::new(setting, with_latency(seed, 60, site));
                world.run().assert_all(rows, Disposition::Accepted);
                let (took, refused) = measured(&world);
                let what = format!("{count:?}, {rows} rows, {connections} connections, seed {seed}");
                assert!(took <= most, "{what}: {took} s");
                assert!(refused <= 6, "{what}: a row was refused {refused} times");
                // Each transmission has its number and its record.
                let tries = world
                    .outcomes
                    .iter()
                    .filter(|o| matches!(o.verdict, Verdict::Retry { .. } | Verdict::Final(_)));
                assert_eq!(tries.count(), world.sent.len(), "{what}");
            }
        }
    }
}

#[test]
fn a_site_that_accepts_nothing_any_more_is_left_alone_until_rows_are_due() {
    for (count, accepts_for) in [(Count::Sliding, 10), (Count::Spaced, 10), (Count::Sliding, 0)] {
        let end = START + Duration::from_secs(accepts_for);
        let mut site = ten_a_second(count, "4.4.5 too many messages, slow down");
        let setting = Setting { rows: 300, connections: 20, ..Setting::default() };
        let mut world = World::new(setting, move |sent| {
            if sent.at < end { site(sent) } else { (5 * MS, refused(451, "4.4.5 congestion")) }
        });
        world.run();
        let mut last: HashMap<u32, Timestamp> = HashMap::new();
        let mut early = 0;
        for Sent { row, at, .. } in &world.sent {
            let waited = last.insert(*row, *at).map(|last| at.since(last));
            early += usize::from(*at >= end && waited.is_some_and(|waited| waited < Duration::from_secs(27)));
        }
        // What was composed before the site's third refusal in a row: a second's worth.
        let what = format!("{count:?}, {accepts_for} s");
        assert!(early <= if accepts_for > 0 { 12 } else { 0 }, "{what}: {early} rows were not due");
        let deferred = world.finals().values().filter(|end| **end == Disposition::Deferred).count();
        assert!(deferred >= 200, "{what}: {deferred} deferred");
        let each = world.sent.len() as f64 / 300.0;
        assert!(each < 22.0, "{what}: {each} attempts a row in four hours");
    }
}

#[test]
fn a_large_list_uses_most_of_what_a_site_takes_and_is_seldom_refused() {
    for count in [Count::Sliding, Count::Seconds, Count::Spaced] {
        let setting = Setting { rows: 6_000, connections: 20, ..Setting::default() };
        let mut world = World::new(setting, ten_a_second(count, "4.7.0 too many messages, slow down"));
        world.run().assert_all(6_000, Disposition::Accepted);
        let took = world.now.since(START).as_secs();
        let refused = world.sent.len() - 6_000;
        assert!((600..780).contains(&took), "{count:?}: 6,000 at 10 a second took {took} s");
        assert!(refused < 150, "{count:?}: {refused} refused");
    }
}

#[test]
fn a_site_that_is_no_longer_busy_gets_its_whole_speed_again() {
    let setting = Setting { rows: 20_000, connections: 20, ..Setting::default() };
    let mut site = ten_a_second(Count::Sliding, "4.7.0 too many messages, slow down");
    let mut world = World::new(setting, move |sent| {
        if sent.at < START + Duration::from_secs(60) { site(sent) } else { (20 * MS, accepted()) }
    });
    world.run().assert_all(20_000, Disposition::Accepted);
    let took = world.now.since(START).as_secs();
    assert!(took < 360, "{took} s");
}

#[test]
fn refusals_at_any_speed_do_not_slow_a_site_down() {
    for one_in in [3, 50, 1_000] {
        let setting = Setting { rows: 20_000, connections: 20, ..Setting::default() };
        let mut world = World::new(setting, move |sent| {
            let refuses = sent.attempt == 1 && sent.row % one_in == 0;
            (20 * MS, if refuses { refused(451, "4.3.0 not this one") } else { accepted() })
        });
        world.run().assert_all(20_000, Disposition::Accepted);
        let took = world.now.since(START).as_secs();
        // What the number of connections, which complaints lower, and the retries take.
        assert!(took < 140, "one in {one_in}: {took} s");
    }
}

#[test]
fn the_state_of_a_lane_names_the_rate_and_the_reply() {
    let setting = Setting { rows: 300, connections: 20, ..Setting::default() };
    let mut world = World::new(setting, ten_a_second(Count::Sliding, "4.7.0 too many messages, slow down"));
    world.run_until(START + Duration::from_secs(10));
    let lane = world.dispatcher.lanes().iter().next().unwrap().snapshot(None, world.now);
    assert!(lane.state.starts_with("slowed to 8."), "{}", lane.state);
    assert!(lane.state.ends_with("/s: 451 4.7.0 too many messages, slow down"), "{}", lane.state);
}

/// What is left after 20 s, and what holds it back.
fn seen(world: &mut World, rows: u32) -> (u64, Option<String>) {
    let mut meter = Meter::new(u64::from(rows), Earlier::default(), START);
    world.run_until(START + Duration::from_secs(10));
    meter.read(&world.dispatcher, world.now);
    world.run_until(START + Duration::from_secs(20));
    let snapshot = meter.read(&world.dispatcher, START + Duration::from_secs(20));
    (snapshot.time_left.unwrap_or_default().as_secs(), snapshot.held_by)
}

#[test]
fn the_finish_counts_what_holds_a_run_back_and_names_it() {
    let one_a_second = Some(Rate { tokens: 1, micros: 1_000_000 });

    let sources = vec![SourceLimits { rate: one_a_second, ..SourceLimits::default() }];
    let setting = Setting { rows: 200, sources, ..Setting::default() };
    let (left, why) = seen(&mut World::new(setting, |_| (MS, accepted())), 200);
    assert!((175..=185).contains(&left), "{left} s");
    assert_eq!(why.as_deref(), Some("the local addresses send 1.0/s"));

    let sources = vec![SourceLimits { allowance: Some(500), rate: one_a_second, weight: 1 }];
    let setting = Setting { rows: 2_000, sources, ..Setting::default() };
    let (left, why) = seen(&mut World::new(setting, |_| (MS, accepted())), 2_000);
    assert_eq!((left, why.as_deref()), (0, Some("the warm-up lets 479 more leave today")));

    let lane = |rate| {
        let limits = LaneLimits { rate, ..limits_of(&Setting::default()) };
        let mut lane = Lane::new(hops("relay"), limits, None, START);
        lane.add(Segment::whole((0..200).collect()));
        vec![lane]
    };
    let setting = || Setting { rows: 200, ..Setting::default() };
    let mut shaped = World::with(setting(), lane(one_a_second), Directory::empty(), |_| (MS, accepted()));
    let (left, why) = seen(&mut shaped, 200);
    assert!((175..=185).contains(&left), "{left} s");
    assert_eq!(why.as_deref(), Some("`relay` gets 1.0/s"));

    let greylisting = |sent: Sent| match sent.attempt {
        1 => (MS, refused(451, "4.7.1 Greylisted, come back later")),
        _ => (MS, accepted()),
    };
    let (left, why) = seen(&mut World::new(setting(), greylisting), 200);
    assert!((7..=13).contains(&left), "{left} s");
    assert_eq!(why.as_deref(), Some("`relay` has 200 rows to retry"));

    let yahoo = "4.7.0 [TSS04] Messages from 192.0.2.7 temporarily deferred due to user complaints";
    let (left, why) = seen(&mut World::new(setting(), move |_| (MS, refused(421, yahoo))), 200);
    assert!((7_150..=7_200).contains(&left), "{left} s");
    let why = why.unwrap_or_default();
    assert!(why.starts_with("`relay` is paused until ") && why.contains("[TSS04]"), "{why}");
}

#[test]
fn a_run_whose_relay_is_dead_says_so_and_guesses_no_time() {
    let mut world = World::new(Setting { rows: 200, ..Setting::default() }, |_| (10 * MS, accepted()));
    // It answers for 200 ms, then nobody listens.
    let dead = START + Duration::from_millis(200);
    world.loses = Some((Duration::from_millis(220), SessionError::ClosedIdle));
    let refusing = || Trouble {
        of_machine: false,
        permanent: false,
        class: Class::Network,
        text: "connection refused".into(),
        reply: None,
    };
    world.opens = Box::new(move |_, now| if now < dead { Ok(()) } else { Err(refusing()) });
    let mut meter = Meter::new(200, Earlier::default(), START);
    for seconds in [2, 5, 20] {
        world.run_until(START + Duration::from_secs(seconds));
        let snapshot = meter.read(&world.dispatcher, world.now);
        assert!(snapshot.done < 200 && (snapshot.done > 0), "{}", snapshot.done);
        let why = snapshot.held_by.unwrap_or_default();
        assert!(why.starts_with("`relay` is not reachable since "), "{seconds} s: {why}");
        assert!(why.ends_with(": connection refused"), "{seconds} s: {why}");
        assert_eq!(snapshot.time_left, None, "{seconds} s");
    }
}

#[test]
fn news_that_waits_for_an_alarm_says_so() {
    let capacity = Capacity { per_hour: 36_000, ..Capacity::default() };
    let setting = Setting { rows: 1_000, capacity: Some(capacity.clone()), ..Setting::default() };
    let mut world = World::new(setting, |_| (MS, accepted()));
    let mut meter = Meter::new(1_000, Earlier::default(), START);
    let mut why = |world: &mut World| {
        world.run_until(world.now + Duration::from_millis(900));
        meter.read(&world.dispatcher, world.now).held_by.unwrap_or_default()
    };
    why(&mut world);
    assert!(why(&mut world).starts_with("the capacity is 36,000 an hour"));

    let alarm = Capacity { priority: Some(5), ..capacity };
    let mut account = world.ledger.join(Holder::new("alarm", "2"), (&alarm).into()).unwrap();
    let (mut said, mut before) = (String::new(), 0);
    for _ in 0..4 {
        before = world.sent.len();
        world.clock.set(Reading::simulated(world.now));
        let (from, line_start) = (world.now, world.now);
        let want = Request { want: 1_000_000, at_least: 1, from, over: MS, line_start, unused: Vec::new() };
        account.reserve(&want).unwrap();
        said = why(&mut world);
    }
    assert!(world.sent.len() <= before + 1, "the alarm goes first");
    assert!(said.starts_with("runs that go first use the capacity account"), "{said}");
    // The alarm has what it wanted.
    (0..4).for_each(|_| said = why(&mut world));
    assert!(said.starts_with("the capacity is 36,000 an hour"), "{said}");
}

/// Sends `rows` messages of these sizes at 1,200 an hour, 125 in five minutes, 200 kB each.
fn by_size(rows: u32, together: Option<usize>, bytes: fn(u32) -> usize) -> World {
    let size_basis = Some(crate::campaign::ByteSize(200_000));
    let capacity = Capacity { per_hour: 1_200, size_basis, ..Capacity::default() };
    let setting = Setting { rows, together, capacity: Some(capacity.clone()), ..Setting::default() };
    let mut world = World::new(setting, |_| (MS, accepted()));
    world.bytes = bytes;
    world.run().assert_all(rows, Disposition::Accepted);
    let attempts = world.sent.iter().map(|sent| (sent.at, capacity.cost(bytes(sent.row) as u64 + 20)));
    let audit = crate::pacing::audit(attempts, &capacity).unwrap();
    assert!(audit.holds(), "{audit:?}");
    world
}

#[test]
fn large_messages_count_as_several_against_slot_and_hour() {
    let took = |world: &World| world.now.since(START).as_secs();
    let large = by_size(60, None, |_| 900_000);
    assert!((840..=1_000).contains(&took(&large)), "300 at 1,200 an hour took {} s", took(&large));
    let mixed = by_size(100, None, |row| if row % 2 == 0 { 900_000 } else { 1_000 });
    assert!((840..=1_000).contains(&took(&mixed)), "{} s", took(&mixed));
    let shared = by_size(60, Some(7), |_| 900_000);
    assert!((840..=1_000).contains(&took(&shared)), "{} s", took(&shared));
    // What alone is more than a slot takes one slot each.
    let huge = by_size(4, None, |_| 90_000_000);
    assert!((900..=1_600).contains(&took(&huge)), "{} s", took(&huge));
}
