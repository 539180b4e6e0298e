//! PKCS#12 (RFC 7292): a key and certificates in one file, as OpenSSL 3 and today's systems write
//! them: DER, encrypted with AES, with a MAC.
//!
//! Read here because the crates that know AES bring some 20 others, for a file that is opened once.

use aws_lc_rs::digest::{self, SHA1_FOR_LEGACY_USE_ONLY, SHA256, SHA384, SHA512, digest};
use aws_lc_rs::hmac::{self, HMAC_SHA1_FOR_LEGACY_USE_ONLY, HMAC_SHA256, HMAC_SHA384, HMAC_SHA512};

use super::pbes2::{self, Locked, number};
use crate::kit::der::{INTEGER, OBJECT_IDENTIFIER, OCTET_STRING, SEQUENCE, element, expect};

const CONTEXT_0: u8 = 0xa0;
/// `[0]` of a primitive type.
const CONTEXT_0_PRIMITIVE: u8 = 0x80;

/// `1.2.840.113549.1.7`, whose last number is a type of content.
const CONTENT: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07];
/// `1.2.840.113549.1.12.10.1`, whose last number is a type of bag.
const BAG: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x0c, 0x0a, 0x01];
/// `1.2.840.113549.1.9.22.1`, x509Certificate.
const X509: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x16, 0x01];
/// `1.3.14.3.2.26`, SHA-1.
const SHA_1: &[u8] = &[0x2b, 0x0e, 0x03, 0x02, 0x1a];
/// `2.16.840.1.101.3.4.2`, whose last number is a hash of the SHA-2 family.
const SHA_2: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02];

/// What a file holds, as DER.
#[derive(Debug, Default)]
pub(super) struct Opened {
    /// In PKCS#8.
    pub keys: Vec<Vec<u8>>,
    pub certificates: Vec<Vec<u8>>,
}

/// Opens a file.
pub(super) fn open(der: &[u8], password: Option<&str>) -> Result<Opened, Locked> {
    let broken = Locked::Broken;
    // X.690 §8.1.3.6: lengths that are written at the end are BER, which is seldom and old.
    if der.get(1) == Some(&0x80) {
        return Err(Locked::Kind("PKCS#12 in BER"));
    }
    let (pfx, _) = expect(der, SEQUENCE).ok_or(broken)?;
    let (version, rest) = expect(pfx, INTEGER).ok_or(broken)?;
    if version != [3] {
        return Err(broken);
    }
    let (content, mac) = expect(rest, SEQUENCE).ok_or(broken)?;
    let (safe, _) = octets(content).ok_or(broken)?;
    let password = password.ok_or(Locked::NoPassword)?;
    if !mac.is_empty() {
        check_mac(mac, safe, password)?;
    }
    let mut opened = Opened::default();
    let (mut contents, _) = expect(safe, SEQUENCE).ok_or(broken)?;
    while !contents.is_empty() {
        let (content, rest) = expect(contents, SEQUENCE).ok_or(broken)?;
        contents = rest;
        let (oid, _) = expect(content, OBJECT_IDENTIFIER).ok_or(broken)?;
        match oid.strip_prefix(CONTENT) {
            Some([1]) => opened.bags(octets(content).ok_or(broken)?.0, password)?,
            Some([6]) => opened.bags(&encrypted(content, password)?, password)?,
            Some(_) | None => return Err(Locked::Kind("PKCS#12 that a certificate opens")),
        }
    }
    Ok(opened)
}

impl Opened {
    /// SafeContents (RFC 7292 §4.2).
    fn bags(&mut self, der: &[u8], password: &str) -> Result<(), Locked> {
        let broken = Locked::Broken;
        let (mut bags, _) = expect(der, SEQUENCE).ok_or(broken)?;
        while !bags.is_empty() {
            let (bag, rest) = expect(bags, SEQUENCE).ok_or(broken)?;
            bags = rest;
            let (oid, bag) = expect(bag, OBJECT_IDENTIFIER).ok_or(broken)?;
            let (value, _) = expect(bag, CONTEXT_0).ok_or(broken)?;
            match oid.strip_prefix(BAG) {
                Some([1]) => self.keys.push(value.to_vec()),
                Some([2]) => self.keys.push(pbes2::private_key(value, Some(password))?),
                Some([3]) => {
                    let (value, _) = expect(value, SEQUENCE).ok_or(broken)?;
                    if expect(value, OBJECT_IDENTIFIER).is_some_and(|(oid, _)| oid == X509) {
                        self.certificates.push(octets(value).ok_or(broken)?.0.to_vec());
                    }
                }
                // Lists of what is revoked, and secrets of others.
                Some(_) | None => {}
            }
        }
        Ok(())
    }
}

