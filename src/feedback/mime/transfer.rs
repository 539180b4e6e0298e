//! Content transfer encodings (RFC 2045 §6), as they really come: with stray bytes, without
//! padding, cut off.

use std::borrow::Cow;

/// Decodes at most `most` bytes. An unknown encoding is taken for none.
pub(super) fn decode<'a>(encoding: &str, bytes: &'a [u8], most: usize) -> Cow<'a, [u8]> {
    let encoding = encoding.trim();
    if encoding.eq_ignore_ascii_case("base64") {
        Cow::Owned(base64(bytes, most))
    } else if encoding.eq_ignore_ascii_case("quoted-printable") {
        Cow::Owned(quoted_printable(bytes, most))
    } else {
        Cow::Borrowed(&bytes[..bytes.len().min(most)])
    }
}

fn base64_value(byte: u8) -> Option<u32> {
    Some(u32::from(match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' | b'-' => 62,
        b'/' | b'_' => 63,
        _ => return None,
    }))
}

/// Skips what is no base64, stops at padding.
pub(super) fn base64(bytes: &[u8], most: usize) -> Vec<u8> {
    let mut decoded = Vec::with_capacity((bytes.len() / 4 * 3).min(most));
    let (mut bits, mut count) = (0_u32, 0_u8);
    for &byte in bytes {
        if byte == b'=' || decoded.len() >= most {
            break;
        }
        let Some(value) = base64_value(byte) else { continue };
        bits = bits << 6 | value;
        count += 1;
        if count == 4 {
            decoded.extend_from_slice(&bits.to_be_bytes()[1..]);
            (bits, count) = (0, 0);
        }
    }
    match count {
        2 => decoded.push((bits >> 4) as u8),
        3 => decoded.extend_from_slice(&((bits >> 2) as u16).to_be_bytes()),
        _ => {}
    }
    decoded.truncate(most);
    decoded
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).map(|digit| digit as u8)
}

/// Keeps what is no valid escape.
fn quoted_printable(bytes: &[u8], most: usize) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(bytes.len().min(most));
    let mut rest = bytes;
    while let Some((&byte, behind)) = rest.split_first() {
        if decoded.len() >= most {
            break;
        }
        rest = behind;
        if byte != b'=' {
            decoded.push(byte);
            continue;
        }
        if let [high, low, ..] = rest
            && let (Some(high), Some(low)) = (hex(*high), hex(*low))
        {
            decoded.push(high << 4 | low);
            rest = &rest[2..];
            continue;
        }
        // A soft line break; blanks before the end of the line don't count.
        let blanks = rest.iter().take(80).take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        match &rest[blanks..] {
            [b'\r', b'\n', ..] => rest = &rest[blanks + 2..],
            [b'\n', ..] => rest = &rest[blanks + 1..],
            [] => rest = &[],
            _ => decoded.push(b'='),
        }
    }
    decoded
}

/// The `Q` encoding of RFC 2047 §4.2.
pub(super) fn q(bytes: &[u8]) -> Vec<u8> {
    let spaced: Vec<u8> = bytes.iter().map(|&byte| if byte == b'_' { b' ' } else { byte }).collect();
    quoted_printable(&spaced, bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings_as_they_come() {
        let check = |encoding: &str, encoded: &str, text: &str| {
            assert_eq!(decode(encoding, encoded.as_bytes(), 99).as_ref(), text.as_bytes(), "{encoded}");
        };
        check("base64", "VXNlciB1\r\nbmtub3du", "User unknown");
        check("BASE64 ", "VXNl\0ciA=ignored", "User ");
        check("base64", "VXNlcg", "User");
        check("base64", "V", "");
        check("quoted-printable", "User=20un=\r\nknown=3d =zz", "User unknown= =zz");
        check("quoted-printable", "a= \t\nb=", "ab");
        check("7bit", "a=20", "a=20");
        check("x-unknown", "a=20", "a=20");
        assert_eq!(decode("base64", b"QUFBQUFBQUE=", 4).as_ref(), b"AAAA");
        assert_eq!(decode("quoted-printable", b"=41=41=41", 2).as_ref(), b"AA");
        assert_eq!(q(b"a_b=5Fc"), b"a b_c");
    }
}
