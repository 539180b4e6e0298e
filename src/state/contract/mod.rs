//! What every backend does, whatever its engine: one suite, run for each.
//!
//! A behaviour is a function that gets a fresh store. It may open the store as often as it likes, as other processes
//! would. What is particular to one engine (file formats, damage, full disks) is tested beside it.

mod caps;
mod ledger;
mod suppressions;

use std::path::PathBuf;
use std::sync::Arc;

use super::backend::State;
use super::memory::Memory;
use super::sqlite::StateFile;
use crate::mail::Timestamp;
use crate::pacing::{BootId, Clock, Reading, Uptime};

const BEGIN: i64 = 1_780_000_000_000_000;

/// A store that is empty at first, and its clock.
struct Fresh {
    store: Store,
    clock: Clock,
}

enum Store {
    Sqlite(tempfile::TempDir),
    Memory(Memory),
}

impl Fresh {
    fn sqlite() -> Self {
        let store = Store::Sqlite(tempfile::tempdir().unwrap());
        Self { store, clock: Clock::simulated(reading(0)) }
    }

    fn memory() -> Self {
        let clock = Clock::simulated(reading(0));
        Self { store: Store::Memory(Memory::new(clock.clone())), clock }
    }

    /// Opens it once more, as another process would.
    fn open(&self) -> Arc<dyn State> {
        match &self.store {
            Store::Sqlite(folder) => Arc::new(StateFile::new(&path_in(folder), self.clock.clone())),
            Store::Memory(memory) => Arc::new(memory.clone()),
        }
    }

    /// Sets the clock to so many microseconds after the begin.
    fn set_clock(&self, micros: i64) {
        self.clock.set(reading(micros));
    }
}

fn path_in(folder: &tempfile::TempDir) -> PathBuf {
    folder.path().join("state.db")
}

/// The clocks of a machine that has been up for a day.
fn reading(micros: i64) -> Reading {
    let wall = Timestamp(BEGIN + micros);
    Reading { now: wall, wall, boot: BootId(9), uptime: Uptime(77_000_000_000 + micros) }
}

/// Runs each behaviour for each backend.
macro_rules! contract {
    ($($area:ident: $($behaviour:ident)*;)*) => {
        mod sqlite {
            $(mod $area {
                $(#[test]
                fn $behaviour() {
                    crate::state::contract::$area::$behaviour(&crate::state::contract::Fresh::sqlite());
                })*
            })*
        }
        mod memory {
            $(mod $area {
                $(#[test]
                fn $behaviour() {
                    crate::state::contract::$area::$behaviour(&crate::state::contract::Fresh::memory());
                })*
            })*
        }
    };
}

contract! {
    suppressions:
        what_is_added_is_found_whatever_its_case_and_can_be_removed
        adding_again_never_weakens
        an_attempt_restarts_the_time
        entries_are_listed_in_pages_and_filtered
        ended_entries_are_purged
        all_see_what_one_changes
        the_keys_are_those_of_the_live_entries
        changes_are_reported_in_their_order_and_removals_show_in_their_number
        threads_that_import_the_same_entries_add_each_once;
    ledger:
        what_is_granted_is_on_record_for_every_process_and_after_a_restart
        what_is_given_back_is_seen_by_the_others
        usage_shows_the_slots_of_the_last_hour_and_who_used_them
        accounts_are_apart
        the_strictest_limits_named_are_in_force
        threads_that_ask_at_the_same_moment_get_no_more_than_one_would;
    caps:
        a_cap_is_shared_and_what_is_given_back_can_be_taken_again
        threads_that_take_at_the_same_moment_exceed_no_cap;
}
