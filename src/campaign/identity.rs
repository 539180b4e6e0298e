//! `[campaign]`: the name of the mailing and its kind of mail.

use serde::{Deserialize, Serialize};

use super::error::Mistake;
use super::units::MaxPer;
use crate::mail::ListId;

/// `[campaign]`.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Identity {
    /// Names the run directory: up to 100 letters, digits, `-`, `_` and `.`.
    pub id: String,
    /// Decides what the message must carry.
    #[serde(default)]
    pub kind: Kind,
    /// The issue of the mailing: nobody gets one edition twice. One for all mail of the campaign by
    /// default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edition: Option<String>,
    /// Whoever got so many mails lately gets nothing, such as `2/7d`; no limit by default. Alarms
    /// are exempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_per: Option<MaxPer>,
    /// Which mails `max-per` counts.
    #[serde(default, skip_serializing_if = "MaxPerScope::is_all")]
    pub max_per_scope: MaxPerScope,
    /// A newsletter may go out without `[unsubscribe]`: another system adds the header, or there is
    /// none on purpose.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub without_unsubscribe: bool,
    /// `List-Id` (RFC 2919), such as `spring-news.example.com`; none by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub list_id: Option<String>,
    /// `Feedback-ID` (Google's Postmaster Tools); by default `<campaign id>:<kind>:mailrun:<sender
    /// domain>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub feedback_id: Option<String>,
}

/// The kind of mail.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Marketing mail, such as a newsletter: it needs an unsubscribe link.
    #[default]
    News,
    /// Something that the recipient's account needs to know.
    Update,
    /// A machine's warning: `Auto-Submitted: auto-generated` (RFC 3834).
    Alarm,
}

impl Kind {
    /// The word in the campaign file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::News => "news",
            Self::Update => "update",
            Self::Alarm => "alarm",
        }
    }
}

/// Which mails `max-per` counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum MaxPerScope {
    /// Those of all campaigns of the state directory.
    #[default]
    All,
    /// Those with the same `list-id`.
    List,
}

impl MaxPerScope {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    fn is_all(&self) -> bool {
        *self == Self::All
    }
}

impl Identity {
    /// The list that `list_id` names: what its recipients can leave without leaving the rest.
    pub fn list(&self) -> Option<ListId> {
        self.list_id.as_deref()?.parse().ok()
    }

    pub(super) fn check(&self) -> Result<(), Mistake> {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if self.id.is_empty() || self.id.len() > 100 || self.id.starts_with('.') || !self.id.chars().all(fits)
        {
            return Err(Mistake::new(
                "campaign.id",
                format!("`{}` can't be a campaign id", self.id),
                "use up to 100 letters, digits, `-`, `_` and `.`: it names the run directory",
            ));
        }
        if self.max_per_scope == MaxPerScope::List && self.list_id.is_none() {
            return Err(Mistake::new(
                "campaign.max-per-scope",
                "there is no `list-id` whose mails could be counted",
                "set `list-id`, or leave `max-per-scope` out to count all mails",
            ));
        }
        if let Some(list_id) = self.list_id.as_ref().filter(|_| self.list().is_none()) {
            return Err(Mistake::new(
                "campaign.list-id",
                format!("`{list_id}` can't be a list-id"),
                "use a name such as `news.example.com`, or `Spring news <news.example.com>`",
            ));
        }
        Ok(())
    }
}
