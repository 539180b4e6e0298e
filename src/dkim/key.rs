//! Key files: PEM with an RSA key (PKCS#1, PKCS#8) or an Ed25519 key (PKCS#8), or the 32 bytes of
//! an Ed25519 key in base64 (the form of dkimpy and of RFC 8463's examples). Never prints a byte of
//! a private key.
//!
//! AWS-LC signs: where the processor has AVX-512 IFMA its RSA takes about half the time of ring's,
//! elsewhere the same.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::error::{KeyRejected, Unspecified};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::prelude::{BASE64_STANDARD, Engine};
use mail_auth::common::crypto::Algorithm;

use super::pkcs::{self, Kind};
use crate::campaign::Dkim;
use crate::kit::pem::{self, Block};

/// Verifiers need not take fewer bits than 1,024 or more than 4,096 (RFC 8301 §3.2); signing with
/// fewer than 2,048 is discouraged.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2_048..=4_096;

/// A private key with where its public half is published.
pub struct Key {
    domain: String,
    selector: String,
    material: Material,
}

enum Material {
    Rsa(RsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

/// Why a key file can't be used for signing.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// It can't be read.
    #[error("can't read the DKIM key `{}`", path.display())]
    Read {
        /// The key file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// It holds something else.
    #[error("`{}` is not a DKIM key: it holds {found}", path.display())]
    NotAKey {
        /// The key file.
        path: PathBuf,
        /// What was found.
        found: String,
        /// What to do.
        hint: &'static str,
    },
    /// An RSA key that is too small to be trusted or too large to be verified.
    #[error("the RSA key in `{}` has {bits} bits; signing needs 2048 to 4096", path.display())]
    Size {
        /// The key file.
        path: PathBuf,
        /// The bits of its modulus.
        bits: usize,
    },
    /// The selector is not a part of a domain name (RFC 6376 §3.1).
    #[error("`{selector}` is not a valid DKIM selector")]
    Selector {
        /// As given.
        selector: String,
    },
    /// It looks like a key, but the library refuses it.
    #[error("the key in `{}` is damaged: {reason}", path.display())]
    Damaged {
        /// The key file.
        path: PathBuf,
        /// What the library said.
        reason: String,
    },
}

impl KeyError {
    /// What to do.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Read { .. } => "name the file in `key`, relative to the campaign file",
            Self::NotAKey { hint, .. } => hint,
            Self::Size { .. } => {
                "make a new one (`openssl genrsa -out key.pem 2048`) and publish it under a new selector"
            }
            Self::Selector { .. } => {
                "use letters, digits and hyphens: the key is published at `selector._domainkey`"
            }
            Self::Damaged { .. } => "compare it with the original: a copy may have lost lines",
        }
    }
}

impl Key {
    /// Reads the key of one signature.
    pub(super) fn load(dkim: &Dkim) -> Result<Self, KeyError> {
        check_selector(&dkim.selector)?;
        let path = &dkim.key;
        let bytes = fs::read(path).map_err(|source| KeyError::Read { path: path.clone(), source })?;
        let material = Material::read(&bytes, path)?;
        Ok(Self { domain: dkim.domain.as_str().to_owned(), selector: dkim.selector.clone(), material })
    }

    /// `d=`.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// `s=`.
    pub fn selector(&self) -> &str {
        &self.selector
    }

    /// The name of the TXT record with the public key.
    pub fn record_name(&self) -> String {
        format!("{}._domainkey.{}", self.selector, self.domain)
    }

    /// What the TXT record should say (RFC 6376 §3.6.1, RFC 8463 §3).
    pub fn public_key_record(&self) -> String {
        let (kind, key) = match &self.material {
            Material::Rsa(key) => ("rsa", pkcs::subject_public_key_info(key.public_key().as_ref())),
            Material::Ed25519(key) => ("ed25519", key.public_key().as_ref().to_vec()),
        };
        format!("v=DKIM1; k={kind}; p={}", BASE64_STANDARD.encode(key))
    }

    /// True when `p`, the decoded `p=` of a TXT record, is this key's public half. RSA keys are
    /// published as SubjectPublicKeyInfo and, seldom, as PKCS#1.
    pub fn is_public_half(&self, p: &[u8]) -> bool {
        match &self.material {
            Material::Rsa(key) => {
                let pkcs1 = key.public_key().as_ref();
                p == pkcs1 || p == pkcs::subject_public_key_info(pkcs1)
            }
            Material::Ed25519(key) => p == key.public_key().as_ref(),
        }
    }

    /// The bits of an RSA key; `None` for Ed25519.
    pub fn rsa_bits(&self) -> Option<usize> {
        match &self.material {
            Material::Rsa(key) => pkcs::public_modulus_bits(key.public_key().as_ref()),
            Material::Ed25519(_) => None,
        }
    }

    /// `a=`.
    pub(super) fn algorithm(&self) -> Algorithm {
        match &self.material {
            Material::Rsa(_) => Algorithm::RsaSha256,
            Material::Ed25519(_) => Algorithm::Ed25519Sha256,
        }
    }

    /// The signature of `input`, the canonical header fields: RSASSA-PKCS1-v1_5 with SHA-256 (RFC
    /// 6376 §3.3.1), or Ed25519 of their SHA-256 (RFC 8463 §3).
    pub(super) fn sign(&self, input: &[u8]) -> Result<Vec<u8>, Unspecified> {
        match &self.material {
            Material::Rsa(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), input, &mut signature)?;
                Ok(signature)
            }
            Material::Ed25519(key) => Ok(key.sign(digest(&SHA256, input).as_ref()).as_ref().to_vec()),
        }
    }
}

