//! The parts of a mail.

use std::borrow::Cow;

use super::{Header, charset, html, transfer};

/// Later parts are not looked at.
const PARTS: usize = 200;
/// Deeper parts stay closed.
const DEPTH: usize = 12;
/// RFC 2046 §5.1.1 allows 70.
const BOUNDARY_BYTES: usize = 200;

/// A mail as it was read.
#[derive(Debug)]
pub(crate) struct Message<'a> {
    /// The header of the mail.
    pub(crate) header: Header<'a>,
    /// What it consists of, in order; a mail without parts is one itself.
    pub(crate) parts: Vec<Part<'a>>,
}

/// A part that has no parts.
#[derive(Debug)]
pub(crate) struct Part<'a> {
    /// Its header; empty where the mail itself is the part.
    pub(crate) header: Header<'a>,
    /// Type and parameters.
    pub(crate) content_type: ContentType,
    encoding: String,
    body: &'a [u8],
}

/// `Content-Type` (RFC 2045 §5).
#[derive(Debug, Default)]
pub(crate) struct ContentType {
    /// In lower case; empty where there is none.
    pub(crate) name: String,
    charset: Option<String>,
    boundary: Option<String>,
}

impl ContentType {
    fn read(header: &Header<'_>) -> Self {
        let Some(value) = header.get("content-type") else { return Self::default() };
        let (name, mut rest) = value.split_once(';').unwrap_or((&value, ""));
        let mut read = Self { name: name.trim().to_ascii_lowercase(), ..Self::default() };
        while !rest.is_empty() {
            let Some((key, behind)) = rest.split_once('=') else { break };
            let behind = behind.trim_start();
            let (value, behind) = match behind.strip_prefix('"') {
                Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
                // A boundary without quotes may hold what needs them; a blank or `;` ends it.
                None => behind.split_at(behind.find([';', ' ', '\t']).unwrap_or(behind.len())),
            };
            let key = key.trim_matches([' ', '\t', ';']);
            let slot = match key.to_ascii_lowercase().as_str() {
                "charset" => &mut read.charset,
                "boundary" => &mut read.boundary,
                _ => &mut None,
            };
            *slot = Some(value.to_owned());
            rest = behind.trim_start_matches([';', ' ', '\t']);
        }
        read
    }

    fn boundary(&self) -> Option<Vec<u8>> {
        let boundary = self.boundary.as_ref().filter(|_| self.name.starts_with("multipart/"))?;
        let boundary = boundary.trim_end().as_bytes();
        (!boundary.is_empty() && boundary.len() <= BOUNDARY_BYTES).then(|| boundary.to_vec())
    }
}

/// What a line that starts with `--` means.
enum Delimiter {
    /// A part of the multipart at this depth begins.
    Part(usize),
    /// The multipart at this depth ends.
    End(usize),
}

impl<'a> Message<'a> {
    /// Reads a mail. Each byte is looked at once, plus once for the delimiters of each open
    /// multipart on lines that begin with `--`.
    pub(crate) fn read(bytes: &'a [u8]) -> Self {
        let (header, body) = Header::read(bytes);
        let content_type = ContentType::read(&header);
        let encoding = header.get("content-transfer-encoding").unwrap_or_default().into_owned();
        let mut parts = Vec::new();
        if let Some(boundary) = content_type.boundary() {
            split(&bytes[body..], boundary, &mut parts);
        }
        if parts.is_empty() {
            // One part, or a multipart whose boundary never comes.
            let charset = content_type.charset.clone();
            let name = match content_type.name.as_str() {
                name if name.starts_with("multipart/") => "text/plain",
                name => name,
            };
            let content_type = ContentType { name: name.to_owned(), charset, ..ContentType::default() };
            let header = Header::default();
            parts.push(Part { header, content_type, encoding, body: &bytes[body..] });
        }
        Self { header, parts }
    }
}

fn split<'a>(bytes: &'a [u8], boundary: Vec<u8>, parts: &mut Vec<Part<'a>>) {
    let mut open = vec![boundary];
    // Where the part that is being read starts.
    let mut start: Option<Part<'a>> = None;
    let (mut at, mut body) = (0, 0);
    while at < bytes.len() && parts.len() < PARTS {
        let end = memchr::memchr(b'\n', &bytes[at..]).map_or(bytes.len(), |length| at + length + 1);
        let line = &bytes[at..end];
        let Some(delimiter) = line.strip_prefix(b"--").and_then(|rest| delimiter(rest, &open)) else {
            at = end;
            continue;
        };
        if let Some(part) = start.take() {
            parts.push(Part { body: without_last_break(&bytes[body..at]), ..part });
        }
        at = end;
        match delimiter {
            Delimiter::End(depth) => {
                open.truncate(depth);
                if open.is_empty() {
                    return;
                }
            }
            Delimiter::Part(depth) => {
                open.truncate(depth + 1);
                let lines = lines_of_header(&bytes[at..], &open);
                let (header, length) = Header::read(&bytes[at..at + lines]);
                let content_type = ContentType::read(&header);
                at += length;
                body = at;
                match content_type.boundary() {
                    Some(boundary) if open.len() < DEPTH => open.push(boundary),
                    _ => {
                        let encoding =
                            header.get("content-transfer-encoding").unwrap_or_default().into_owned();
                        start = Some(Part { header, content_type, encoding, body: &[] });
                    }
                }
            }
        }
    }
    if let Some(part) = start
        && parts.len() < PARTS
    {
        parts.push(Part { body: &bytes[body..], ..part });
    }
}

