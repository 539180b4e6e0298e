//! The private key of a certificate: RSA with 2,048 to 4,096 bits, or ECDSA with P-256 (RFC 8551
//! §2.2, §4). Never prints a byte of it.

use std::fmt;

use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};

use crate::kit::der::{INTEGER, OBJECT_IDENTIFIER, SEQUENCE, expect};

/// `1.2.840.113549.1.1.1`, rsaEncryption.
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
/// `1.2.840.10045.2.1`, id-ecPublicKey.
const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
/// RFC 8551 §4: verifiers must take these.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2_048..=4_096;

/// How a key signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rsa,
    /// ECDSA with P-256 and SHA-256.
    Ecdsa,
}

impl Algorithm {
    /// Its AlgorithmIdentifier in a SignerInfo (RFC 3370 §3.2, RFC 5754 §3.3).
    pub(super) const fn identifier(self) -> &'static [u8] {
        match self {
            Self::Rsa => {
                &[0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00]
            }
            Self::Ecdsa => &[0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02],
        }
    }
}

/// A private key.
pub(super) enum Key {
    Rsa(RsaKeyPair),
    Ecdsa(EcdsaKeyPair),
}

impl Key {
    /// A key in PKCS#8. The error says what is wrong, as a fragment.
    pub(super) fn from_pkcs8(der: &[u8]) -> Result<Self, String> {
        match algorithm_of(der) {
            Some(RSA) => Self::checked(RsaKeyPair::from_pkcs8(der).map_err(|error| error.to_string())?),
            Some(EC) => EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, der)
                .map(Self::Ecdsa)
                .map_err(|error| format!("not a key of the curve P-256 ({error})")),
            Some(_) => Err("neither an RSA nor an ECDSA key".into()),
            None => Err("not a key in PKCS#8".into()),
        }
    }

    /// An RSA key in PKCS#1.
    pub(super) fn from_pkcs1(der: &[u8]) -> Result<Self, String> {
        Self::checked(RsaKeyPair::from_der(der).map_err(|error| error.to_string())?)
    }

    /// An ECDSA key in SEC 1.
    pub(super) fn from_sec1(der: &[u8]) -> Result<Self, String> {
        EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_ASN1_SIGNING, der)
            .map(Self::Ecdsa)
            .map_err(|error| format!("not a key of the curve P-256 ({error})"))
    }

    fn checked(key: RsaKeyPair) -> Result<Self, String> {
        match key.public_modulus_len() * 8 {
            bits if RSA_BITS.contains(&bits) => Ok(Self::Rsa(key)),
            bits => Err(format!("an RSA key with {bits} bits; signing needs 2048 to 4096")),
        }
    }

    /// The public half as a certificate holds it: PKCS#1, or a point.
    pub(super) fn public(&self) -> &[u8] {
        match self {
            Self::Rsa(key) => key.public_key().as_ref(),
            Self::Ecdsa(key) => key.public_key().as_ref(),
        }
    }

    pub(super) fn algorithm(&self) -> Algorithm {
        match self {
            Self::Rsa(_) => Algorithm::Rsa,
            Self::Ecdsa(_) => Algorithm::Ecdsa,
        }
    }

    /// The signature of `input`.
    pub(super) fn sign(&self, input: &[u8]) -> Result<Vec<u8>, Unspecified> {
        match self {
            Self::Rsa(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), input, &mut signature)?;
                Ok(signature)
            }
            Self::Ecdsa(key) => Ok(key.sign(&SystemRandom::new(), input)?.as_ref().to_vec()),
        }
    }
}

/// Says which kind, never the key.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({:?})", self.algorithm())
    }
}

/// The algorithm of a key in PKCS#8 (RFC 5958 §2).
fn algorithm_of(der: &[u8]) -> Option<&[u8]> {
    let (key, _) = expect(der, SEQUENCE)?;
    let (_version, key) = expect(key, INTEGER)?;
    let (algorithm, _) = expect(key, SEQUENCE)?;
    Some(expect(algorithm, OBJECT_IDENTIFIER)?.0)
}
