//! The files of `[smime]`: a key, and all certificates that are found.

use std::fs;
use std::path::Path;

use super::certificate::Certificate;
use super::error::SmimeError;
use super::key::Key;
use super::pbes2::{self, Locked};
use super::pkcs12;
use crate::campaign::Smime;
use crate::kit::pem::{self, Block};

const FORMS: &str = "certificates and keys are PEM, or both together PKCS#12 (`.p12`, `.pfx`)";

/// The key, and the certificates in no particular order.
pub(super) fn load(smime: &Smime, password: Option<&str>) -> Result<(Key, Vec<Certificate>), SmimeError> {
    let mut found = Found::default();
    let files = [Some(&smime.certificate), smime.key.as_ref(), smime.chain.as_ref()];
    for path in files.into_iter().flatten() {
        found.read(path, password)?;
    }
    let certificate = || smime.certificate.clone();
    if found.certificates.is_empty() {
        let found = "no certificate".into();
        return Err(SmimeError::Content { path: certificate(), found, hint: FORMS });
    }
    let key = found.key.ok_or_else(|| SmimeError::NoKey { certificate: certificate() })?;
    Ok((key, found.certificates))
}

/// What the files hold together.
#[derive(Default)]
struct Found {
    key: Option<Key>,
    certificates: Vec<Certificate>,
}

impl Found {
    fn read(&mut self, path: &Path, password: Option<&str>) -> Result<(), SmimeError> {
        let bytes = fs::read(path).map_err(|source| SmimeError::Read { path: path.to_owned(), source })?;
        let content = |found: String, hint| SmimeError::Content { path: path.to_owned(), found, hint };
        let locked = |locked| in_file(locked, path);
        // DER begins with a SEQUENCE, which no text does.
        if bytes.first() == Some(&0x30) {
            if let Ok(certificate) = Certificate::read(&bytes) {
                self.add(certificate);
                return Ok(());
            }
            let opened = pkcs12::open(&bytes, password).map_err(locked)?;
            for der in &opened.certificates {
                self.add(Certificate::read(der).map_err(|found| content(found, FORMS))?);
            }
            for der in &opened.keys {
                self.key = Some(Key::from_pkcs8(der).map_err(|found| content(found, FORMS))?);
            }
            return Ok(());
        }
        let text = std::str::from_utf8(&bytes).map_err(|_| content("binary data".into(), FORMS))?;
        let blocks = pem::blocks(text);
        if blocks.is_empty() {
            return Err(content("text that is not PEM".into(), FORMS));
        }
        for block in &blocks {
            let decoded =
                || block.decode().map_err(|error| content(format!("broken base64 ({error})"), FORMS));
            let key = |key: Result<Key, String>| key.map_err(|found| content(found, FORMS));
            match block.label {
                "CERTIFICATE" | "X509 CERTIFICATE" => {
                    self.add(Certificate::read(&decoded()?).map_err(|found| content(found, FORMS))?);
                }
                "PRIVATE KEY" => self.key = Some(key(Key::from_pkcs8(&decoded()?))?),
                "RSA PRIVATE KEY" | "EC PRIVATE KEY" if is_encrypted(block) => {
                    let hint = "write it as PKCS#8: `openssl pkcs8 -topk8 -in key.pem -out new.pem`";
                    return Err(content("a key with the old encryption of PEM".into(), hint));
                }
                "RSA PRIVATE KEY" => self.key = Some(key(Key::from_pkcs1(&decoded()?))?),
                "EC PRIVATE KEY" => self.key = Some(key(Key::from_sec1(&decoded()?))?),
                "ENCRYPTED PRIVATE KEY" => {
                    let opened = pbes2::private_key(&decoded()?, password).map_err(locked)?;
                    self.key = Some(key(Key::from_pkcs8(&opened))?);
                }
                // Parameters of a curve, and what else people keep beside a certificate.
                _ => {}
            }
        }
        Ok(())
    }

    /// A chain may repeat what the file of the certificate has.
    fn add(&mut self, certificate: Certificate) {
        if !self.certificates.iter().any(|known| known.der == certificate.der) {
            self.certificates.push(certificate);
        }
    }
}

/// RFC 1421's encryption, which leaves the label as it is.
fn is_encrypted(block: &Block<'_>) -> bool {
    block.body.contains("ENCRYPTED")
}

fn in_file(locked: Locked, path: &Path) -> SmimeError {
    let path = path.to_owned();
    match locked {
        Locked::NoPassword => SmimeError::NoPassword { path },
        Locked::Password => SmimeError::Password { path },
        Locked::Broken => {
            SmimeError::Content { path, found: "neither a certificate nor PKCS#12".into(), hint: FORMS }
        }
        Locked::Kind(what) => SmimeError::Content {
            path,
            found: what.into(),
            hint: "export it again with AES, as OpenSSL 3 does: `openssl pkcs12 -legacy -in old.p12 -nodes -out all.pem`, \
                   then `openssl pkcs12 -export -in all.pem -out new.p12`",
        },
    }
}
