//! Just enough DER (X.690) to say what a key file holds: no key is made here.

/// A key's algorithm, as far as telling it needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Rsa,
    RsaPss,
    Ed25519,
    Ed448,
    EllipticCurve,
    Unknown,
}

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const OCTET_STRING: u8 = 0x04;
const OBJECT_IDENTIFIER: u8 = 0x06;

/// `1.2.840.113549.1.1.1` and NULL: the algorithm of an RSA key in a SubjectPublicKeyInfo.
const RSA_ALGORITHM: [u8; 15] =
    [0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];

/// The next element: its tag, its content, what follows it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x0f))?;
            (digits.iter().fold(0, |length, &digit| length << 8 | usize::from(digit)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

fn expect(der: &[u8], wanted: u8) -> Option<(&[u8], &[u8])> {
    let (tag, content, rest) = element(der)?;
    (tag == wanted).then_some((content, rest))
}

/// The algorithm of a PKCS#8 key (RFC 5958 §2) and the key within.
pub(super) fn pkcs8(der: &[u8]) -> Option<(Kind, &[u8])> {
    let (key, _) = expect(der, SEQUENCE)?;
    let (_version, key) = expect(key, INTEGER)?;
    let (algorithm, key) = expect(key, SEQUENCE)?;
    let (private, _) = expect(key, OCTET_STRING)?;
    let (oid, _) = expect(algorithm, OBJECT_IDENTIFIER)?;
    let kind = match oid {
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01] => Kind::Rsa,
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0a] => Kind::RsaPss,
        [0x2b, 0x65, 0x70] => Kind::Ed25519,
        [0x2b, 0x65, 0x71] => Kind::Ed448,
        [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01] => Kind::EllipticCurve,
        _ => Kind::Unknown,
    };
    Some((kind, private))
}

/// The bits of the modulus of a PKCS#1 private key (RFC 8017 §A.1.2).
pub(super) fn private_modulus_bits(der: &[u8]) -> Option<usize> {
    let (key, _) = expect(der, SEQUENCE)?;
    let (_version, key) = expect(key, INTEGER)?;
    integer_bits(key)
}

/// The bits of the modulus of a PKCS#1 public key (RFC 8017 §A.1.1).
pub(super) fn public_modulus_bits(der: &[u8]) -> Option<usize> {
    let (key, _) = expect(der, SEQUENCE)?;
    integer_bits(key)
}

fn integer_bits(der: &[u8]) -> Option<usize> {
    let (digits, _) = expect(der, INTEGER)?;
    let digits = &digits[digits.iter().position(|&digit| digit != 0)?..];
    Some(digits.len() * 8 - digits[0].leading_zeros() as usize)
}

/// A PKCS#1 public key as a SubjectPublicKeyInfo (RFC 5280 §4.1), which is what DNS records hold in practice.
pub(super) fn subject_public_key_info(pkcs1: &[u8]) -> Vec<u8> {
    let mut bits = vec![0];
    bits.extend_from_slice(pkcs1);
    let bits = wrap(0x03, &bits);
    wrap(SEQUENCE, &[&RSA_ALGORITHM[..], &bits].concat())
}

fn wrap(tag: u8, content: &[u8]) -> Vec<u8> {
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

/// The bits of a public RSA key in either form: SubjectPublicKeyInfo or PKCS#1.
pub(super) fn published_rsa_bits(der: &[u8]) -> Option<usize> {
    let (key, _) = expect(der, SEQUENCE)?;
    match element(key)? {
        (SEQUENCE, _, rest) => {
            let (bits, _) = expect(rest, 0x03)?;
            public_modulus_bits(bits.get(1..)?)
        }
        _ => integer_bits(key),
    }
}
