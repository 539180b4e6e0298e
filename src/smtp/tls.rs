//! How a connection is secured (RFC 3207, RFC 8314): one shared TLS configuration, so that sessions
//! resume.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::client::WantsClientCert;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore, SignatureScheme,
};
use tokio_rustls::TlsConnector;

use crate::campaign::RelayTls;

/// How a connection is secured. Clones share one configuration and its cache of TLS sessions: make
/// one for each relay.
#[derive(Clone)]
pub enum Security {
    /// Never TLS.
    None,
    /// STARTTLS if it is offered; the certificate is not verified; in clear if the handshake fails.
    Opportunistic(TlsConnector),
    /// STARTTLS or nothing; the certificate is not verified.
    Encrypted(TlsConnector),
    /// STARTTLS with a verified certificate, or nothing.
    Required(TlsConnector),
    /// TLS from the first byte, with a verified certificate.
    Implicit(TlsConnector),
}

/// Why TLS can't be configured.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file with the certificates to trust can't be read.
    #[error("failed to read certificates from `{path}`: {problem}")]
    CaFile {
        /// The file.
        path: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The client's certificate or its key can't be used.
    #[error("failed to use the client certificate `{path}`: {problem}")]
    Client {
        /// The file.
        path: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The system has no certificates to trust.
    #[error("no trusted certificates found on this system: {0}")]
    NoRoots(String),
}

/// The PEM files with a client's certificate chain and its key.
#[derive(Debug, Clone, Copy)]
pub struct ClientIdentity<'a> {
    /// The certificates, the client's own first.
    pub certificate: &'a Path,
    /// The key: PKCS#8, PKCS#1 or SEC1.
    pub key: &'a Path,
}

impl Security {
    /// STARTTLS or nothing; the certificate is not verified. For hosts that nobody vouches for,
    /// such as most MX hosts.
    pub fn encrypted() -> Self {
        Self::Encrypted(unverified(None).expect("it fails only with a client certificate"))
    }

    /// TLS with verified certificates, trusting those in the PEM file `ca_file`, or the system's.
    pub fn verifier(ca_file: Option<&Path>) -> Result<TlsConnector, TlsError> {
        verified(ca_file, None)
    }

    /// Why a handshake failed, for people.
    pub(crate) fn failure(error: &io::Error) -> String {
        failure(error)
    }

    /// The security for `mode`, trusting the certificates in the PEM file `ca_file`, or the
    /// system's.
    pub fn new(mode: RelayTls, ca_file: Option<&Path>) -> Result<Self, TlsError> {
        Self::with_client(mode, ca_file, None)
    }

    /// As [`Self::new`], with a certificate for servers that ask for one.
    pub fn with_client(
        mode: RelayTls,
        ca_file: Option<&Path>,
        client: Option<ClientIdentity<'_>>,
    ) -> Result<Self, TlsError> {
        Ok(match mode {
            RelayTls::None => Self::None,
            RelayTls::Opportunistic => Self::Opportunistic(unverified(client)?),
            RelayTls::Required => Self::Required(verified(ca_file, client)?),
            RelayTls::Implicit => Self::Implicit(verified(ca_file, client)?),
        })
    }
}

/// Version and cipher suite by their IANA names, such as `TLSv1.3 TLS_AES_256_GCM_SHA384`.
pub(super) fn describe(connection: &ClientConnection) -> String {
    let version = match connection.protocol_version() {
        Some(rustls::ProtocolVersion::TLSv1_3) => "TLSv1.3",
        Some(rustls::ProtocolVersion::TLSv1_2) => "TLSv1.2",
        Some(_) | None => "TLS",
    };
    let suite = connection.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str());
    // rustls calls the suites of TLS 1.3 `TLS13_…`; the registry has no such prefix.
    format!("{version} {}", suite.unwrap_or("unknown").replace("TLS13_", "TLS_"))
}

