//! Checks before sending: what receivers would refuse and what recipients would stumble over.
//!
//! A check returns [`Finding`]s. It never sends mail and never changes anything, and it uses the
//! network only through a resolver or an address that the caller passes in.
//!
//! To add a finding: an entry in `finding/catalogue.rs` (id, level, reason), the check that sees
//! it, and its row in `docs/findings.md`, which a test prints.

pub mod approval;
pub mod content;
pub mod dns;
mod finding;
pub mod finish_time;
pub mod list;
pub mod relay;
pub mod sender;

pub use finding::{Finding, Findings, Id, Level};
