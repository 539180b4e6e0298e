use serde_json::json;

use super::*;
use crate::feedback::event::{Event, Kind};
use crate::feedback::reader::Reader;
use crate::fuzzing::{fuzz, texts};
use crate::mail::Class;

/// What a file holds; places that can't be read as texts.
fn read(text: &str) -> Vec<Result<Item, String>> {
    let mut found = Vec::new();
    each_item(text.as_bytes(), &ImportOptions::default(), |_, item| {
        found.push(item);
        true
    })
    .unwrap();
    found
}

fn notices(text: &str) -> Vec<Notice> {
    let notice = |item: Result<Item, String>| match item.unwrap() {
        Item::Notice(notice) => Some(*notice),
        Item::Reading(_) | Item::Skipped => None,
    };
    read(text).into_iter().filter_map(notice).collect()
}

/// The first event of one object; none where it is skipped.
fn event(object: &Value) -> Option<(&'static str, Event)> {
    let notice = notices(&object.to_string()).into_iter().next()?;
    let feedback = Reader::default().read_notice(&notice);
    Some((notice.reader, feedback.events[0].clone()))
}

/// Kind, class and whether the address is bad.
fn told(object: &Value) -> Option<(Kind, Option<Class>, bool)> {
    event(object).map(|(_, event)| (event.kind, event.class, event.hard))
}

#[test]
fn events_of_ses() {
    let bounce = |kind: &str, subtype: &str, recipient: Value| {
        json!({"eventType": "Bounce", "bounce": {"bounceType": kind, "bounceSubType": subtype, "bouncedRecipients": [recipient]},
            "mail": {"source": "bounces@x.example", "destination": ["a@x.example"], "headers": [
                {"name": "List-Unsubscribe", "value": "<https://x.example/abc>"}, {"name": "Subject", "value": "x"}],
                "commonHeaders": {"messageId": "<1@x.example>"}}})
    };
    let silent = json!({"emailAddress": "a@x.example"});
    let full = json!({"emailAddress": "a@x.example", "diagnosticCode": "smtp; 452 4.2.2 mailbox full"});
    let hard = Some((Kind::Bounce, Some(Class::BadMailbox), true));
    assert_eq!(told(&bounce("Permanent", "NoEmail", silent.clone())), hard);
    assert_eq!(told(&bounce("Permanent", "Suppressed", silent.clone())), hard);
    let soft = |class| Some((Kind::Bounce, Some(class), false));
    assert_eq!(told(&bounce("Transient", "MailboxFull", silent.clone())), soft(Class::MailboxFull));
    assert_eq!(told(&bounce("Transient", "General", full)), soft(Class::MailboxFull));
    assert_eq!(told(&bounce("Undetermined", "Undetermined", silent.clone())), soft(Class::Other));
    let notice = notices(&bounce("Permanent", "General", silent).to_string()).remove(0);
    assert_eq!(notice.original_message_id.as_deref(), Some("1@x.example"));
    let header = "Return-Path: bounces@x.example\nList-Unsubscribe: <https://x.example/abc>\n";
    assert_eq!(notice.header, header);

    let mail = json!({"destination": ["a@x.example", "b@x.example"]});
    let reject = json!({"eventType": "Reject", "reject": {"reason": "Bad content"}, "mail": mail});
    assert_eq!(notices(&reject.to_string())[0].recipients.len(), 2);
    assert_eq!(told(&reject).map(|(kind, _, hard)| (kind, hard)), Some((Kind::Bounce, false)));
    let leaves = |all: bool| {
        json!({"eventType": "Subscription", "mail": mail,
            "subscription": {"contactList": "x", "newTopicPreferences": {"unsubscribeAll": all}}})
    };
    assert_eq!(told(&leaves(true)).map(|(kind, ..)| kind), Some(Kind::Unsubscribe));
    assert_eq!(told(&leaves(false)), None);
    let delivery =
        json!({"eventType": "Delivery", "delivery": {"recipients": ["a@x.example"]}, "mail": mail});
    let bridged = json!({"source": "aws.ses", "detail-type": "Email Delivered", "detail": delivery});
    assert_eq!(told(&bridged).map(|(kind, ..)| kind), Some(Kind::Delivered));
    for skipped in
        [json!({"eventType": "Open", "mail": mail}), json!({"Type": "Notification", "Message": "hello"})]
    {
        assert_eq!(told(&skipped), None, "{skipped}");
    }
}

