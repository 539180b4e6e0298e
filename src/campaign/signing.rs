//! `[[dkim]]`: one signature (RFC 6376, RFC 8463).

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::units::{Span, text};
use crate::mail::Domain;

/// `[[dkim]]`.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Dkim {
    /// `d=`.
    #[serde(with = "text")]
    pub domain: Domain,
    /// `s=`.
    pub selector: String,
    /// The PEM file with the private key: RSA (PKCS#1 or PKCS#8) or Ed25519 (PKCS#8).
    pub key: PathBuf,
    /// `x=`, counted from the signature's time; none by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_after: Option<Span>,
    /// Further header fields to sign, besides those that always are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<String>,
}