/// Says which key, never the key.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({}, {})", self.record_name(), self.algorithm().name())
    }
}

pub(super) fn check_selector(selector: &str) -> Result<(), KeyError> {
    if is_selector(selector) { Ok(()) } else { Err(KeyError::Selector { selector: selector.to_owned() }) }
}

fn is_selector(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    text.len() <= 180 && text.split('.').all(label)
}

const RIGHT_FORM: &str = "use the PEM file with the private key: RSA (PKCS#1 or PKCS#8) or Ed25519 (PKCS#8)";

impl Material {
    fn read(bytes: &[u8], path: &Path) -> Result<Self, KeyError> {
        let not_a_key =
            |found: &str, hint| KeyError::NotAKey { path: path.to_owned(), found: found.to_owned(), hint };
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Err(not_a_key("nothing: it is empty", RIGHT_FORM));
        }
        if bytes.starts_with(&[0x30]) && bytes.get(1).is_some_and(|length| *length >= 0x20) {
            return Err(not_a_key(
                "DER, not PEM",
                "convert it: `openssl pkey -inform DER -in key.der -out key.pem`",
            ));
        }
        let Ok(text) = std::str::from_utf8(bytes) else {
            return Err(not_a_key("binary data", RIGHT_FORM));
        };
        let blocks = pem::blocks(text);
        let private = |block: &&Block<'_>| matches!(block.label, "RSA PRIVATE KEY" | "PRIVATE KEY");
        if let Some(block) = blocks.iter().find(private) {
            if block.body.contains("ENCRYPTED") {
                return Err(not_a_key("an encrypted private key", DECRYPT));
            }
            let der = block.decode().map_err(|error| KeyError::Damaged {
                path: path.to_owned(),
                reason: format!("its base64 is broken: {error}"),
            })?;
            return match block.label {
                "RSA PRIVATE KEY" => Self::rsa(&der, path),
                _ => Self::pkcs8(&der, path),
            };
        }
        match blocks.first() {
            Some(block) => {
                let (found, hint) = other_label(block.label);
                Err(not_a_key(&found, hint))
            }
            None => Self::bare_ed25519(text.trim(), path)
                .unwrap_or_else(|| Err(not_a_key("text that is not PEM", RIGHT_FORM))),
        }
    }

    fn rsa(pkcs1: &[u8], path: &Path) -> Result<Self, KeyError> {
        if let Some(bits) = pkcs::private_modulus_bits(pkcs1)
            && !RSA_BITS.contains(&bits)
        {
            return Err(KeyError::Size { path: path.to_owned(), bits });
        }
        RsaKeyPair::from_der(pkcs1).map(Self::Rsa).map_err(|error| damaged(path, &error))
    }

    fn pkcs8(der: &[u8], path: &Path) -> Result<Self, KeyError> {
        let Some((kind, private)) = pkcs::pkcs8(der) else {
            return Err(KeyError::Damaged { path: path.to_owned(), reason: "its DER is broken".into() });
        };
        let found = match kind {
            Kind::Rsa => return Self::rsa(private, path),
            Kind::Ed25519 => {
                return Ed25519KeyPair::from_pkcs8_maybe_unchecked(der)
                    .map(Self::Ed25519)
                    .map_err(|error| damaged(path, &error));
            }
            Kind::EllipticCurve => "an elliptic-curve (ECDSA) key",
            Kind::RsaPss => "an RSA-PSS key",
            Kind::Ed448 => "an Ed448 key",
            Kind::Unknown => "a private key of a kind that DKIM does not support",
        };
        Err(KeyError::NotAKey {
            path: path.to_owned(),
            found: found.into(),
            hint: "DKIM supports only RSA and Ed25519",
        })
    }

    /// 32 bytes in base64 and nothing else; `None` when the text is something else.
    fn bare_ed25519(text: &str, path: &Path) -> Option<Result<Self, KeyError>> {
        let seed: [u8; 32] = BASE64_STANDARD.decode(text).ok()?.try_into().ok()?;
        let made = Ed25519KeyPair::from_seed_unchecked(&seed);
        Some(made.map(Self::Ed25519).map_err(|error| damaged(path, &error)))
    }
}

fn damaged(path: &Path, error: &KeyRejected) -> KeyError {
    KeyError::Damaged { path: path.to_owned(), reason: error.to_string() }
}

const DECRYPT: &str =
    "remove the passphrase: `openssl pkey -in key.pem -out plain.pem`, and `chmod 600 plain.pem`";

/// What a PEM block is that holds no DKIM key, and what to do.
fn other_label(label: &str) -> (String, &'static str) {
    let (found, hint) = match label {
        "PUBLIC KEY" | "RSA PUBLIC KEY" => ("a public key", "signing needs the private half"),
        "CERTIFICATE" | "TRUSTED CERTIFICATE" => ("a certificate", "signing needs the private key"),
        "CERTIFICATE REQUEST" => ("a certificate request", "signing needs the private key"),
        "ENCRYPTED PRIVATE KEY" => ("an encrypted private key", DECRYPT),
        "EC PRIVATE KEY" | "EC PARAMETERS" => {
            ("an elliptic-curve (ECDSA) key", "DKIM supports only RSA and Ed25519")
        }
        "DSA PRIVATE KEY" => ("a DSA key", "DKIM supports only RSA and Ed25519"),
        "OPENSSH PRIVATE KEY" => (
            "an OpenSSH key",
            "make a key for DKIM: `openssl genrsa -out key.pem 2048`; don't use one that logs in somewhere",
        ),
        _ => return (format!("a `{label}`"), RIGHT_FORM),
    };
    (found.to_owned(), hint)
}
