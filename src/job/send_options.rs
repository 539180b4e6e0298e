//! How to send.

use std::path::PathBuf;

use super::name_servers::NameServers;
use crate::journal::InDoubt;
use crate::mail::Timestamp;

/// How to send.
#[derive(Debug, Clone)]
pub(crate) struct SendOptions {
    /// What to do with rows that a killed run left in doubt.
    pub in_doubt: InDoubt,
    /// Without the pacer; only towards the sandbox.
    pub unpaced: bool,
    /// Start no message after this time; what is left is `not_attempted`.
    pub not_after: Option<Timestamp>,
    /// The same, for a run that was to be through by then.
    pub deadline: Option<Timestamp>,
    /// Where names are looked up.
    pub name_servers: NameServers,
    /// With the sandbox: the folder for the messages.
    pub sandbox_keep: Option<PathBuf>,
    /// With the sandbox: the file for a record of every message accepted.
    pub sandbox_record: Option<PathBuf>,
}
