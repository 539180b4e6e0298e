//! `[variants]`: several letters, each for a share of the recipients.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::choice::Choice;
use super::error::Mistake;

/// `[variants]`, by their names.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(transparent)]
pub struct Variants(pub BTreeMap<String, Variant>);

/// One of `[variants]`: what differs from `[template]`.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Variant {
    /// Its part of the recipients, of the sum of all shares.
    pub share: u32,
    /// Its subject.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Choice<String>>,
    /// Its text template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<Choice<PathBuf>>,
    /// Its HTML template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub html: Option<Choice<PathBuf>>,
}

impl Variants {
    /// True without variants.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The variant of a recipient, by the edition of the campaign and the address: the same on
    /// every machine, in every run.
    pub fn of(&self, edition: &str, address: &str) -> Option<&str> {
        let shares: u64 = self.0.values().map(|variant| u64::from(variant.share)).sum();
        let mut hasher = blake3::Hasher::new();
        hasher.update(edition.as_bytes()).update(&[0]).update(address.to_lowercase().as_bytes());
        let hash = u64::from_le_bytes(hasher.finalize().as_bytes()[..8].try_into().expect("it has 32 bytes"));
        let mut left = hash.checked_rem(shares)?;
        self.0.iter().find_map(|(name, variant)| match left.checked_sub(u64::from(variant.share)) {
            None => Some(name.as_str()),
            Some(rest) => {
                left = rest;
                None
            }
        })
    }

    pub(super) fn resolve_paths(&mut self, folder: &Path) {
        for variant in self.0.values_mut() {
            for path in variant.text.iter_mut().chain(&mut variant.html) {
                path.map(|path| folder.join(path));
            }
        }
    }

    pub(super) fn check(&self) -> Result<(), Mistake> {
        for (name, variant) in &self.0 {
            let plain = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
            if name.is_empty() || name.len() > 32 || !name.chars().all(plain) {
                return Err(Mistake::new(
                    "variants",
                    format!("`{name}` can't be the name of a variant"),
                    "use up to 32 letters, digits, `-` and `_`",
                ));
            }
            if variant.share == 0 {
                return Err(Mistake::new(
                    "variants",
                    format!("variant `{name}` has no share of the recipients"),
                    "give it a `share`, or leave it out",
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_kept_and_recipients_keep_their_variant() {
        let text = "a = { share = 50 }\nb = { share = 30 }\nc = { share = 20 }\n";
        let variants: Variants = toml::from_str(text).unwrap();
        let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
        for number in 0..10_000 {
            let address = format!("r{number}@example.com");
            *counts.entry(variants.of("spring", &address).unwrap()).or_default() += 1;
        }
        for (name, expected) in [("a", 5_000), ("b", 3_000), ("c", 2_000)] {
            assert!(counts[name].abs_diff(expected) < 200, "{counts:?}");
        }
        // What was sent to whom must not change with the program.
        let of = |edition: &str, address: &str| variants.of(edition, address).unwrap();
        assert_eq!(of("spring", "Bob@Example.com"), of("spring", "bob@example.com"));
        let editions = ["e1", "e2", "e3", "e4", "e5", "e6", "e7", "e8"];
        assert!(editions.iter().any(|edition| of(edition, "bob@example.com") != of("e1", "bob@example.com")));
        assert_eq!(Variants::default().of("spring", "bob@example.com"), None);
    }
}
