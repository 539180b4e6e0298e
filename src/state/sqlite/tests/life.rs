//! The ledger on disk through days of crashes, restarts, clock steps and reboots.

use proptest::prelude::*;

use crate::campaign::{Capacity, Pace};
use crate::pacing::MemoryLedger;
use crate::pacing::simulation::model::{Mishap, agreements, any_step, life, live, reboot};
use crate::pacing::simulation::{Fate, HOUR_MICROS, World, capacity, rounds};
use crate::state::sqlite::ledger::SqliteLedger;

/// A state database in a folder of its own.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// Lives through `mishaps` with the ledger in this folder. It doesn't wait for the disk: a
    /// simulation loses no power.
    fn live(&self, capacity: &Capacity, mishaps: &[Mishap], seed: u64) -> World {
        let path = self.0.path().join("state.db");
        live(|clock| SqliteLedger { path, clock, durable: false }, capacity, mishaps, seed)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: rounds(4), ..ProptestConfig::default() })]

    #[test]
    fn crashes_and_clock_steps_exceed_no_window_on_disk(
        capacity in agreements(), mishaps in life(any_step()), seed in any::<u64>(),
    ) {
        Folder::new().live(&capacity, &mishaps, seed).sent().check(&capacity);
    }

    #[test]
    fn crashes_and_reboots_exceed_no_window_on_disk(
        capacity in agreements(), mishaps in life(reboot()), seed in any::<u64>(),
    ) {
        Folder::new().live(&capacity, &mishaps, seed).sent().check(&capacity);
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
    let capacity = capacity(300, 25, Pace::Even);
    let on_disk = Folder::new().live(&capacity, &mishaps, 5).sent();
    let in_memory = live(MemoryLedger::new, &capacity, &mishaps, 5).sent();
    on_disk.check(&capacity);
    assert!(on_disk.at.len() > 700, "{}", on_disk.at.len());
    assert_eq!(on_disk, in_memory);
}

/// Sends for an hour, lives through `mishap`, starts again, and returns what the hours after that
/// sent, each of 120.
fn hours_after(mishap: &[Mishap]) -> Vec<u64> {
    let start = Mishap::Start(Pace::Even, Fate::AtOnce);
    let mut mishaps = vec![start, Mishap::Pause(3_600), Mishap::Kill(0)];
    mishaps.extend(mishap);
    mishaps.extend([start, Mishap::Pause(4 * 3_600)]);
    let capacity = capacity(120, 25, Pace::Even);
    let world = Folder::new().live(&capacity, &mishaps, 5);
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
