//! `[sender]`: who the mail is from, and where bounces go.

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
    /// The envelope sender (`MAIL FROM`), to which bounces go; the From address by default.
    #[serde(default, with = "optional_text", skip_serializing_if = "Option::is_none")]
    pub return_path: Option<Address>,
    /// An address that gets a copy of every message, in the envelope only; not with route `mx`.
    #[serde(default, with = "optional_text", skip_serializing_if = "Option::is_none")]
    pub archive_bcc: Option<Address>,
    /// The archive also has what was written for a recipient who was refused: content then goes
    /// along with its envelope where the server allows that.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub archive_strict: bool,
    /// One return path per recipient: `local+<token>@domain`.
    #[serde(default)]
    pub verp: bool,
    /// The sender is certified by the Certified Senders Alliance: its mail carries
    /// `X-CSA-Complaints`, and what the criteria ask for is checked.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub csa: bool,
    /// Its mail leaves from addresses that it shares with nobody: fewer than two are a finding.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dedicated: bool,
    /// The registry of senders; by default `senders.toml` beside the campaign file or in the state
    /// directory.
    #[serde(default, skip_serializing)]
    pub registry: Option<PathBuf>,
    /// More header fields for every message, name to value; values may use `{{columns}}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// A registry of senders has the From: ready messages may have no other domain in theirs.
    #[serde(skip)]
    pub is_registered: bool,
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
                format!("the recipients' servers do not accept mail for `{archive}`"),
                "use route `relay`, or leave it out",
            ));
        }
        if archive.needs_smtputf8() {
            return Err(Mistake::new(
                "sender.archive-bcc",
                format!("with `{archive}`, no message could go to a server without SMTPUTF8"),
                "use an ASCII address",
            ));
        }
        Ok(())
    }
}
