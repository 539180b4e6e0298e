//! Pacers over the ledger in memory: the limits, the use of the hour, the line, the smoothness.

use proptest::prelude::*;

use super::*;
use crate::pacing::agreement::tests::reachable_per_hour;

/// `part` is at least 99.5 % of `whole`.
fn nearly(part: u64, whole: u64) -> bool {
    part * 1_000 >= whole * 995
}

/// With endless supply, every hour uses 99.5 % of what the windows allow, whenever the messages
/// begin.
fn check_use(per_hour: u64, burst_percent: u32, fate: Fate, hours: i64) {
    for pace in [Pace::Even, Pace::Burst] {
        let capacity = capacity(per_hour, burst_percent, pace);
        let mut world = alone(&capacity, Plan::new(Supply::endless(), fate));
        world.run(seconds(hours as u64 * 3_600));
        let sent = world.sent();
        sent.check(&capacity);
        let reachable = reachable_per_hour(Agreement::from(&capacity));
        let counts: Vec<u64> = (0..hours).map(|hour| sent.hour(hour)).collect();
        // A message that is due at the turn of the hour may come after it.
        let each = counts.iter().all(|count| nearly(count + 1, reachable));
        let all = nearly(counts.iter().sum::<u64>() + 1, reachable * hours as u64);
        assert!(each && all, "{counts:?} of {reachable} at {per_hour}/h {pace:?}");
        // Two a second, two and a half where blocks are short.
        let asked = world.asked * 10 / (hours as u64 * 3_600);
        assert!(
            asked <= if burst_percent == 0 { 26 } else { 21 },
            "the ledger was asked {} times",
            world.asked
        );
    }
}

#[test]
fn a_small_hour_is_used() {
    check_use(12, 25, Fate::Squeezed, 24);
    check_use(13, 0, Fate::Anywhere, 24);
    check_use(100, 25, Fate::Anywhere, 6);
    check_use(100, 25, Fate::Squeezed, 6);
    check_use(1_000, 0, Fate::Squeezed, 2);
    check_use(14_399, 25, Fate::AtTheEnd, 1);
}

#[test]
fn a_large_hour_is_used() {
    check_use(150_000, 25, Fate::Squeezed, 1);
}

#[test]
fn a_second_hour_is_used() {
    check_use(20_000, 25, Fate::Anywhere, 2);
}

#[test]
fn an_hour_without_burst_is_used() {
    check_use(150_000, 0, Fate::Squeezed, 1);
}

#[test]
fn a_huge_hour_is_used() {
    let capacity = capacity(10_000_000, 25, Pace::Even);
    let mut world = alone(&capacity, Plan::new(Supply::endless(), Fate::Anywhere));
    world.run(seconds(3_600));
    let sent = world.sent();
    sent.check(&capacity);
    assert!(nearly(sent.hour(0), 10_000_000));
}

#[test]
fn days_of_a_small_agreement_keep_every_window() {
    for pace in [Pace::Even, Pace::Burst] {
        let capacity = capacity(240, 25, pace);
        let mut world = alone(&capacity, Plan::new(Supply::endless(), Fate::Squeezed));
        world.run(seconds(3 * 86_400));
        let sent = world.sent();
        sent.check(&capacity);
        assert!((0..72).all(|hour| nearly(sent.hour(hour), 240) || sent.hour(hour) >= 239));
    }
}

#[test]
fn even_goes_at_the_nominal_rate_from_the_first_message_on() {
    let capacity = capacity(36_000, 25, Pace::Even);
    // Nothing for ten minutes: no line to catch up with.
    let supply = Supply(vec![(seconds(600), Flow::Stalled), (seconds(3_000), Flow::Endless)]);
    let mut world = alone(&capacity, Plan::new(supply, Fate::AtOnce));
    world.run(seconds(1_200));
    let sent = world.sent();
    for second in 601..1_199 {
        let count = sent.between(second * 1_000_000, (second + 1) * 1_000_000);
        assert!((9..=11).contains(&count), "{count} in second {second}");
    }
}

