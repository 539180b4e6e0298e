//! Ready messages: sent as they are, but for what RFC 6409 §8 lets a submission change.
//!
//! `Bcc` and `Return-Path` are removed, a missing `Date` and `Message-ID` are added, line ends
//! become CRLF. Everything else stays, byte for byte.

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;
use mail_parser::MessageParser;

use super::error::RenderFailure;
use super::{header, line_ends};
use crate::campaign::{Campaign, Scanned, ready_column};
use crate::mail::{Address, Domain, Mailbox, Message, Timestamp};
use crate::plan::Row;
use crate::scan::Item;
use crate::target_group::StoredMessage;

/// Fields that no recipient may see (RFC 5322 §3.6.3, RFC 5321 §4.4).
const REMOVED: [&str; 3] = ["bcc", "resent-bcc", "return-path"];

/// What makes messages of rows that name ready ones.
#[derive(Debug)]
pub(super) struct Ready {
    /// The domain that From must have.
    domain: Option<Domain>,
}

/// The fields of a header section, each with its lines.
struct Header<'m> {
    text: &'m [u8],
    fields: Vec<Field>,
}

struct Field {
    name: String,
    /// All its lines, the last line end included.
    lines: Range<usize>,
    /// Where its value begins.
    value: usize,
}

fn failed(problem: impl Into<String>) -> RenderFailure {
    RenderFailure::Ready { problem: problem.into() }
}

impl Ready {
    pub(super) fn of(campaign: &Campaign) -> Self {
        let sender = &campaign.sender;
        Self { domain: sender.is_registered.then(|| sender.from.address.domain().clone()) }
    }

    /// The message of a row, dated `date` and with the id `own_id` where it has none.
    pub(super) fn message(
        &self,
        row: &Row,
        date: Timestamp,
        own_id: String,
    ) -> Result<Message, RenderFailure> {
        let place = row.values.get(ready_column::MESSAGE).and_then(|place| place.as_str());
        let place: Option<StoredMessage> = place.and_then(|place| place.parse().ok());
        let (Some(place), Some(folder)) = (place, &row.messages) else {
            return Err(failed("is not in the files that the run has kept"));
        };
        let text = place.read(folder).map_err(|error| failed(error.to_string()))?;
        self.complete(&text, date, own_id)
    }

    /// The message whose text is `stuffed`.
    fn complete(&self, stuffed: &[u8], date: Timestamp, own_id: String) -> Result<Message, RenderFailure> {
        let text = unstuffed(stuffed);
        let (header, body) = split(&text);
        let header = Header::parse(header)?;
        self.check_from(&header)?;
        let mut out = Vec::with_capacity(header.text.len() + 200);
        for field in &header.fields {
            if !REMOVED.contains(&field.name.as_str()) {
                out.extend_from_slice(&header.text[field.lines.clone()]);
            }
        }
        if header.only("date")?.is_none() {
            header::date(&mut out, date);
        }
        let message_id = match header.only("message-id")? {
            Some(field) => id_in(header.value(field)).unwrap_or(own_id),
            None => {
                header::plain(&mut out, "Message-ID", &format!("<{own_id}>"));
                own_id
            }
        };
        if std::str::from_utf8(&out).is_err() {
            return Err(failed("has bytes in its header that are not UTF-8"));
        }
        let needs_smtputf8 = !out.is_ascii();
        let eight_bit = needs_smtputf8 || !body.is_ascii();
        let body = if body.is_empty() { Vec::new() } else { vec![Bytes::copy_from_slice(body)] };
        Ok(Message { header: out.into(), body, message_id, eight_bit, needs_smtputf8 })
    }

    fn check_from(&self, header: &Header<'_>) -> Result<(), RenderFailure> {
        let author = header.author();
        let Some(domain) = &self.domain else {
            // Its form is the program's own affair; that it is there is not.
            return header.only("from")?.map(|_| ()).ok_or_else(|| failed("has no `From`"));
        };
        let address = author?;
        if address.domain() == domain {
            return Ok(());
        }
        let domain = domain.as_str();
        Err(failed(format!("is from `{address}`, and the campaign is registered for `{domain}`")))
    }
}

