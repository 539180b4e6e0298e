//! Texts made of texts: cases, escapes, ends cut off.

use std::fmt::Write;

use super::built_in::BuiltIn;

/// With another first letter; white space before it stays.
pub(super) fn first(text: &str, change: impl Fn(char) -> String) -> String {
    let start = text.len() - text.trim_start().len();
    let mut rest = text[start..].chars();
    match rest.next() {
        Some(first) => format!("{}{}{}", &text[..start], change(first), rest.as_str()),
        None => text.to_owned(),
    }
}

/// Each word with a capital, the rest small.
pub(super) fn capitalized(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut begins = true;
    for c in text.chars() {
        if c.is_ascii_whitespace() {
            begins = true;
            out.push(c);
        } else if begins {
            out.extend(c.to_uppercase());
            begins = false;
        } else {
            out.extend(c.to_lowercase());
        }
    }
    out
}

fn mapped(text: &str, escape: impl Fn(char) -> Option<&'static str>) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 8);
    for c in text.chars() {
        match escape(c) {
            Some(escaped) => out.push_str(escaped),
            None => out.push(c),
        }
    }
    out
}

fn entity(c: char) -> Option<&'static str> {
    match c {
        '<' => Some("&lt;"),
        '>' => Some("&gt;"),
        '&' => Some("&amp;"),
        '"' => Some("&quot;"),
        _ => None,
    }
}

pub(super) fn html(text: &str) -> String {
    mapped(text, |c| if c == '\'' { Some("&#39;") } else { entity(c) })
}

pub(super) fn xml(text: &str) -> String {
    mapped(text, |c| if c == '\'' { Some("&apos;") } else { entity(c) })
}

pub(super) fn rtf(text: &str) -> String {
    mapped(text, |c| match c {
        '\\' => Some("\\\\"),
        '{' => Some("\\{"),
        '}' => Some("\\}"),
        _ => None,
    })
}

/// For a string literal of Java, JavaScript or JSON.
pub(super) fn quoted(language: BuiltIn, text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    let mut before = ['\0'; 2];
    for (at, c) in text.char_indices() {
        let json = language == BuiltIn::JsonString;
        let java = language == BuiltIn::JString;
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\'' if language == BuiltIn::JsString => out.push_str("\\'"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '/' if !java && (at == 0 || before[1] == '<') => out.push_str("\\/"),
            '>' if !java
                && (at == 0
                    || before[1] == '-' && at == 1
                    || before == ['-', '-']
                    || before == [']', ']']
                    || before[1] == ']' && at == 1) =>
            {
                out.push_str(if json { "\\u003E" } else { "\\>" });
            }
            '<' if !java && text[at + 1..].chars().next().is_none_or(|next| next == '!' || next == '?') => {
                out.push_str(if json { "\\u003C" } else { "\\x3C" });
            }
            c if c < ' ' || ('\u{7f}'..='\u{9f}').contains(&c) || c == '\u{2028}' || c == '\u{2029}' => {
                match json || java || c as u32 > 0xff {
                    true => write!(out, "\\u{:04X}", c as u32),
                    false => write!(out, "\\x{:02X}", c as u32),
                }
                .expect("a text takes everything");
            }
            c => out.push(c),
        }
        before = [before[1], c];
    }
    out
}

/// For a URL; a path keeps its slashes.
pub(super) fn url(text: &str, path: bool) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for byte in text.bytes() {
        let plain =
            byte.is_ascii_alphanumeric() || b"_-.!~".contains(&byte) || (b'\''..=b'*').contains(&byte);
        match plain || path && byte == b'/' {
            true => out.push(char::from(byte)),
            false => write!(out, "%{byte:02X}").expect("a text takes everything"),
        }
    }
    out
}

/// Where a text may be cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    Characters,
    Words,
    /// Between words, unless that loses too much.
    Auto,
}

/// How many characters markup shows.
pub(super) fn visible(markup: &str) -> usize {
    let (mut count, mut in_tag, mut in_entity) = (0, false, false);
    for c in markup.chars() {
        match c {
            '<' => in_tag = true,
            '>' if in_tag => in_tag = false,
            _ if in_tag => {}
            '&' => {
                in_entity = true;
                count += 1;
            }
            ';' if in_entity => in_entity = false,
            _ if in_entity => {}
            _ => count += 1,
        }
    }
    count
}

/// What is kept of `text` in front of its end; `None` for all of it.
pub(super) fn truncated(text: &str, most: usize, end: &str, end_length: usize, cut: Cut) -> Option<String> {
    let chars: Vec<char> = text.chars().collect();
    if chars.len() <= most {
        return None;
    }
    let room = most.saturating_sub(end_length);
    let kept = match cut {
        Cut::Characters => None,
        Cut::Words => Some(words(&chars, room, 0).unwrap_or(0)),
        // Three quarters of the length are to be used.
        Cut::Auto => words(&chars, room, (most * 3).div_ceil(4).saturating_sub(end_length + 1)),
    };
    let kept = kept.unwrap_or_else(|| characters(&chars, room, end));
    let mut out: String = chars[..kept].iter().collect();
    if kept > 0 && ends_word(&chars, kept) {
        out.push(' ');
    }
    Some(out)
}

/// The characters of whole words that leave room for a space, if there are at least `fewest`.
fn words(chars: &[char], room: usize, fewest: usize) -> Option<usize> {
    let latest = blank_removed(chars, room).min(room.saturating_sub(1));
    (fewest.max(1)..=latest).rev().find(|kept| !chars[kept - 1].is_whitespace() && ends_word(chars, *kept))
}

/// The characters that fit, without white space at the end, nor dots in front of dots.
fn characters(chars: &[char], room: usize, end: &str) -> usize {
    let mut kept = blank_removed(chars, room);
    if kept == room && kept > 0 && ends_word(chars, kept) {
        kept -= 1;
    }
    loop {
        kept = blank_removed(chars, kept);
        let dots = is_dot(end.chars().next()) && kept > 0 && is_dot(chars.get(kept - 1).copied());
        if !dots || ends_word(chars, kept) {
            return kept;
        }
        while kept > 0 && is_dot(chars.get(kept - 1).copied()) {
            kept -= 1;
        }
    }
}

fn blank_removed(chars: &[char], mut kept: usize) -> usize {
    while kept > 0 && chars[kept - 1].is_whitespace() {
        kept -= 1;
    }
    kept
}

fn ends_word(chars: &[char], kept: usize) -> bool {
    chars.get(kept).is_none_or(|c| c.is_whitespace())
}

fn is_dot(c: Option<char>) -> bool {
    matches!(c, Some('.' | '…'))
}