#[test]
fn a_stall_is_caught_up_with_at_the_burst_rate() {
    let capacity = capacity(36_000, 25, Pace::Even);
    let supply = Supply(vec![
        (seconds(600), Flow::Endless),
        (seconds(300), Flow::Stalled),
        (seconds(2_700), Flow::Endless),
    ]);
    let mut world = alone(&capacity, Plan::new(supply, Fate::AtOnce));
    world.run(seconds(3_600));
    let sent = world.sent();
    assert_eq!(sent.between(601_000_000, 900_000_000), 0);
    let minute = |second: i64| sent.between(second * 1_000_000, (second + 60) * 1_000_000);
    assert!((738..=745).contains(&minute(901)), "{} after the stall", minute(901));
    // The burst gains a little less than a quarter: 300 s are made up for in some 1,260.
    assert!((738..=745).contains(&minute(2_060)), "{} while it catches up", minute(2_060));
    assert!((595..=605).contains(&minute(2_220)), "{} when all is caught up with", minute(2_220));
    assert!(nearly(sent.hour(0), 36_000));
    sent.check(&capacity);
}

#[test]
fn no_more_than_an_hour_is_caught_up_with() {
    let capacity = capacity(1_200, 25, Pace::Even);
    let supply = Supply(vec![
        (seconds(60), Flow::Endless),
        (seconds(6 * 3_600), Flow::Stalled),
        (seconds(86_400), Flow::Endless),
    ]);
    let mut world = alone(&capacity, Plan::new(supply, Fate::AtOnce));
    world.run(seconds(12 * 3_600));
    let sent = world.sent();
    sent.check(&capacity);
    let stall_end = 6 * 3_600_000_000 + 60_000_000;
    let hour = sent.between(stall_end, stall_end + HOUR_MICROS);
    assert!((1_194..=1_200).contains(&hour), "{hour}");
}

#[test]
fn burst_runs_slots_at_the_burst_rate_until_the_hour_is_spent() {
    let capacity = capacity(36_000, 25, Pace::Burst);
    let mut world = alone(&capacity, Plan::new(Supply::endless(), Fate::AtOnce));
    world.run(seconds(3_600));
    let sent = world.sent();
    for slot in 0..9 {
        let count = sent.between(slot * 300_000_000, (slot + 1) * 300_000_000);
        assert!((3_700..=3_750).contains(&count), "{count} in slot {slot}");
    }
    assert!((35_990..=36_000).contains(&sent.hour(0)), "{}", sent.hour(0));
    assert_eq!(sent.between(2_950_000_000, HOUR_MICROS), 0);
}

/// Over a short time nothing exceeds the burst rate and a fifth of a second's worth and one
/// message. Of several processes together, it is 1.2 seconds' worth: one block that began before,
/// and what the ledger's own bucket holds.
fn check_smooth(sent: &Sent, capacity: &Capacity, processes: u64) {
    let peak = Agreement::from(capacity).peak();
    for millis in [1, 20, 100, 500, 1_000, 5_000, 30_000] {
        let span = Duration::from_millis(millis);
        let slack = if processes == 1 { 200_000 } else { 1_200_000 };
        let most = peak.tokens_in(micros(span) + slack) + 1;
        let (worst, start) = sent.worst(span);
        assert!(worst <= most, "{worst} instead of {most} in the {span:?} from {start}");
    }
}

#[test]
fn the_release_is_smooth_whatever_the_supply_does() {
    for (per_hour, burst_percent) in [(100, 25), (36_000, 25), (36_000, 0), (150_000, 100)] {
        for pace in [Pace::Even, Pace::Burst] {
            let capacity = capacity(per_hour, burst_percent, pace);
            let supply = Supply(vec![
                (seconds(47), Flow::Endless),
                (seconds(100), Flow::Stalled),
                (seconds(3), Flow::Rate(3)),
                (seconds(200), Flow::Rate(50)),
            ]);
            let mut plan = Plan::new(supply, Fate::AtOnce);
            plan.late = Duration::from_millis(60);
            let mut world = alone(&capacity, plan);
            world.run(seconds(1_200));
            check_smooth(&world.sent(), &capacity, 1);
        }
    }
}

