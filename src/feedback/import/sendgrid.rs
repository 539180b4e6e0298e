//! Events of SendGrid's event webhook.
//!
//! <https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/event>

use serde_json::{Map, Value};

use super::field::{seconds, text, word};
use crate::feedback::event::Kind;
use crate::feedback::notice::{Notice, Told};
use crate::mail::Class;

/// Whether an object looks like an event.
pub(super) fn is_event(object: &Map<String, Value>) -> bool {
    object.contains_key("sg_event_id")
        || ["event", "email", "timestamp"].iter().all(|name| object.contains_key(*name))
}

/// An event; none where it says nothing of what became of a mail.
pub(super) fn notice(event: &Value) -> Result<Option<Notice>, String> {
    let reason = text(event, "reason").or_else(|| text(event, "response")).unwrap_or_default();
    let name = word(event, "event").ok_or("`event` is missing")?;
    let class = word(event, "bounce_classification").and_then(class_of);
    let (kind, permanent, class) = match name {
        "bounce" if word(event, "type") == Some("blocked") => (Kind::Bounce, None, class),
        "blocked" => (Kind::Bounce, None, class),
        "bounce" => (Kind::Bounce, Some(true), class),
        // SendGrid sent nothing, for what it knew before.
        "dropped" => match reason.as_str() {
            "Bounced Address" | "Invalid" => (Kind::Bounce, Some(true), Some(Class::BadMailbox)),
            "Unsubscribed Address" => (Kind::Unsubscribe, None, None),
            "Spam Reporting Address" => (Kind::Complaint, None, None),
            "Spam Content (if spam checker app enabled)" | "Spam Content" => {
                (Kind::Bounce, Some(true), Some(Class::Spam))
            }
            // About the sender's account.
            _ => (Kind::Bounce, Some(true), Some(Class::Policy)),
        },
        "deferred" => (Kind::Delay, Some(false), None),
        "delivered" => (Kind::Delivered, None, None),
        "spamreport" => (Kind::Complaint, None, None),
        "unsubscribe" | "group_unsubscribe" => (Kind::Unsubscribe, None, None),
        _ => return Ok(None),
    };
    let address = word(event, "email").ok_or("`email` is missing")?;
    let status = word(event, "status").and_then(|status| status.parse().ok());
    let at = seconds(event, "timestamp");
    let message_id = word(event, "smtp-id").map(|id| id.trim_matches(['<', '>', ' ']).to_owned());
    let when = at.map(|at| at.to_string()).unwrap_or_default();
    let id = word(event, "sg_event_id").or(message_id.as_deref()).unwrap_or_default();
    Ok(Some(Notice {
        reader: "sendgrid",
        key: [name, id, address, &when].join("\n"),
        at,
        feedback_type: None,
        original_message_id: message_id,
        header: String::new(),
        recipients: vec![Told { status, words: reason, permanent, class, ..Told::new(kind, address) }],
    }))
}

fn class_of(name: &str) -> Option<Class> {
    Some(match name {
        "Invalid Address" => Class::BadMailbox,
        "Content" => Class::Spam,
        "Reputation" => Class::Policy,
        "Frequency or Volume Too High" | "Frequency/Volume" => Class::RateLimited,
        "Mailbox Unavailable" | "Technical" | "Technical Failure" => Class::Unavailable,
        _ => return None,
    })
}
