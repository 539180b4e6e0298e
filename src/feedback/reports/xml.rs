//! A reader for simple XML, as reports are: elements and texts, without attributes, namespaces or
//! a document type. One pass, no recursion, no memory but for the text at hand.

use std::borrow::Cow;

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

/// Reads `text` and shows each step.
pub(super) fn walk<'a>(text: &'a str, mut visit: impl FnMut(Step<'a>)) {
    let mut rest = text;
    while !rest.is_empty() {
        let Some(at) = memchr::memchr(b'<', rest.as_bytes()) else { return };
        let between = rest[..at].trim();
        if !between.is_empty() {
            visit(Step::Text(resolved(between)));
        }
        rest = &rest[at..];
        if let Some(comment) = rest.strip_prefix("<!--") {
            rest = behind(comment, "-->");
        } else if let Some(data) = rest.strip_prefix("<![CDATA[") {
            let end = data.find("]]>").unwrap_or(data.len());
            visit(Step::Text(Cow::Borrowed(data[..end].trim())));
            rest = behind(&data[end..], "]]>");
        } else if rest.starts_with("<?") || rest.starts_with("<!") {
            rest = behind(rest, ">");
        } else {
            // A tag that was cut off says nothing.
            let Some(end) = memchr::memchr(b'>', rest.as_bytes()) else { return };
            tag(&rest[1..end], &mut visit);
            rest = &rest[end + 1..];
        }
    }
}

fn behind<'a>(text: &'a str, end: &str) -> &'a str {
    text.find(end).map_or("", |at| &text[at + end.len()..])
}

fn tag<'a>(tag: &'a str, visit: &mut impl FnMut(Step<'a>)) {
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
