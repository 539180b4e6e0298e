//! `[[reply]]`: what servers' replies mean, before the rules that come with the program.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::units::Span;
use crate::mail::Class;

/// A rule for replies, of the campaign or of the program's own table.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ReplyRule {
    /// How it is called in the log and in errors.
    pub name: String,
    /// Reply codes, any of them; 4 and 5 stand for all of 4yz and 5yz. Empty is any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub code: Vec<u16>,
    /// Enhanced status codes, any of them; `x` stands for any number. Empty is any, or none at all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub status: Vec<String>,
    /// Regular expression on the text, ASCII, without regard to case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The reason, as in the results.
    #[serde(serialize_with = "write_class", deserialize_with = "read_class")]
    pub class: Class,
    /// Without it, a 4yz is tried again (after `pause`, where there is one) and a 5yz given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<ReplyAction>,
    /// For how long the site, or the provider, gets nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pause: Option<Span>,
    /// Who pauses.
    #[serde(default, skip_serializing_if = "PauseScope::is_default")]
    pub scope: PauseScope,
    /// A 5yz also suppresses the address; for `bad_mailbox` and `bad_domain` only.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suppress: bool,
    /// Replies that this rule, and none before it, fits.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tests: Vec<String>,
}

/// What a rule says to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReplyAction {
    /// Try the row again later.
    TryAgain,
    /// The row ends.
    GiveUp,
    /// The site, or the provider, pauses; then the row is tried again.
    Pause,
    /// The run stops.
    Stop,
}

/// Who gets nothing during a pause.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PauseScope {
    /// The site that said it.
    #[default]
    Site,
    /// All sites of its provider; the site alone where it has none.
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
