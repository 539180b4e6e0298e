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
    /// A loss of power: synced to the disk.
    #[default]
    PowerLoss,
    /// The end of the process, not of the machine: written, not synced.
    ProcessCrash,
}
