//! Text that others wrote (replies, DNS records, host names, subjects, addresses, file names), made
//! safe where people or programs read it: what moves a cursor, turns the reading direction, breaks
//! a line or can't be seen is written out as `\u{1b}`. Nothing is dropped, so that it can be found.

use std::borrow::Cow;
use std::fmt::Write;

/// The most bytes that a character has when it is written out: `\u{10ffff}`.
pub(crate) const LONGEST: usize = 10;
/// What spreadsheets take for the beginning of a formula.
const FORMULA: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// A value inside a line for a terminal, a log or a result: line ends and tabs are written out too.
pub(crate) fn line(text: &str) -> Cow<'_, str> {
    escaped(text, is_unsafe, in_text)
}

/// Whole lines for a terminal or a log. Line ends and tabs stay, so values that may have some go
/// through [`line`] before.
pub(crate) fn lines(text: &str) -> Cow<'_, str> {
    escaped(text, |c| !matches!(c, '\n' | '\t') && is_unsafe(c), in_text)
}

/// Whole lines in which words have colours: sequences that set one stay, too. Values go through
/// [`line`] before, so that these are our own.
pub(crate) fn painted(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\u{1b}') {
        out.push_str(&lines(&rest[..at]));
        let end = at + colour(&rest[at..]).unwrap_or(1);
        let sequence = &rest[at..end];
        if sequence.len() > 1 {
            out.push_str(sequence)
        } else {
            in_text(&mut out, '\u{1b}')
        }
        rest = &rest[end..];
    }
    out.push_str(&lines(rest));
    out
}

/// JSON as it was serialised, with the escapes that JSON has for such characters: to a program it
/// is the same, on a terminal it does nothing.
pub(crate) fn json(serialised: &str) -> Cow<'_, str> {
    let as_utf16 = |out: &mut String, c: char| {
        for &mut unit in c.encode_utf16(&mut [0; 2]) {
            // Writing to a text does not fail.
            let _ = write!(out, "\\u{unit:04x}");
        }
    };
    escaped(serialised, |c| c != '\n' && is_unsafe(c), as_utf16)
}

/// A cell of CSV that no spreadsheet takes for a formula: `'` comes before what would begin one.
pub(crate) fn csv_cell(text: &str) -> Cow<'_, str> {
    if begins_formula(text.trim_start_matches('\'')) { format!("'{text}").into() } else { text.into() }
}

/// What [`csv_cell`] was made from.
pub(crate) fn from_csv_cell(cell: &str) -> &str {
    cell.strip_prefix('\'').filter(|rest| begins_formula(rest.trim_start_matches('\''))).unwrap_or(cell)
}

/// Adds `c` to `out`, written out if it is unsafe, unless there would be more than `most` bytes.
/// Returns whether it was added.
pub(crate) fn push_within(out: &mut String, c: char, most: usize) -> bool {
    let before = out.len();
    if is_unsafe(c) {
        in_text(out, c)
    } else {
        out.push(c)
    }
    let fits = out.len() <= most;
    if !fits {
        out.truncate(before);
    }
    fits
}

fn escaped(text: &str, is_bad: impl Fn(char) -> bool, escape: impl Fn(&mut String, char)) -> Cow<'_, str> {
    let Some(first) = text.find(&is_bad) else { return Cow::Borrowed(text) };
    let mut out = String::with_capacity(text.len() + 16);
    out.push_str(&text[..first]);
    for c in text[first..].chars() {
        if is_bad(c) { escape(&mut out, c) } else { out.push(c) }
    }
    Cow::Owned(out)
}

/// The bytes of a sequence that sets a colour (ECMA-48 §8.3.117), at the beginning of `text`.
fn colour(text: &str) -> Option<usize> {
    let inner = text.strip_prefix("\u{1b}[")?;
    let end = inner.find(|c: char| !c.is_ascii_digit() && c != ';')?;
    inner[end..].starts_with('m').then_some(end + 3)
}

