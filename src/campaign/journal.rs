//! `[journal]`: what an intent survives.

use serde::{Deserialize, Serialize};

/// `[journal]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Journal {
    /// What an intent survives once it counts as durable.
    pub durability: Durability,
}

/// What an intent survives once it counts as durable.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Durability {
    /// A power failure: intents are synced to the disk.
    #[default]
    PowerLoss,
    /// A crash of the process, but not of the machine: intents are written and not synced.
    ProcessCrash,
}
