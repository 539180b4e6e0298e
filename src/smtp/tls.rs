//! How a connection is secured (RFC 3207, RFC 8314): one shared TLS configuration, so that sessions resume.

use std::fmt;
use std::path::Path;

use tokio_rustls::TlsConnector;

use crate::campaign::RelayTls;

/// How a connection is secured. Clones share one configuration and its cache of TLS sessions: make one per relay.
#[derive(Clone)]
pub enum Security {
    /// Never TLS.
    None,
    /// STARTTLS where it is offered; the certificate is not verified; in clear when the handshake fails.
    Opportunistic(TlsConnector),
    /// STARTTLS with the certificate verified, or nothing.
    Required(TlsConnector),
    /// TLS from the first byte, with the certificate verified.
    Implicit(TlsConnector),
}

/// Why there is no TLS configuration.
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
    /// The system has no certificates to trust.
    #[error("no trusted certificates found on this system: {0}")]
    NoRoots(String),
}

impl Security {
    /// The security for `mode`, trusting the certificates in the PEM file `ca_file`, or the system's.
    pub fn new(mode: RelayTls, ca_file: Option<&Path>) -> Result<Self, TlsError> {
        let _ = (mode, ca_file);
        todo!()
    }
}

impl fmt::Debug for Security {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Opportunistic(_) => "Opportunistic",
            Self::Required(_) => "Required",
            Self::Implicit(_) => "Implicit",
        })
    }
}
