//! Header fields: what they may contain, how they are folded and encoded (RFC 5322 §2.2, RFC
//! 2047).
//!
//! Nothing that comes from a row can end a line: control characters, CR, LF and NUL among them,
//! become one space before a value is written. (A line break within a CSV field is a common and
//! harmless mistake; a row is not lost for it.) Lines are folded at 78 characters where there is a
//! space to fold at, and no line is longer than 998.

use std::borrow::Cow;

use base64::prelude::{BASE64_STANDARD, Engine};
use mail_builder::headers::Header;
use mail_builder::headers::address::EmailAddress;
use mail_builder::headers::date::Date;
use mail_builder::headers::text::Text;

use crate::mail::{Address, Timestamp};

/// RFC 5322 §2.1.1.
const FOLD_AT: usize = 78;

/// The longest word that is not encoded; with a field name in front its line stays below 998.
const LONGEST_WORD: usize = 900;

/// `name: value` with a value that is free text.
pub(super) fn text(out: &mut Vec<u8>, name: &str, value: &str) {
    let value = one_line(value);
    start(out, name);
    let column = name.len() + 2;
    let words = value.split(' ');
    if !value.is_ascii() || words.clone().any(|word| word.len() > LONGEST_WORD) {
        Text::new(&*value).write_header(out, column);
    } else if value.contains("=?") {
        encoded_words(out, column, &value);
        out.extend_from_slice(b"\r\n");
    } else {
        folded(out, column, words);
    }
}

/// `name: value` with a value for machines: never encoded, folded at its spaces.
pub(super) fn plain(out: &mut Vec<u8>, name: &str, value: &str) {
    start(out, name);
    folded(out, name.len() + 2, value.split(' '));
}

/// `To: "Name" <address>`
pub(super) fn mailbox(out: &mut Vec<u8>, name: &str, display: Option<&str>, address: &Address) {
    start(out, name);
    let column = name.len() + 2;
    let email = address.to_string();
    let display = display.map(one_line).filter(|display| !display.is_empty());
    match display {
        // Quotes make it literal, but many clients decode it all the same.
        Some(display) if display.contains("=?") => {
            encoded_words(out, column, &display);
            out.extend_from_slice(b"\r\n <");
            out.extend_from_slice(email.as_bytes());
            out.extend_from_slice(b">\r\n");
        }
        // Backslashes can make a word twice as long.
        Some(display)
            if display.is_ascii() && !display.split(' ').any(|word| word.len() > LONGEST_WORD / 2) =>
        {
            let quoted = format!("\"{}\" <{email}>", display.replace('\\', "\\\\").replace('"', "\\\""));
            folded(out, column, quoted.split(' '));
        }
        display => {
            let name = display.map(|display| Cow::Owned(display.into_owned()));
            EmailAddress { name, email: email.into() }.write_header(out, column);
        }
    }
}

/// `To: Name:;`, a group that names none of its members (RFC 5322 §3.4).
pub(super) fn group(out: &mut Vec<u8>, name: &str, display: &str) {
    start(out, name);
    let column = name.len() + 2;
    let display = one_line(display);
    let atext = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~ ".contains(c);
    if !display.is_ascii() || display.contains("=?") {
        encoded_words(out, column, &display);
        out.extend_from_slice(b":;\r\n");
    } else if display.chars().all(atext) {
        folded(out, column, format!("{display}:;").split(' '));
    } else {
        let quoted = format!("\"{}\":;", display.replace('\\', "\\\\").replace('"', "\\\""));
        folded(out, column, quoted.split(' '));
    }
}

/// `Date: …` in UTC.
pub(super) fn date(out: &mut Vec<u8>, moment: Timestamp) {
    start(out, "Date");
    Date::new(moment.seconds()).write_header(out, 6);
}

fn start(out: &mut Vec<u8>, name: &str) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
}

