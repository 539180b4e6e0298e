//! `mailrun` runs e-mail campaigns as batch jobs.
//!
//! The modules stand in the order of the data, and **a module imports only from modules above it**
//! (`tests/suite/architecture.rs` reads `src/` and fails otherwise):
//!
//! | module | its noun |
//! |---|---|
//! | [`kit`] | tools that know nothing of mail: files that appear whole, the errors of stores, sealed texts, DER, ZIP, names and numbers |
//! | [`mail`] | values of the trade: address, message, reply and enhanced status, disposition |
//! | [`campaign`] | the campaign file: one concept a file, its default, its check, its docs |
//! | [`suppression`] | the list: entries, scope, expiry, lookup |
//! | [`edition`] | who got which edition: recipients, claims, lookup |
//! | [`target_group`] | CSV, JSON lines and Parquet to record batches, with the place of every row kept |
//! | [`synth`] | made-up lists for load tests |
//! | [`screen`] | rows in, accepted rows and reasons out |
//! | [`plan`] | the frozen plan: layout, freeze, reader, seal, order, forecast |
//! | [`run_dir`] | inputs, run id, directory, lock, manifest, finding a run by name |
//! | `template` | template languages: checked before the first row, rendered for each |
//! | `scan` | clients of virus and spam scanners |
//! | [`compose`] | a row to a message: header, MIME, links, unsubscribe, attachments |
//! | [`smime`] | certificates, and the CMS signatures of content |
//! | [`dkim`] | keys and signing |
//! | [`pacing`] | slots, pacer, ledger (pure, except the ledger) |
//! | [`smtp`] | codec and session state machine (no I/O), connection (tokio, TLS) |
//! | [`listener`] | SMTP and LMTP servers for mail that stays here |
//! | [`route`] | DNS, relay, MX, sites, per-provider limits, MTA-STS, retry schedule, reply classification |
//! | `objects` | lists in object stores, fetched before they are read |
//! | [`journal`] | intents and outcomes |
//! | [`results`] | the Parquet schema, writer, reader |
//! | [`feedback`] | what comes back: bounces, complaints, auto-replies; sources, readers, events |
//! | `events` | one schema over journals and feedback, read from a cursor |
//! | `webhook` | events to other programs: signed requests, retries, how far each receiver is |
//! | [`state`] | the backends: SQLite and memory; one suite of behaviour for all |
//! | [`run`] | the stages joined: prepare, dispatcher, lane, shutdown |
//! | `spool` | mails that programs have handed over, until a campaign sends them |
//! | [`sandbox`] | the embedded SMTP receiver |
//! | `preflight` | checks before sending |
//! | `domain` | who sends in a domain's name, and its policy |
//! | `report` | pages about runs: one self-contained HTML file each |
//! | `job` | the application: open, freeze or resume, gate, send, conclude; workspace, secrets, next hops |
//! | `serve` | HTTP for recipients (unsubscribe links) and for programs (runs, notifications) |
//! | [`cli`] | arguments, commands, diagnostics, progress, exit codes |
//!
//! clap is used in `cli` only, rayon in `run` and in `preflight` (the dry run of a whole list),
//! SQLite in `state::sqlite`: the same test sees to that.
//!
//! # Invariants
//!
//! Each has tests that fail without it. (`tests/suite/architecture.rs` sees to it that they are
//! there.)
//!
//! 1. **Every input row ends as exactly one result row**; the counts add up or the exit code says
//!    so. Copies for seed addresses are rows of their own, marked, and count in none of them.
//!    (`results::tests::every_input_row_becomes_one_result_row`,
//!    `run::tests::one_text::each_row_has_the_outcome_of_its_own_recipient`,
//!    `suite::seeds::each_run_has_copies_for_seed_addresses_that_its_results_mark`,
//!    `suite::crash::killed_at_any_moment_nothing_is_lost_and_nothing_sent_twice`)
//! 2. **No byte of a message's content goes out before its intent is durable** in the journal.
//!    (`state::contract::an_intent_is_passed_on_once_it_can_be_read_by_others`,
//!    `state::contract::with_the_last_of_many_intents_all_can_be_read_by_others`,
//!    `run::connections::tests::a_transaction_goes_with_the_last_of_its_intents`,
//!    `state::sqlite::tests::journal::on_a_full_disk_nothing_is_passed_on_and_what_is_known_is_kept`,
//!    `suite::crash::killed_at_any_moment_nothing_is_lost_and_nothing_sent_twice`)
//! 3. **No window of 300 s, aligned or sliding, carries more than `floor(capacity / 12 × (1 +
//!    burst))` messages of an account, and no 3,600 s window more than the hourly capacity**:
//!    across campaigns, processes, crashes and restarts.
//!    (`pacing::simulation::model::crashes_restarts_and_clock_steps_exceed_no_window`,
//!    `state::sqlite::tests::life::crashes_and_reboots_exceed_no_window_on_disk`,
//!    `pacing::simulation::pacing::days_of_a_small_agreement_keep_every_window`,
//!    `run::tests::one_text::the_pace_counts_recipients`)
//! 4. **Memory is bounded by configuration**, plus a few bytes a row.
//!    (`target_group::records::tests::memory_is_bounded_whatever_the_text`,
//!    `target_group::tests::parquet::a_cell_that_is_too_long_costs_its_row`,
//!    `target_group::tests::parquet::a_page_that_is_too_large_is_refused_before_it_is_read`,
//!    `plan::freeze::tests::memory_is_bounded_whatever_the_cells`,
//!    `journal::states::tests::a_row_takes_eight_bytes`)
//! 5. **The same plan and templates give the same bytes**, `Date`, the domain part of `Message-ID`
//!    and the signature's time aside.
//!    (`compose::tests::message::the_same_row_gives_the_same_bytes`)
//! 6. **Nothing in a row can add a header, a recipient or an SMTP command**, or leave HTML
//!    unescaped where the template did not ask for it; and where all get one text, nothing in it
//!    tells who else gets it.
//!    (`compose::tests::startup::one_text_for_all_is_the_same_for_every_row_and_names_nobody`,
//!    `compose::tests::hostile::nothing_in_a_row_changes_the_shape_of_its_message`,
//!    `compose::tests::values::html_is_escaped_text_is_not_and_three_braces_are_raw`,
//!    `mail::address::tests::refused_addresses_say_why`,
//!    `mail::fuzz::addresses_are_safe_to_send_to_or_refused`)
//! 7. **Secrets come from the environment or from files, and appear in no log, manifest, error or
//!    result.** (`suite::send::a_refused_login_ends_the_run_and_the_password_is_shown_nowhere`,
//!    `suite::send::a_relay_that_repeats_the_login_gives_no_password_away`,
//!    `compose::tests::message::a_composer_is_shared_by_threads_and_tells_no_secret`,
//!    `dkim::tests::debug_output_holds_no_key`,
//!    `smime::tests::debug_output_holds_no_key`,
//!    `suite::smime::every_message_is_signed_under_dkim_and_no_secret_is_written`)
//!
//! 8. **Within one edition nobody gets a campaign's mail twice**: across runs, limits, longer
//!    lists, retries, kills and copies. Only `--again` and what resends rows in doubt say
//!    otherwise. (`state::contract::nobody_is_claimed_by_two_runs_of_an_edition`,
//!    `suite::editions::a_longer_list_reaches_its_newcomers_only`,
//!    `suite::editions::without_its_runs_the_state_knows_who_got_it`,
//!    `suite::crash::killed_at_any_moment_nothing_is_lost_and_nothing_sent_twice`)
//!
//! What happens on bad days (full disks, damaged files, clocks that jump, relays that misbehave) is
//! listed in `docs/bad-days.md`, with the tests.

#![warn(missing_docs)]

#[cfg(test)]
mod fuzzing;
pub mod kit;
pub mod mail;
pub mod campaign;
pub mod suppression;
pub mod edition;
pub mod target_group;
pub mod synth;
pub mod screen;
pub mod plan;
pub mod run_dir;
pub(crate) mod template;
pub(crate) mod scan;
pub mod compose;
pub mod smime;
pub mod dkim;
pub mod pacing;
pub mod smtp;
pub mod listener;
pub mod route;
pub(crate) mod objects;
pub mod journal;
pub mod results;
pub mod feedback;
pub(crate) mod events;
pub(crate) mod webhook;
pub mod state;
pub mod run;
pub(crate) mod spool;
pub mod sandbox;
pub(crate) mod preflight;
pub(crate) mod domain;
pub(crate) mod report;
pub(crate) mod job;
pub(crate) mod serve;
pub mod cli;
