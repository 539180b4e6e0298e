//! `[delivery.mx]`: delivery directly to the recipients' mail exchangers.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::dns::IpFamily;
use super::error::Mistake;

/// `[delivery.mx]`, for route `mx`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Mx {
    /// TCP port; only tests need another than 25.
    pub port: u16,
    /// The minimum transport security for every domain. Shaping and MTA-STS may require more.
    pub tls: MxTls,
    /// Ask domains for their MTA-STS policy (RFC 8461).
    pub mta_sts: bool,
    /// Which addresses of the hosts are used.
    pub ip: IpFamily,
    /// A PEM file with the certificates to trust instead of the system's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// Hosts with private or link-local addresses are connected to.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub private_addresses: bool,
}

/// Transport security to an MX host (RFC 3207, RFC 7435).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum MxTls {
    /// STARTTLS if offered, without TLS otherwise. The certificate is not verified.
    #[default]
    Opportunistic,
    /// STARTTLS with any certificate; without it, nothing is sent.
    Required,
    /// STARTTLS with a verified certificate; without it, nothing is sent.
    Verified,
}

impl Default for Mx {
    fn default() -> Self {
        Self {
            port: 25,
            tls: MxTls::default(),
            mta_sts: true,
            ip: IpFamily::default(),
            ca_file: None,
            private_addresses: false,
        }
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