#[test]
fn events_of_sendgrid() {
    let told = |name: &str, more: Value| {
        let mut event = json!({"event": name, "email": "a@x.example", "timestamp": 1, "sg_event_id": name});
        event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        told(&event)
    };
    let bounce = |class, hard| Some((Kind::Bounce, Some(class), hard));
    let reason = json!({"type": "bounce", "reason": "550 5.1.1 user unknown", "status": "5.1.1"});
    assert_eq!(told("bounce", reason), bounce(Class::BadMailbox, true));
    let invalid = json!({"bounce_classification": "Invalid Address"});
    assert_eq!(told("bounce", invalid), bounce(Class::BadMailbox, true));
    let blocked = json!({"type": "blocked", "reason": "", "bounce_classification": "Reputation"});
    assert_eq!(told("bounce", blocked), bounce(Class::Policy, false));
    assert_eq!(told("bounce", json!({})), bounce(Class::Other, false));
    assert_eq!(told("dropped", json!({"reason": "Bounced Address"})), bounce(Class::BadMailbox, true));
    let kind = |name: &str, more: Value| told(name, more).map(|(kind, ..)| kind);
    assert_eq!(kind("dropped", json!({"reason": "Unsubscribed Address"})), Some(Kind::Unsubscribe));
    assert_eq!(kind("dropped", json!({"reason": "Spam Reporting Address"})), Some(Kind::Complaint));
    for (name, expected) in [
        ("deferred", Some(Kind::Delay)),
        ("delivered", Some(Kind::Delivered)),
        ("spamreport", Some(Kind::Complaint)),
        ("unsubscribe", Some(Kind::Unsubscribe)),
        ("group_unsubscribe", Some(Kind::Unsubscribe)),
        ("group_resubscribe", None),
        ("processed", None),
        ("open", None),
    ] {
        assert_eq!(kind(name, json!({})), expected, "{name}");
    }
}

#[test]
fn events_of_mailgun() {
    let told = |name: &str, more: Value| {
        let mut event = json!({"event": name, "recipient": "a@x.example", "timestamp": 1.5, "id": "x"});
        event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        told(&json!({"signature": {}, "event-data": event}))
    };
    let status = json!({"code": 550, "message": "5.1.1 user unknown", "enhanced-code": "5.1.1"});
    let failed = json!({"severity": "permanent", "reason": "bounce", "delivery-status": status});
    let hard = Some((Kind::Bounce, Some(Class::BadMailbox), true));
    assert_eq!(told("failed", failed), hard);
    let known = json!({"severity": "permanent", "reason": "suppress-bounce",
        "delivery-status": {"code": 605, "message": "", "description": "Not delivering to previously bounced address"}});
    assert_eq!(told("failed", known), hard);
    let kind = |name: &str, more: Value| told(name, more).map(|(kind, ..)| kind);
    let reason = |reason: &str| json!({"severity": "permanent", "reason": reason});
    assert_eq!(kind("failed", reason("suppress-complaint")), Some(Kind::Complaint));
    assert_eq!(kind("failed", reason("suppress-unsubscribe")), Some(Kind::Unsubscribe));
    assert_eq!(kind("failed", json!({"severity": "temporary"})), Some(Kind::Delay));
    for (name, expected) in [
        ("rejected", Some(Kind::Bounce)),
        ("delivered", Some(Kind::Delivered)),
        ("complained", Some(Kind::Complaint)),
        ("unsubscribed", Some(Kind::Unsubscribe)),
        ("accepted", None),
        ("clicked", None),
    ] {
        assert_eq!(kind(name, json!({})), expected, "{name}");
    }
    let one = json!({"event": "complained", "recipient": "a@x.example", "timestamp": 1, "id": "1",
        "envelope": {"sender": "bounces+x@x.example"}, "message": {"headers": {"message-id": "1@x.example"}}});
    let page = json!({"items": [one, {"event": "opened", "recipient": "a@x.example"}, one], "paging": {}});
    let found = notices(&page.to_string());
    assert_eq!(found.len(), 2);
    assert_eq!(found[0], found[1]);
    assert_eq!(found[0].original_message_id.as_deref(), Some("1@x.example"));
    assert_eq!(found[0].header, "Return-Path: bounces+x@x.example\n");
}

