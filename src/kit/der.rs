//! A reader of DER (X.690), and as much of a writer as a public key needs. Knows no type of key or
//! certificate: callers walk the elements.

/// Tag of a SEQUENCE.
pub(crate) const SEQUENCE: u8 = 0x30;
/// Tag of an INTEGER.
pub(crate) const INTEGER: u8 = 0x02;
/// Tag of a BIT STRING.
pub(crate) const BIT_STRING: u8 = 0x03;
/// Tag of an OCTET STRING.
pub(crate) const OCTET_STRING: u8 = 0x04;
/// Tag of an OBJECT IDENTIFIER.
pub(crate) const OBJECT_IDENTIFIER: u8 = 0x06;

/// The next element: its tag, its content, and what follows it. `None` where the bytes are not DER
/// or end early.
pub(crate) fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        // X.690 §8.1.3.5: the length in the next 1 to 4 bytes.
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x0f))?;
            (digits.iter().fold(0, |length, &digit| length << 8 | usize::from(digit)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

/// The content of the next element and what follows it, when its tag is `wanted`.
pub(crate) fn expect(der: &[u8], wanted: u8) -> Option<(&[u8], &[u8])> {
    let (tag, content, rest) = element(der)?;
    (tag == wanted).then_some((content, rest))
}

/// The bits of the INTEGER that comes next, leading zeros not counted. `None` also for zero.
pub(crate) fn integer_bits(der: &[u8]) -> Option<usize> {
    let (digits, _) = expect(der, INTEGER)?;
    let digits = &digits[digits.iter().position(|&digit| digit != 0)?..];
    Some(digits.len() * 8 - digits[0].leading_zeros() as usize)
}

/// `content` as an element.
pub(crate) fn wrap(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let length = &length[length.iter().position(|&digit| digit != 0).unwrap_or(length.len() - 1)..];
    let mut out = vec![tag];
    if content.len() > 0x7f {
        out.push(0x80 | length.len() as u8);
    }
    out.extend_from_slice(length);
    out.extend_from_slice(content);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrapped_is_read_back() {
        for length in [0, 1, 0x7f, 0x80, 0xff, 0x100, 70_000] {
            let content = vec![7; length];
            let mut der = wrap(OCTET_STRING, &content);
            der.extend_from_slice(b"rest");
            assert_eq!(element(&der), Some((OCTET_STRING, &content[..], &b"rest"[..])), "{length}");
            assert_eq!(expect(&der, INTEGER), None);
            let end = der.len() - 5;
            if length > 0 {
                assert_eq!(element(&der[..end]), None, "{length}, cut");
            }
        }
    }

    #[test]
    fn integers_have_bits() {
        assert_eq!(integer_bits(&wrap(INTEGER, &[0, 0x80])), Some(8));
        assert_eq!(integer_bits(&wrap(INTEGER, &[1, 0])), Some(9));
        assert_eq!(integer_bits(&wrap(INTEGER, &[0])), None);
        assert_eq!(integer_bits(&wrap(OCTET_STRING, &[1])), None);
    }
}
