//! Checks before sending: what receivers would refuse and what recipients would stumble over.
//!
//! A check returns [`Finding`]s. It never sends mail and never changes anything, and it uses the
//! network only through a resolver or an address that the caller passes in.
//!
//! To add a finding: an entry in `finding/catalogue.rs` (id, level, reason), the check that sees
//! it, and its row in `docs/findings.md`, which a test prints.

pub(crate) mod approval;
pub(crate) mod content;
pub(crate) mod dns;
pub(crate) mod csa;
pub(crate) mod css;
pub(crate) mod dedicated;
pub(crate) mod dnsbl;
mod finding;
pub(crate) mod finish_time;
pub(crate) mod list;
pub(crate) mod local_addresses;
pub(crate) mod other_language;
pub(crate) mod relay;
pub(crate) mod reputation;
pub(crate) mod sender;
pub(crate) mod smime;
pub(crate) mod unsubscribe;

pub(crate) use finding::{Finding, Findings, Id, Level};