/// Words with single spaces between them; a line break goes in front of a space, never behind it.
fn folded<'a>(out: &mut Vec<u8>, mut column: usize, words: impl Iterator<Item = &'a str>) {
    for (number, word) in words.enumerate() {
        if number > 0 {
            if column + 1 + word.len() > FOLD_AT && !word.is_empty() {
                out.extend_from_slice(b"\r\n ");
                column = 1;
            } else {
                out.push(b' ');
                column += 1;
            }
        }
        out.extend_from_slice(word.as_bytes());
        column += word.len();
    }
    out.extend_from_slice(b"\r\n");
}

/// RFC 2047 §2 in base64, for text that looks like an encoded word.
fn encoded_words(out: &mut Vec<u8>, column: usize, text: &str) {
    /// 60 characters of base64 and `=?utf-8?B??=` are 72, the limit is 75.
    const PIECE: usize = 45;
    let mut rest = text;
    let mut first = true;
    while !rest.is_empty() {
        let room = if first { PIECE.min(FOLD_AT.saturating_sub(column + 12) / 4 * 3).max(6) } else { PIECE };
        let end = rest.floor_char_boundary(room.min(rest.len()));
        let (piece, after) = rest.split_at(end);
        if !first {
            out.extend_from_slice(b"\r\n ");
        }
        out.extend_from_slice(b"=?utf-8?B?");
        out.extend_from_slice(BASE64_STANDARD.encode(piece).as_bytes());
        out.extend_from_slice(b"?=");
        first = false;
        rest = after;
    }
}

/// The value in one line: every run of control characters and white space with a control character
/// in it becomes a space, and there is none at the ends.
pub(super) fn one_line(value: &str) -> Cow<'_, str> {
    let trimmed = value.trim_matches(|c: char| c.is_whitespace() || c.is_control());
    if !trimmed.chars().any(is_unfit) {
        return Cow::Borrowed(trimmed);
    }
    let mut out = String::with_capacity(trimmed.len());
    let mut broken = false;
    for c in trimmed.chars() {
        if is_unfit(c) {
            broken = true;
            continue;
        }
        if std::mem::take(&mut broken) && c != ' ' && !out.ends_with(' ') {
            out.push(' ');
        }
        out.push(c);
    }
    Cow::Owned(out)
}

/// Whether a character has no place in the value of a header field.
fn is_unfit(c: char) -> bool {
    // U+202D and U+202E turn round what comes behind them, also what the sender has written.
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202d}' | '\u{202e}')
}

/// Fields that mailrun writes itself, or that a sender must not set.
const RESERVED: [&str; 24] = [
    "From",
    "Sender",
    "Reply-To",
    "To",
    "Cc",
    "Bcc",
    "Subject",
    "Date",
    "Message-ID",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
    "Content-Disposition",
    "Content-ID",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
    "List-Id",
    "Feedback-ID",
    "DKIM-Signature",
    "Return-Path",
    "Received",
    "Authentication-Results",
    "Delivered-To",
    "Apparently-To",
];

