//! `[[account]]` of `senders.toml`, and what senders and accounts give to campaigns that do not
//! have settings of their own.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::Campaign;
use super::error::Mistake;
use super::units::optional_text;
use crate::kit::text::counted;
use crate::mail::{Address, Mailbox};

/// `[[account]]`: a capacity account, with what all campaigns on it have in common.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Account {
    /// The name that campaigns and senders call it by.
    pub name: String,
    /// The most domains that may be registered for it; no limit by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domains: Option<usize>,
    /// `Reply-To`.
    #[serde(default, with = "optional_text", skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<Mailbox>,
    /// The address that gets a copy of every message.
    #[serde(default, with = "optional_text", skip_serializing_if = "Option::is_none")]
    pub archive_bcc: Option<Address>,
    /// `List-Id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub list_id: Option<String>,
    /// More header fields, name to value.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
}

/// Settings for campaigns that do not have them.
pub(super) struct Defaults<'a> {
    pub reply_to: Option<&'a Mailbox>,
    pub archive_bcc: Option<&'a Address>,
    pub list_id: Option<&'a String>,
    pub headers: &'a BTreeMap<String, String>,
}

impl Defaults<'_> {
    /// Fills in what `campaign` does not say itself.
    pub(super) fn fill(&self, campaign: &mut Campaign) {
        let sender = &mut campaign.sender;
        fill(&mut sender.reply_to, self.reply_to);
        fill(&mut sender.archive_bcc, self.archive_bcc);
        fill(&mut campaign.identity.list_id, self.list_id);
        for (name, value) in self.headers {
            if !sender.headers.keys().any(|own| own.eq_ignore_ascii_case(name)) {
                sender.headers.insert(name.clone(), value.clone());
            }
        }
    }
}

fn fill<T: Clone>(own: &mut Option<T>, default: Option<&T>) {
    if own.is_none() {
        *own = default.cloned();
    }
}

impl Account {
    pub(super) fn defaults(&self) -> Defaults<'_> {
        Defaults {
            reply_to: self.reply_to.as_ref(),
            archive_bcc: self.archive_bcc.as_ref(),
            list_id: self.list_id.as_ref(),
            headers: &self.headers,
        }
    }
}

/// Checks that an archive can get every message.
pub(super) fn check_archive(archive: Option<&Address>, key: &'static str) -> Result<(), Mistake> {
    match archive.filter(|archive| archive.needs_smtputf8()) {
        Some(archive) => {
            let problem = format!("with `{archive}`, no message could go to a server without SMTPUTF8");
            Err(Mistake::new(key, problem, "use an ASCII address"))
        }
        None => Ok(()),
    }
}

/// Checks that no account is named twice, and that none has more domains than it may. `registered`
/// are the accounts of senders with their domains.
pub(super) fn check(accounts: &[Account], registered: &[(&str, &str)]) -> Result<(), Mistake> {
    for (at, account) in accounts.iter().enumerate() {
        check_archive(account.archive_bcc.as_ref(), "account.archive-bcc")?;
        let name = &account.name;
        if let Some(first) = accounts[..at].iter().position(|other| other.name == *name) {
            let problem = format!("`[[account]]` {} and {} are both named `{name}`", first + 1, at + 1);
            return Err(Mistake::new("account.name", problem, "keep one of them"));
        }
        let own = registered.iter().filter(|(account, _)| account == name);
        let domains: BTreeSet<&str> = own.map(|(_, domain)| *domain).collect();
        if let Some(most) = account.domains.filter(|most| domains.len() > *most) {
            let names = domains.into_iter().collect::<Vec<_>>().join("`, `");
            let allowed = counted(most as u64, "sender domain", "sender domains");
            let problem = format!("the account `{name}` may have {allowed}, and has more: `{names}`");
            return Err(Mistake::new(
                "account.domains",
                problem,
                "raise `domains`, or register them for another",
            ));
        }
    }
    Ok(())
}
