//! The final outcome of a row.

use std::fmt;
use std::str::FromStr;

/// The final outcome of a row of the target group. Every input row ends with exactly one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Disposition {
    /// The next hop answered 2xx to the end of the message (RFC 5321 §4.2.5). Not "in the mailbox".
    Accepted,
    /// Refused permanently: a 5xx reply, or a site that accepts no mail at all.
    Bounced,
    /// Still refused with 4xx, or not reachable, when `give-up-after` had passed.
    Deferred,
    /// The message may have been handed over, but no answer was seen. Never resent silently.
    InDoubt,
    /// On the suppression list.
    Suppressed,
    /// An earlier row has the same address.
    Duplicate,
    /// The row can't be read, or its address is not one that can be sent to.
    Invalid,
    /// The templates could not be rendered for this row.
    RenderFailed,
    /// A scanner found something in its message: it was not sent.
    Infected,
    /// Planned, but the run ended before its turn.
    NotAttempted,
    /// An earlier run, or another one at the same time, sent this edition to the recipient.
    AlreadySent,
    /// The recipient got as many mails lately as the campaign file allows.
    Capped,
}

impl Disposition {
    /// All dispositions, in the order of reports.
    pub const ALL: [Self; 12] = [
        Self::Accepted,
        Self::Bounced,
        Self::Deferred,
        Self::InDoubt,
        Self::Suppressed,
        Self::Duplicate,
        Self::Invalid,
        Self::RenderFailed,
        Self::Infected,
        Self::NotAttempted,
        Self::AlreadySent,
        Self::Capped,
    ];

    /// The word used in results, the journal and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Bounced => "bounced",
            Self::Deferred => "deferred",
            Self::InDoubt => "in_doubt",
            Self::Suppressed => "suppressed",
            Self::Duplicate => "duplicate",
            Self::Invalid => "invalid",
            Self::RenderFailed => "render_failed",
            Self::Infected => "infected",
            Self::NotAttempted => "not_attempted",
            Self::AlreadySent => "already_sent",
            Self::Capped => "capped",
        }
    }
}

impl fmt::Display for Disposition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A text that names no disposition.
#[derive(Debug, thiserror::Error)]
#[error("unknown disposition `{0}`; the words are {words}", words = Disposition::ALL.map(Disposition::as_str).join(", "))]
pub struct UnknownDisposition(String);

impl FromStr for Disposition {
    type Err = UnknownDisposition;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|d| d.as_str() == text).ok_or_else(|| UnknownDisposition(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_reads_back() {
        for disposition in Disposition::ALL {
            assert_eq!(disposition.as_str().parse::<Disposition>().unwrap(), disposition);
        }
        assert!("sent".parse::<Disposition>().is_err());
    }
}
