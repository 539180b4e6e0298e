//! Encoded words in header fields (RFC 2047).

use super::{charset, transfer};

/// The text of a field with its encoded words decoded. Blanks between two of them don't count.
pub(super) fn decode(text: &str) -> String {
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text;
    // Whether an encoded word came just before `rest`.
    let mut follows_word = false;
    while let Some(at) = rest.find("=?") {
        let (plain, from_word) = rest.split_at(at);
        let Some((word, behind)) = word(from_word) else {
            decoded.push_str(plain);
            decoded.push_str("=?");
            rest = &from_word[2..];
            follows_word = false;
            continue;
        };
        if !(follows_word && plain.trim().is_empty()) {
            decoded.push_str(plain);
        }
        decoded.push_str(&word);
        rest = behind;
        follows_word = true;
    }
    decoded.push_str(rest);
    decoded
}

/// The text of the encoded word at the start, and what follows it.
fn word(text: &str) -> Option<(String, &str)> {
    // Charsets are short; an unfinished word must not make each later one search the whole text.
    let (charset, rest) = split(text.strip_prefix("=?")?, "?", 60)?;
    let (encoding, rest) = split(rest, "?", 1)?;
    let (encoded, rest) = split(rest, "?=", 1_000)?;
    let bytes = match encoding {
        "b" | "B" => transfer::base64(encoded.as_bytes(), encoded.len()),
        "q" | "Q" => transfer::q(encoded.as_bytes()),
        _ => return None,
    };
    // RFC 2231 §5: a language may follow the charset.
    let charset = charset.split('*').next();
    Some((charset::decode(charset, &bytes), rest))
}

/// Splits at the first `end` that begins within `most` bytes.
fn split<'a>(text: &'a str, end: &str, most: usize) -> Option<(&'a str, &'a str)> {
    let window = text.len().min(most + end.len());
    let at = memchr::memmem::find(&text.as_bytes()[..window], end.as_bytes())?;
    Some((&text[..at], &text[at + end.len()..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoded_words() {
        let check = |text: &str, expected: &str| assert_eq!(decode(text), expected, "{text}");
        check("plain", "plain");
        check("=?UTF-8?B?w7w=?= =?utf-8?q?=C3=BC_x?= y", "üü x y");
        check("a =?iso-8859-1*de?Q?=FC?=b", "a üb");
        check("=?UTF-8?X?abc?= =?", "=?UTF-8?X?abc?= =?");
        check("=?=?=?", "=?=?=?");
        check("=?a?b?c", "=?a?b?c");
    }
}
