//! Sites that take so many messages a second and answer the rest with "later".

use std::collections::VecDeque;

use super::*;

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
