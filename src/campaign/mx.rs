//! `[delivery.mx]`: delivery straight to the recipients' mail exchangers.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::dns::IpFamily;
use super::error::Mistake;

/// `[delivery.mx]`, for route `mx`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Mx {
    /// TCP port; another than 25 is of use for tests only.
    pub port: u16,
    /// The least transport security for every domain. Shaping and MTA-STS may ask for more.
    pub tls: MxTls,
    /// Ask domains for their MTA-STS policy (RFC 8461).
    pub mta_sts: bool,
    /// Which addresses of the hosts are used.
    pub ip: IpFamily,
    /// A PEM file with the certificates to trust instead of the system's, where certificates are verified.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
}

/// Transport security to an MX host (RFC 3207, RFC 7435).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum MxTls {
    /// STARTTLS where it is offered; in clear otherwise. The certificate is not verified.
    #[default]
    Opportunistic,
    /// STARTTLS, with any certificate; no TLS, no mail.
    Required,
    /// STARTTLS with a verified certificate; otherwise no mail.
    Verified,
}

impl Default for Mx {
    fn default() -> Self {
        Self { port: 25, tls: MxTls::default(), mta_sts: true, ip: IpFamily::default(), ca_file: None }
    }
}

impl Mx {
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn check(&self) -> Result<(), Mistake> {
        if self.port == 0 {
            return Err(Mistake::new(
                "delivery.mx.port",
                "port 0 can't be connected to",
                "leave it out: it is 25",
            ));
        }
        Ok(())
    }
}
