//! What of our own mail is in one that came back: tokens of return paths and of links, and
//! `Message-ID`s. Nothing is verified here.

use std::collections::HashSet;

use chrono::DateTime;
use memchr::memmem;

use super::mime::{Header, Message};
use crate::compose::return_path::PathToken;
use crate::mail::Timestamp;

/// More tokens of one mail are not looked at.
const TOKENS: usize = 100;
/// Shorter words are no tokens of links.
const LINK_BYTES: usize = 40;
/// Of a part that is encoded, as much is looked at.
const PART_BYTES: usize = 256 << 10;
/// Of a field `List-Unsubscribe`.
const FIELD_BYTES: usize = 4 << 10;

/// Where the envelope of a mail is in its header, by mail servers; the last one by the sender.
const ENVELOPE: [&str; 5] = ["delivered-to", "x-original-to", "envelope-to", "x-envelope-to", "to"];

/// See the module.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Traces {
    /// Of the return paths that the mail was sent to.
    pub envelope: Vec<PathToken>,
    /// Of the return paths in the rest of the mail, such as the header that came back.
    pub returned: Vec<PathToken>,
    /// What may be tokens of links in the fields `List-Unsubscribe` that came back.
    pub links: Vec<String>,
    /// The subject, where it may be the token of a link: the `mailto:` of `List-Unsubscribe`.
    pub subject: Option<String>,
    /// What the mail answers, without angle brackets.
    pub answers: Vec<String>,
    /// The mail's own `Message-ID`, without angle brackets.
    pub message_id: Option<String>,
    /// The mail's own `Date`.
    pub date: Option<Timestamp>,
}

impl Traces {
    /// Those of a mail.
    pub fn read(bytes: &[u8]) -> Self {
        let (header, body) = Header::read(bytes);
        let mut traces = Self::default();
        for value in ENVELOPE.iter().flat_map(|name| header.all(name)) {
            path_tokens(value.as_bytes(), &mut traces.envelope);
        }
        let own = |name: &str| header.get(name).map(|value| ids(&value)).unwrap_or_default();
        traces.message_id = own("message-id").into_iter().next();
        traces.answers = ["in-reply-to", "references"].into_iter().flat_map(own).collect();
        traces.subject =
            header.get("subject").map(|subject| subject.trim().to_owned()).filter(|text| is_link(text));
        let date = header.get("date").and_then(|date| DateTime::parse_from_rfc2822(date.trim()).ok());
        traces.date = date.map(|date| Timestamp(date.timestamp_micros()));
        traces.look_at(&bytes[body..]);
        if traces.returned.is_empty() && traces.links.is_empty() && is_encoded(bytes) {
            let message = Message::read(bytes);
            message.parts.iter().for_each(|part| traces.look_at(&part.bytes(PART_BYTES)));
        }
        traces
    }

    fn look_at(&mut self, bytes: &[u8]) {
        path_tokens(bytes, &mut self.returned);
        for at in memmem::find_iter(bytes, b"nsubscribe:") {
            let is_field = at.checked_sub("list-u".len()).is_some_and(|start| {
                bytes[start..at].eq_ignore_ascii_case(b"list-u")
                    && (start == 0 || matches!(bytes[start - 1], b'\n' | b'>' | b' '))
            });
            if is_field {
                let value = &bytes[at + "nsubscribe:".len()..];
                link_tokens(&value[..value.len().min(FIELD_BYTES)], &mut self.links);
            }
        }
    }
}

/// Adds the tokens of return paths in `bytes`.
fn path_tokens(bytes: &[u8], found: &mut Vec<PathToken>) {
    let mut seen: HashSet<PathToken> = found.iter().copied().collect();
    for at in memchr::memchr_iter(b'+', bytes) {
        if seen.len() == TOKENS {
            return;
        }
        if let Some(token) = PathToken::at_start(&bytes[at + 1..])
            && seen.insert(token)
        {
            found.push(token);
        }
    }
}

