//! `mailrun feedback import`: files of providers, and what they do.

use std::fs;

use serde_json::{Value, json};

use crate::feedback::{killed_while_it_keeps, sent, summary, suppressed};
use crate::kit::Dir;

/// The `Message-ID` of a recipient's message.
fn message_id(dir: &Dir, recipient: &str) -> String {
    let rows = dir.results("news");
    let row = rows.iter().find(|row| row.email.as_deref() == Some(recipient)).unwrap();
    row.message_id.as_deref().unwrap().to_owned()
}

fn import(dir: &Dir, code: i32, args: &[&str]) -> Value {
    let said = dir.run(&[&["feedback", "import", "--json"], args].concat()).ended(code).stdout();
    serde_json::from_str(&said).unwrap()
}

#[test]
fn events_of_providers_go_the_way_of_mails() {
    let dir = Dir::new();
    let paths = sent(&dir, 6);
    let recipient = |n: u32| format!("r{n}@news.example");
    let id = |n: u32| message_id(&dir, &recipient(n));
    let ses = json!({
        "eventType": "Bounce",
        "bounce": {
            "bounceType": "Permanent", "bounceSubType": "General", "feedbackId": "1", "timestamp": "2025-11-02T10:00:00.000Z",
            "bouncedRecipients": [{"emailAddress": "forwarded@else.example", "status": "5.1.1", "diagnosticCode": "smtp; 550 5.1.1 user unknown"}],
        },
        "mail": {"messageId": "own", "source": paths[&recipient(0)], "destination": [recipient(0)]},
    });
    let sendgrid = json!([
        {"event": "bounce", "email": recipient(1), "timestamp": 1_762_077_600, "smtp-id": format!("<{}>", id(1)),
         "sg_event_id": "a", "reason": "", "bounce_classification": "Invalid Address"},
        {"event": "open", "email": recipient(1), "timestamp": 1_762_077_600, "sg_event_id": "b"},
        // Of another message than it says.
        {"event": "spamreport", "email": "x@else.example", "timestamp": 1_762_077_600, "smtp-id": id(4), "sg_event_id": "c"},
    ]);
    let mailgun = json!({"signature": {}, "event-data": {
        "event": "complained", "id": "d", "timestamp": 1_762_077_600.5, "recipient": recipient(2),
        "message": {"headers": {"message-id": id(2)}},
    }});
    let postmark = json!({
        "RecordType": "Bounce", "Type": "HardBounce", "ID": 42, "Email": recipient(3), "Details": "smtp;550 5.1.1 unknown",
        "BouncedAt": "2025-11-02T10:00:00Z",
    });
    let wrapped = json!({"Type": "Notification", "Message": ses.to_string()});
    let laid_out = serde_json::to_string_pretty(&mailgun).unwrap();
    dir.write(
        "events.jsonl",
        format!("{ses}\n{sendgrid}\n{{\"event\": \"cut\n{laid_out}\n{postmark}\n{wrapped}\n"),
    );

    let counts = |said: &Value| {
        ["events", "skipped", "known", "faults", "suppressed"].map(|name| said[name].as_u64().unwrap())
    };
    let dry = import(&dir, 1, &["events.jsonl", "--dry-run"]);
    // The event that SNS wraps is the first one again.
    assert_eq!(counts(&dry), [6, 1, 1, 1, 3]);
    assert_eq!((suppressed(&dir), summary(&dir)["events"].as_u64()), (Vec::new(), Some(0)));

    let said = import(&dir, 1, &["events.jsonl"]);
    assert_eq!((counts(&said), &said["import"]), ([6, 1, 1, 1, 3], &json!(1)));
    assert_eq!(said["effects"], json!({"suppressed": 3, "unverified": 2, "read_before": 1}));
    let both = |n: u32, reason: &str| (recipient(n), reason.to_owned());
    let expected = [both(0, "bad_mailbox"), both(1, "bad_mailbox"), both(2, "complaint")];
    assert_eq!(suppressed(&dir), expected);
    dir.run(&["feedback", "import", "events.jsonl"])
        .ended(1)
        .says("events.jsonl:3: the object does not end")
        .says("6 events, 1 other event skipped, 6 read before, 1 that can't be read, 0 suppressed");
    assert_eq!(suppressed(&dir), expected);
    assert_eq!(summary(&dir)["days"], json!({"2025-11-02": {"bounce": 3, "complaint": 2}}));

    dir.run(&["feedback", "undo", "--import", "1"]).ended(0).says("5 events taken back, 3 entries");
    assert_eq!(suppressed(&dir), []);
    assert_eq!(counts(&import(&dir, 1, &["events.jsonl"])), [6, 1, 6, 1, 0], "and stays so");
}