impl<'m> Header<'m> {
    fn parse(text: &'m [u8]) -> Result<Self, RenderFailure> {
        let mut fields: Vec<Field> = Vec::new();
        let mut start = 0;
        while start < text.len() {
            let end = memchr::memmem::find(&text[start..], b"\r\n").map_or(text.len(), |at| start + at + 2);
            let line = &text[start..end];
            match fields.last_mut() {
                Some(field) if line.starts_with(b" ") || line.starts_with(b"\t") => field.lines.end = end,
                _ => {
                    let name = memchr::memchr(b':', line).map(|colon| line[..colon].trim_ascii_end());
                    let is_name = |name: &&[u8]| !name.is_empty() && name.iter().all(u8::is_ascii_graphic);
                    let Some(name) = name.filter(is_name) else {
                        let line =
                            fields.iter().map(|field| lines_in(&text[field.lines.clone()])).sum::<usize>()
                                + 1;
                        return Err(failed(format!("has no header field in its line {line}")));
                    };
                    let value = start + memchr::memchr(b':', line).unwrap_or_default() + 1;
                    let name = String::from_utf8_lossy(name).to_ascii_lowercase();
                    fields.push(Field { name, lines: start..end, value });
                }
            }
            start = end;
        }
        Ok(Self { text, fields })
    }

    /// The one field of this name, if there is one.
    fn only(&self, name: &str) -> Result<Option<&Field>, RenderFailure> {
        let mut all = self.fields.iter().filter(|field| field.name == name);
        match (all.next(), all.next()) {
            (field, None) => Ok(field),
            _ => Err(failed(format!("has the field `{name}` twice"))),
        }
    }

    /// Who wrote it: the one address of its one `From`.
    fn author(&self) -> Result<Address, RenderFailure> {
        let Some(from) = self.only("from")? else { return Err(failed("has no `From`")) };
        let value = String::from_utf8_lossy(self.value(from));
        let author = Mailbox::parse(&value.replace("\r\n", ""));
        author.map(|author| author.address).map_err(|_| failed("has a `From` that is not one address"))
    }

    fn value(&self, field: &Field) -> &[u8] {
        self.text[field.value..field.lines.end].trim_ascii()
    }
}

fn lines_in(text: &[u8]) -> usize {
    memchr::memchr_iter(b'\n', text).count()
}

/// The id in angle brackets.
fn id_in(value: &[u8]) -> Option<String> {
    let inner = value.strip_prefix(b"<")?.strip_suffix(b">")?;
    let is_id = !inner.is_empty() && inner.iter().all(u8::is_ascii_graphic);
    is_id.then(|| String::from_utf8_lossy(inner).into_owned())
}

/// The text without its stuffed dots (RFC 5321 §4.5.2), all lines ended by CRLF.
fn unstuffed(stuffed: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(stuffed.len() + stuffed.len() / 32);
    for line in stuffed.split_inclusive(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        text.extend_from_slice(line.strip_prefix(b".").unwrap_or(line));
        text.extend_from_slice(b"\r\n");
    }
    text
}

/// The header section with its line ends, and the body after the empty line.
fn split(text: &[u8]) -> (&[u8], &[u8]) {
    if let Some(body) = text.strip_prefix(b"\r\n") {
        return (&[], body);
    }
    match memchr::memmem::find(text, b"\r\n\r\n") {
        Some(at) => (&text[..at + 2], &text[at + 4..]),
        None => (text, &[]),
    }
}

/// The author of a message that is handed over, and the fields that it lacks (RFC 6409 §8): they
/// make it another message than the last one with the same text. What no run would send is refused
/// here, while its program listens.
pub(crate) fn handed_over(text: &[u8], date: Timestamp, own_id: &str) -> Result<(Address, Vec<u8>), String> {
    let read = || {
        let header = Header::parse(split(text).0)?;
        if std::str::from_utf8(header.text).is_err() {
            return Err(failed("has bytes in its header that are not UTF-8"));
        }
        let author = header.author()?;
        let mut added = Vec::new();
        if header.only("date")?.is_none() {
            header::date(&mut added, date);
        }
        if header.only("message-id")?.is_none() {
            let id = format!("<{own_id}@{}>", author.domain().as_str());
            header::plain(&mut added, "Message-ID", &id);
        }
        Ok((author, added))
    };
    read().map_err(|failure| match failure {
        RenderFailure::Ready { problem } => problem,
        other => other.to_string(),
    })
}

