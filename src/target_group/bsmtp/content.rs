//! What is between `DATA` and its final dot, checked line by line.

use super::command::{Command, Sender, command};
use super::lines::{End, Line};
use crate::kit::text::grouped;
use crate::target_group::stored::StoredMessage;

/// The most octets of a line without its CRLF (RFC 5322 §2.1.1).
const LONGEST_LINE: u64 = 998;
/// The most bytes of a `Message-ID` that names a row.
const LONGEST_ID: usize = 250;
/// Recipients in a text that are remembered, in case that they are none of it.
const MOST_SWALLOWED: usize = 10_000;

/// The text of a message while it is read.
pub(super) struct Content {
    file: u32,
    start: u64,
    /// Where the last line ended.
    end: u64,
    largest: u64,
    sender: Sender,
    /// The file's lines end with CRLF: a bare LF is no line end.
    needs_crlf: bool,
    hasher: blake3::Hasher,
    fault: Option<String>,
    in_header: bool,
    /// The `Message-ID`, once its field has begun.
    id: Option<String>,
    id_begun: bool,
    /// The commands of another message, as far as they follow each other.
    other: Other,
    /// Their recipients, once it is clear that they are no text: address and line.
    pub swallowed: Vec<(String, u64)>,
}

/// How far a text looks like the commands of another message.
#[derive(Default)]
struct Other {
    mail_at: Option<u64>,
    recipients: Vec<(String, u64)>,
}

impl Content {
    pub(super) fn new(file: u32, start: u64, largest: u64, sender: Sender, needs_crlf: bool) -> Self {
        Self {
            file,
            start,
            end: start,
            largest,
            sender,
            needs_crlf,
            hasher: blake3::Hasher::new(),
            fault: None,
            in_header: true,
            id: None,
            id_begun: false,
            other: Other::default(),
            swallowed: Vec::new(),
        }
    }

    /// Whether this line is the dot that ends the message.
    pub(super) fn ends_with(&self, line: &Line<'_>) -> bool {
        line.text == b"." && (line.end == End::CrLf || !self.needs_crlf)
    }

    pub(super) fn take(&mut self, line: &Line<'_>) {
        self.hasher.update(line.whole);
        self.end =
            line.start + line.bytes + if line.end == End::CrLf { 2 } else { u64::from(line.end == End::Lf) };
        if self.fault.is_none() {
            self.fault = self.fault_of(line);
        }
        self.look_for_id(line);
        self.look_for_commands(line);
    }

    fn fault_of(&self, line: &Line<'_>) -> Option<String> {
        let number = line.number;
        let bytes = line.bytes - u64::from(line.text.starts_with(b"."));
        if bytes > LONGEST_LINE {
            return Some(format!(
                "line {number} has {} octets, and at most {LONGEST_LINE} are allowed",
                grouped(bytes)
            ));
        }
        if line.text.contains(&0) {
            return Some(format!("line {number} holds a NUL character"));
        }
        if line.text.contains(&b'\r') {
            return Some(format!("line {number} holds a carriage return that is no line end"));
        }
        if self.needs_crlf && line.end == End::Lf {
            return Some(format!("line {number} ends with LF alone, and the file's lines end with CRLF"));
        }
        if self.sender.is_seven_bit
            && let Some(byte) = line.text.iter().find(|byte| !byte.is_ascii())
        {
            return Some(format!(
                "line {number} holds the byte 0x{byte:02X}, and `MAIL FROM` says `BODY=7BIT`"
            ));
        }
        let bytes = self.end - self.start;
        (bytes > self.largest).then(|| self.too_large(number))
    }

    fn too_large(&self, line: u64) -> String {
        format!("the message has more than {} bytes at line {line}", grouped(self.largest))
    }

    /// Finds the first `Message-ID` of the header.
    fn look_for_id(&mut self, line: &Line<'_>) {
        const NAME: &[u8] = b"message-id:";
        if !self.in_header || self.id.is_some() {
            return;
        }
        if line.text.is_empty() {
            self.in_header = false;
            return;
        }
        let value = match line.text.split_at_checked(NAME.len()) {
            Some((name, value)) if name.eq_ignore_ascii_case(NAME) => {
                self.id_begun = true;
                value
            }
            _ if self.id_begun && (line.text.starts_with(b" ") || line.text.starts_with(b"\t")) => line.text,
            _ => {
                self.id_begun = false;
                return;
            }
        };
        let value = value.trim_ascii();
        let inner = value.strip_prefix(b"<").and_then(|value| value.strip_suffix(b">"));
        let is_id =
            |id: &&[u8]| !id.is_empty() && id.len() <= LONGEST_ID && id.iter().all(u8::is_ascii_graphic);
        self.id = inner.filter(is_id).map(|id| String::from_utf8_lossy(id).into_owned());
    }

    /// A dot that is missing makes the next message part of this one. Its commands then follow each
    /// other in the text. They are never carried out: a text may hold them.
    fn look_for_commands(&mut self, line: &Line<'_>) {
        let starts = |verb: &[u8]| line.text.get(..4).is_some_and(|first| first.eq_ignore_ascii_case(verb));
        let is_command = starts(b"MAIL") || starts(b"RCPT") || starts(b"DATA");
        let found = if is_command { command(line.text, line.bytes) } else { Command::Unknown };
        match found {
            Command::Mail(Ok(_)) => {
                self.other = Other { mail_at: Some(line.number), recipients: Vec::new() };
            }
            Command::Recipient(Ok(address)) if self.other.mail_at.is_some() => {
                if self.other.recipients.len() < MOST_SWALLOWED {
                    self.other.recipients.push((address, line.number));
                }
            }
            Command::Data if !self.other.recipients.is_empty() => {
                let other = std::mem::take(&mut self.other);
                let at = other.mail_at.unwrap_or(line.number);
                self.fault.get_or_insert_with(|| {
                    format!(
                        "another message begins at line {at}, before the dot on a line of its own that ends this one"
                    )
                });
                let room = MOST_SWALLOWED.saturating_sub(self.swallowed.len());
                self.swallowed.extend(other.recipients.into_iter().take(room));
            }
            _ => self.other = Other::default(),
        }
    }

    /// The message that ended with its dot, and its id; or what is wrong with it.
    pub(super) fn finish(&mut self) -> Result<(StoredMessage, String), String> {
        if let Some(fault) = self.fault.take() {
            return Err(fault);
        }
        if let Some(bytes) = self.sender.bytes.filter(|bytes| *bytes > self.largest) {
            return Err(format!(
                "`SIZE={bytes}` is more than the {} bytes of the largest message",
                grouped(self.largest)
            ));
        }
        let hash = self.hasher.finalize();
        let stored = StoredMessage::new(self.file, self.start, self.end - self.start, &hash);
        let id = self.id.take().unwrap_or_else(|| format!("blake3:{}", stored.hash()));
        Ok((stored, id))
    }
}
