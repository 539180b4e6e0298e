//! `[[dkim]]`: one signature (RFC 6376, RFC 8463).

use std::path::PathBuf;

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use super::units::{Span, text};
use crate::mail::Domain;

/// `[[dkim]]`.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Dkim {
    /// The signing domain, `d=`.
    #[serde(with = "text")]
    pub domain: Domain,
    /// The selector, `s=`.
    pub selector: String,
    /// The PEM file with the private key: RSA (PKCS#1 or PKCS#8) or Ed25519 (PKCS#8).
    pub key: PathBuf,
    /// `x=`, counted from the time of the signature; no expiry by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_after: Option<Span>,
    /// The first day (UTC) on which this key signs; no limit by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub use_from: Option<NaiveDate>,
    /// The first day (UTC) on which it no longer signs; no limit by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub use_until: Option<NaiveDate>,
    /// Header fields to sign besides those that always are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<String>,
}

impl Dkim {
    /// Whether it signs on this day (UTC).
    pub fn is_used_on(&self, day: NaiveDate) -> bool {
        self.use_from.is_none_or(|from| from <= day) && self.use_until.is_none_or(|until| day < until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selector_takes_over_from_another() {
        let table = |more: &str| -> Dkim {
            toml::from_str(&format!("domain = \"example.com\"\nselector = \"s\"\nkey = \"k\"\n{more}"))
                .unwrap()
        };
        let (old, new) = (table("use-until = \"2027-01-01\""), table("use-from = \"2027-01-01\""));
        let on = |day: &str| {
            let day = day.parse().unwrap();
            [old.is_used_on(day), new.is_used_on(day), table("").is_used_on(day)]
        };
        assert_eq!(on("2026-12-31"), [true, false, true]);
        assert_eq!(on("2027-01-01"), [false, true, true]);
        assert!(
            toml::from_str::<Dkim>(
                "domain = \"example.com\"\nselector = \"s\"\nkey = \"k\"\nuse-from = \"soon\""
            )
            .is_err()
        );
    }
}
