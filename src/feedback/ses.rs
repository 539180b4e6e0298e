//! Events of Amazon SES as JSON, as SNS sends them by mail.
//!
//! <https://docs.aws.amazon.com/ses/latest/dg/notification-contents.html>

use serde::Deserialize;

use super::event::Kind;
use crate::mail::EnhancedStatus;

/// More recipients of one event are not read.
const RECIPIENTS: usize = 500;

/// One recipient of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) kind: Kind,
    pub(super) address: String,
    pub(super) status: Option<EnhancedStatus>,
    /// The reply of the receiver.
    pub(super) diagnostic: String,
    /// What SES makes of it.
    pub(super) permanent: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    /// SNS wraps the event in a text of its own.
    #[serde(rename = "Message")]
    wrapped: Option<String>,
    #[serde(alias = "eventType")]
    notification_type: Option<String>,
    bounce: Option<Bounce>,
    complaint: Option<Complaint>,
    delivery: Option<Delivery>,
    delivery_delay: Option<Delay>,
    mail: Option<Mail>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bounce {
    bounce_type: Option<String>,
    #[serde(default)]
    bounced_recipients: Vec<Recipient>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Complaint {
    #[serde(default)]
    complained_recipients: Vec<Recipient>,
    complaint_feedback_type: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Delivery {
    #[serde(default)]
    recipients: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Delay {
    #[serde(default)]
    delayed_recipients: Vec<Recipient>,
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
    common_headers: Option<Headers>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Headers {
    message_id: Option<String>,
}

/// An event as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Notification {
    pub(super) records: Vec<Record>,
    pub(super) feedback_type: Option<String>,
    pub(super) original_message_id: Option<String>,
}

/// The event at the start of a text; what follows it is SNS's own.
pub(super) fn read(text: &str) -> Option<Notification> {
    let text = text.trim_start();
    if !text.starts_with('{') || !(text.contains("otificationType") || text.contains("eventType")) {
        return None;
    }
    // Mail systems break long lines so.
    let joined = text.replace("!\r\n ", "").replace("!\n ", "");
    let document = first(&joined)?;
    let document = match &document.wrapped {
        Some(wrapped) => first(wrapped)?,
        None => document,
    };
    notification(document)
}

fn first(text: &str) -> Option<Document> {
    serde_json::Deserializer::from_str(text).into_iter::<Document>().next()?.ok()
}

fn notification(document: Document) -> Option<Notification> {
    let record = |kind: Kind, permanent: Option<bool>| {
        move |recipient: Recipient| Record {
            kind,
            address: recipient.email_address,
            status: recipient.status.and_then(|status| status.trim().parse().ok()),
            diagnostic: recipient.diagnostic_code.unwrap_or_default(),
            permanent,
        }
    };
    let mut feedback_type = None;
    let records: Vec<Record> = match document.notification_type?.as_str() {
        "Bounce" => {
            let bounce = document.bounce?;
            let permanent = match bounce.bounce_type.as_deref() {
                Some("Permanent") => Some(true),
                Some("Transient") => Some(false),
                Some(_) | None => None,
            };
            bounce.bounced_recipients.into_iter().map(record(Kind::Bounce, permanent)).collect()
        }
        "Complaint" => {
            let complaint = document.complaint?;
            feedback_type = complaint.complaint_feedback_type.map(|name| name.to_ascii_lowercase());
            let kind = match feedback_type.as_deref() {
                Some("not-spam") => Kind::NotSpam,
                Some("auth-failure") => Kind::AuthFailure,
                Some(_) | None => Kind::Complaint,
            };
            complaint.complained_recipients.into_iter().map(record(kind, None)).collect()
        }
        "DeliveryDelay" => document
            .delivery_delay?
            .delayed_recipients
            .into_iter()
            .map(record(Kind::Delay, Some(false)))
            .collect(),
        "Delivery" => {
            let silent = |email_address| Recipient { email_address, status: None, diagnostic_code: None };
            let recipients = document.delivery?.recipients.into_iter().map(silent);
            recipients.map(record(Kind::Delivered, None)).collect()
        }
        _ => return None,
    };
    let records: Vec<Record> = records.into_iter().take(RECIPIENTS).collect();
    let message_id = document.mail.and_then(|mail| mail.common_headers?.message_id);
    let original_message_id = message_id.map(|id| id.trim_matches(['<', '>', ' ']).to_owned());
    (!records.is_empty()).then_some(Notification { records, feedback_type, original_message_id })
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
            let record = &read.records[0];
            assert_eq!(
                (record.kind, record.permanent, record.address.as_str()),
                (Kind::Bounce, Some(true), "a@x.example")
            );
        }
    }

    #[test]
    fn kinds_of_events() {
        let kind = |text: &str| read(text).map(|read| read.records[0].kind);
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
