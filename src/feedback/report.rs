//! Delivery status notifications (RFC 3464; RFC 6533 for international addresses): their fields.

use super::address;
use super::event::Kind;
use super::mime::Header;
use crate::mail::EnhancedStatus;

/// More recipients of one report are not read.
const RECIPIENTS: usize = 2_000;

/// A longer reply is cut.
const DIAGNOSTIC_CHARS: usize = 2_000;

/// What a report says of one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    /// Who got it in the end, or would have.
    pub(super) final_address: Option<String>,
    /// Whom the sender named.
    pub(super) original_address: Option<String>,
    /// What stands for the recipient where that is no address: a name of another mail system.
    pub(super) name: Option<String>,
    pub(super) action: Kind,
    pub(super) status: Option<EnhancedStatus>,
    /// The reply of the remote server, or the program's words.
    pub(super) diagnostic: String,
}

/// The records of a `message/delivery-status`; also of one that stands in a text.
pub(super) fn read(bytes: &[u8]) -> Vec<Record> {
    let mut records = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() && records.len() < RECIPIENTS {
        let (header, length) = Header::read(rest);
        // A line that is no field is skipped.
        let length =
            if length == 0 { memchr::memchr(b'\n', rest).map_or(rest.len(), |at| at + 1) } else { length };
        rest = &rest[length..];
        let groups = header.groups(&["final-recipient", "original-recipient", "action"]);
        records.extend(groups.iter().filter_map(record));
    }
    records
}

fn record(header: &Header<'_>) -> Option<Record> {
    let address = |name: &str| header.get(name).and_then(|value| address::of_field(&value));
    if !header.has("final-recipient") && !header.has("original-recipient") {
        return None;
    }
    let action = header.get("action").unwrap_or_default();
    let action = action.split([' ', ';', '(']).next().unwrap_or_default().to_ascii_lowercase();
    let status = header.get("status").and_then(|value| status(&value));
    let action = match (action.as_str(), status.map(|status| status.class)) {
        ("delayed", _) => Kind::Delay,
        ("delivered" | "relayed" | "expanded" | "deliverable", _) => Kind::Delivered,
        ("failed", _) => Kind::Bounce,
        (_, Some(2)) => Kind::Delivered,
        _ => Kind::Bounce,
    };
    let diagnostic = header.get("diagnostic-code").unwrap_or_default();
    Some(Record {
        final_address: address("final-recipient"),
        original_address: address("original-recipient"),
        name: header.get("final-recipient").and_then(|value| name(&value)),
        action,
        status,
        diagnostic: without_type(&diagnostic).chars().take(DIAGNOSTIC_CHARS).collect(),
    })
}

/// `unknown; nair_s`: a word, not a path or a command.
fn name(value: &str) -> Option<String> {
    let name = value.split_once(';').map_or(value, |(_, name)| name).trim();
    let is_word =
        |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    (!name.is_empty() && name.len() <= 64 && is_word(name)).then(|| name.to_owned())
}

/// The first enhanced status of a field: `5.1.1 (no such user)`.
fn status(value: &str) -> Option<EnhancedStatus> {
    let word = value.trim().split([' ', '(', ';', '\t']).next()?;
    word.trim_matches(['"', '.', ',']).parse().ok()
}

/// `smtp; 550 …` without the type.
pub(super) fn without_type(diagnostic: &str) -> &str {
    match diagnostic.split_once(';') {
        Some((kind, text)) if kind.len() < 20 && !kind.trim().contains(' ') => text.trim(),
        _ => diagnostic.trim(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_of_a_report() {
        let text = "Reporting-MTA: dns; mx.example\n\nOriginal-Recipient: rfc822;a@x.example\n\
                    Final-Recipient: rfc822; b@y.example\nAction: failed\nStatus: 5.1.1 (unknown)\n\
                    Diagnostic-Code: smtp; 550 5.1.1\n <b@y.example>: unknown\n\n\n\
                    Final-Recipient: rfc822; c@y.example\nAction: Delayed (still trying)\nStatus: 4.4.1\n";
        let records = read(text.as_bytes());
        let first = Record {
            final_address: Some("b@y.example".to_owned()),
            original_address: Some("a@x.example".to_owned()),
            name: None,
            action: Kind::Bounce,
            status: Some("5.1.1".parse().unwrap()),
            diagnostic: "550 5.1.1 <b@y.example>: unknown".to_owned(),
        };
        assert_eq!(records[0], first);
        assert_eq!((records[1].action, records.len()), (Kind::Delay, 2));
    }

    #[test]
    fn groups_need_no_blank_line() {
        let text = "Final-Recipient: rfc822;a@x.example\nAction: failed\nFinal-Recipient: rfc822;b@x.example\n\
                    Action: delayed\n";
        let kinds: Vec<Kind> = read(text.as_bytes()).iter().map(|record| record.action).collect();
        assert_eq!(kinds, [Kind::Bounce, Kind::Delay]);
    }

    #[test]
    fn actions_and_what_is_missing() {
        let kind = |text: &str| read(text.as_bytes()).first().map(|record| record.action);
        for action in ["delivered", "relayed", "expanded"] {
            assert_eq!(
                kind(&format!("Final-Recipient: rfc822;a@b.c\nAction: {action}\n")),
                Some(Kind::Delivered)
            );
        }
        assert_eq!(kind("Final-Recipient: rfc822;a@b.c\nStatus: 2.0.0\n"), Some(Kind::Delivered));
        assert_eq!(kind("Final-Recipient: rfc822;a@b.c\n"), Some(Kind::Bounce));
        assert_eq!(kind("Reporting-MTA: dns; x\n"), None);
        assert_eq!(kind("words\nFinal-Recipient: rfc822;a@b.c\nAction: delayed"), Some(Kind::Delay));
    }
}
