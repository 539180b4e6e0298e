//! Ledger and pacer through days of crashes, restarts, clock steps and reboots.
//!
//! The ledger in memory is tested here; the backends live through the same in their own tests.

use proptest::prelude::*;

use super::*;

/// What happens to the machine and its processes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Mishap {
    /// Nothing, for so many seconds.
    Pause(u64),
    Start(Pace, Fate),
    /// One of those that run, killed or stopped in good order.
    Kill(usize),
    Stop(usize),
    /// The wall clock is set by so many seconds.
    Step(i64),
    /// The machine starts again, and its clock is set by so many seconds.
    Reboot(i64),
}

/// Lives through `mishaps` with the ledger that `open` makes, and returns the world; at most four
/// processes at a time.
pub(crate) fn live<L: Ledger>(
    open: impl FnOnce(Clock) -> L,
    capacity: &Capacity,
    mishaps: &[Mishap],
    seed: u64,
) -> World {
    let mut world = World::new(seed);
    let ledger = open(world.clock());
    let mut running = Vec::new();
    let mut count = 0;
    for mishap in mishaps {
        match *mishap {
            Mishap::Pause(time) => world.run(seconds(time)),
            Mishap::Start(..) if running.len() == 4 => {}
            Mishap::Start(pace, fate) => {
                count += 1;
                let capacity = Capacity { pace, ..capacity.clone() };
                let account = join(&ledger, &count.to_string(), &capacity);
                running.push(world.start(account, &capacity, Plan::new(Supply::endless(), fate)));
            }
            Mishap::Kill(number) if !running.is_empty() => world.kill(running.remove(number % running.len())),
            Mishap::Stop(number) if !running.is_empty() => world.stop(running.remove(number % running.len())),
            Mishap::Kill(_) | Mishap::Stop(_) => {}
            Mishap::Step(by) => world.step_wall(by * 1_000_000),
            Mishap::Reboot(by) => {
                running.clear();
                world.reboot(seconds(20));
                world.step_wall(by * 1_000_000);
            }
        }
    }
    world
}

fn paces() -> impl Strategy<Value = Pace> {
    prop_oneof![Just(Pace::Even), Just(Pace::Burst)]
}

fn fates() -> impl Strategy<Value = Fate> {
    prop_oneof![Just(Fate::AtOnce), Just(Fate::AtTheEnd), Just(Fate::Anywhere), Just(Fate::Squeezed)]
}

fn common() -> impl Strategy<Value = Mishap> {
    prop_oneof![
        4 => prop_oneof![1_u64..60, 60_u64..5_000].prop_map(Mishap::Pause),
        4 => (paces(), fates()).prop_map(|(pace, fate)| Mishap::Start(pace, fate)),
        2 => any::<usize>().prop_map(Mishap::Kill),
        1 => any::<usize>().prop_map(Mishap::Stop),
    ]
}

pub(crate) fn life(last: BoxedStrategy<Mishap>) -> impl Strategy<Value = Vec<Mishap>> {
    proptest::collection::vec(prop_oneof![6 => common(), 1 => last], 20..100)
}

pub(crate) fn any_step() -> BoxedStrategy<Mishap> {
    prop_oneof![-20_000_i64..20_000, Just(-3_600), Just(3_600)].prop_map(Mishap::Step).boxed()
}

/// After a reboot, ages come from the wall clock: it may have been set back, not forth.
pub(crate) fn reboot() -> BoxedStrategy<Mishap> {
    prop_oneof![Just(0_i64), -20_000_i64..0].prop_map(Mishap::Reboot).boxed()
}

pub(crate) fn agreements() -> impl Strategy<Value = Capacity> {
    (prop_oneof![12_u64..40, 40_u64..400], prop_oneof![Just(25_u32), Just(0), 0_u32..500])
        .prop_map(|(per_hour, burst)| capacity(per_hour, burst, Pace::Even))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: rounds(24), ..ProptestConfig::default() })]

    #[test]
    fn crashes_restarts_and_clock_steps_exceed_no_window(
        capacity in agreements(), mishaps in life(any_step()), seed in any::<u64>(),
    ) {
        live(MemoryLedger::new, &capacity, &mishaps, seed).sent().check(&capacity);
    }
}
