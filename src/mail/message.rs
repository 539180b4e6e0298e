//! A message as it will be on the wire, before and after signing.

use bytes::Bytes;

/// A complete message (RFC 5322) in segments, so that what is common to all messages of a run
/// (encoded attachments) is held once. All line ends are CRLF; there is no bare CR, LF or NUL.
#[derive(Debug, Clone)]
pub struct Message {
    /// The header section: whole lines, each ended by CRLF, without the empty line after them.
    pub header: Bytes,
    /// The body after the empty line: the segments one after the other.
    pub body: Vec<Bytes>,
    /// The `Message-ID`, without angle brackets.
    pub message_id: String,
    /// True when header or body hold bytes above 127: needs 8BITMIME (RFC 6152).
    pub eight_bit: bool,
    /// True when the header section holds UTF-8 (addresses): needs SMTPUTF8 (RFC 6531).
    pub needs_smtputf8: bool,
}

/// A message with its `DKIM-Signature` fields in front. Nothing in it may change from here on.
#[derive(Debug, Clone)]
pub struct SignedMessage {
    /// Signatures, header, empty line and body, in the order of the wire; no dot-stuffing.
    pub segments: Vec<Bytes>,
    /// The sum of the segments' lengths in bytes: what `SIZE=` announces (RFC 1870).
    pub bytes: usize,
    /// As in [`Message`].
    pub message_id: String,
    /// As in [`Message`].
    pub eight_bit: bool,
    /// As in [`Message`].
    pub needs_smtputf8: bool,
}

impl SignedMessage {
    /// Bytes of memory that only this message holds; segments shared within the run do not count.
    pub fn own_bytes(&self) -> usize {
        self.segments.iter().filter(|segment| segment.is_unique()).map(Bytes::len).sum()
    }

    /// The message with `signatures` (zero or more whole `DKIM-Signature` fields, each ended by
    /// CRLF) in front of its header.
    pub fn new(signatures: Bytes, message: Message) -> Self {
        let mut segments = Vec::with_capacity(message.body.len() + 3);
        if !signatures.is_empty() {
            segments.push(signatures);
        }
        segments.push(message.header);
        segments.push(Bytes::from_static(b"\r\n"));
        segments.extend(message.body);
        let bytes = segments.iter().map(Bytes::len).sum();
        Self {
            segments,
            bytes,
            message_id: message.message_id,
            eight_bit: message.eight_bit,
            needs_smtputf8: message.needs_smtputf8,
        }
    }

    /// All segments in one buffer: for files and previews, not for the wire.
    pub fn to_vec(&self) -> Vec<u8> {
        self.segments.concat()
    }
}
