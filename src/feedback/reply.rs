//! The reply of a server in the words of a report, and what it means: the classes are those of
//! [`route::classify`](crate::route::classify), so a refusal has the same class now and later.

use std::sync::LazyLock;

use regex::Regex;

use super::regexes::regex;
use super::rules::Rules;
use crate::mail::{Class, EnhancedStatus, Reply};
use crate::route::Classifier;

/// A code, an enhanced status behind it and the separator, as they begin a reply.
static CODE: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r#"(?:^|[\s:;,>(\[='|#])([245][0-5][0-9])(?:[ -]+[#(\['"]{0,2}([245]\.[0-9]{1,3}\.[0-9]{1,3})\b[\])]{0,2}|[ -]+|[:,] ?|$)"#,
    )
});
/// An enhanced status by itself: not a part of an IP address or a version.
static STATUS: LazyLock<Regex> =
    LazyLock::new(|| regex(r"(?:^|[^0-9.])([45]\.[0-9]{1,2}\.[0-9]{1,3})(?:[^0-9.]|\.?$|\.\s)"));
/// The codes of the further lines of a reply that were joined.
static FURTHER: LazyLock<Regex> =
    LazyLock::new(|| regex(r"\s[245][0-5][0-9](?:-| )[245]\.[0-9]{1,3}\.[0-9]{1,3}\s|\s[245][0-5][0-9]-"));
/// What was said to the server before it refused about the sender or the connection.
static SENDER: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?i)\(in reply to (?:MAIL FROM|HELO|EHLO|STARTTLS|AUTH)|\bafter (?:pipelined )?(?:MAIL FROM|EHLO|HELO|initial connection)\b|sender (?:address )?(?:was )?rejected|domain of sender|(?:helo|ehlo) command rejected|client host rejected|did not like our (?:MAIL|HELO|EHLO)|smtp;.{0,80}\(in reply to MAIL",
    )
});

/// What a report says about one recipient, judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Judgement {
    pub(super) class: Class,
    pub(super) permanent: Option<bool>,
    pub(super) hard: bool,
    pub(super) status: Option<EnhancedStatus>,
    /// Whether the words say more than that something failed.
    pub(super) is_telling: bool,
}

/// The code and the enhanced status that a text gives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Codes {
    code: Option<u16>,
    status: Option<EnhancedStatus>,
    /// Where the words behind the code start.
    text: usize,
}

fn codes(text: &str) -> Codes {
    let status_of = |text: &str| STATUS.captures(text).and_then(|found| found[1].parse().ok());
    // The last word of a dialogue counts, but a negative one more than a positive one.
    let found = CODE.captures_iter(text).find(|found| !found[1].starts_with('2'));
    let Some(found) = found else {
        return Codes { code: None, status: status_of(text), text: 0 };
    };
    let end = found.get(0).expect("a match has a place").end();
    let status = found.get(2).and_then(|status| status.as_str().parse().ok());
    Codes { code: found[1].parse().ok(), status: status.or_else(|| status_of(&text[end..])), text: end }
}

/// Whether the cause is one that stays.
fn lasts(class: Class) -> bool {
    match class {
        Class::BadMailbox
        | Class::BadDomain
        | Class::Policy
        | Class::Spam
        | Class::Blocklist
        | Class::Authentication
        | Class::TlsRequired
        | Class::TooLarge
        | Class::Routing
        | Class::Protocol => true,
        Class::MailboxFull
        | Class::RateLimited
        | Class::Greylisted
        | Class::Unavailable
        | Class::Network
        | Class::Other => false,
    }
}

/// Whether a text holds a negative reply of a server.
pub(super) fn has_reply(text: &str) -> bool {
    CODE.captures_iter(text).any(|found| !found[1].starts_with('2'))
}

