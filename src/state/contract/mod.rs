//! What every backend does, whatever its engine: one suite, run for each.
//!
//! A behaviour is a function that gets a fresh store. It may open the store as often as it likes,
//! as other processes would. What is particular to one engine (file formats, damage, full disks) is
//! tested beside it, and what only real processes show, among them kills at any moment, in
//! `processes`.

mod caps;
mod domain_reports;
mod editions;
mod feedback;
mod journal;
mod ledger;
mod processes;
mod readings;
mod runs;
mod suppressions;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::backend::State;
use super::memory::Memory;
use super::memory_runs::MemoryRuns;
use super::sqlite::StateFile;
use crate::campaign::Durability;
use crate::journal::testing::run_of;
use crate::journal::{Journal, JournalError, Outcome, Reader, RunKey, States};
use crate::kit::store::StoreError;
use crate::mail::Timestamp;
use crate::pacing::{BootId, Clock, Reading, Uptime};
use crate::run_dir::RunDir;

const BEGIN: i64 = 1_780_000_000_000_000;

/// A store that is empty at first, and its clock.
struct Fresh {
    store: Store,
    clock: Clock,
}

enum Store {
    Sqlite(tempfile::TempDir),
    Memory { state: Memory, runs: MemoryRuns },
}

impl Fresh {
    fn sqlite() -> Self {
        let store = Store::Sqlite(tempfile::tempdir().unwrap());
        Self { store, clock: Clock::simulated(reading(0)) }
    }

    fn memory() -> Self {
        let clock = Clock::simulated(reading(0));
        let (state, runs) = (Memory::new(clock.clone()), MemoryRuns::new().unwrap());
        Self { store: Store::Memory { state, runs }, clock }
    }

    /// Opens it once more, as another process would.
    fn open(&self) -> Arc<dyn State> {
        match &self.store {
            Store::Sqlite(folder) => Arc::new(StateFile::new(&path_in(folder), self.clock.clone())),
            Store::Memory { state, .. } => Arc::new(state.clone()),
        }
    }

    /// A run of its own, with a plan of so many rows.
    fn run_of(&self, rows: u32) -> RunOf {
        static RUNS: AtomicU32 = AtomicU32::new(0);
        let number = RUNS.fetch_add(1, Ordering::Relaxed);
        let dir = match &self.store {
            Store::Sqlite(folder) => folder.path().join(format!("run-{number}")),
            Store::Memory { .. } => PathBuf::from(format!("run-{number}")),
        };
        if let Store::Sqlite(_) = self.store {
            std::fs::create_dir(&dir).unwrap();
        }
        RunOf { state: self.open(), dir: RunDir::at(dir), key: run_of(rows) }
    }

    /// Sets the clock to so many microseconds after the begin.
    fn set_clock(&self, micros: i64) {
        self.clock.set(reading(micros));
    }
}

/// A run, and the journal that it has in a store.
#[derive(Clone)]
struct RunOf {
    state: Arc<dyn State>,
    dir: RunDir,
    key: RunKey,
}

impl RunOf {
    fn exists(&self) -> bool {
        self.state.has_journal(&self.dir)
    }

    fn try_create(&self) -> Result<Journal, JournalError> {
        self.state.create_journal(&self.dir, &self.key, Durability::ProcessCrash)
    }

    fn create(&self) -> Journal {
        self.try_create().unwrap()
    }

    fn open(&self) -> Result<Journal, JournalError> {
        self.state.open_journal(&self.dir, &self.key, Durability::PowerLoss)
    }

    fn try_read(&self) -> Result<Reader, StoreError> {
        self.state.read_journal(&self.dir)
    }

    fn read(&self) -> Reader {
        self.try_read().unwrap()
    }

    fn states(&self) -> States {
        self.read().states().unwrap()
    }

