//! What a password encrypts: PBES2 with PBKDF2 and AES-CBC (RFC 8018 §6.2), as OpenSSL has written
//! keys and PKCS#12 since its version 3. Older ciphers (3DES, RC2) are refused.

use std::num::NonZeroU32;

use aws_lc_rs::cipher::{
    AES_128, AES_128_KEY_LEN, AES_192, AES_192_KEY_LEN, AES_256, AES_256_KEY_LEN, Algorithm,
    DecryptionContext, PaddedBlockDecryptingKey, UnboundCipherKey,
};
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::pbkdf2::{
    self, PBKDF2_HMAC_SHA1, PBKDF2_HMAC_SHA256, PBKDF2_HMAC_SHA384, PBKDF2_HMAC_SHA512, derive,
};

use crate::kit::der::{INTEGER, OBJECT_IDENTIFIER, OCTET_STRING, SEQUENCE, element, expect};

/// More would take minutes.
const MOST_ITERATIONS: u32 = 10_000_000;

/// `1.2.840.113549.1.5.13`, id-PBES2.
const PBES2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0d];
/// `1.2.840.113549.1.5.12`, id-PBKDF2.
const PBKDF2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0c];
/// `1.2.840.113549.2`, whose last number is the hash of an HMAC.
const HMAC: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x02];
/// `2.16.840.1.101.3.4.1`, whose last number is a mode of AES.
const AES: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01];

/// Why something encrypted stays closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Locked {
    /// There is no password.
    NoPassword,
    /// The password is another.
    Password,
    /// It is not what it should be.
    Broken,
    /// A kind of encryption that is not supported.
    Kind(&'static str),
}

/// An EncryptedPrivateKeyInfo (RFC 5958 §3), opened.
pub(super) fn private_key(der: &[u8], password: Option<&str>) -> Result<Vec<u8>, Locked> {
    let password = password.ok_or(Locked::NoPassword)?;
    let (info, _) = expect(der, SEQUENCE).ok_or(Locked::Broken)?;
    let (algorithm, data) = expect(info, SEQUENCE).ok_or(Locked::Broken)?;
    let (data, _) = expect(data, OCTET_STRING).ok_or(Locked::Broken)?;
    decrypt(algorithm, data, password)
}

/// `data`, which `algorithm`, the content of an AlgorithmIdentifier, encrypted.
pub(super) fn decrypt(algorithm: &[u8], data: &[u8], password: &str) -> Result<Vec<u8>, Locked> {
    let (oid, parameters) = expect(algorithm, OBJECT_IDENTIFIER).ok_or(Locked::Broken)?;
    if oid != PBES2 {
        return Err(Locked::Kind("an encryption that is older than AES"));
    }
    let Parameters { salt, iterations, hash, cipher: (cipher, key_bytes), iv } = parameters_of(parameters)?;
    let mut key = vec![0; key_bytes];
    derive(hash, iterations, salt, password.as_bytes(), &mut key);
    let key = UnboundCipherKey::new(cipher, &key).map_err(|_| Locked::Broken)?;
    let key = PaddedBlockDecryptingKey::cbc_pkcs7(key).map_err(|_| Locked::Broken)?;
    let mut data = data.to_vec();
    // Padding that is wrong, or what follows, shows another password.
    let opened = key.decrypt(&mut data, DecryptionContext::Iv128(FixedLength::from(iv)));
    Ok(opened.map_err(|_| Locked::Password)?.to_vec())
}

struct Parameters<'a> {
    salt: &'a [u8],
    iterations: NonZeroU32,
    hash: pbkdf2::Algorithm,
    /// With the length of its key.
    cipher: (&'static Algorithm, usize),
    iv: &'a [u8; 16],
}

/// PBES2-params (RFC 8018 §A.4).
fn parameters_of(der: &[u8]) -> Result<Parameters<'_>, Locked> {
    let broken = Locked::Broken;
    let (parameters, _) = expect(der, SEQUENCE).ok_or(broken)?;
    let (derivation, scheme) = expect(parameters, SEQUENCE).ok_or(broken)?;
    let (oid, derivation) = expect(derivation, OBJECT_IDENTIFIER).ok_or(broken)?;
    if oid != PBKDF2 {
        return Err(Locked::Kind("an encryption without PBKDF2"));
    }
    let (derivation, _) = expect(derivation, SEQUENCE).ok_or(broken)?;
    let (salt, derivation) = expect(derivation, OCTET_STRING).ok_or(broken)?;
    let (iterations, mut rest) = expect(derivation, INTEGER).ok_or(broken)?;
    // The length of the key, where it is given, is that of the cipher.
    if let Some((_, after)) = expect(rest, INTEGER) {
        rest = after;
    }
    let hash = match expect(rest, SEQUENCE) {
        None => PBKDF2_HMAC_SHA1,
        Some((prf, _)) => match expect(prf, OBJECT_IDENTIFIER).and_then(|(oid, _)| oid.strip_prefix(HMAC)) {
            Some([7]) => PBKDF2_HMAC_SHA1,
            Some([9]) => PBKDF2_HMAC_SHA256,
            Some([10]) => PBKDF2_HMAC_SHA384,
            Some([11]) => PBKDF2_HMAC_SHA512,
            Some(_) | None => return Err(Locked::Kind("an encryption with an unknown hash")),
        },
    };
    let (scheme, _) = expect(scheme, SEQUENCE).ok_or(broken)?;
    let (oid, iv) = expect(scheme, OBJECT_IDENTIFIER).ok_or(broken)?;
    let cipher = match oid.strip_prefix(AES) {
        Some([2]) => (&AES_128, AES_128_KEY_LEN),
        Some([22]) => (&AES_192, AES_192_KEY_LEN),
        Some([42]) => (&AES_256, AES_256_KEY_LEN),
        Some(_) | None => return Err(Locked::Kind("an encryption that is not AES-CBC")),
    };
    let iv = element(iv).and_then(|(_, iv, _)| iv.try_into().ok()).ok_or(broken)?;
    Ok(Parameters { salt, iterations: number(iterations).ok_or(broken)?, hash, cipher, iv })
}

/// The content of an INTEGER, as a number of iterations.
pub(super) fn number(digits: &[u8]) -> Option<NonZeroU32> {
    let fits = digits.len() <= 4;
    let number = digits.iter().fold(0, |number: u32, digit| number << 8 | u32::from(*digit));
    NonZeroU32::new(number).filter(|number| fits && number.get() <= MOST_ITERATIONS)
}
