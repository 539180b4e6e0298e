//! Events of Postmark: of its webhooks, and pages of its bounce API.
//!
//! <https://postmarkapp.com/developer/webhooks/webhooks-overview>

use serde_json::{Map, Value};

use super::field::{text, time, word};
use crate::feedback::event::Kind;
use crate::feedback::notice::{Notice, Told};
use crate::mail::Class;

/// As much of the mail that came back is looked at.
const CONTENT_CHARS: usize = 64 << 10;

/// Whether an object looks like an event.
pub(super) fn is_event(object: &Map<String, Value>) -> bool {
    object.contains_key("RecordType")
        || object.contains_key("BouncedAt")
        || object.contains_key("TotalCount") && object.contains_key("Bounces")
}

/// An event; none where it says nothing of what became of a mail.
pub(super) fn notice(event: &Value) -> Result<Option<Notice>, String> {
    // The bounce API names no type of its records.
    let name = word(event, "RecordType").unwrap_or("Bounce");
    let ((kind, permanent, class), at, address) = match name {
        "Bounce" | "SpamComplaint" => {
            let Some(said) = bounce(word(event, "Type").unwrap_or(name)) else { return Ok(None) };
            (said, "BouncedAt", "Email")
        }
        "Delivery" => ((Kind::Delivered, None, None), "DeliveredAt", "Recipient"),
        "SubscriptionChange" if event["SuppressSending"] == Value::Bool(true) => {
            let said = match word(event, "SuppressionReason") {
                Some("HardBounce") => bounce("HardBounce"),
                Some("SpamComplaint") => bounce("SpamComplaint"),
                // What the sender does by hand says nothing of the recipient.
                Some("ManualSuppression") if word(event, "Origin") == Some("Recipient") => {
                    bounce("Unsubscribe")
                }
                Some(_) | None => None,
            };
            let Some(said) = said else { return Ok(None) };
            (said, "ChangedAt", "Recipient")
        }
        _ => return Ok(None),
    };
    let recipient = word(event, address).ok_or_else(|| format!("`{address}` is missing"))?;
    // `Description` is about the type, and names reasons that others had.
    let words = text(event, "Details").unwrap_or_default();
    let number = event["ID"].as_u64().map(|number| number.to_string());
    let when = word(event, at).unwrap_or_default();
    let id = number.as_deref().or(word(event, "MessageID")).unwrap_or_default();
    // `MessageID` is Postmark's own. Ours is in the mail that came back.
    let content: String = word(event, "Content").unwrap_or_default().chars().take(CONTENT_CHARS).collect();
    let field = |line: &str| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("message-id").then(|| value.trim().trim_matches(['<', '>']).to_owned())
    };
    Ok(Some(Notice {
        reader: "postmark",
        key: [name, id, recipient, when].join("\n"),
        at: time(event, at),
        feedback_type: None,
        original_message_id: content.lines().filter_map(field).next_back(),
        header: content,
        recipients: vec![Told { words, permanent, class, ..Told::new(kind, recipient) }],
    }))
}

/// What a type of bounce means: its kind, whether it is for good, and its class. None where it says
/// nothing of a recipient.
fn bounce(kind: &str) -> Option<(Kind, Option<bool>, Option<Class>)> {
    Some(match kind {
        "HardBounce" | "BadEmailAddress" => (Kind::Bounce, Some(true), Some(Class::BadMailbox)),
        "SoftBounce" | "Unknown" => (Kind::Bounce, None, None),
        "DnsError" => (Kind::Bounce, Some(false), Some(Class::Routing)),
        "SpamNotification" | "VirusNotification" => (Kind::Bounce, Some(true), Some(Class::Spam)),
        "Blocked" | "SMTPApiError" => (Kind::Bounce, Some(true), Some(Class::Policy)),
        "DMARCPolicy" => (Kind::Bounce, Some(true), Some(Class::Authentication)),
        "Transient" => (Kind::Delay, Some(false), None),
        "SpamComplaint" => (Kind::Complaint, None, None),
        "Unsubscribe" => (Kind::Unsubscribe, None, None),
        "AutoResponder" | "AddressChange" => (Kind::AutoReply, None, None),
        "ChallengeVerification" => (Kind::Challenge, None, None),
        _ => return None,
    })
}