/// Kills it at points that are known, and imports the same once more: as if nothing had happened.
#[test]
fn an_import_that_is_killed_loses_nothing_and_counts_nothing_twice() {
    const ROWS: usize = 1_200;
    let dir = Dir::new();
    let paths = sent(&dir, ROWS);
    let mut events = String::new();
    for (number, (recipient, path)) in paths.iter().enumerate() {
        // A third of them hard, and each of the rest three times soft, in messages of one run.
        let times = if number % 3 == 0 { 1 } else { 3 };
        let (kind, code) =
            if times == 1 { ("Permanent", "550 5.1.1 unknown") } else { ("Transient", "452 4.2.2 full") };
        for time in 0..times {
            let event = json!({
                "eventType": "Bounce",
                "bounce": {
                    "bounceType": kind, "bounceSubType": "General", "feedbackId": format!("{number}.{time}"),
                    "timestamp": "2025-11-02T10:00:00.000Z",
                    "bouncedRecipients": [{"emailAddress": recipient, "diagnosticCode": format!("smtp; {code}")}],
                },
                "mail": {"messageId": format!("{number}"), "source": path, "destination": [recipient]},
            });
            events.push_str(&format!("{event}\n"));
        }
    }
    dir.write("all.jsonl", &events);
    let lines: Vec<&str> = events.split_inclusive('\n').collect();
    killed_while_it_keeps(&dir, "import", "all.jsonl", &lines);
}

#[test]
fn what_providers_say_is_a_finding() {
    let dir = Dir::new();
    sent(&dir, 2);
    let found = || {
        let report = dir.run(&["check", "news.toml", "--offline", "--json"]).stdout();
        let report: Value = serde_json::from_str(&report).unwrap();
        let findings = report["findings"].as_array().unwrap().clone();
        let of_providers = findings.into_iter().find(|finding| {
            ["reputation-verdict", "reputation-providers"].iter().any(|id| finding["id"] == *id)
        });
        of_providers.map(|finding| {
            [&finding["level"], &finding["seen"]].map(|text| text.as_str().unwrap().to_owned())
        })
    };
    assert_eq!(found(), None);
    let today = chrono::Utc::now().date_naive();
    let import = |domain: &str, rate: &str| {
        dir.write("spam.csv", format!("Date,Spam rate\n{today},{rate}\n"));
        dir.run(&["feedback", "import", "spam.csv", "--domain", domain]).ended(0);
    };
    import("other.example", "9%");
    assert_eq!(found(), None, "it is about somebody else");
    import("example.com", "0.4%");
    let seen = format!("`example.com`: 0.40 % complaints (postmaster, {today})");
    assert_eq!(found(), Some(["warning".to_owned(), seen]));
    import("example.com", "0.05%");
    let good = ["ok".to_owned(), "nothing bad of 1 address or domain".to_owned()];
    assert_eq!(found(), Some(good), "the last word counts");
    dir.run(&["feedback", "undo", "--import", "3"]).ended(0);
    assert_eq!(found().unwrap()[0], "warning");
}

#[test]
fn reputations_are_kept_by_day() {
    let dir = Dir::new();
    let snds = "192.0.2.7,11/1/2025 1:00 AM,11/1/2025 11:00 PM,12,12,11,GREEN,< 0.1%,,,0,mx,n@x.example,\n\
                192.0.2.7,11/2/2025 1:00 AM,11/2/2025 11:00 PM,12,12,11,RED,0.4%,,,2,mx,n@x.example,\nnothing,,\n";
    dir.write("snds.csv", snds);
    dir.write("spam.csv", "Date,Spam rate\n2025-11-02,0.3%\n");
    let counts = |said: &Value| ["readings", "known", "faults"].map(|name| said[name].as_u64().unwrap());
    assert_eq!(counts(&import(&dir, 1, &["snds.csv"])), [2, 0, 1]);
    assert_eq!(counts(&import(&dir, 1, &["snds.csv"])), [2, 2, 1]);
    dir.run(&["feedback", "import", "spam.csv"]).ended(1).says("spam.csv:2: no column `domain`");
    assert_eq!(counts(&import(&dir, 0, &["spam.csv", "--domain", "x.example"])), [1, 0, 0]);
    assert_eq!(summary(&dir)["days"]["2025-11-02"], json!({"reputation": 2}));
    // What is none of these is said once.
    dir.write("other.csv", "a,b\n1,2\n3,4\n");
    dir.run(&["feedback", "import", "other.csv"]).ended(1).says("other.csv:1: neither JSON");
    dir.run(&["feedback", "import", "snds.csv", "--from", "ses"]).ended(1).says("snds.csv:1: no JSON object");
    dir.run(&["feedback", "import", "gone.csv"]).ended(2).says("gone.csv");
    fs::remove_file(dir.path().join("other.csv")).unwrap();
}