/// Why `name` can't be a field of `[sender.headers]`.
pub(super) fn refused(name: &str) -> Option<(String, &'static str)> {
    let ftext = |byte: u8| (33..=126).contains(&byte) && byte != b':';
    if name.is_empty() || name.len() > 76 || !name.bytes().all(ftext) {
        let problem = format!("`{name}` is not a valid header field name");
        return Some((problem, "use letters, digits and hyphens: `X-Order`"));
    }
    let lower = name.to_ascii_lowercase();
    let reserved = RESERVED.iter().any(|reserved| reserved.eq_ignore_ascii_case(name));
    if reserved || lower.starts_with("arc-") || lower.starts_with("resent-") {
        let hint = match lower.as_str() {
            "reply-to" => "use `reply-to` of `[sender]`",
            "subject" => "use `subject` of `[template]`",
            "list-id" | "feedback-id" => "use `list-id` and `feedback-id` of `[campaign]`",
            "list-unsubscribe" | "list-unsubscribe-post" => "use `[unsubscribe]`",
            "cc" | "bcc" => "the recipients are the rows of the target group",
            _ => "mailrun or the mail servers on the way write it",
        };
        return Some((format!("the field `{name}` can't be set here"), hint));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(value: &str) -> String {
        let mut out = Vec::new();
        text(&mut out, "Subject", value);
        String::from_utf8(out).unwrap()
    }

    fn to(display: &str) -> String {
        let mut out = Vec::new();
        mailbox(&mut out, "To", Some(display), &Address::parse("a@b.example").unwrap());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_value_is_one_line_that_turns_nothing_round() {
        assert_eq!(one_line(" a\r\n b\u{2028}c\u{202e}d\u{202d} "), "a b c d");
        // Marks of right-to-left text stay: they are how it is written.
        assert_eq!(one_line("\u{200f}שלום\u{200f}"), "\u{200f}שלום\u{200f}");
    }

    #[test]
    fn free_text() {
        let check = |value: &str, written: &str| assert_eq!(subject(value), written, "{value:?}");
        check("Hello", "Subject: Hello\r\n");
        check("", "Subject: \r\n");
        check("  Hello \r\nBcc: x@example.com\0 ", "Subject: Hello Bcc: x@example.com\r\n");
        check("a\n\n\tb", "Subject: a b\r\n");
        check("a  b", "Subject: a  b\r\n");
        check("Grüße", "Subject: =?utf-8?B?R3LDvMOfZQ==?=\r\n");
        check("=?utf-8?Q?Hi?=", "Subject: =?utf-8?B?PT91dGYtOD9RP0hpPz0=?=\r\n");
    }

    #[test]
    fn long_ascii_is_folded_and_not_encoded() {
        let value = "word ".repeat(40);
        let written = subject(&value);
        assert!(written.lines().all(|line| line.len() <= 78), "{written}");
        assert!(!written.contains("=?"));
        assert_eq!(written.replace("\r\n ", " ").trim_end(), format!("Subject: {}", value.trim_end()));
    }

    #[test]
    fn no_line_is_too_long() {
        for value in
            ["x".repeat(2_000), "é".repeat(2_000), format!("=?{}", "x".repeat(3_000)), "x ".repeat(2_000)]
        {
            for written in [subject(&value), to(&value)] {
                assert!(written.lines().all(|line| line.len() <= 998), "{}", &written[..200]);
                assert!(written.ends_with("\r\n"));
            }
        }
        assert!(subject(&format!("=?{}", "x".repeat(300))).lines().all(|line| line.len() <= 78));
    }

    #[test]
    fn names_of_people() {
        assert_eq!(to("Ann \"A\" B, C"), "To: \"Ann \\\"A\\\" B, C\" <a@b.example>\r\n");
        assert_eq!(to("José"), "To: =?utf-8?B?Sm9zw6k=?= <a@b.example>\r\n");
        assert_eq!(to("x>\r\nBcc: <y@example.com"), "To: \"x> Bcc: <y@example.com\" <a@b.example>\r\n");
        assert_eq!(to(" \0 "), "To: <a@b.example>\r\n");
        assert_eq!(to("=?x?="), "To: =?utf-8?B?PT94Pz0=?=\r\n <a@b.example>\r\n");
    }

    #[test]
    fn long_names_are_folded_in_their_quotes() {
        let written = to(&"name \\ ".repeat(30));
        assert!(written.lines().all(|line| line.len() <= 78), "{written}");
        let unfolded = written.replace("\r\n ", " ");
        assert_eq!(
            unfolded.trim_end(),
            format!("To: \"{}\" <a@b.example>", "name \\\\ ".repeat(30).trim_end())
        );
        assert!(to(&"\"".repeat(400)).lines().all(|line| line.len() <= 998));
    }

    #[test]
    fn field_names_are_checked() {
        for good in ["X-Order", "Precedence", "Auto-Submitted", "X_1"] {
            assert_eq!(refused(good), None, "{good}");
        }
        for bad in
            ["", "X Order", "X:", "Ünï", "a\r\nb", "bcc", "DKIM-Signature", "ARC-Seal", "From", "resent-to"]
        {
            assert!(refused(bad).is_some(), "{bad}");
        }
    }
}
