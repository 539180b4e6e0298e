//! What one mail that came back says: its kind, and an event for each recipient that it names.

use serde::{Deserialize, Serialize};

use crate::mail::{Class, EnhancedStatus};

/// What kind of mail came back, or what became of one recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The mail could not be delivered, and nobody tries any longer.
    Bounce,
    /// The mail is not delivered yet; the receiver goes on trying.
    Delay,
    /// The mail was delivered, read or passed on to where no notices come from.
    Delivered,
    /// The recipient marked the mail as spam (RFC 5965).
    Complaint,
    /// The recipient took a complaint back.
    NotSpam,
    /// The recipient wants no more mail.
    Unsubscribe,
    /// SPF, DKIM or DMARC failed for one mail (RFC 6591).
    AuthFailure,
    /// A program answered for the recipient (RFC 3834).
    AutoReply,
    /// The receiver asks the sender to prove to be human.
    Challenge,
    /// A DMARC aggregate report (RFC 7489, RFC 9990): who sent in the name of a domain.
    DmarcAggregate,
    /// A TLS report (RFC 8460).
    TlsReport,
    /// What a provider says of a sending address or a domain on one day.
    Reputation,
    /// The image of a tracked message was fetched.
    Open,
    /// A tracked link was followed.
    Click,
    /// None of these.
    Other,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 15] = [
        Self::Bounce,
        Self::Delay,
        Self::Delivered,
        Self::Complaint,
        Self::NotSpam,
        Self::Unsubscribe,
        Self::AuthFailure,
        Self::AutoReply,
        Self::Challenge,
        Self::DmarcAggregate,
        Self::TlsReport,
        Self::Reputation,
        Self::Open,
        Self::Click,
        Self::Other,
    ];

    /// The word in outputs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bounce => "bounce",
            Self::Delay => "delay",
            Self::Delivered => "delivered",
            Self::Complaint => "complaint",
            Self::NotSpam => "not_spam",
            Self::Unsubscribe => "unsubscribe",
            Self::AuthFailure => "auth_failure",
            Self::AutoReply => "auto_reply",
            Self::Challenge => "challenge",
            Self::DmarcAggregate => "dmarc_aggregate",
            Self::TlsReport => "tls_report",
            Self::Reputation => "reputation",
            Self::Open => "open",
            Self::Click => "click",
            Self::Other => "other",
        }
    }
}

/// What one mail says about one recipient.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Event {
    /// What became of the recipient.
    pub kind: Kind,
    /// The address that the mail was sent to. None: the mail names nobody.
    pub address: Option<String>,
    /// Where it was forwarded to, where the report tells and it is another address.
    pub final_address: Option<String>,
    /// Why; for bounces and delays. The classes are those of replies while sending.
    #[serde(serialize_with = "class_word")]
    pub class: Option<Class>,
    /// Whether a later attempt would fail too. None: the mail does not tell.
    pub permanent: Option<bool>,
    /// The mailbox or the domain does not exist: the address itself is bad, for good.
    pub hard: bool,
    /// The enhanced status (RFC 3463).
    #[serde(serialize_with = "status_text")]
    pub status: Option<EnhancedStatus>,
    /// The reply or the reason, in the words of the mail.
    pub text: Option<String>,
}

impl Event {
    /// An event without details.
    pub(super) fn new(kind: Kind, address: Option<String>) -> Self {
        Self {
            kind,
            address,
            final_address: None,
            class: None,
            permanent: None,
            hard: false,
            status: None,
            text: None,
        }
    }
}

fn class_word<S: serde::Serializer>(class: &Option<Class>, serializer: S) -> Result<S::Ok, S::Error> {
    class.map(Class::as_str).serialize(serializer)
}

fn status_text<S: serde::Serializer>(
    status: &Option<EnhancedStatus>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    status.map(|status| status.to_string()).serialize(serializer)
}