/// How many bytes a header has at most: it ends with an empty line, or before a delimiter.
fn lines_of_header(bytes: &[u8], open: &[Vec<u8>]) -> usize {
    let mut length = 0;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        if line.strip_prefix(b"--").is_some_and(|rest| delimiter(rest, open).is_some()) {
            break;
        }
        length += line.len();
        if line.trim_ascii().is_empty() {
            break;
        }
    }
    length
}

fn delimiter(line: &[u8], open: &[Vec<u8>]) -> Option<Delimiter> {
    for (depth, boundary) in open.iter().enumerate().rev() {
        let Some(rest) = line.strip_prefix(boundary.as_slice()) else { continue };
        let rest = rest.trim_ascii();
        if rest.is_empty() {
            return Some(Delimiter::Part(depth));
        }
        if rest == b"--" {
            return Some(Delimiter::End(depth));
        }
    }
    None
}

fn without_last_break(body: &[u8]) -> &[u8] {
    let body = body.strip_suffix(b"\n").unwrap_or(body);
    body.strip_suffix(b"\r").unwrap_or(body)
}

impl<'a> Part<'a> {
    /// Whether its type is this, or one of this group when it ends with a slash.
    pub(crate) fn is(&self, name: &str) -> bool {
        let own = self.content_type.name.as_str();
        if name.ends_with('/') { own.starts_with(name) } else { own == name }
    }

    /// Its content, decoded, at most so many bytes.
    pub(crate) fn bytes(&self, most: usize) -> Cow<'a, [u8]> {
        transfer::decode(&self.encoding, self.body, most)
    }

    /// Its words, at most so many bytes of them: also those of HTML.
    pub(crate) fn text(&self, most: usize) -> String {
        let text = charset::decode(self.content_type.charset.as_deref(), &self.bytes(most));
        if self.is("text/html") { html::text(&text) } else { text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(mail: &str) -> Vec<(String, String)> {
        let message = Message::read(mail.as_bytes());
        message.parts.iter().map(|part| (part.content_type.name.clone(), part.text(1_000))).collect()
    }

    fn part(name: &str, text: &str) -> (String, String) {
        (name.to_owned(), text.to_owned())
    }

    #[test]
    fn parts_are_found_however_deep() {
        let mail = "Content-Type: multipart/report; report-type=x; boundary=\"a b\"\n\npreamble\n--a b\n\
                    Content-Type: multipart/mixed; boundary=in\n\n--in\nContent-Type: text/plain\n\none\n--in--\n\
                    lost\n--a b\n\ntwo\n--a b  \nContent-Type: message/rfc822\n\nX: y\n\n--in\nz\n--a b--\nend";
        let expected =
            [part("text/plain", "one"), part("", "two"), part("message/rfc822", "X: y\n\n--in\nz")];
        assert_eq!(texts(mail), expected);
    }

    #[test]
    fn what_is_broken_is_read_as_far_as_it_goes() {
        assert_eq!(
            texts("Content-Type: multipart/mixed; boundary=x\n\nhello"),
            [part("text/plain", "hello")]
        );
        assert_eq!(texts("Subject: a\n\nhello"), [part("", "hello")]);
        let cut = "Content-Type: multipart/mixed;\nboundary=x\n\n--x\nA: b\n--x\n\nc";
        assert_eq!(texts(cut), [part("", ""), part("", "c")]);
        let cut = "Content-Type: multipart/mixed; boundary=x\n\n--x\nContent-Type: text/a;\n--x=\n--x\n\nc";
        assert_eq!(texts(cut), [part("text/a", ""), part("", "c")]);
    }

    #[test]
    fn a_million_boundaries_cost_little() {
        let mail = format!("Content-Type: multipart/mixed; boundary=x\n\n{}", "--x\n".repeat(1_000_000));
        assert_eq!(Message::read(mail.as_bytes()).parts.len(), PARTS);
    }
}