/// The whole of a message.
fn whole(message: &Message) -> Vec<u8> {
    let mut text = message.header.to_vec();
    text.extend_from_slice(b"\r\n");
    message.body.iter().for_each(|segment| text.extend_from_slice(segment));
    text
}

/// Its parts as scanners get them, and the whole, whatever its structure hides.
pub(super) fn items(message: &Message) -> Vec<Item> {
    let text = whole(message);
    let mut items = Vec::new();
    if let Some(parsed) = MessageParser::default().parse(&text) {
        for (number, part) in parsed.parts.iter().enumerate().filter(|(_, part)| !part.is_multipart()) {
            let name = format!("part {}", number + 1);
            let kind = if part.is_text() { Scanned::Body } else { Scanned::Attachments };
            items.push(Item::new(name, kind, part.contents().to_vec()));
        }
    }
    items.push(Item::new("the message", Scanned::Attachments, text));
    items
}

/// What people read in a message.
pub(super) struct Shown {
    pub subject: String,
    /// Lines ended by CRLF.
    pub text: String,
    /// Lines ended by CRLF.
    pub html: Option<String>,
}

/// What people read in it.
pub(super) fn shown(message: &Message) -> Shown {
    let text = whole(message);
    let parsed = MessageParser::default().parse(&text);
    let lines = |text: Cow<'_, str>| line_ends::normalize(&text);
    let parsed = parsed.as_ref();
    let has_html = parsed.is_some_and(|parsed| parsed.parts.iter().any(|part| part.is_text_html()));
    Shown {
        subject: parsed.and_then(|parsed| parsed.subject()).unwrap_or_default().to_owned(),
        text: parsed.and_then(|parsed| parsed.body_text(0)).map(lines).unwrap_or_default(),
        html: parsed.filter(|_| has_html).and_then(|parsed| parsed.body_html(0)).map(lines),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complete(text: &str) -> Result<String, String> {
        let ready = Ready { domain: None };
        let message = ready.complete(text.as_bytes(), Timestamp(0), "own@x.example".into());
        let shown = |message: Message| String::from_utf8(whole(&message)).unwrap();
        message.map(shown).map_err(|failure| failure.to_string())
    }

    #[test]
    fn only_what_must_change_does() {
        let text = "Received: a\r\n\tb\r\nFrom: a@b.example\r\nBCC: x@y.example,\r\n z@y.example\r\nReturn-Path: <a@b.example>\r\nX-Odd:   kept \r\nDate: then\r\nMessage-ID: <1@b.example>\r\n\r\n..\r\nHi\r\n";
        let expected = "Received: a\r\n\tb\r\nFrom: a@b.example\r\nX-Odd:   kept \r\nDate: then\r\nMessage-ID: <1@b.example>\r\n\r\n.\r\nHi\r\n";
        assert_eq!(complete(text).unwrap(), expected);
        assert_eq!(complete(&text.replace("\r\n", "\n")).unwrap(), expected);
    }

    #[test]
    fn what_is_missing_is_added() {
        let text = complete("From: a@b.example\n\nHi\n").unwrap();
        assert!(text.contains("\r\nDate: Thu, 1 Jan 1970 00:00:00 +0000\r\n"), "{text}");
        assert!(text.contains("\r\nMessage-ID: <own@x.example>\r\n\r\nHi\r\n"), "{text}");
    }

    #[test]
    fn faults_are_named() {
        assert_eq!(complete("Subject: x\n\nHi\n").unwrap_err(), "the message has no `From`");
        let twice = complete("From: a@b.example\nFrom: c@b.example\n\n").unwrap_err();
        assert_eq!(twice, "the message has the field `from` twice");
        let text = complete("From: a@b.example\nHello there\n\n").unwrap_err();
        assert_eq!(text, "the message has no header field in its line 2");
    }
}
