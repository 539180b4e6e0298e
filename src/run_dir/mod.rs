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
//! ```

mod content;
mod derive;
mod dir;
mod inputs;
mod manifest;
mod run_id;
mod stop_reason;

pub use content::{Content, hash_file};
pub use derive::{recipients_part, run_id};
pub use dir::{RunDir, RunDirError, RunLock};
pub use inputs::{Input, Retry, RunOptions};
pub use manifest::{Manifest, State};
pub use run_id::{BadRunId, RunId};
pub use stop_reason::StopReason;
