//! Where an error is and what to do about it, whatever its noun.

use super::error::{JobError, chain};
use crate::campaign::CampaignError;
use crate::mail::Timestamp;
use crate::run_dir::Refused;

impl JobError {
    /// Where it is, where its text does not say so.
    pub(crate) fn place(&self) -> Option<String> {
        match self {
            Self::Campaign(error) => Some(error.at()),
            Self::Template(error) => Some(error.at()),
            Self::TargetGroup(error) => error.at(),
            Self::Workspace(error) => error.place(),
            Self::Secret(error) => error.place(),
            Self::Sender(error) => Some(error.place()),
            Self::Export(error) => Some(error.place()),
            Self::Setup(error) => error.place(),
            Self::Selection(error) => error.place().map(str::to_owned),
            Self::Freeze(error) => Some(error.place().display().to_string()),
            Self::Refusal(error) => error.place(),
            Self::Webhook(error) => Some(error.place()),
            Self::Interrupted(error) => error.place(),
            Self::State(_)
            | Self::Key(_)
            | Self::Smime(_)
            | Self::RunDir(_)
            | Self::Plan(_)
            | Self::Journal(_)
            | Self::Ledger(_)
            | Self::Results(_)
            | Self::Resolver(_)
            | Self::Shaping(_)
            | Self::Rule(_)
            | Self::Scanner(_)
            | Self::Recover(_)
            | Self::Purge(_)
            | Self::Policies(_)
            | Self::Retry(_)
            | Self::Token(_)
            | Self::Verification(_) => None,
        }
    }

    /// What to do, where there is something to say.
    pub(crate) fn hint(&self) -> Option<String> {
        let fixed = match self {
            Self::Campaign(error) => return error.hint.clone(),
            Self::Template(error) => return error.hint.clone(),
            Self::TargetGroup(error) => return error.hint.clone(),
            Self::Sender(error) => return Some(error.refused.hint()),
            Self::Shaping(error) => return error.hint(),
            Self::Refusal(error) => return Some(error.hint()),
            Self::Interrupted(error) => return error.hint(),
            Self::State(error) => error.hint(),
            Self::RunDir(error) => error.hint(),
            Self::Plan(error) => error.hint(),
            Self::Journal(error) => error.hint(),
            Self::Ledger(error) => error.hint(),
            Self::Results(error) => error.hint(),
            Self::Resolver(error) => error.hint(),
            Self::Rule(error) => error.hint(),
            Self::Scanner(_) => Some("correct the campaign's `[[scanner]]`"),
            Self::Secret(error) => error.hint(),
            Self::Setup(error) => error.hint(),
            Self::Selection(error) => error.hint(),
            Self::Freeze(error) => error.hint(),
            Self::Export(error) => error.hint(),
            Self::Key(error) => Some(error.hint()),
            Self::Smime(error) => Some(error.hint()),
            Self::Workspace(error) => Some(error.hint()),
            Self::Retry(error) => Some(error.hint()),
            Self::Token(error) => Some(error.hint()),
            Self::Recover(error) => Some(error.hint()),
            Self::Purge(error) => Some(error.hint()),
            Self::Verification(error) => Some(error.hint()),
            Self::Webhook(error) => error.hint(),
            Self::Policies(_) => Some("delete the file; the policies are fetched again"),
        };
        fixed.map(str::to_owned)
    }

    /// The campaign file's error, if it is one.
    pub(crate) fn campaign(&self) -> Option<&CampaignError> {
        match self {
            Self::Campaign(error) => Some(error),
            Self::Sender(error) => error.in_campaign.as_deref(),
            Self::Interrupted(error) => error.campaign(),
            _ => None,
        }
    }

    /// What is kept of a start that it refused.
    pub(super) fn refused(&self, at: Timestamp) -> Refused {
        Refused { at, why: self.why(), hint: self.hint() }
    }

    fn why(&self) -> String {
        let why = match self {
            // Whoever shows what is kept says that nothing was sent.
            Self::Refusal(refusal) => refusal.why(),
            error => chain(error),
        };
        let place = match self {
            Self::Campaign(_) | Self::Template(_) | Self::TargetGroup(_) => self.place(),
            _ => None,
        };
        match place {
            Some(place) if !why.contains(&place) => format!("{why} ({place})"),
            Some(_) | None => why,
        }
    }
}