/// The OCTET STRING in the `[0]` that follows an OBJECT IDENTIFIER.
fn octets(content: &[u8]) -> Option<(&[u8], &[u8])> {
    let (_, value) = expect(content, OBJECT_IDENTIFIER)?;
    let (value, _) = expect(value, CONTEXT_0)?;
    expect(value, OCTET_STRING)
}

/// EncryptedData (RFC 5652 §8), opened.
fn encrypted(content: &[u8], password: &str) -> Result<Vec<u8>, Locked> {
    let parts = || {
        let (_, value) = expect(content, OBJECT_IDENTIFIER)?;
        let (value, _) = expect(value, CONTEXT_0)?;
        let (data, _) = expect(value, SEQUENCE)?;
        let (_version, data) = expect(data, INTEGER)?;
        let (info, _) = expect(data, SEQUENCE)?;
        let (_type, info) = expect(info, OBJECT_IDENTIFIER)?;
        let (algorithm, data) = expect(info, SEQUENCE)?;
        Some((algorithm, expect(data, CONTEXT_0_PRIMITIVE)?.0))
    };
    let (algorithm, data) = parts().ok_or(Locked::Broken)?;
    pbes2::decrypt(algorithm, data, password)
}

/// Compares MacData with `safe` (RFC 7292 §5.1).
fn check_mac(mac: &[u8], safe: &[u8], password: &str) -> Result<(), Locked> {
    let broken = Locked::Broken;
    let (mac, _) = expect(mac, SEQUENCE).ok_or(broken)?;
    let (info, rest) = expect(mac, SEQUENCE).ok_or(broken)?;
    let (salt, rest) = expect(rest, OCTET_STRING).ok_or(broken)?;
    let iterations = match element(rest) {
        Some((INTEGER, digits, _)) => number(digits).ok_or(broken)?.get(),
        Some(_) | None => 1,
    };
    let (algorithm, value) = expect(info, SEQUENCE).ok_or(broken)?;
    let (value, _) = expect(value, OCTET_STRING).ok_or(broken)?;
    let (oid, _) = expect(algorithm, OBJECT_IDENTIFIER).ok_or(broken)?;
    let (hash, mac) = match (oid, oid.strip_prefix(SHA_2)) {
        (SHA_1, _) => (&SHA1_FOR_LEGACY_USE_ONLY, HMAC_SHA1_FOR_LEGACY_USE_ONLY),
        (_, Some([1])) => (&SHA256, HMAC_SHA256),
        (_, Some([2])) => (&SHA384, HMAC_SHA384),
        (_, Some([3])) => (&SHA512, HMAC_SHA512),
        _ => return Err(Locked::Kind("PKCS#12 with a MAC of an unknown kind")),
    };
    let key = mac_key(hash, password, salt, iterations);
    hmac::verify(&hmac::Key::new(mac, &key), safe, value).map_err(|_| Locked::Password)
}

/// The key of the MAC (RFC 7292 §B.2): it is as long as the hash, so one round is all.
fn mac_key(hash: &'static digest::Algorithm, password: &str, salt: &[u8], iterations: u32) -> Vec<u8> {
    const FOR_MACS: u8 = 3;
    let block = hash.block_len();
    let password: Vec<u8> = password.encode_utf16().chain([0]).flat_map(u16::to_be_bytes).collect();
    let filled = |bytes: &[u8]| {
        let length = bytes.len().div_ceil(block) * block;
        bytes.iter().copied().cycle().take(length).collect::<Vec<u8>>()
    };
    let input = [vec![FOR_MACS; block], filled(salt), filled(&password)].concat();
    let mut key = digest(hash, &input);
    for _ in 1..iterations {
        key = digest(hash, key.as_ref());
    }
    key.as_ref().to_vec()
}
