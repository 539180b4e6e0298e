//! The run directory: inputs, run id, paths, lock, manifest, finding a run by name.
//!
//! ```text
//! runs/<campaign id>/<run id>/
//!   lock              held by the process that works on the run
//!   manifest.json     what the run is made of, and where it stands
//!   plan.arrow        accepted rows, frozen
//!   screened.arrow    the other rows, with their reason and place
//!   journal.db        intents and outcomes
//!   results/          the result files
//! runs/refused-*.json a start that was refused before it was a run, until a start gets further
//! ```

mod apart;
mod content;
mod derive;
mod dir;
mod error;
mod inputs;
mod manifest;
mod refused_start;
mod run_id;
mod stop_reason;
mod store;

#[cfg(test)]
pub(crate) use manifest::tests as testing;

pub use apart::Apart;
pub use content::{Content, hash_file};
pub use derive::{letter, recipients_part, run_id};
pub use dir::RunDir;
pub use error::RunDirError;
pub use inputs::{Input, RetryOf, RunOptions};
pub use manifest::{Manifest, PasswordOf, Refused, RunState};
pub use refused_start::RefusedStart;
pub use run_id::{BadRunId, RunId};
pub use stop_reason::StopReason;
pub use store::{Lease, RunStore, StoredRun, find};
