//! The application: what a command, a service or a worker on another machine asks for, in the order of the work.
//!
//! ```text
//! Workspace::new       where state and runs are, and who is informed
//! Job::open            the campaign with its templates, keys and secrets
//! freeze_or_resume     screen the list and freeze it, or resume the unfinished run
//! gate                 what must hold before the first byte leaves
//! send                 the dispatcher and its stages
//! conclude             result files, manifest, outcome
//! ```
//!
//! Nothing here parses arguments or prints: an [`Observer`] receives notices and progress.

mod allowances;
mod check;
mod conclude;
mod dns_records;
mod dry_run;
mod error;
mod findings;
mod freeze;
mod frozen_run;
mod gate;
mod history;
mod live;
mod name_servers;
mod next_hops;
mod observer;
mod open;
mod outlook;
mod render;
mod retry;
mod secret;
mod selection;
mod send;
mod standing;
mod temporary_plan;
mod test_message;
mod unsent;
mod workspace;

pub use check::{CheckOptions, CheckReport};
pub use conclude::{Conclusion, Outcome, rewrite_results};
pub use dry_run::DryRunTotals;
pub use error::{ErrorClass, JobError, chain};
pub use freeze::List;
pub use frozen_run::FrozenRun;
pub use gate::Checks;
pub use history::{History, histories, recipient_of_return_path};
pub use live::Live;
pub use name_servers::NameServers;
pub use next_hops::mx_router;
pub use observer::{Notice, Observer, Stage};
pub use open::Job;
pub use outlook::Outlook;
pub use render::RowChoice;
pub use retry::Retry;
pub use selection::Selection;
pub use send::SendOptions;
pub use standing::standing;
pub use test_message::TestMessage;
pub use workspace::{Places, Workspace};
