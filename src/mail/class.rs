//! Why a message was refused or could not be handed over.

use std::fmt;
use std::str::FromStr;

/// The reason behind an outcome: what a reply means, or what kept a reply from coming.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// The mailbox does not exist or is disabled (5.1.1, 5.2.1 …).
    BadMailbox,
    /// The domain does not exist or takes no mail (5.1.2, 5.1.10, null MX).
    BadDomain,
    /// The mailbox is full (x.2.2).
    MailboxFull,
    /// Refused by the receiver's policy, without a more exact reason.
    Policy,
    /// The content was judged as spam.
    Spam,
    /// The sending address or domain is on a block list.
    Blocklist,
    /// SPF, DKIM or DMARC did not pass, or AUTH failed.
    Authentication,
    /// Too fast, too many connections, come back later.
    RateLimited,
    /// The receiver demands TLS, or TLS is required and not offered.
    TlsRequired,
    /// Larger than the receiver accepts.
    TooLarge,
    /// Greylisted: the receiver defers the first attempt on purpose.
    Greylisted,
    /// The receiver is busy or temporarily out of order.
    Unavailable,
    /// The reply or its absence broke the protocol.
    Protocol,
    /// No connection, or it was lost.
    Network,
    /// A loop or another routing failure at the receiver.
    Routing,
    /// Anything else.
    Other,
}

impl Class {
    /// All classes.
    pub const ALL: [Self; 16] = [
        Self::BadMailbox,
        Self::BadDomain,
        Self::MailboxFull,
        Self::Policy,
        Self::Spam,
        Self::Blocklist,
        Self::Authentication,
        Self::RateLimited,
        Self::TlsRequired,
        Self::TooLarge,
        Self::Greylisted,
        Self::Unavailable,
        Self::Protocol,
        Self::Network,
        Self::Routing,
        Self::Other,
    ];

    /// The word used in results, rules and reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BadMailbox => "bad_mailbox",
            Self::BadDomain => "bad_domain",
            Self::MailboxFull => "mailbox_full",
            Self::Policy => "policy",
            Self::Spam => "spam",
            Self::Blocklist => "blocklist",
            Self::Authentication => "authentication",
            Self::RateLimited => "rate_limited",
            Self::TlsRequired => "tls_required",
            Self::TooLarge => "too_large",
            Self::Greylisted => "greylisted",
            Self::Unavailable => "unavailable",
            Self::Protocol => "protocol",
            Self::Network => "network",
            Self::Routing => "routing",
            Self::Other => "other",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A text that names no class.
#[derive(Debug, thiserror::Error)]
#[error("unknown class `{0}`")]
pub struct UnknownClass(String);

impl FromStr for Class {
    type Err = UnknownClass;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|c| c.as_str() == text).ok_or_else(|| UnknownClass(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_reads_back() {
        for class in Class::ALL {
            assert_eq!(class.as_str().parse::<Class>().unwrap(), class);
        }
    }
}
