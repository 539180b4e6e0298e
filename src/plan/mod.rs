//! The frozen plan, the run directory, the manifest.
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
//!
//! Every file comes into being under another name, is synced, and gets its own name in one step: it is whole or
//! absent. What is read is checked first: a plan that is cut or altered is an error, never a shorter list.

mod content;
mod domains;
mod error;
mod forecast;
mod freeze;
mod layout;
mod manifest;
mod order;
mod reader;
mod row;
mod run_dir;
mod run_id;
mod screened;
mod sealed;
mod staged;
mod value;

pub use content::{Content, hash_file};
pub use domains::{TopDomains, top_domains};
pub use error::PlanError;
pub use forecast::{Forecast, SlotForecast, forecast};
pub use freeze::{Freeze, Frozen, freeze_rows};
pub use layout::{Layout, LeftOut};
pub use manifest::{FORMAT, Input, Manifest, Retry, RunOptions, State};
pub use order::{InputRow, input_order};
pub use reader::Plan;
pub use row::Row;
pub use run_dir::{RunDir, RunDirError, RunLock};
pub use run_id::{BadRunId, RunId, recipients_part, run_id};
pub use screened::ScreenedRows;
pub use sealed::FileFacts;