#[test]
fn a_slow_ledger_does_not_slow_the_sending() {
    let capacity = capacity(36_000, 25, Pace::Even);
    for millis in [100, 400, 900] {
        let mut plan = Plan::new(Supply::endless(), Fate::Squeezed);
        plan.ledger_takes = Duration::from_millis(millis);
        let mut world = alone(&capacity, plan);
        world.run(seconds(3_600));
        let sent = world.sent();
        sent.check(&capacity);
        assert!(nearly(sent.hour(0), 36_000), "{} with answers after up to {millis} ms twice", sent.hour(0));
    }
}

/// Runs processes with these supplies over one account, for a quarter of an hour; returns what each
/// was admitted.
fn together(capacity: &[Capacity], supplies: &[Supply], check: impl Fn(&Sent)) -> Vec<u64> {
    let mut world = World::new(3);
    let ledger = MemoryLedger::new(world.clock());
    let mut numbers = Vec::new();
    for (index, supply) in supplies.iter().enumerate() {
        let capacity = &capacity[index % capacity.len()];
        let account = join(&ledger, &index.to_string(), capacity);
        numbers.push(world.start(account, capacity, Plan::new(supply.clone(), Fate::AtOnce)));
        world.run(Duration::from_millis(7));
    }
    world.run(seconds(900));
    check(&world.sent());
    numbers.into_iter().map(|number| world.taken(number)).collect()
}

#[test]
fn processes_share_an_account_evenly_and_use_it_up() {
    for (pace, total) in [(Pace::Even, 9_000), (Pace::Burst, 11_138)] {
        for processes in [2, 5] {
            let capacity = capacity(36_000, 25, pace);
            let taken =
                together(std::slice::from_ref(&capacity), &vec![Supply::endless(); processes], |sent| {
                    sent.check(&capacity);
                    check_smooth(sent, &capacity, processes as u64);
                });
            assert!(nearly(taken.iter().sum(), total), "{taken:?}");
            let fair = total / processes as u64;
            assert!(taken.iter().all(|taken| (fair * 7 / 10..=fair * 14 / 10).contains(taken)), "{taken:?}");
        }
    }
}

#[test]
fn what_one_process_does_not_need_another_uses() {
    let capacity = capacity(36_000, 25, Pace::Even);
    let supplies = [Supply::endless(), Supply::rate(1), Supply::rate(1)];
    let taken = together(std::slice::from_ref(&capacity), &supplies, |sent| sent.check(&capacity));
    assert!(nearly(taken.iter().sum(), 9_000), "{taken:?}");
    assert!(taken[1] >= 880 && taken[2] >= 880, "{taken:?}");
}

#[test]
fn one_that_bursts_and_one_that_is_even_both_get_on() {
    let capacities = [capacity(36_000, 25, Pace::Burst), capacity(36_000, 25, Pace::Even)];
    let taken =
        together(&capacities, &[Supply::endless(), Supply::endless()], |sent| sent.check(&capacities[0]));
    assert!(nearly(taken.iter().sum(), 11_138), "{taken:?}");
    assert!(taken.iter().all(|taken| *taken > 3_000), "{taken:?}");
}

#[test]
fn the_stricter_of_two_limits_holds_and_is_reported() {
    let (wide, narrow) = (capacity(36_000, 25, Pace::Even), capacity(7_200, 25, Pace::Even));
    let mut world = World::new(3);
    let ledger = MemoryLedger::new(world.clock());
    let first = world.start(join(&ledger, "1", &wide), &wide, Plan::new(Supply::endless(), Fate::AtOnce));
    world.run(seconds(60));
    assert_eq!(world.pacer(first).stricter(), None);
    let second =
        world.start(join(&ledger, "2", &narrow), &narrow, Plan::new(Supply::endless(), Fate::AtOnce));
    world.run(seconds(4 * 3_600));
    assert_eq!(world.pacer(first).stricter(), Some(Agreement::from(&narrow)));
    assert_eq!(world.pacer(second).stricter(), None);
    let sent = world.sent();
    sent.check(&wide);
    let later = Sent { at: sent.at.iter().copied().filter(|(at, _)| *at > 70_000_000).collect() };
    later.check(&narrow);
    // An hour after the other has ended, the limit is the process's own again.
    world.stop(second);
    world.run(seconds(3_700));
    assert_eq!(world.pacer(first).stricter(), None);
}

