//! Bytes to text.

use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};

/// Text from bytes whose charset is named, perhaps wrongly. What is valid UTF-8 is that, except
/// where the charset is a stateful one of ASCII bytes (ISO-2022-JP).
pub(super) fn decode(charset: Option<&str>, bytes: &[u8]) -> String {
    let named = charset.and_then(|name| Encoding::for_label(name.trim().as_bytes()));
    let shifts = named.is_some_and(|encoding| !encoding.is_ascii_compatible()) || bytes.contains(&0x1b);
    if let (false, Ok(text)) = (shifts, std::str::from_utf8(bytes)) {
        return text.to_owned();
    }
    // What is not valid UTF-8 is none, whatever it is called.
    let named = named.filter(|encoding| *encoding != UTF_8);
    let encoding = named.unwrap_or(if shifts { UTF_8 } else { WINDOWS_1252 });
    encoding.decode_without_bom_handling(bytes).0.into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn charsets_right_and_wrong() {
        let check = |charset: Option<&str>, bytes: &[u8], text: &str| {
            assert_eq!(decode(charset, bytes), text, "{charset:?} {bytes:?}");
        };
        check(None, b"plain", "plain");
        check(Some("iso-8859-1"), b"Empf\xe4nger", "Empfänger");
        check(Some("us-ascii"), "Empfänger".as_bytes(), "Empfänger");
        check(Some("utf-8"), b"Empf\xe4nger", "Empfänger");
        check(Some("no-such"), b"Empf\xe4nger", "Empfänger");
        check(Some("iso-2022-jp"), b"\x1b$B%a!<%k\x1b(B", "メール");
        check(Some("unicode-1-1-utf-7"), b"plain", "plain");
    }
}
