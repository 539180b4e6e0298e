//! `[[reply]]`: rules for what servers' replies mean. They come before the built-in rules.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::units::Span;
use crate::mail::Class;

/// A rule for replies, from the campaign or built in.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ReplyRule {
    /// Its name in the log and in errors.
    pub name: String,
    /// The reply must have one of these codes; 4 and 5 mean all of 4yz and 5yz. Empty means any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub code: Vec<u16>,
    /// The reply must have one of these enhanced status codes; `x` means any number. Empty means
    /// any, or none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub status: Vec<String>,
    /// A regular expression that must match the text; ASCII, ignoring case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The class in the results.
    #[serde(serialize_with = "write_class", deserialize_with = "read_class")]
    pub class: Class,
    /// What to do. By default a 4yz is retried (after `pause`, if given) and a 5yz ends the row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<ReplyAction>,
    /// How long the site, or the provider, gets nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pause: Option<Span>,
    /// What pauses.
    #[serde(default, skip_serializing_if = "PauseScope::is_default")]
    pub scope: PauseScope,
    /// A 5yz also puts the address on the suppression list; only for `bad_mailbox` and
    /// `bad_domain`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suppress: bool,
    /// Replies that this rule must match, and no rule before it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tests: Vec<String>,
}

/// What to do after a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReplyAction {
    /// The row is retried later.
    TryAgain,
    /// The row ends.
    GiveUp,
    /// The site, or the provider, pauses; then the row is retried.
    Pause,
    /// The run stops.
    Stop,
}

/// What gets nothing during a pause.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PauseScope {
    /// The site that replied.
    #[default]
    Site,
    /// All sites of its provider; only the site if it has none.
    Provider,
}

impl PauseScope {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

fn read_class<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Class, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
}

fn write_class<S: Serializer>(class: &Class, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(class.as_str())
}
