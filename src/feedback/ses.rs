//! Events of Amazon SES as JSON: as SNS sends them by mail, and as files.
//!
//! <https://docs.aws.amazon.com/ses/latest/dg/notification-contents.html>

use serde::Deserialize;
use serde_json::Value;

use super::event::Kind;
use super::notice::{Notice, TEXT_CHARS, Told};
use crate::mail::{Class, EnhancedStatus, Timestamp};

/// More recipients of one event are not read.
const RECIPIENTS: usize = 500;
/// Fields of the mail's own header that say whose it is.
const FIELDS: [&str; 3] = ["Return-Path", "List-Unsubscribe", "Message-ID"];

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    /// SNS wraps the event in a text of its own,
    #[serde(rename = "Message")]
    wrapped: Option<String>,
    /// and EventBridge in an object.
    detail: Option<Box<Document>>,
    #[serde(alias = "eventType")]
    notification_type: Option<String>,
    bounce: Option<Bounce>,
    complaint: Option<Complaint>,
    delivery: Option<Delivery>,
    delivery_delay: Option<Delay>,
    reject: Option<Reject>,
    subscription: Option<Subscription>,
    mail: Option<Mail>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bounce {
    bounce_type: Option<String>,
    bounce_sub_type: Option<String>,
    #[serde(default)]
    bounced_recipients: Vec<Recipient>,
    feedback_id: Option<String>,
    timestamp: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Complaint {
    #[serde(default)]
    complained_recipients: Vec<Recipient>,
    complaint_feedback_type: Option<String>,
    feedback_id: Option<String>,
    timestamp: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Delivery {
    #[serde(default)]
    recipients: Vec<String>,
    timestamp: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Delay {
    #[serde(default)]
    delayed_recipients: Vec<Recipient>,
    timestamp: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Reject {
    reason: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Subscription {
    new_topic_preferences: Option<Preferences>,
    timestamp: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Preferences {
    #[serde(default)]
    unsubscribe_all: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Recipient {
    email_address: String,
    status: Option<String>,
    diagnostic_code: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Mail {
    /// Of the envelope.
    source: Option<String>,
    /// SES's own, for the message.
    message_id: Option<String>,
    #[serde(default)]
    destination: Vec<String>,
    #[serde(default)]
    headers: Vec<Field>,
    common_headers: Option<Headers>,
}

#[derive(Debug, Deserialize)]
struct Field {
    name: String,
    value: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Headers {
    message_id: Option<String>,
}

/// The event at the start of a text; what follows it is SNS's own.
pub(super) fn read(text: &str) -> Option<Notice> {
    let text = text.trim_start();
    if !text.starts_with('{') || !(text.contains("otificationType") || text.contains("eventType")) {
        return None;
    }
    // Mail systems break long lines so.
    let joined = text.replace("!\r\n ", "").replace("!\n ", "");
    let document = serde_json::Deserializer::from_str(&joined).into_iter::<Document>().next()?.ok()?;
    notice(document).ok()?
}

/// An event in a file; none where it says nothing of recipients.
pub(super) fn of_value(value: Value) -> Result<Option<Notice>, String> {
    notice(serde_json::from_value(value).map_err(|error| error.to_string())?)
}

/// Whether an object looks like an event.
pub(super) fn is_event(object: &serde_json::Map<String, Value>) -> bool {
    let is_wrapped = object.get("Message").is_some_and(Value::is_string) && object.contains_key("Type");
    let is_detail = object.get("source").and_then(Value::as_str) == Some("aws.ses");
    let is_plain = object.contains_key("eventType") || object.contains_key("notificationType");
    is_wrapped || is_detail || is_plain && object.contains_key("mail")
}

fn notice(document: Document) -> Result<Option<Notice>, String> {
    let document = match (document.wrapped, document.detail) {
        (Some(wrapped), _) => {
            let inner = serde_json::Deserializer::from_str(&wrapped).into_iter::<Document>().next();
            match inner {
                Some(Ok(inner)) => inner,
                // What SNS says of itself, such as that a subscription was confirmed.
                Some(Err(_)) | None => return Ok(None),
            }
        }
        (None, Some(inner)) => *inner,
        (None, None) => Document { wrapped: None, detail: None, ..document },
    };
    let Some(event) = document.notification_type else { return Ok(None) };
    let missing = || format!("the event `{event}` has no details");
    let told = |kind: Kind, permanent: Option<bool>, class: Option<Class>| {
        move |recipient: Recipient| Told {
            status: recipient.status.and_then(|status| status.trim().parse::<EnhancedStatus>().ok()),
            words: recipient.diagnostic_code.unwrap_or_default().chars().take(TEXT_CHARS).collect(),
            permanent,
            class,
            ..Told::new(kind, &recipient.email_address)
        }
    };
    let mail = document.mail;
    let to_all = |mail: &Option<Mail>, kind: Kind| {
        let destination = mail.iter().flat_map(|mail| &mail.destination);
        destination.map(|address| Told::new(kind, address)).collect::<Vec<Told>>()
    };
    let (mut feedback_type, mut id) = (None, None);
    let (recipients, at): (Vec<Told>, Option<String>) = match event.as_str() {
        "Bounce" => {
            let bounce = document.bounce.ok_or_else(missing)?;
            id = bounce.feedback_id;
            let permanent = match bounce.bounce_type.as_deref() {
                Some("Permanent") => Some(true),
                Some("Transient") => Some(false),
                Some(_) | None => None,
            };
            let class = class_of(bounce.bounce_sub_type.as_deref());
            let told = told(Kind::Bounce, permanent, class);
            (bounce.bounced_recipients.into_iter().map(told).collect(), bounce.timestamp)
        }
        "Complaint" => {
            let complaint = document.complaint.ok_or_else(missing)?;
            id = complaint.feedback_id;
            feedback_type = complaint.complaint_feedback_type.map(|name| name.to_ascii_lowercase());
            let kind = match feedback_type.as_deref() {
                Some("not-spam") => Kind::NotSpam,
                Some("auth-failure") => Kind::AuthFailure,
                Some(_) | None => Kind::Complaint,
            };
            let recipients = complaint.complained_recipients.into_iter().map(told(kind, None, None));
            (recipients.collect(), complaint.timestamp)
        }
        "DeliveryDelay" => {
            let delay = document.delivery_delay.ok_or_else(missing)?;
            let told = told(Kind::Delay, Some(false), None);
            (delay.delayed_recipients.into_iter().map(told).collect(), delay.timestamp)
        }
        "Delivery" => {
            let delivery = document.delivery.ok_or_else(missing)?;
            let recipients = delivery.recipients.iter().map(|address| Told::new(Kind::Delivered, address));
            (recipients.collect(), delivery.timestamp)
        }
        // A virus was found in it: no recipient is to blame.
        "Reject" => {
            let words = document.reject.and_then(|reject| reject.reason).unwrap_or_default();
            let mut recipients = to_all(&mail, Kind::Bounce);
            for told in &mut recipients {
                (told.words, told.permanent) = (words.clone(), Some(true));
                told.class = Some(Class::Policy);
            }
            (recipients, None)
        }
        "Subscription" => {
            let subscription = document.subscription.ok_or_else(missing)?;
            if !subscription.new_topic_preferences.is_some_and(|preferences| preferences.unsubscribe_all) {
                return Ok(None);
            }
            (to_all(&mail, Kind::Unsubscribe), subscription.timestamp)
        }
        _ => return Ok(None),
    };
    let recipients: Vec<Told> = recipients.into_iter().take(RECIPIENTS).collect();
    if recipients.is_empty() {
        return Ok(None);
    }
    let (mut header, mut message_id, mut sent) = (String::new(), None, None);
    if let Some(mail) = mail {
        if let Some(source) = &mail.source {
            header.push_str(&format!("Return-Path: {source}\n"));
        }
        let known = |field: &&Field| FIELDS.iter().any(|name| field.name.eq_ignore_ascii_case(name));
        for Field { name, value } in mail.headers.iter().filter(known) {
            header.push_str(&format!("{name}: {}\n", value.replace(['\r', '\n'], " ")));
            if name.eq_ignore_ascii_case("Message-ID") {
                message_id = Some(value.clone());
            }
        }
        message_id = mail.common_headers.and_then(|common| common.message_id).or(message_id);
        sent = mail.message_id;
    }
    let addresses: Vec<&str> = recipients.iter().map(|told| told.address.as_str()).collect();
    let parts = [Some(event.as_str()), id.as_deref(), sent.as_deref(), at.as_deref(), message_id.as_deref()];
    let key = parts.into_iter().flatten().chain(addresses).collect::<Vec<_>>().join("\n");
    Ok(Some(Notice {
        reader: "ses",
        key,
        at: at
            .and_then(|at| chrono::DateTime::parse_from_rfc3339(&at).ok())
            .map(|at| Timestamp(at.timestamp_micros())),
        feedback_type,
        original_message_id: message_id.map(|id| id.trim_matches(['<', '>', ' ']).to_owned()),
        header,
        recipients,
    }))
}

/// What a subtype of a bounce means.
fn class_of(subtype: Option<&str>) -> Option<Class> {
    Some(match subtype? {
        "NoEmail" | "Suppressed" => Class::BadMailbox,
        "MailboxFull" => Class::MailboxFull,
        "MessageTooLarge" => Class::TooLarge,
        "ContentRejected" | "AttachmentRejected" => Class::Spam,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNCE: &str = r#"{"notificationType":"Bounce","bounce":{"bounceType":"Permanent","bounceSubType":"General",
        "bouncedRecipients":[{"emailAddress":"a@x.example","action":"failed","status":"5.1.1",
        "diagnosticCode":"smtp; 550 5.1.1 user unknown"}]},"mail":{"commonHeaders":{"messageId":"<1@s.example>"}}}"#;

    #[test]
    fn events_are_read_wrapped_or_not() {
        let wrapped = serde_json::json!({"Type": "Notification", "Message": BOUNCE}).to_string();
        for text in [BOUNCE.to_owned(), format!("{BOUNCE}\n\n--\nIf you wish to stop …"), wrapped] {
            let read = read(&text).unwrap();
            assert_eq!(read.original_message_id.as_deref(), Some("1@s.example"));
            let told = &read.recipients[0];
            assert_eq!(
                (told.kind, told.permanent, told.address.as_str()),
                (Kind::Bounce, Some(true), "a@x.example")
            );
        }
    }

    #[test]
    fn kinds_of_events() {
        let kind = |text: &str| read(text).map(|read| read.recipients[0].kind);
        let complaint = |kind: &str| {
            format!(
                r#"{{"eventType":"Complaint","complaint":{{"complainedRecipients":[{{"emailAddress":"a@x.example"}}],
            "complaintFeedbackType":"{kind}"}}}}"#
            )
        };
        assert_eq!(kind(&complaint("abuse")), Some(Kind::Complaint));
        assert_eq!(kind(&complaint("not-spam")), Some(Kind::NotSpam));
        let delivery = r#"{"notificationType":"Delivery","delivery":{"recipients":["a@x.example"]}}"#;
        assert_eq!(kind(delivery), Some(Kind::Delivered));
        for none in ["{}", r#"{"notificationType":"Bounce"}"#, r#"{"eventType":"Open"}"#, "{\"eventType\": 1"]
        {
            assert_eq!(kind(none), None, "{none}");
        }
    }
}
