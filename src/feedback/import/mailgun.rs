//! Events of Mailgun: of its webhooks, and pages of its events API.
//!
//! <https://documentation.mailgun.com/docs/mailgun/user-manual/webhooks/webhook-payloads>

use serde_json::{Map, Value};

use super::field::{seconds, text, word};
use crate::feedback::event::Kind;
use crate::feedback::notice::{Notice, Told};
use crate::mail::Class;

/// Whether an object looks like an event.
pub(super) fn is_event(object: &Map<String, Value>) -> bool {
    object.contains_key("event-data")
        || object.contains_key("paging") && object.contains_key("items")
        || object.contains_key("event")
            && object.contains_key("recipient")
            && object.contains_key("timestamp")
}

/// An event; none where it says nothing of what became of a mail.
pub(super) fn notice(event: &Value) -> Result<Option<Notice>, String> {
    let name = word(event, "event").ok_or("`event` is missing")?;
    let status = &event["delivery-status"];
    let reply = [text(status, "message"), text(status, "description")];
    let words = reply.into_iter().flatten().find(|text| !text.trim().is_empty()).unwrap_or_default();
    // The code of the reply, where the words do not begin with one.
    let words = match status["code"].as_u64() {
        Some(code) if (400..600).contains(&code) && !words.starts_with(['4', '5']) => {
            format!("{code} {words}")
        }
        _ => words,
    };
    let reason = word(event, "reason").unwrap_or_default();
    let (kind, permanent, class) = match (name, word(event, "severity")) {
        ("failed", Some("temporary")) => (Kind::Delay, Some(false), None),
        // Mailgun sent nothing, for what it knew before.
        ("failed", _) if reason == "suppress-bounce" => (Kind::Bounce, Some(true), Some(Class::BadMailbox)),
        ("failed", _) if reason == "suppress-complaint" => (Kind::Complaint, None, None),
        ("failed", _) if reason == "suppress-unsubscribe" => (Kind::Unsubscribe, None, None),
        ("failed", _) => (Kind::Bounce, Some(true), None),
        // No recipient is to blame.
        ("rejected", _) => (Kind::Bounce, Some(true), Some(Class::Policy)),
        ("delivered", _) => (Kind::Delivered, None, None),
        ("complained", _) => (Kind::Complaint, None, None),
        ("unsubscribed", _) => (Kind::Unsubscribe, None, None),
        _ => return Ok(None),
    };
    // What a server said when the address was suppressed is not in the event.
    let words = if reason.starts_with("suppress-") { String::new() } else { words };
    let words = if name == "rejected" { text(&event["reject"], "reason").unwrap_or(words) } else { words };
    let address = word(event, "recipient").ok_or("`recipient` is missing")?;
    let enhanced = word(status, "enhanced-code").and_then(|status| status.parse().ok());
    let message_id = word(&event["message"]["headers"], "message-id");
    let sender = word(&event["envelope"], "sender");
    let at = seconds(event, "timestamp");
    let when = at.map(|at| at.to_string()).unwrap_or_default();
    // "It is guaranteed to be unique within a day."
    let id = word(event, "id").or(message_id).unwrap_or_default();
    Ok(Some(Notice {
        reader: "mailgun",
        key: [name, id, address, &when].join("\n"),
        at,
        feedback_type: None,
        original_message_id: message_id.map(|id| id.trim_matches(['<', '>', ' ']).to_owned()),
        header: sender.map(|sender| format!("Return-Path: {sender}\n")).unwrap_or_default(),
        recipients: vec![Told { status: enhanced, words, permanent, class, ..Told::new(kind, address) }],
    }))
}
