//! The tags of HTML and MJML, one after the other, without a tree. Reads them as browsers do, and
//! never changes or judges a text.

use std::borrow::Cow;
use std::ops::Range;

use memchr::{memchr, memmem};

/// A piece of markup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    /// Text between tags.
    Text(Range<usize>),
    /// A tag: its name as written, what is between its name and its end, and which kind it is.
    Tag { name: &'a str, inner: Range<usize>, ends: bool },
    /// The text of an element in which there are no tags: `style`, `title` and the like.
    RawText { of: &'a str, at: Range<usize> },
    /// A comment, conditional or not, or a document type.
    Comment(Range<usize>),
}

/// Elements whose text holds no tags.
const RAW_TEXT: [&str; 5] = ["style", "script", "title", "textarea", "mj-style"];
/// Elements without an end.
const VOID: [&str; 13] =
    ["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"];

/// The pieces of a text, in order.
pub(crate) fn pieces(text: &str) -> Vec<Piece<'_>> {
    let bytes = text.as_bytes();
    let (mut found, mut at, mut from) = (Vec::new(), 0, 0);
    while let Some(open) = memchr(b'<', &bytes[at..]).map(|open| at + open) {
        let rest = &bytes[open..];
        let is_name = |at: usize| rest.get(at).is_some_and(u8::is_ascii_alphabetic);
        let piece = if rest.starts_with(b"<!--") {
            let end = memmem::find(&bytes[open + 2..], b"-->").map_or(bytes.len(), |end| open + 2 + end + 3);
            Piece::Comment(open..end)
        } else if rest.starts_with(b"<!") || rest.starts_with(b"<?") {
            let end = memchr(b'>', rest).map_or(bytes.len(), |end| open + end + 1);
            Piece::Comment(open..end)
        } else if is_name(1) || (rest.get(1) == Some(&b'/') && is_name(2)) {
            let ends = rest[1] == b'/';
            let name = open + 1 + usize::from(ends);
            let length = bytes[name..].iter().position(|byte| !is_part_of_name(*byte));
            let name_end = length.map_or(bytes.len(), |length| name + length);
            let end = end_of_tag(bytes, name_end);
            Piece::Tag { name: &text[name..name_end], inner: name_end..end, ends }
        } else {
            at = open + 1;
            continue;
        };
        if from < open {
            found.push(Piece::Text(from..open));
        }
        let end = match &piece {
            Piece::Comment(range) => range.end,
            Piece::Tag { inner, .. } => (inner.end + 1).min(bytes.len()),
            Piece::Text(_) | Piece::RawText { .. } => unreachable!("neither begins with a tag"),
        };
        (at, from) = (end, end);
        let raw = match &piece {
            Piece::Tag { name, ends: false, .. } => {
                RAW_TEXT.iter().any(|raw| raw.eq_ignore_ascii_case(name)).then_some(*name)
            }
            _ => None,
        };
        found.push(piece);
        if let Some(of) = raw {
            let close = end_of_raw_text(bytes, end, of.as_bytes());
            found.push(Piece::RawText { of, at: end..close });
            (at, from) = (close, close);
        }
    }
    if from < bytes.len() {
        found.push(Piece::Text(from..bytes.len()));
    }
    found
}

fn is_part_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b':' | b'_' | b'.')
}

/// Where the `>` of a tag is, those in quoted values skipped. As in browsers a quote opens only
/// where a value begins: elsewhere it is a part of a name or of an unquoted value.
fn end_of_tag(bytes: &[u8], mut at: usize) -> usize {
    let (mut is_before_value, mut is_in_value) = (false, false);
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'>' => return at,
            b'"' | b'\'' if is_before_value => {
                let Some(close) = memchr(byte, &bytes[at + 1..]) else { return bytes.len() };
                at += 1 + close;
                is_before_value = false;
            }
            _ if byte.is_ascii_whitespace() => is_in_value = false,
            _ if is_before_value => (is_before_value, is_in_value) = (false, true),
            b'=' => is_before_value = !is_in_value,
            _ => {}
        }
        at += 1;
    }
    bytes.len()
}

fn end_of_raw_text(bytes: &[u8], mut at: usize, name: &[u8]) -> usize {
    while let Some(end) = memmem::find(&bytes[at..], b"</").map(|end| at + end) {
        if bytes[end + 2..].get(..name.len()).is_some_and(|found| found.eq_ignore_ascii_case(name)) {
            return end;
        }
        at = end + 2;
    }
    bytes.len()
}

