//! Ledger and pacer through days of crashes, restarts, clock steps and reboots.

use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::pacing::ledger::SqliteLedger;

/// What happens to the machine and its processes.
#[derive(Debug, Clone, Copy)]
enum Mishap {
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

/// Where the accounts are kept.
enum Keeper<'a> {
    Memory(MemoryLedger),
    Sqlite(&'a Path),
}

/// Lives through `mishaps` and returns the world; at most four processes at a time.
fn live(keeper: &Keeper, capacity: Capacity, mishaps: &[Mishap], seed: u64) -> World {
    let mut world = World::new(seed);
    let mut running = Vec::new();
    let mut count = 0;
    for mishap in mishaps {
        match *mishap {
            Mishap::Pause(time) => world.run(seconds(time)),
            Mishap::Start(..) if running.len() == 4 => {}
            Mishap::Start(pace, fate) => {
                count += 1;
                let holder = holder(&count.to_string());
                let capacity = Capacity { pace, ..capacity.clone() };
                let plan = Plan::new(Supply::endless(), fate);
                running.push(match keeper {
                    Keeper::Memory(ledger) => world.start(ledger.join(holder, &capacity), &capacity, plan),
                    Keeper::Sqlite(path) => {
                        let ledger = SqliteLedger::open_for_tests(path, holder, &capacity);
                        world.start(ledger, &capacity, plan)
                    }
                });
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

fn life(last: BoxedStrategy<Mishap>) -> impl Strategy<Value = Vec<Mishap>> {
    proptest::collection::vec(prop_oneof![6 => common(), 1 => last], 20..100)
}

fn any_step() -> BoxedStrategy<Mishap> {
    prop_oneof![-20_000_i64..20_000, Just(-3_600), Just(3_600)].prop_map(Mishap::Step).boxed()
}

/// After a reboot, ages come from the wall clock: it may have been set back, not forth.
fn reboot() -> BoxedStrategy<Mishap> {
    prop_oneof![Just(0_i64), -20_000_i64..0].prop_map(Mishap::Reboot).boxed()
}

fn agreements() -> impl Strategy<Value = Capacity> {
    (prop_oneof![12_u64..40, 40_u64..400], prop_oneof![Just(25_u32), Just(0), 0_u32..500])
        .prop_map(|(per_hour, burst)| capacity(per_hour, burst, Pace::Even))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: rounds(24), ..ProptestConfig::default() })]

    #[test]
    fn crashes_restarts_and_clock_steps_exceed_no_window(
        capacity in agreements(), mishaps in life(any_step()), seed in any::<u64>(),
    ) {
        live(&Keeper::Memory(MemoryLedger::new()), capacity.clone(), &mishaps, seed).sent().check(&capacity);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: rounds(4), ..ProptestConfig::default() })]

    #[test]
    fn crashes_and_clock_steps_exceed_no_window_on_disk(
        capacity in agreements(), mishaps in life(any_step()), seed in any::<u64>(),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let keeper = Folder::new(&folder);
        live(&keeper.sqlite(), capacity.clone(), &mishaps, seed).sent().check(&capacity);
    }

    #[test]
    fn crashes_and_reboots_exceed_no_window_on_disk(
        capacity in agreements(), mishaps in life(reboot()), seed in any::<u64>(),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let keeper = Folder::new(&folder);
        live(&keeper.sqlite(), capacity.clone(), &mishaps, seed).sent().check(&capacity);
    }
}

/// A state database in a folder of its own.
struct Folder(std::path::PathBuf);

impl Folder {
    fn new(folder: &tempfile::TempDir) -> Self {
        Self(folder.path().join("state.db"))
    }

    fn sqlite(&self) -> Keeper<'_> {
        Keeper::Sqlite(&self.0)
    }
}

#[test]
fn memory_and_disk_decide_alike() {
    let mishaps = [
        Mishap::Start(Pace::Even, Fate::AtOnce),
        Mishap::Pause(2_000),
        Mishap::Start(Pace::Burst, Fate::Anywhere),
        Mishap::Pause(100),
        Mishap::Kill(0),
        Mishap::Step(-50_000),
        Mishap::Start(Pace::Even, Fate::AtTheEnd),
        Mishap::Pause(3_000),
        Mishap::Stop(1),
        Mishap::Step(70_000),
        Mishap::Pause(5_000),
    ];
    let folder = tempfile::tempdir().unwrap();
    let folder = Folder::new(&folder);
    let capacity = capacity(300, 25, Pace::Even);
    let on_disk = live(&folder.sqlite(), capacity.clone(), &mishaps, 5).sent();
    let in_memory = live(&Keeper::Memory(MemoryLedger::new()), capacity.clone(), &mishaps, 5).sent();
    on_disk.check(&capacity);
    assert!(on_disk.at.len() > 700, "{}", on_disk.at.len());
    assert_eq!(on_disk.at, in_memory.at);
}

/// Sends for an hour, lives through `mishap`, starts again, and returns what the hours after that sent, each of 120.
fn hours_after(mishap: &[Mishap]) -> Vec<u64> {
    let folder = tempfile::tempdir().unwrap();
    let folder = Folder::new(&folder);
    let start = Mishap::Start(Pace::Even, Fate::AtOnce);
    let mut mishaps = vec![start, Mishap::Pause(3_600), Mishap::Kill(0)];
    mishaps.extend(mishap);
    mishaps.extend([start, Mishap::Pause(4 * 3_600)]);
    let capacity = capacity(120, 25, Pace::Even);
    let world = live(&folder.sqlite(), capacity.clone(), &mishaps, 5);
    let sent = world.sent();
    sent.check(&capacity);
    let begin = world.now - 4 * HOUR_MICROS;
    (0..4).map(|hour| sent.between(begin + hour * HOUR_MICROS, begin + (hour + 1) * HOUR_MICROS)).collect()
}

#[test]
fn a_step_of_the_clock_locks_nothing_out_and_lets_nothing_through() {
    for step in [0, -5 * 3_600, 5 * 3_600] {
        let hours = hours_after(&[Mishap::Step(step)]);
        assert!(hours.iter().all(|count| (119..=120).contains(count)), "{hours:?} after a step by {step} s");
    }
}

#[test]
fn a_reboot_with_a_clock_set_back_heals_after_an_hour() {
    let hours = hours_after(&[Mishap::Reboot(0)]);
    assert!(hours.iter().all(|count| (119..=120).contains(count)), "{hours:?}");
    let hours = hours_after(&[Mishap::Reboot(-5 * 3_600)]);
    assert!(hours[0] <= 2, "{hours:?}");
    assert!(hours[1..].iter().all(|count| (119..=120).contains(count)), "{hours:?}");
}