/// Adds the words of a folded field that may be tokens.
fn link_tokens(value: &[u8], found: &mut Vec<String>) {
    let mut lines = value.split(|byte| *byte == b'\n');
    let first = lines.next().unwrap_or_default();
    let folded = lines.take_while(|line| matches!(line.first(), Some(b' ' | b'\t' | b'>')));
    for line in std::iter::once(first).chain(folded) {
        for word in line.split(|byte| !is_link_byte(*byte)).filter(|word| word.len() >= LINK_BYTES) {
            let word = String::from_utf8_lossy(word).into_owned();
            if found.len() < TOKENS && !found.contains(&word) {
                found.push(word);
            }
        }
    }
}

fn is_link_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

fn is_link(text: &str) -> bool {
    (LINK_BYTES..FIELD_BYTES).contains(&text.len()) && text.bytes().all(is_link_byte)
}

fn is_encoded(bytes: &[u8]) -> bool {
    ["base64", "BASE64", "Base64", "uoted-printable", "UOTED-PRINTABLE"]
        .iter()
        .any(|name| memmem::find(bytes, name.as_bytes()).is_some())
}

/// The ids of a field: `<a@b> <c@d>`.
fn ids(value: &str) -> Vec<String> {
    let parts = value.split(|c: char| c.is_whitespace() || matches!(c, '<' | '>'));
    parts.filter(|id| id.contains('@') && id.len() < 500).take(TOKENS).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compose::ReturnPaths;
    use crate::mail::Address;

    fn path(row: u32) -> String {
        let base = Address::parse("bounces@mail.example.com").unwrap();
        ReturnPaths::new(&base, true, "run", b"secret").unwrap().of(row).to_string()
    }

    fn rows(tokens: &[PathToken]) -> Vec<u32> {
        tokens.iter().map(|token| token.row(b"secret").unwrap()).collect()
    }

    #[test]
    fn tokens_are_told_apart_by_where_they_are() {
        let link = "x".repeat(60);
        let mail = format!(
            "Delivered-To: {}\nTo: other@x.example\nMessage-ID: <1@x>\nIn-Reply-To: <a@b>\n\
             Date: Tue, 03 Nov 2026 10:00:00 +0100\n\nquoted {}\nReturn-Path: <{}>\n\
             LIST-Unsubscribe: <https://u.example/{link}>,\n <mailto:u@u.example?subject={link}>\n",
            path(1),
            path(2).to_uppercase(),
            path(2),
        );
        let traces = Traces::read(mail.as_bytes());
        assert_eq!(rows(&traces.envelope), [1]);
        assert_eq!(rows(&traces.returned), [2], "some servers change the case");
        assert_eq!(traces.links, [link]);
        assert_eq!((traces.message_id.as_deref(), &*traces.answers), (Some("1@x"), &["a@b".to_owned()][..]));
        assert_eq!(traces.date, Some(Timestamp(1_793_696_400_000_000)));
        assert_eq!(traces.subject, None);
    }

    #[test]
    fn a_returned_header_may_be_encoded() {
        use base64::prelude::{BASE64_STANDARD, Engine as _};
        let header = BASE64_STANDARD.encode(format!("Return-Path: <{}>\nTo: a@b.example\n", path(7)));
        let mail = format!(
            "Content-Type: multipart/report; boundary=x\n\n--x\n\nfailed\n--x\n\
             Content-Type: text/rfc822-headers\nContent-Transfer-Encoding: base64\n\n{header}\n--x--\n"
        );
        assert_eq!(rows(&Traces::read(mail.as_bytes()).returned), [7]);
    }

    #[test]
    fn the_subject_of_an_unsubscribing_mail_is_a_token() {
        let subject = |subject: &str| Traces::read(format!("Subject: {subject}\n\n").as_bytes()).subject;
        assert_eq!(subject(&"ab-_".repeat(15)), Some("ab-_".repeat(15)));
        for other in ["unsubscribe", &"a ".repeat(40), ""] {
            assert_eq!(subject(other), None, "{other}");
        }
    }

    #[test]
    fn any_number_of_tokens_costs_little() {
        let many: String = (0..1_000).map(path).collect();
        let traces = Traces::read(format!("A: b\n\n{many}{}", "+".repeat(1 << 20)).as_bytes());
        assert_eq!(traces.returned.len(), TOKENS);
    }
}
