//! `mailrun` runs e-mail campaigns as batch jobs.
//!
//! The modules stand in the order of the data, and **a module imports only from modules above it**
//! (`tests/suite/architecture.rs` reads `src/` and fails otherwise):
//!
//! | module | its noun |
//! |---|---|
//! | [`mail`] | values of the trade: address, message, reply and enhanced status, disposition |
//! | [`campaign`] | the campaign file: one concept a file, its default, its check, its docs |
//! | [`target_group`] | CSV and Parquet to record batches, with the place of every row kept |
//! | [`suppression`] | the list, its expiry, its lookup |
//! | [`screen`] | rows in, accepted rows and reasons out |
//! | [`plan`] | the frozen plan, the run directory, the manifest |
//! | [`compose`] | templates and MIME |
//! | [`dkim`] | keys and signing |
//! | [`pacing`] | slots, pacer, ledger (pure, except the ledger) |
//! | [`smtp`] | codec and session state machine (no I/O), connection (tokio, TLS) |
//! | [`route`] | DNS, relay, MX, sites, per-provider limits, MTA-STS, retry schedule, reply classification |
//! | [`journal`] | intents and outcomes |
//! | [`results`] | the Parquet schema, writer, reader |
//! | [`run`] | the stages joined: prepare, dispatcher, lane, shutdown |
//! | [`sandbox`] | the embedded SMTP receiver |
//! | [`preflight`] | checks before sending |
//! | [`cli`] | arguments, commands, diagnostics, progress, exit codes |
//!
//! clap is used in `cli` only, rayon in `run` and in `preflight` (the dry run of a whole list), SQLite in `journal`, `suppression` and
//! `pacing`: the same test sees to that.
//!
//! # Invariants
//!
//! Each has a test that fails without it.
//!
//! 1. **Every input row ends as exactly one result row**; the counts add up or the exit code says so.
//!    (`results::tests::every_input_row_becomes_one_result_row`, `suite::crash`)
//! 2. **No byte of a message's content goes out before its intent is durable** in the journal.
//!    (`journal::tests::writer`, `suite::crash`: after a kill nothing is sent twice)
//! 3. **No window of 300 s, aligned or sliding, carries more than `floor(capacity / 12 × (1 + burst))` messages of an
//!    account, and no 3,600 s window more than the hourly capacity**: across campaigns, processes, crashes and restarts.
//!    (`pacing::simulation`)
//! 4. **Memory is bounded by configuration**, plus a few bytes a row.
//!    (`target_group`'s test of its reader's memory, `journal::states`: eight bytes a row)
//! 5. **The same plan and templates give the same bytes**, `Date`, the domain part of `Message-ID` and the signature's
//!    time aside. (`compose::tests`)
//! 6. **Nothing in a row can add a header, a recipient or an SMTP command**, or leave HTML unescaped where the template
//!    did not ask for it. (`compose::tests`, `mail::address::tests::refused_addresses_say_why`)
//! 7. **Secrets come from the environment or from files, and appear in no log, manifest, error or result.**
//!    (`suite::send::a_refused_login_ends_the_run_and_the_password_is_shown_nowhere`)

pub mod mail;
pub mod campaign;
pub mod target_group;
pub mod suppression;
pub mod screen;
pub mod plan;
pub mod compose;
pub mod dkim;
pub mod pacing;
pub mod smtp;
pub mod route;
pub mod journal;
pub mod results;
pub mod run;
pub mod sandbox;
pub mod preflight;
pub mod cli;
