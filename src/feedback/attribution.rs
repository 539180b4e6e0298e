//! Whom an event concerns, and how that is known.

use serde::Serialize;

use crate::mail::{Address, ListId, Timestamp};

/// How a recipient was found, the surest way first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// The token of the return path that the mail was sent to.
    Envelope,
    /// The token of a return path in what came back.
    Returned,
    /// The token of a link of the message.
    Link,
    /// The `Message-ID` of the mail that came back.
    MessageId,
    /// The address that the mail names, which was a recipient lately.
    Address,
}

impl By {
    /// All ways.
    pub const ALL: [Self; 5] = [Self::Envelope, Self::Returned, Self::Link, Self::MessageId, Self::Address];

    /// The word in outputs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Envelope => "envelope",
            Self::Returned => "returned",
            Self::Link => "link",
            Self::MessageId => "message_id",
            Self::Address => "address",
        }
    }

    /// Whether only the recipient, and who handled the mail, can know it.
    pub const fn is_token(self) -> bool {
        match self {
            Self::Envelope | Self::Returned | Self::Link => true,
            Self::MessageId | Self::Address => false,
        }
    }
}

/// The recipient of a run whom an event concerns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipient {
    /// The campaign's id.
    pub campaign: String,
    /// The run's id.
    pub run: String,
    /// The row: its index in the run's plan, from 0. None: a link of mailrun 0.1.
    pub row: Option<u32>,
    /// The address that the run mailed.
    pub address: Address,
    /// The list that the campaign wrote to, as it was then.
    pub list_id: Option<ListId>,
    /// How it was found.
    pub by: By,
    /// It was found by a token, or there are no tokens in the run: anything else may be forged.
    pub trusted: bool,
    /// When the next hop accepted the message, or may have. None: it never did.
    pub handed_over: Option<Timestamp>,
}