/// Why a handshake failed. rustls names some problems of certificates as its code does.
pub(super) fn failure(error: &io::Error) -> String {
    let rustls = error.get_ref().and_then(|source| source.downcast_ref::<rustls::Error>());
    let Some(rustls::Error::InvalidCertificate(problem)) = rustls else {
        return error.to_string();
    };
    match problem {
        // The latter: an issuer of the same name, and another key.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "the server's certificate is from an issuer that is not trusted here; `ca-file` names whom to trust"
                .into()
        }
        // webpki's name, which rustls passes on as text only.
        CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
            "the server shows the certificate of an issuer, or one that it signed itself (CA:TRUE), and not one for a server"
                .into()
        }
        problem => format!("the server's certificate: {problem}"),
    }
}

fn verified(ca_file: Option<&Path>, client: Option<ClientIdentity<'_>>) -> Result<TlsConnector, TlsError> {
    let roots = match ca_file {
        Some(path) => roots_of_file(path)?,
        None => roots_of_system()?,
    };
    connector(builder().with_root_certificates(roots), client)
}

/// TLS for HTTPS, with certificates that the system trusts.
pub(crate) fn https_connector() -> Result<TlsConnector, TlsError> {
    verified(None, None)
}

fn unverified(client: Option<ClientIdentity<'_>>) -> Result<TlsConnector, TlsError> {
    let verifier = Arc::new(NoVerifier(ring::default_provider()));
    connector(builder().dangerous().with_custom_certificate_verifier(verifier), client)
}

fn builder() -> rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier> {
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring has cipher suites for TLS 1.2 and 1.3")
}

fn connector(
    builder: rustls::ConfigBuilder<ClientConfig, WantsClientCert>,
    client: Option<ClientIdentity<'_>>,
) -> Result<TlsConnector, TlsError> {
    let config = match client {
        None => builder.with_no_client_auth(),
        Some(ClientIdentity { certificate, key }) => {
            let failed = |path: &Path| {
                let path = path.display().to_string();
                move |problem: String| TlsError::Client { path, problem }
            };
            let chain: Result<Vec<_>, _> =
                CertificateDer::pem_file_iter(certificate).and_then(Iterator::collect);
            let chain = chain.map_err(|error| failed(certificate)(error.to_string()))?;
            let private =
                PrivateKeyDer::from_pem_file(key).map_err(|error| failed(key)(error.to_string()))?;
            builder
                .with_client_auth_cert(chain, private)
                .map_err(|error| failed(certificate)(error.to_string()))?
        }
    };
    Ok(TlsConnector::from(Arc::new(config)))
}

fn roots_of_file(path: &Path) -> Result<RootCertStore, TlsError> {
    let failed = |problem: String| TlsError::CaFile { path: path.display().to_string(), problem };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| failed(error.to_string()))? {
        let certificate = certificate.map_err(|error| failed(error.to_string()))?;
        roots.add(certificate).map_err(|error| failed(error.to_string()))?;
    }
    if roots.is_empty() { Err(failed("it has no certificate".into())) } else { Ok(roots) }
}

fn roots_of_system() -> Result<RootCertStore, TlsError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if !roots.is_empty() {
        return Ok(roots);
    }
    let problems: Vec<String> = found.errors.iter().map(ToString::to_string).collect();
    Err(TlsError::NoRoots(problems.join("; ")))
}

/// Accepts any certificate: opportunistic TLS keeps out those who only listen (RFC 7435).
#[derive(Debug)]
struct NoVerifier(CryptoProvider);

impl ServerCertVerifier for NoVerifier {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

impl fmt::Debug for Security {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Opportunistic(_) => "Opportunistic",
            Self::Encrypted(_) => "Encrypted",
            Self::Required(_) => "Required",
            Self::Implicit(_) => "Implicit",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_certificates_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = Security::new(RelayTls::Required, Some(file.path())).unwrap_err();
        assert!(error.to_string().ends_with("it has no certificate"), "{error}");
        let error = Security::new(RelayTls::Implicit, Some(Path::new("/does/not/exist.pem"))).unwrap_err();
        assert!(error.to_string().contains("`/does/not/exist.pem`"), "{error}");
        let client = ClientIdentity { certificate: file.path(), key: file.path() };
        let error = Security::with_client(RelayTls::Opportunistic, None, Some(client)).unwrap_err();
        assert!(error.to_string().starts_with("failed to use the client certificate"), "{error}");
    }
}