fn in_text(out: &mut String, c: char) {
    match c {
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        _ => out.extend(c.escape_unicode()),
    }
}

fn begins_formula(text: &str) -> bool {
    text.starts_with(FORMULA)
}

/// Control characters, separators of lines, and what Unicode calls format characters or does not
/// show: direction marks and overrides, joiners, fillers, invisible operators, tags. Variation
/// selectors stay, since they choose between two visible forms.
fn is_unsafe(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_control();
    }
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180e}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
            | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_visible_is_written_out() {
        for (text, safe) in [
            ("Grüße, 日本語 ❤️ 'x' \\n", "Grüße, 日本語 ❤️ 'x' \\n"),
            ("\u{1b}[31mred\u{7}", "\\u{1b}[31mred\\u{7}"),
            ("a\u{9b}31m\u{7f}", "a\\u{9b}31m\\u{7f}"),
            ("exe.\u{202e}gpj", "exe.\\u{202e}gpj"),
            ("\u{2066}a\u{2069}\u{200f}\u{61c}", "\\u{2066}a\\u{2069}\\u{200f}\\u{61c}"),
            ("a\u{2028}b\u{2029}", "a\\u{2028}b\\u{2029}"),
            ("pay\u{200b}pal\u{ad}\u{feff}", "pay\\u{200b}pal\\u{ad}\\u{feff}"),
            ("\u{e0041}", "\\u{e0041}"),
        ] {
            assert_eq!(line(text), safe);
            assert_eq!(lines(text), safe);
        }
        assert_eq!(line("a\r\nerror: b\t"), "a\\r\\nerror: b\\t");
        assert_eq!(lines("a\r\nerror: b\t"), "a\\r\nerror: b\t");
    }

    #[test]
    fn colours_of_our_own_stay() {
        for (text, safe) in [
            ("a \u{1b}[1;31mrefused\u{1b}[0m\n\u{202e}", "a \u{1b}[1;31mrefused\u{1b}[0m\n\\u{202e}"),
            ("\u{1b}[2Jb\u{1b}", "\\u{1b}[2Jb\\u{1b}"),
            ("\u{1b}]0;x\u{7}\u{1b}[31", "\\u{1b}]0;x\\u{7}\\u{1b}[31"),
        ] {
            assert_eq!(painted(text), safe);
        }
    }

    #[test]
    fn json_says_the_same_to_a_program() {
        for text in ["a\u{1b}[1m\u{202e}b\u{9b}\u{2028}\u{7f}", "\u{e0041}\u{200b}é\"\\\n\t"] {
            let value = serde_json::json!({ "text": text, "list": [text] });
            for serialised in [value.to_string(), format!("{value:#}\n")] {
                let safe = json(&serialised);
                assert!(!safe.contains(|c| c != '\n' && is_unsafe(c)), "{safe}");
                assert_eq!(serde_json::from_str::<serde_json::Value>(&safe).unwrap(), value);
            }
        }
    }

    #[test]
    fn a_cell_is_no_formula_and_reads_back_as_it_was() {
        for (text, cell) in [
            ("ann@example.com", "ann@example.com"),
            ("=1+1@example.com", "'=1+1@example.com"),
            ("+a", "'+a"),
            ("-a", "'-a"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "'\t=1"),
            ("\r=1", "'\r=1"),
            ("'=1", "''=1"),
            ("'a", "'a"),
            ("", ""),
        ] {
            assert_eq!(csv_cell(text), cell);
            assert_eq!(from_csv_cell(cell), text);
        }
    }

    #[test]
    fn a_bound_cuts_no_escape() {
        let mut out = String::from("ab");
        assert!(!push_within(&mut out, '\u{1b}', 7) && out == "ab");
        assert!(push_within(&mut out, '\u{1b}', 8) && out == "ab\\u{1b}");
    }
}