    /// The last outcome of a row.
    fn outcome(&self, row: u32) -> Option<Outcome> {
        let reader = self.read();
        let states = reader.states().unwrap();
        reader.details().outcome(&states, row).unwrap()
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
    ($($area:ident { $(#[test] fn $behaviour:ident();)* })*) => {
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
    suppressions {
        #[test] fn what_is_added_is_found_whatever_its_case_and_can_be_removed();
        #[test] fn adding_again_never_weakens();
        #[test] fn an_attempt_restarts_the_time();
        #[test] fn entries_are_listed_in_pages_and_filtered();
        #[test] fn ended_entries_are_purged();
        #[test] fn all_see_what_one_changes();
        #[test] fn the_keys_are_those_of_the_live_entries();
        #[test] fn changes_are_reported_in_their_order_and_removals_show_in_their_number();
        #[test] fn threads_that_import_the_same_entries_add_each_once();
        #[test] fn entries_for_all_mail_and_for_lists_are_apart();
        #[test] fn keys_and_changes_are_those_for_the_mail_of_one_list();
    }
    ledger {
        #[test] fn what_is_granted_is_on_record_for_every_process_and_after_a_restart();
        #[test] fn what_is_given_back_is_seen_by_the_others();
        #[test] fn usage_shows_the_slots_of_the_last_hour_and_who_used_them();
        #[test] fn accounts_are_apart();
        #[test] fn the_strictest_limits_named_are_in_force();
        #[test] fn who_has_priority_goes_first_and_nobody_waits_longer_than_a_slot();
        #[test] fn limits_that_are_set_hold_for_every_process_and_what_was_sent_still_counts();
        #[test] fn threads_that_ask_at_the_same_moment_get_no_more_than_one_would();
    }
    caps {
        #[test] fn a_cap_is_shared_and_what_is_given_back_can_be_taken_again();
        #[test] fn threads_that_take_at_the_same_moment_exceed_no_cap();
    }
    editions {
        #[test] fn nobody_is_claimed_by_two_runs_of_an_edition();
        #[test] fn who_was_not_mailed_is_free_once_the_run_settles();
        #[test] fn a_run_that_resumes_keeps_what_it_has();
        #[test] fn sending_again_refuses_nobody();
        #[test] fn rows_that_are_sent_again_go_over_to_the_retry();
        #[test] fn a_state_has_an_identity_and_keeps_runs_as_they_are();
        #[test] fn threads_that_claim_at_the_same_moment_share_nobody();
        #[test] fn mails_are_counted_over_the_runs_of_some_time();
        #[test] fn nobody_is_claimed_beyond_a_cap();
        #[test] fn threads_that_claim_at_the_same_moment_exceed_no_cap();
    }
    feedback {
        #[test] fn a_person_is_forgotten_and_their_mail_still_counts_once();
        #[test] fn what_is_kept_is_read_again();
        #[test] fn a_mail_that_is_read_twice_counts_once();
        #[test] fn soft_bounces_count_within_their_time();
        #[test] fn what_is_undone_leaves_the_list_as_it_would_be();
        #[test] fn an_import_is_undone_as_a_whole();
        #[test] fn a_complaint_can_be_taken_back();
        #[test] fn what_is_for_a_list_is_kept_and_undone_apart();
        #[test] fn threads_that_read_the_same_mails_count_each_once();
    }
    domain_reports {
        #[test] fn a_report_is_read_again_as_it_was_kept();
        #[test] fn the_same_report_counts_once_and_ids_may_repeat();
        #[test] fn reports_are_found_by_domain_and_time();
        #[test] fn what_was_taken_back_counts_no_longer();
        #[test] fn tls_reports_are_kept_by_policy();
        #[test] fn threads_that_keep_the_same_reports_count_each_once();
    }
    readings {
        #[test] fn readings_are_found_by_day_and_the_last_counts();
        #[test] fn a_reading_that_was_taken_back_counts_no_longer();
    }
    journal {
        #[test] fn an_intent_is_passed_on_once_it_can_be_read_by_others();
        #[test] fn with_the_last_of_many_intents_all_can_be_read_by_others();
        #[test] fn records_keep_their_order_within_a_group();
        #[test] fn a_withdrawn_intent_leaves_the_row_as_it_was();
        #[test] fn flush_waits_for_all_that_was_handed_over();
        #[test] fn no_group_holds_more_than_its_share();
        #[test] fn connections_keep_their_numbers_apart_over_resumes();
        #[test] fn a_reader_of_a_run_that_goes_on_catches_up();
        #[test] fn the_history_of_a_row();
        #[test] fn a_panic_of_the_callback_does_not_hang_those_who_wait();
        #[test] fn a_journal_is_created_once();
        #[test] fn the_journal_of_another_plan_is_refused();
        #[test] fn who_has_lost_its_turn_passes_nothing_on();
        #[test] fn journals_are_apart();
        #[test] fn a_row_given_up_without_another_attempt_keeps_what_the_last_one_brought();
        #[test] fn open_intents_become_in_doubt_with_time_and_connection();
        #[test] fn what_is_in_doubt_is_sent_again_by_choice_only();
    }
    runs {
        #[test] fn runs_are_listed_by_campaign_and_id_and_created_once();
        #[test] fn runs_are_found_by_what_a_user_types();
        #[test] fn a_campaign_stands_for_its_latest_run();
        #[test] fn the_latest_run_is_found_among_several_stores();
        #[test] fn a_run_is_removed_or_replaced_as_a_whole();
        #[test] fn the_last_refused_start_of_a_campaign_is_kept_until_it_is_forgotten();
        #[test] fn one_process_at_a_time_works_on_a_run();
        #[test] fn each_lease_has_a_larger_epoch();
        #[test] fn the_manifest_of_a_run_is_replaced_as_a_whole();
        #[test] fn who_has_lost_the_lease_changes_nothing();
        #[test] fn an_unfinished_plan_is_discarded();
        #[test] fn a_run_that_could_not_be_begun_is_removed();
        #[test] fn a_run_that_never_began_hides_no_other();
    }
}
