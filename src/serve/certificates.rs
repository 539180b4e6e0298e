//! TLS files. When they change, new connections get what is in them: whoever renews certificates
//! need not restart anything.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use super::settings::TlsFiles;
use crate::kit::key_file::{KeyWarning, readable_by_others};

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// The files can't be used.
#[derive(Debug, thiserror::Error)]
#[error("the certificate or its key can't be used: {problem}")]
pub(crate) struct CertificateError {
    /// The file.
    pub path: PathBuf,
    problem: String,
}

/// A certificate with its key, as it was read last.
#[derive(Debug)]
pub(super) struct Certificates {
    files: TlsFiles,
    current: RwLock<Current>,
}

#[derive(Debug)]
struct Current {
    config: Arc<ServerConfig>,
    /// Of which the files were.
    stamp: Stamp,
}

/// Changes with the files.
type Stamp = [Option<(SystemTime, u64)>; 2];

impl Certificates {
    /// Reads the files.
    pub(super) fn open(files: &TlsFiles) -> Result<Self, CertificateError> {
        let stamp = stamp(files);
        let config = read(files)?;
        Ok(Self { files: files.clone(), current: RwLock::new(Current { config, stamp }) })
    }

    /// What a new connection uses.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        TlsAcceptor::from(Arc::clone(&current.config))
    }

    /// A warning when others may read the key.
    pub(super) fn warning(&self) -> Option<KeyWarning> {
        readable_by_others("TLS", &self.files.key)
    }

    /// Follows the files for ever. `say` hears of files that can't be used: the last that could
    /// stay in use.
    pub(super) async fn watch(&self, say: impl Fn(String)) {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            if let Err(error) = self.follow() {
                say(format!("{}: {error}; the one before stays in use", error.path.display()));
            }
        }
    }

    /// Reads the files if they have changed since they were read last.
    pub(super) fn follow(&self) -> Result<(), CertificateError> {
        let stamp = stamp(&self.files);
        if self.current.read().unwrap_or_else(PoisonError::into_inner).stamp == stamp {
            return Ok(());
        }
        let read = read(&self.files);
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        // Also where it fails: the same files are complained about once.
        current.stamp = stamp;
        current.config = read?;
        Ok(())
    }
}

fn stamp(files: &TlsFiles) -> Stamp {
    let of = |path: &Path| {
        let metadata = fs::metadata(path).ok()?;
        Some((metadata.modified().ok()?, metadata.len()))
    };
    [of(&files.certificate), of(&files.key)]
}

fn read(files: &TlsFiles) -> Result<Arc<ServerConfig>, CertificateError> {
    let failed = |path: &Path, problem: String| CertificateError { path: path.to_owned(), problem };
    let text = |path: &Path| fs::read(path).map_err(|error: io::Error| failed(path, error.to_string()));
    let pem = text(&files.certificate)?;
    let chain: Result<Vec<CertificateDer<'static>>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let chain = chain.map_err(|error| failed(&files.certificate, error.to_string()))?;
    if chain.is_empty() {
        return Err(failed(&files.certificate, "it holds no certificate in PEM".to_owned()));
    }
    let key = PrivateKeyDer::from_pem_slice(&text(&files.key)?)
        .map_err(|error| failed(&files.key, error.to_string()))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(&files.certificate, error.to_string()))?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| failed(&files.key, error.to_string()))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes a new certificate and its key.
    fn renew(files: &TlsFiles) {
        let made = rcgen::generate_simple_self_signed(vec!["mail.example.com".to_owned()]).unwrap();
        fs::write(&files.certificate, made.cert.pem()).unwrap();
        fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
    }

    #[test]
    fn files_that_change_are_used_and_bad_ones_leave_the_last_good() {
        let folder = tempfile::tempdir().unwrap();
        let files =
            TlsFiles { certificate: folder.path().join("full.pem"), key: folder.path().join("key.pem") };
        renew(&files);
        let certificates = Certificates::open(&files).unwrap();
        let config = || Arc::clone(&certificates.current.read().unwrap().config);
        let first = config();
        certificates.follow().unwrap();
        assert!(Arc::ptr_eq(&first, &config()), "nothing has changed");

        fs::write(&files.certificate, "none of this is PEM, and it is of another length").unwrap();
        assert!(certificates.follow().unwrap_err().to_string().contains("no certificate"));
        assert!(Arc::ptr_eq(&first, &config()), "the last that could be used");
        certificates.follow().expect("the same files are complained about once");

        renew(&files);
        certificates.follow().unwrap();
        assert!(!Arc::ptr_eq(&first, &config()), "the new ones");
        fs::remove_file(&files.key).unwrap();
        assert_eq!(certificates.follow().unwrap_err().path, files.key);
        assert!(Certificates::open(&files).is_err());
    }
}