/// The names of a tag's attributes and where their values are, without quotes.
pub(crate) fn attributes(text: &str, inner: Range<usize>) -> Vec<(&str, Range<usize>)> {
    let bytes = text.as_bytes();
    let end = inner.end.min(bytes.len());
    let (mut found, mut at) = (Vec::new(), inner.start);
    while at < end {
        if bytes[at].is_ascii_whitespace() || bytes[at] == b'/' {
            at += 1;
            continue;
        }
        let start = at;
        while at < end && !bytes[at].is_ascii_whitespace() && !matches!(bytes[at], b'=' | b'/') {
            at += 1;
        }
        let name = &text[start..at];
        while at < end && bytes[at].is_ascii_whitespace() {
            at += 1;
        }
        if bytes.get(at) != Some(&b'=') || at >= end {
            found.push((name, at..at));
            at = at.max(start + 1);
            continue;
        }
        at += 1;
        while at < end && bytes[at].is_ascii_whitespace() {
            at += 1;
        }
        let value = match bytes.get(at) {
            Some(quote @ (b'"' | b'\'')) if at < end => {
                let close = memchr(*quote, &bytes[at + 1..end]).map_or(end, |close| at + 1 + close);
                let value = at + 1..close;
                at = close + 1;
                value
            }
            _ => {
                let start = at;
                while at < end && !bytes[at].is_ascii_whitespace() {
                    at += 1;
                }
                start..at
            }
        };
        found.push((name, value));
    }
    found
}

/// Whether an element has no end tag.
pub(crate) fn is_void(name: &str) -> bool {
    VOID.iter().any(|void| void.eq_ignore_ascii_case(name))
}

/// Where more than `deepest` elements are open.
pub(crate) fn too_deep(text: &str, deepest: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for piece in pieces(text) {
        if let Piece::Tag { name, inner, ends } = piece {
            let closes_itself = text[..inner.end.min(text.len())].ends_with('/') || is_void(name);
            match (ends, closes_itself) {
                (true, _) => depth = depth.saturating_sub(1),
                (false, true) => {}
                (false, false) => depth += 1,
            }
            if depth > deepest {
                return Some(inner.start);
            }
        }
    }
    None
}

/// Resolves the entities that templates write into attributes: `&amp;` `&lt;` `&gt;` `&quot;`
/// `&apos;` and numbers. Leaves others as they are.
pub(crate) fn unescaped(text: &str) -> Cow<'_, str> {
    if !text.contains('&') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        out.push_str(before);
        let entity = after.split_once(';').and_then(|(entity, after)| Some((character(entity)?, after)));
        match entity {
            Some((character, after)) => {
                out.push(character);
                rest = after;
            }
            None => {
                out.push('&');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    Cow::Owned(out)
}

fn character(entity: &str) -> Option<char> {
    match entity {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let number = entity.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Vec<String> {
        let piece = |piece| match piece {
            Piece::Text(at) => format!("text {}", &text[at]),
            Piece::Tag { name, inner, ends } => {
                format!("{}{name}[{}]", if ends { "/" } else { "" }, &text[inner])
            }
            Piece::RawText { of, at } => format!("raw {of} {}", &text[at]),
            Piece::Comment(at) => format!("comment {}", &text[at]),
        };
        pieces(text).into_iter().map(piece).collect()
    }

    #[test]
    fn tags_end_where_html_ends_them() {
        assert_eq!(
            shown(
                "<!DOCTYPE html><P class=\"a>b\">1 < 2<br/></P><!--[if mso]><b><![endif]-->x<style>a>b{}</style><"
            ),
            [
                "comment <!DOCTYPE html>",
                "P[ class=\"a>b\"]",
                "text 1 < 2",
                "br[/]",
                "/P[]",
                "comment <!--[if mso]><b><![endif]-->",
                "text x",
                "style[]",
                "raw style a>b{}",
                "/style[]",
                "text <",
            ]
        );
        assert_eq!(shown("<p"), ["p[]"]);
        // A quote opens only at the start of a value.
        assert_eq!(
            shown("<a href=https://a.example/kid's>Kid's</a><td width=\"5\"\"><i x = 'a>b' it's y=a=\">"),
            [
                "a[ href=https://a.example/kid's]",
                "text Kid's",
                "/a[]",
                "td[ width=\"5\"\"]",
                "i[ x = 'a>b' it's y=a=\"]",
            ]
        );
        assert_eq!(shown("<p x=\"a>b"), ["p[ x=\"a>b]"]);
        assert_eq!(shown("<!-- x"), ["comment <!-- x"]);
    }

    #[test]
    fn attributes_have_names_and_values() {
        let text = "<a href='x y' b=c  d E=\"\" />";
        let Piece::Tag { inner, .. } = pieces(text).remove(0) else { unreachable!() };
        let found = attributes(text, inner);
        let found: Vec<_> = found.into_iter().map(|(name, at)| (name, &text[at])).collect();
        assert_eq!(found, [("href", "x y"), ("b", "c"), ("d", ""), ("E", "")]);
    }

    #[test]
    fn depth_has_a_bound() {
        assert_eq!(too_deep(&"<b><br><i/></b>".repeat(300), 2), None);
        assert!(too_deep(&"<b>".repeat(300), 200).is_some());
    }
}
