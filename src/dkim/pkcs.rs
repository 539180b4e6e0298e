//! What key files and DKIM records hold: PKCS#8, PKCS#1 and SubjectPublicKeyInfo. No key is made
//! here.

use crate::kit::der::{
    BIT_STRING, INTEGER, OBJECT_IDENTIFIER, OCTET_STRING, SEQUENCE, element, expect, integer_bits, wrap,
};

/// The algorithm of a private key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Rsa,
    RsaPss,
    Ed25519,
    Ed448,
    EllipticCurve,
    Unknown,
}

/// `1.2.840.113549.1.1.1` and NULL: the algorithm of an RSA key in a SubjectPublicKeyInfo.
const RSA_ALGORITHM: [u8; 15] =
    [0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];

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

/// A PKCS#1 public key as a SubjectPublicKeyInfo (RFC 5280 §4.1), which is what DNS records hold in
/// practice.
pub(super) fn subject_public_key_info(pkcs1: &[u8]) -> Vec<u8> {
    let mut bits = vec![0];
    bits.extend_from_slice(pkcs1);
    let bits = wrap(BIT_STRING, &bits);
    wrap(SEQUENCE, &[&RSA_ALGORITHM[..], &bits].concat())
}

/// The bits of a public RSA key in either form: SubjectPublicKeyInfo or PKCS#1.
pub(super) fn published_rsa_bits(der: &[u8]) -> Option<usize> {
    let (key, _) = expect(der, SEQUENCE)?;
    match element(key)? {
        (SEQUENCE, _, rest) => {
            let (bits, _) = expect(rest, BIT_STRING)?;
            public_modulus_bits(bits.get(1..)?)
        }
        _ => integer_bits(key),
    }
}
