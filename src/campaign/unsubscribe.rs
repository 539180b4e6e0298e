//! `[unsubscribe]`: `List-Unsubscribe` and `List-Unsubscribe-Post` (RFC 2369, RFC 8058).

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::error::Mistake;
use super::units::optional_text;
use crate::mail::Address;

/// `[unsubscribe]`. With `https`, the message announces one-click unsubscribe.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Unsubscribe {
    /// The URI; `{{token}}` is replaced with the recipient's token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub https: Option<String>,
    /// The address for unsubscribing by mail.
    #[serde(default, with = "optional_text", skip_serializing_if = "Option::is_none")]
    pub mailto: Option<Address>,
    /// The environment variable that holds the secret of the tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_env: Option<String>,
    /// The file that holds the secret of the tokens; without either, a secret is created in the
    /// state directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_file: Option<PathBuf>,
}

impl Unsubscribe {
    pub(super) fn check(&self) -> Result<(), Mistake> {
        if let Some(uri) = &self.https {
            if !uri.starts_with("https://")
                || uri.contains(|c: char| c.is_whitespace() || c.is_control() || c == '>')
            {
                return Err(Mistake::new(
                    "unsubscribe.https",
                    format!("`{uri}` is not an https URI"),
                    "use an https URI, such as https://mail.example.com/u/{{token}} (RFC 8058 §3.1)",
                ));
            }
            if !uri.contains("{{token}}") {
                return Err(Mistake::new(
                    "unsubscribe.https",
                    format!("`{uri}` does not say who unsubscribes"),
                    "put `{{token}}` into the URI: it is replaced with the recipient's token",
                ));
            }
        }
        if self.https.is_none() && self.mailto.is_none() {
            return Err(Mistake::new(
                "unsubscribe.https",
                "neither `https` nor `mailto` is given",
                "give at least one",
            ));
        }
        Ok(())
    }
}
