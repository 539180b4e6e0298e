//! One event.

use std::fmt;
use std::str::FromStr;

use serde_json::{Value, json};

use crate::feedback;
use crate::mail::{Class, Disposition, Timestamp};

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// The row was read and planned, or screened.
    Received,
    /// Its message is handed to a connection.
    Sent,
    /// A message that was sent before is handed to a connection once more.
    Resent,
    /// The row has this disposition: for good where the event is final; refused for now, and tried
    /// again, where it is [`Disposition::Deferred`] and not final.
    Disposed(Disposition),
    /// The receiver says that it was delivered.
    DeliveredLate,
    /// The receiver goes on trying.
    Delayed,
    /// It came back.
    BouncedLater,
    /// The recipient marked it as spam.
    Complained,
    /// The recipient took that back.
    NotSpam,
    /// The recipient wants no more.
    Unsubscribed,
    /// A program answered for the recipient.
    AutoReplied,
    /// The image of the message was fetched.
    Opened,
    /// A link of the message was followed.
    Clicked,
}

impl Kind {
    /// Those that are no disposition.
    const OWN: [Self; 12] = [
        Self::Received,
        Self::Sent,
        Self::Resent,
        Self::DeliveredLate,
        Self::Delayed,
        Self::BouncedLater,
        Self::Complained,
        Self::NotSpam,
        Self::Unsubscribed,
        Self::AutoReplied,
        Self::Opened,
        Self::Clicked,
    ];

    /// All kinds.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        Self::OWN.into_iter().chain(Disposition::ALL.map(Self::Disposed))
    }

    /// The word in outputs.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Sent => "sent",
            Self::Resent => "resent",
            Self::Disposed(disposition) => disposition.as_str(),
            Self::DeliveredLate => "delivered_late",
            Self::Delayed => "delayed",
            Self::BouncedLater => "bounced_later",
            Self::Complained => "complained",
            Self::NotSpam => "not_spam",
            Self::Unsubscribed => "unsubscribed",
            Self::AutoReplied => "auto_replied",
            Self::Opened => "opened",
            Self::Clicked => "clicked",
        }
    }

    /// What came back; nothing for mail that is about no message of ours.
    pub(super) const fn of_feedback(kind: feedback::Kind) -> Option<Self> {
        match kind {
            feedback::Kind::Bounce => Some(Self::BouncedLater),
            feedback::Kind::Delay => Some(Self::Delayed),
            feedback::Kind::Delivered => Some(Self::DeliveredLate),
            feedback::Kind::Complaint => Some(Self::Complained),
            feedback::Kind::NotSpam => Some(Self::NotSpam),
            feedback::Kind::Unsubscribe => Some(Self::Unsubscribed),
            feedback::Kind::AutoReply | feedback::Kind::Challenge => Some(Self::AutoReplied),
            feedback::Kind::Open => Some(Self::Opened),
            feedback::Kind::Click => Some(Self::Clicked),
            feedback::Kind::AuthFailure
            | feedback::Kind::DmarcAggregate
            | feedback::Kind::TlsReport
            | feedback::Kind::Reputation
            | feedback::Kind::Other => None,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A text that names no kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown kind `{0}`; the words are {words}", words = Kind::all().map(Kind::as_str).collect::<Vec<_>>().join(", "))]
pub(crate) struct UnknownKind(String);

impl FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        Self::all().find(|kind| kind.as_str() == text).ok_or_else(|| UnknownKind(text.to_owned()))
    }
}

/// What happened to one recipient at one time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    /// The same whenever it is read.
    pub id: String,
    /// When.
    pub at: Timestamp,
    /// What.
    pub kind: Kind,
    /// The row ended with it. A row that was in doubt may be sent again, and ends again.
    pub is_final: bool,
    /// The campaign's id; none where nobody knows.
    pub campaign: Option<String>,
    /// The run's id.
    pub run: Option<String>,
    /// The row of the plan; none where it was screened.
    pub row: Option<u32>,
    /// Names the row in `status --notification`.
    pub notification: Option<String>,
    /// The recipient's address, as the list has it.
    pub recipient: Option<String>,
    /// The `Message-ID`, without angle brackets.
    pub message_id: Option<String>,
    /// Which transmission of the row, from 1; none for what is about no transmission.
    pub attempt: Option<u16>,
    /// Why.
    pub class: Option<Class>,
    /// The reply, or the words of a mail that came back.
    pub reply: Option<String>,
    /// Why it is no person's doing.
    pub machine: Option<&'static str>,
    /// The reason, where no reply gives it.
    pub detail: Option<String>,
    /// A copy for a seed address.
    pub is_seed: bool,
    /// It is about the mail with the password of the row's secure documents.
    pub is_password: bool,
}

impl Event {
    /// An event without details. `of` names the row and the occasion: what differs between two
    /// events of the same kind.
    pub(super) fn new(kind: Kind, at: Timestamp, of: &[&str]) -> Self {
        Self {
            id: id(kind, of),
            at,
            kind,
            is_final: false,
            campaign: None,
            run: None,
            row: None,
            notification: None,
            recipient: None,
            message_id: None,
            attempt: None,
            class: None,
            reply: None,
            machine: None,
            detail: None,
            is_seed: false,
            is_password: false,
        }
    }

    /// An event that never happened, to try a receiver with.
    pub(crate) fn made_up(kind: Kind, at: Timestamp) -> Self {
        Self {
            campaign: Some("test".to_owned()),
            recipient: Some("recipient@example.com".to_owned()),
            detail: Some("made up by `mailrun webhooks test`".to_owned()),
            ..Self::new(kind, at, &["made up", &at.to_string()])
        }
    }

    /// The event as JSON, without its cursor.
    pub(crate) fn json(&self) -> Value {
        json!({
            "id": self.id,
            "at": self.at.to_string(),
            "kind": self.kind.as_str(),
            "is_final": self.is_final,
            "campaign": self.campaign,
            "run": self.run,
            "row": self.row,
            "notification": self.notification,
            "recipient": self.recipient,
            "message_id": self.message_id,
            "attempt": self.attempt,
            "class": self.class.map(Class::as_str),
            "reply": self.reply,
            "machine": self.machine,
            "detail": self.detail,
            "is_seed": self.is_seed,
            "is_password": self.is_password,
        })
    }
}

/// 128 bits of the hash of the kind and the texts, each with its length before it.
fn id(kind: Kind, of: &[&str]) -> String {
    let mut hasher = blake3::Hasher::new_derive_key("mailrun event 1");
    for text in [kind.as_str()].iter().chain(of) {
        hasher.update(&(text.len() as u64).to_le_bytes()).update(text.as_bytes());
    }
    hasher.finalize().to_hex()[..32].to_owned()
}
