//! Recognises UTF-7 (RFC 2152), which is ASCII to everybody who does not know.

use base64::Engine;
use base64::engine::general_purpose::GeneralPurpose;
use base64::engine::{DecodePaddingMode, GeneralPurposeConfig};

const MODIFIED: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::RequireNone),
);

/// A word of `line` with letters written as in UTF-7 (`M+APw-ller`), if there is one.
///
/// Tags of addresses (`bob+tag-x@example.com`) and other text with `+` are none.
pub(super) fn word(line: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(line).ok()?;
    let words = text.split([' ', ',', ';', '\t', '|', '"', '<', '>']);
    words.filter(|word| !word.contains('@')).find(|word| is_written(word)).map(str::to_owned)
}

/// Whether every `+` begins letters in base64, up to a `-`.
fn is_written(word: &str) -> bool {
    let mut parts = word.split('+');
    parts.next();
    let mut any = false;
    for part in parts {
        let Some((coded, _)) = part.split_once('-') else { return false };
        // `+-` is a plus sign.
        if !coded.is_empty() && !are_letters(coded) {
            return false;
        }
        any |= !coded.is_empty();
    }
    any
}

fn are_letters(coded: &str) -> bool {
    let Ok(bytes) = MODIFIED.decode(coded) else { return false };
    let units: Vec<u16> =
        bytes.chunks(2).map(|pair| u16::from_be_bytes([pair[0], pair[pair.len() - 1]])).collect();
    let letters = |text: String| text.chars().all(|c| !c.is_ascii() && c.is_alphabetic());
    bytes.len() % 2 == 0 && String::from_utf16(&units).is_ok_and(letters)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_in_utf7_are_found_and_plus_signs_are_not() {
        let found = |line: &str| word(line.as_bytes());
        assert_eq!(found("a@x.example,M+APw-ller"), Some("M+APw-ller".to_owned()));
        assert_eq!(found("a@x.example;Gro+AN8-;b"), Some("Gro+AN8-".to_owned()));
        assert_eq!(found("+ZeVnLIqe-,x"), Some("+ZeVnLIqe-".to_owned()));
        for plain in ["bob+tag-x@example.com,Bob", "a,+49-30-123", "a,C++-x", "a,1+1-2", "a,Q+A-team", "a,+-"]
        {
            assert_eq!(found(plain), None, "{plain}");
        }
    }
}