/// The meaning of what a report says: its words, and the status that it gives apart from them.
pub(super) fn judge(
    classifier: &Classifier,
    rules: &Rules,
    text: &str,
    stated: Option<EnhancedStatus>,
) -> Judgement {
    let text = text.trim();
    let found = codes(text);
    let behind = &text[found.text..];
    // Words may also come before the code.
    let has_words = behind.bytes().filter(u8::is_ascii_alphabetic).count() > 3;
    let words = FURTHER.replace_all(if has_words { behind } else { text }, " ");
    // `5.0.0` and the like say only that it failed.
    let says_more = |status: &EnhancedStatus| (status.subject, status.detail) != (0, 0);
    let status = found.status.or(stated);
    let exact = found.status.filter(says_more).or(stated.filter(says_more));
    let is_permanent = |class: u8| match class {
        5 => Some(true),
        4 => Some(false),
        _ => None,
    };
    let by_code = found.code.and_then(|code| is_permanent((code / 100) as u8));
    // "550 4.4.7 message expired": the cause was temporary.
    let by_status =
        found.status.or(stated.filter(|_| found.code.is_none())).and_then(|s| is_permanent(s.class));
    let told = match (by_code, by_status) {
        (Some(code), Some(status)) => Some(code && status),
        (one, other) => one.or(other),
    };
    // A text rule knows what programs say in their own words; a server's reply is read as while
    // sending.
    let reason = if found.code.is_none() { rules.reason(&words) } else { None };
    let permanent = match (told, reason) {
        (Some(false), _) => Some(false),
        // `5.0.0` is what some programs say whatever happened.
        // (Not of a full mailbox: who says so with a status means it.)
        (_, Some(reason))
            if reason.permanent == Some(false)
                && found.code.is_none()
                && exact.is_none()
                && !(status.is_some() && reason.class == Class::MailboxFull) =>
        {
            Some(false)
        }
        (Some(true), _) => Some(true),
        (None, reason) => reason.and_then(|reason| reason.permanent),
    };
    let code = match (found.code, permanent) {
        (Some(code), _) if code / 100 != 2 => code,
        (_, Some(false)) => 450,
        _ => 550,
    };
    // RFC 3463: the status has the class of the code.
    let class_digit = (code / 100) as u8;
    let enhanced = exact.map(|status| EnhancedStatus { class: class_digit, ..status });
    let reply =
        Reply { code, enhanced, text: words.chars().map(|c| if c.is_control() { ' ' } else { c }).collect() };
    let classified = classifier.classify(&reply).class;
    // What a server said has the class that it has while sending, where it has one.
    let reason = match found.code {
        Some(_) if classified == Class::Other => rules.reason(&words),
        _ => reason,
    };
    let class = reason.map_or(classified, |reason| reason.class);
    let about_sender = SENDER.is_match(text);
    let is_bad = matches!(class, Class::BadMailbox | Class::BadDomain);
    let class = if is_bad && about_sender { Class::Policy } else { class };
    // Who has given up, for a reason that does not pass, says that it is for good.
    let permanent = permanent.or_else(|| lasts(class).then_some(true));
    let hard = is_bad && !about_sender && permanent == Some(true);
    let is_telling =
        reason.is_some() || !matches!(class, Class::Other) && (found.code.is_some() || exact.is_some());
    Judgement { class, permanent, hard, status, is_telling }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feedback::report;

    /// The test lines of the rules for replies.
    fn replies() -> Vec<String> {
        let rules: toml::Table = include_str!("../route/classify/rules.toml").parse().unwrap();
        let rules = rules["rule"].as_array().unwrap();
        let tests = rules.iter().flat_map(|rule| rule["tests"].as_array().unwrap());
        tests.map(|test| test.as_str().unwrap().to_owned()).collect()
    }

    fn class_while_sending(classifier: &Classifier, text: &str) -> Class {
        let code = text[..3].parse().unwrap();
        let rest = text.get(4..).unwrap_or_default();
        let (enhanced, text) = match EnhancedStatus::split(rest) {
            Some((enhanced, text)) => (Some(enhanced), text),
            None => (None, rest),
        };
        classifier.classify(&Reply { code, enhanced, text: text.to_owned() }).class
    }

    /// The same refusal has the same class now and later.
    #[test]
    fn replies_have_one_class_while_sending_and_in_reports() {
        let (classifier, rules) = (Classifier::default(), Rules::default());
        let replies = replies();
        assert!(replies.len() > 200, "{}", replies.len());
        let mut wrong = Vec::new();
        for reply in replies.iter().filter(|reply| reply.starts_with(['4', '5'])) {
            let class = class_while_sending(&classifier, reply);
            for words in [
                format!("smtp; {reply}"),
                format!("smtp;{reply}"),
                format!("host mx.x.example[192.0.2.1] said: {reply} (in reply to RCPT TO command)"),
            ] {
                let judged = judge(&classifier, &rules, report::without_type(&words), None);
                if judged.class != class {
                    wrong.push(format!("{:?}, not {class:?}: {words}", judged.class));
                }
            }
        }
        assert!(wrong.is_empty(), "{}\n{} are wrong", wrong.join("\n"), wrong.len());
    }
}
