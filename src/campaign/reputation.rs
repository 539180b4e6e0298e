//! `[reputation]`: where `check` and `send` ask how the sender is seen.

use serde::{Deserialize, Serialize};

use super::error::Mistake;
use crate::mail::Domain;

/// `[reputation]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Reputation {
    /// The zones of DNS block lists (RFC 5782), such as `zen.spamhaus.org`.
    pub dnsbl: Vec<String>,
}

impl Reputation {
    pub(super) fn is_default(&self) -> bool {
        self.dnsbl.is_empty()
    }

    pub(super) fn check(&self) -> Result<(), Mistake> {
        match self.dnsbl.iter().find(|zone| zone.parse::<Domain>().is_err()) {
            None => Ok(()),
            Some(zone) => Err(Mistake::new(
                "reputation.dnsbl",
                format!("`{zone}` is no domain"),
                "name the zone of the list, such as `zen.spamhaus.org`",
            )),
        }
    }
}