#[test]
fn what_was_never_admitted_is_given_back() {
    let capacity = capacity(36_000, 25, Pace::Even);
    let mut world = World::new(1);
    let ledger = MemoryLedger::new(world.clock());
    // The last block is not used up.
    let supply = Supply(vec![(seconds(1), Flow::Rate(77)), (seconds(86_400), Flow::Rate(0))]);
    let number = world.start(join(&ledger, "1", &capacity), &capacity, Plan::new(supply, Fate::AtOnce));
    world.run(seconds(60));
    assert_eq!(world.taken(number), 77);
    let used = |world: &World| world.usage(&ledger).hour_used;
    assert_eq!(used(&world), 77);

    // In the middle of a block: the others count while it lasts, and not after an orderly end.
    let second =
        world.start(join(&ledger, "2", &capacity), &capacity, Plan::new(Supply::endless(), Fate::AtOnce));
    world.run(Duration::from_millis(5_250));
    let taken = world.taken(second);
    assert!(used(&world) > 77 + taken);
    world.stop(second);
    assert_eq!(used(&world), 77 + taken);
}

#[test]
fn what_a_killed_process_held_stays_spent() {
    let capacity = capacity(36_000, 25, Pace::Even);
    let mut world = World::new(1);
    let ledger = MemoryLedger::new(world.clock());
    let number =
        world.start(join(&ledger, "1", &capacity), &capacity, Plan::new(Supply::endless(), Fate::AtOnce));
    world.run(Duration::from_millis(5_250));
    let before = world.usage(&ledger);
    assert!(before.hour_used > world.taken(number));
    world.kill(number);
    world.run(seconds(3_000));
    assert_eq!(world.usage(&ledger).hour_used, before.hour_used);
}

fn supplies() -> impl Strategy<Value = Supply> {
    let flow = prop_oneof![Just(Flow::Stalled), (0_u64..8).prop_map(Flow::Rate), Just(Flow::Endless)];
    let phase = (5_u64..1_500, flow).prop_map(|(time, flow)| (seconds(time), flow));
    proptest::collection::vec(phase, 1..6).prop_map(Supply)
}

fn fates() -> impl Strategy<Value = Fate> {
    prop_oneof![Just(Fate::AtOnce), Just(Fate::AtTheEnd), Just(Fate::Anywhere), Just(Fate::Squeezed)]
}

fn paces() -> impl Strategy<Value = Pace> {
    prop_oneof![Just(Pace::Even), Just(Pace::Burst)]
}

fn plans() -> impl Strategy<Value = Plan> {
    (supplies(), fates(), 0_u64..800, 0_u64..300).prop_map(|(supply, fate, ledger_takes, late)| Plan {
        supply,
        fate,
        ledger_takes: Duration::from_millis(ledger_takes),
        late: Duration::from_millis(late),
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: rounds(16), ..ProptestConfig::default() })]

    /// Whatever the processes do, and however slow everything is, no window is exceeded.
    #[test]
    fn no_window_is_ever_exceeded(
        per_hour in prop_oneof![12_u64..200, 200_u64..4_000],
        burst_percent in prop_oneof![Just(0), Just(25), 0_u32..1_100],
        processes in proptest::collection::vec((plans(), paces(), 0_u64..2_000), 1..4),
        seed in any::<u64>(),
    ) {
        let mut world = World::new(seed);
        let ledger = MemoryLedger::new(world.clock());
        for (number, (plan, pace, pause)) in processes.into_iter().enumerate() {
            let capacity = capacity(per_hour, burst_percent, pace);
            world.start(join(&ledger, &number.to_string(), &capacity), &capacity, plan);
            world.run(seconds(pause));
        }
        world.run(seconds(2 * 3_600));
        world.sent().check(&capacity(per_hour, burst_percent, Pace::Even));
    }
}
