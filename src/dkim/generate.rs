//! New DKIM keys: RSA of 2,048 bits (RFC 8301) and Ed25519 (RFC 8463). The file is created readable
//! by its owner only, and never replaces another.

use std::io;
use std::path::Path;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use base64::prelude::{BASE64_STANDARD, Engine};
use ring::rand::SystemRandom;
use ring::signature::Ed25519KeyPair;

use crate::kit::file::{self, PRIVATE};

/// More makes signing slower and the record longer than one DNS packet; less is not advised
/// (RFC 8301 §3.2).
const RSA_SIZE: KeySize = KeySize::Rsa2048;
/// RFC 7468 §2.
const PEM_COLUMNS: usize = 64;

/// What kind of key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// Every receiver verifies it.
    Rsa,
    /// Small and quick; few receivers verify it yet, so it goes beside an RSA key.
    Ed25519,
}

/// Makes a key and writes it to `path` as PEM, mode 600.
///
/// # Errors
/// When there is a file already, or it can't be written.
pub fn generate(kind: KeyKind, path: &Path) -> io::Result<()> {
    let der = pkcs8(kind).ok_or_else(|| io::Error::other("the system gave no random numbers"))?;
    file::create_new(path, pem(&der).as_bytes(), PRIVATE)
}

/// A new key as PKCS#8 (RFC 5958), which is how OpenSSL 3 writes them too.
fn pkcs8(kind: KeyKind) -> Option<Vec<u8>> {
    match kind {
        KeyKind::Rsa => {
            let key = KeyPair::generate(RSA_SIZE).ok()?;
            let der: Result<Pkcs8V1Der<'_>, Unspecified> = key.as_der();
            Some(der.ok()?.as_ref().to_vec())
        }
        KeyKind::Ed25519 => {
            Some(Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).ok()?.as_ref().to_vec())
        }
    }
}

fn pem(der: &[u8]) -> String {
    let body = BASE64_STANDARD.encode(der);
    let mut text = String::from("-----BEGIN PRIVATE KEY-----\n");
    for line in body.as_bytes().chunks(PEM_COLUMNS) {
        text.extend(line.iter().map(|&byte| char::from(byte)));
        text.push('\n');
    }
    text + "-----END PRIVATE KEY-----\n"
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::campaign::Dkim;
    use crate::dkim::Signer;

    fn load(path: PathBuf) -> Signer {
        let dkim = Dkim {
            domain: "example.com".parse().unwrap(),
            selector: "s1".into(),
            key: path,
            expires_after: None,
            use_from: None,
            use_until: None,
            headers: Vec::new(),
        };
        Signer::load(&[dkim]).unwrap()
    }

    #[test]
    fn a_new_key_signs_is_its_owners_and_takes_no_other_files_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.pem");
        generate(KeyKind::Ed25519, &path).unwrap();
        let signer = load(path.clone());
        assert_eq!(signer.warnings(), [], "nobody else can read it");
        assert!(signer.keys().next().unwrap().public_key_record().starts_with("v=DKIM1; k=ed25519; p="));
        let before = std::fs::read(&path).unwrap();
        let error = generate(KeyKind::Ed25519, &path).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }

    #[test]
    fn an_rsa_key_has_2048_bits() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.pem");
        generate(KeyKind::Rsa, &path).unwrap();
        let signer = load(path);
        assert_eq!(signer.keys().next().unwrap().rsa_bits(), Some(2_048));
    }
}
