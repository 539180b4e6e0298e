//! A reader for simple XML, as reports are: elements and texts, without attributes, namespaces or
//! a document type. One pass, no recursion, no memory but for the text at hand.

use std::borrow::Cow;
use std::io::{self, BufRead};

/// A step through a document.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step<'a> {
    /// An element begins; its name, without a prefix.
    Start(&'a str),
    /// Text between tags, trimmed, its entities resolved.
    Text(Cow<'a, str>),
    /// An element ends.
    End(&'a str),
}

/// Longer texts and tags are cut here.
const TOKEN_BYTES: usize = 16 << 10;
/// The end of a token that was cut is kept too: it may be that of a comment.
const END_BYTES: usize = 4;

/// Reads a document and shows each step. It ends with its bytes, or where they can't be read any
/// further: what comes before counts.
pub(super) fn walk(input: impl BufRead, mut visit: impl FnMut(Step<'_>)) {
    let mut tokens = Tokens { input, token: Vec::new() };
    while tokens.read_to(b'<') {
        let text = String::from_utf8_lossy(&tokens.token);
        let text = text.trim();
        if !text.is_empty() {
            visit(Step::Text(resolved(text)));
        }
        // A tag that was cut off says nothing.
        if !tokens.read_to(b'>') {
            return;
        }
        if tokens.token.starts_with(b"!--") {
            tokens.read_behind(b"!--", b"--");
        } else if tokens.token.starts_with(CDATA) {
            tokens.read_behind(CDATA, b"]]");
            let data = &tokens.token[CDATA.len()..];
            let data = data.strip_suffix(b"]]").unwrap_or(data);
            visit(Step::Text(Cow::Borrowed(String::from_utf8_lossy(data).trim())));
        } else if !tokens.token.starts_with(b"?") && !tokens.token.starts_with(b"!") {
            tag(&String::from_utf8_lossy(&tokens.token), &mut visit);
        }
    }
}

const CDATA: &[u8] = b"![CDATA[";

/// What stands between two signs, one after the other.
struct Tokens<R> {
    input: R,
    token: Vec<u8>,
}

impl<R: BufRead> Tokens<R> {
    /// The next one, to `end`, which is not kept. Says whether `end` was there.
    fn read_to(&mut self, end: u8) -> bool {
        self.token.clear();
        self.append_to(end)
    }

    /// Reads on until the token ends with `end`, in front of a `>`, behind its `start`.
    fn read_behind(&mut self, start: &[u8], end: &[u8]) {
        while self.token.len() < start.len() + end.len() || !self.token.ends_with(end) {
            self.token.push(b'>');
            if !self.append_to(b'>') {
                return;
            }
        }
    }

    fn append_to(&mut self, end: u8) -> bool {
        loop {
            let buffer = match self.input.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Ok(buffer) if !buffer.is_empty() => buffer,
                Ok(_) | Err(_) => return false,
            };
            let found = memchr::memchr(end, buffer);
            let length = found.unwrap_or(buffer.len());
            self.token.extend_from_slice(&buffer[..length]);
            self.input.consume(found.map_or(length, |at| at + 1));
            if self.token.len() > TOKEN_BYTES + END_BYTES {
                self.token.drain(TOKEN_BYTES..self.token.len() - END_BYTES);
            }
            if found.is_some() {
                return true;
            }
        }
    }
}

fn tag(tag: &str, visit: &mut impl FnMut(Step<'_>)) {
    let name_of = |tag: &str| {
        let end = tag.find(|c: char| c.is_whitespace() || c == '/').unwrap_or(tag.len());
        let start = tag[..end].find(':').map_or(0, |at| at + 1);
        (start, end)
    };
    if let Some(name) = tag.strip_prefix('/') {
        let (start, end) = name_of(name);
        visit(Step::End(&name[start..end]));
        return;
    }
    let (start, end) = name_of(tag);
    visit(Step::Start(&tag[start..end]));
    if tag.ends_with('/') {
        visit(Step::End(&tag[start..end]));
    }
}

fn resolved(text: &str) -> Cow<'_, str> {
    if !text.contains('&') {
        return Cow::Borrowed(text);
    }
    let mut resolved = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('&') {
        resolved.push_str(before);
        let end = behind.bytes().take(10).position(|byte| byte == b';');
        let character = end.and_then(|end| Some((entity(&behind[..end])?, end)));
        match character {
            Some((character, end)) => {
                resolved.push(character);
                rest = &behind[end + 1..];
            }
            None => {
                resolved.push('&');
                rest = behind;
            }
        }
    }
    resolved.push_str(rest);
    Cow::Owned(resolved)
}

fn entity(name: &str) -> Option<char> {
    match name {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix('x') {
                Some(digits) => u32::from_str_radix(digits, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code)
        }
    }
}
