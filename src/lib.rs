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
//! | [`route`] | relay, sites, retry schedule, reply classification |
//! | [`journal`] | intents and outcomes |
//! | [`results`] | the Parquet schema, writer, reader |
//! | [`run`] | the stages joined: prepare, dispatcher, lane, shutdown |
//! | [`sandbox`] | the embedded SMTP receiver |
//! | [`preflight`] | checks before sending |
//! | [`cli`] | arguments, commands, diagnostics, progress, exit codes |

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
