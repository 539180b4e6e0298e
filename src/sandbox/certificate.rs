//! The sandbox's certificate: self-signed, created at start, never written to disk.

use std::io;
use std::sync::Arc;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// The server's side of TLS, and its certificate in PEM for clients that should trust it.
pub(super) struct Identity {
    pub config: Arc<ServerConfig>,
    pub certificate_pem: String,
}

/// Creates a key and a certificate for `host_name`, `localhost` and the loopback addresses.
pub(super) fn identity(host_name: &str) -> io::Result<Identity> {
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    if host_name != "localhost" {
        names.push(host_name.to_owned());
    }
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(names).map_err(io::Error::other)?;
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(signing_key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(vec![cert.der().clone()], key))
        .map_err(io::Error::other)?;
    Ok(Identity { config: Arc::new(config), certificate_pem: cert.pem() })
}
