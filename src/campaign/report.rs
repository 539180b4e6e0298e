//! `[report]`: who hears by mail how runs ended.

use serde::{Deserialize, Serialize};

use super::error::Mistake;
use crate::mail::Address;

/// `[report]`: a mail after each run, with those who were not reached.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct ReportMail {
    /// Who gets it; one address or several.
    #[serde(with = "addresses")]
    pub to: Vec<Address>,
}

impl ReportMail {
    pub(super) fn is_default(&self) -> bool {
        self.to.is_empty()
    }

    pub(super) fn check(&self) -> Result<(), Mistake> {
        for (at, address) in self.to.iter().enumerate() {
            if self.to[..at].contains(address) {
                let problem = format!("`{address}` is named twice");
                return Err(Mistake::new("report.to", problem, "name each address once"));
            }
        }
        Ok(())
    }
}

/// An address or several, as texts.
mod addresses {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::mail::Address;

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Texts {
        One(String),
        Several(Vec<String>),
    }

    pub(super) fn serialize<S: Serializer>(addresses: &[Address], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(addresses.iter().map(ToString::to_string))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Address>, D::Error> {
        let texts = match Texts::deserialize(deserializer)? {
            Texts::One(text) => vec![text],
            Texts::Several(texts) => texts,
        };
        let parse = |text: String| {
            Address::parse(&text).map_err(|error| D::Error::custom(format_args!("`{text}`: {error}")))
        };
        texts.into_iter().map(parse).collect()
    }
}