#[test]
fn events_of_postmark() {
    let told = |kind: &str, details: &str| {
        told(
            &json!({"RecordType": "Bounce", "Type": kind, "ID": 1, "Email": "a@x.example", "Details": details,
            "BouncedAt": "2026-11-02T10:00:00.1234567-05:00"}),
        )
    };
    let bounce = |class, hard| Some((Kind::Bounce, Some(class), hard));
    assert_eq!(told("HardBounce", ""), bounce(Class::BadMailbox, true));
    assert_eq!(told("SoftBounce", "smtp;452 4.2.2 mailbox full"), bounce(Class::MailboxFull, false));
    assert_eq!(told("SpamNotification", ""), bounce(Class::Spam, false));
    for (name, expected) in [
        ("Transient", Some(Kind::Delay)),
        ("AutoResponder", Some(Kind::AutoReply)),
        ("ChallengeVerification", Some(Kind::Challenge)),
        ("SpamComplaint", Some(Kind::Complaint)),
        ("Unsubscribe", Some(Kind::Unsubscribe)),
        ("ManuallyDeactivated", None),
    ] {
        assert_eq!(told(name, "").map(|(kind, ..)| kind), expected, "{name}");
    }
    let change = |reason: &str, origin: &str, suppresses: bool| {
        let change = json!({"RecordType": "SubscriptionChange", "Recipient": "a@x.example", "Origin": origin,
            "SuppressSending": suppresses, "SuppressionReason": reason, "ChangedAt": "2026-11-02T10:00:00Z"});
        event(&change).map(|(_, event)| event.kind)
    };
    assert_eq!(change("ManualSuppression", "Recipient", true), Some(Kind::Unsubscribe));
    assert_eq!(change("ManualSuppression", "Customer", true), None);
    assert_eq!(change("SpamComplaint", "Recipient", true), Some(Kind::Complaint));
    assert_eq!(change("SpamComplaint", "Recipient", false), None);
    let page = json!({"TotalCount": 1, "Bounces": [{"ID": 1, "Type": "HardBounce", "Email": "a@x.example",
        "BouncedAt": "2026-11-02T10:00:00Z", "Content": "Return-Path: <>\r\n\r\nMessage-ID: <1@x.example>\r\n"}]});
    let found = notices(&page.to_string());
    assert_eq!(found[0].original_message_id.as_deref(), Some("1@x.example"));
    assert_eq!(found[0].at, Some(Timestamp(1_793_613_600_000_000)));
}

#[test]
fn what_is_no_event_is_said() {
    let why = |text: &str| read(text).remove(0).unwrap_err();
    assert!(why("{\"a\": 1}").contains("--from"));
    assert_eq!(
        why("{\"event\": 1, \"email\": 2, \"timestamp\": 3}"),
        "no event of sendgrid: `event` is missing"
    );
    assert!(
        why("{\"eventType\": \"Bounce\", \"mail\": {}}").starts_with("no event of ses: the event `Bounce`")
    );
    assert!(why("{\"a\": nothing}").starts_with("no JSON: "));
}

#[test]
fn the_same_event_has_one_hash() {
    let hash = |object: Value| read(&object.to_string()).remove(0).unwrap().hash();
    let event = |id: &str| json!({"event": "bounce", "email": "a@x.example", "timestamp": 1, "sg_event_id": id, "reason": "x"});
    let other =
        json!({"sg_event_id": "1", "timestamp": 1, "email": "a@x.example", "event": "bounce", "attempt": 2});
    assert_eq!(hash(event("1")), hash(other), "whatever else it holds");
    assert_ne!(hash(event("1")), hash(event("2")));
    assert_eq!(hash(event("1")).unwrap().len(), 32);
    assert_eq!(hash(json!({"event": "open", "email": "a@x.example", "timestamp": 1})), None);
}

#[test]
fn fuzz_imports() {
    let seeds = texts(&[
        "{\"eventType\":\"Bounce\",\"bounce\":{\"bounceType\":\"Permanent\",\"bouncedRecipients\":[{\"emailAddress\":\"a@x.example\"}]},\"mail\":{}}\n",
        "[{\"event\":\"dropped\",\"email\":\"a@x.example\",\"timestamp\":1e300,\"reason\":\"\\ud83d\"}]",
        "{\"event-data\":{\"event\":\"failed\",\"recipient\":\"a@x.example\",\"timestamp\":-1,\"delivery-status\":{\"code\":550}}}",
        "{\"TotalCount\":1,\"Bounces\":[{\"Type\":\"HardBounce\",\"Email\":\"a\",\"BouncedAt\":\"x\",\"Content\":\"message-id:\"}]}",
        "192.0.2.7,11/1/2026 1:00 AM,11/1/2026 11:00 PM,12,12,11,GREEN,< 0.1%,,,0,mx,n@x.example,\n",
        "Date,Domain,Spam rate\n\"Nov 2, 2026\",x.example,0.3%\n",
    ]);
    let reader = Reader::default();
    fuzz("imports", &seeds, |input| {
        each_item(input, &ImportOptions::default(), |_, item| {
            if let Ok(Item::Notice(notice)) = &item {
                reader.read_notice(notice);
                notice.traces();
            }
            drop(item.map(|item| item.hash()));
            true
        })
        .unwrap();
    });
}
