//! `[sender]`: who the mail is from, and where failures come back to.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::delivery::RouteKind;
use super::error::Mistake;
use super::units::{optional_text, text};
use crate::mail::{Address, Mailbox};

/// `[sender]`.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Sender {
    /// The `From` header.
    #[serde(with = "text")]
    pub from: Mailbox,
    /// The `Reply-To` header; none by default.
    #[serde(default, with = "optional_text", skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<Mailbox>,
    /// `MAIL FROM`; the From address by default.
    #[serde(default, with = "optional_text", skip_serializing_if = "Option::is_none")]
    pub return_path: Option<Address>,
    /// Gets a copy of every message, in the envelope only; relays only.
    #[serde(default, with = "optional_text", skip_serializing_if = "Option::is_none")]
    pub archive_bcc: Option<Address>,
    /// One return path per recipient: `local+<token>@domain`.
    #[serde(default)]
    pub verp: bool,
    /// The registry of senders; `senders.toml` beside the campaign file or in the state directory by default.
    #[serde(default, skip_serializing)]
    pub registry: Option<PathBuf>,
    /// Further header fields for every message, name to value; the value may use `{{columns}}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
}

impl Sender {
    /// The return path without VERP.
    pub fn return_path(&self) -> &Address {
        self.return_path.as_ref().unwrap_or(&self.from.address)
    }

    pub(super) fn check(&self, route: RouteKind) -> Result<(), Mistake> {
        let Some(archive) = &self.archive_bcc else { return Ok(()) };
        if route == RouteKind::Mx {
            return Err(Mistake::new(
                "sender.archive-bcc",
                format!("the hosts of the recipients' domains do not take mail for `{archive}`"),
                "use route `relay`, or leave it out",
            ));
        }
        if archive.needs_smtputf8() {
            return Err(Mistake::new(
                "sender.archive-bcc",
                format!("`{archive}` would keep every message from servers without SMTPUTF8"),
                "use an address in ASCII",
            ));
        }
        Ok(())
    }
}
