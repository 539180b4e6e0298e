//! `[seed]`: addresses of one's own that get a copy in each run.

use serde::{Deserialize, Serialize};

use super::error::Mistake;
use super::template::Template;
use crate::mail::Address;

/// `[seed]`: mailboxes that show where the mail arrives.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Seed {
    /// Each gets the message of the first row, addressed to itself.
    #[serde(with = "addresses")]
    pub addresses: Vec<Address>,
}

impl Seed {
    pub(super) fn is_default(&self) -> bool {
        self.addresses.is_empty()
    }

    pub(super) fn check(&self, template: &Template) -> Result<(), Mistake> {
        const KEY: &str = "seed.addresses";
        for (at, address) in self.addresses.iter().enumerate() {
            if self.addresses[..at].contains(address) {
                return Err(Mistake::new(
                    KEY,
                    format!("`{address}` is named twice"),
                    "name each address once",
                ));
            }
        }
        if !self.is_default() && !template.attachment_columns.is_empty() {
            let problem = "the files of a row are for its recipient alone, and a copy would carry them";
            return Err(Mistake::new(KEY, problem, "leave out `[seed]`, or `attachment-columns`"));
        }
        Ok(())
    }
}

/// Addresses as texts.
mod addresses {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::mail::Address;

    pub(super) fn serialize<S: Serializer>(addresses: &[Address], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(addresses.iter().map(ToString::to_string))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Address>, D::Error> {
        let parse = |text: String| {
            Address::parse(&text).map_err(|error| D::Error::custom(format_args!("`{text}`: {error}")))
        };
        Vec::<String>::deserialize(deserializer)?.into_iter().map(parse).collect()
    }
}
