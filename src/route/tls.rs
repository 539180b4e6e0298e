//! How much transport security a recipient's domain gets: the most that anybody demands.
//!
//! The campaign, the provider's entry in the shaping table and the domain's MTA-STS policy (RFC
//! 8461 §5) each set a minimum. If it can't be met, the message is not sent, and never sent in
//! clear.

use std::path::Path;

use tokio_rustls::TlsConnector;

use crate::campaign::{MxTls, RelayTls};
use crate::smtp::{Security, TlsError};

/// The least transport security of a connection, weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TlsDemand {
    /// TLS if it is offered, in clear otherwise (RFC 7435).
    Opportunistic,
    /// TLS with any certificate.
    Required,
    /// TLS with a certificate that is valid for the MX host's name.
    RequiredVerified,
}

impl From<MxTls> for TlsDemand {
    fn from(tls: MxTls) -> Self {
        match tls {
            MxTls::Opportunistic => Self::Opportunistic,
            MxTls::Required => Self::Required,
            MxTls::Verified => Self::RequiredVerified,
        }
    }
}

impl TlsDemand {
    /// The word for people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Opportunistic => "opportunistic",
            Self::Required => "required",
            Self::RequiredVerified => "verified",
        }
    }
}

impl std::fmt::Display for TlsDemand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// The strongest of what the campaign, the shaping table and the domain's policy demand.
pub fn tls_demand(campaign: MxTls, shaping: TlsDemand, policy_enforced: bool) -> TlsDemand {
    let policy = if policy_enforced { TlsDemand::RequiredVerified } else { TlsDemand::Opportunistic };
    TlsDemand::from(campaign).max(shaping).max(policy)
}

/// The TLS settings for each demand, shared by all connections of a run, so that TLS sessions
/// resume.
#[derive(Clone)]
pub struct MxSecurity {
    opportunistic: Security,
    required: Security,
    verified: Security,
    verifier: TlsConnector,
}

impl MxSecurity {
    /// Certificates are verified against the PEM file `ca_file`, or against the system's
    /// authorities.
    pub fn new(ca_file: Option<&Path>) -> Result<Self, TlsError> {
        let verifier = Security::verifier(ca_file)?;
        Ok(Self {
            opportunistic: Security::new(RelayTls::Opportunistic, None)?,
            required: Security::encrypted(),
            verified: Security::Required(verifier.clone()),
            verifier,
        })
    }

    /// TLS with verified certificates, for fetching policies.
    pub fn verifier(&self) -> &TlsConnector {
        &self.verifier
    }

    /// How a connection with this demand is secured.
    pub fn of(&self, demand: TlsDemand) -> &Security {
        match demand {
            TlsDemand::Opportunistic => &self.opportunistic,
            TlsDemand::Required => &self.required,
            TlsDemand::RequiredVerified => &self.verified,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_that_anybody_asks_for_is_demanded() {
        use TlsDemand::*;
        let check = |campaign, shaping, enforced, demand| {
            assert_eq!(tls_demand(campaign, shaping, enforced), demand);
        };
        check(MxTls::Opportunistic, Opportunistic, false, Opportunistic);
        check(MxTls::Required, Opportunistic, false, Required);
        check(MxTls::Opportunistic, Required, false, Required);
        check(MxTls::Opportunistic, Opportunistic, true, RequiredVerified);
        check(MxTls::Required, Required, true, RequiredVerified);
        check(MxTls::Verified, Required, false, RequiredVerified);
    }
}
