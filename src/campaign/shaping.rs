//! `[[shaping]]`: limits per provider and site. Entries extend and override the built-in ones.

use serde::{Deserialize, Serialize};

use super::delivery::{RECIPIENTS, RECIPIENTS_HINT};
use super::error::Mistake;
use super::mx::MxTls;
use crate::mail::Domain;

/// One entry of `[[shaping]]`, or a built-in one. Keys that it leaves out come from the built-in
/// entry of the same name, then from the entry `default`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct ShapingEntry {
    /// The provider's name. `default` applies where no other entry matches.
    pub name: String,
    /// Matches if every MX host is one of these names or below one of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mx_suffixes: Option<Vec<String>>,
    /// Matches these recipients' domains.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domains: Option<Vec<String>>,
    /// Connections to one site at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connections: Option<usize>,
    /// Messages over one connection before it is closed; 0 means no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub messages_per_connection: Option<u64>,
    /// Recipients of one message, if all get the same text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recipients_per_message: Option<usize>,
    /// Messages per second to one site.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub messages_per_second: Option<f64>,
    /// Connections opened to one site per minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new_connections_per_minute: Option<u32>,
    /// Connections at once to all sites of the provider together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider_connections: Option<usize>,
    /// Messages per second to all sites of the provider together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider_messages_per_second: Option<f64>,
    /// The minimum transport security.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<MxTls>,
}

impl ShapingEntry {
    /// The name of the entry that applies where no other matches.
    pub const DEFAULT: &str = "default";

    pub(super) fn check(&self) -> Result<(), Mistake> {
        let name = &self.name;
        let wrong = |problem: String, hint: &'static str| Err(Mistake::new("shaping", problem, hint));
        if name.is_empty() {
            return wrong("a `[[shaping]]` entry has no name".into(), "add one, such as name = \"google\"");
        }
        if name == Self::DEFAULT && (self.mx_suffixes.is_some() || self.domains.is_some()) {
            return wrong(
                "the entry `default` can't name hosts or domains".into(),
                "leave `mx-suffixes` and `domains` out, or give it another name",
            );
        }
        for domain in self.domains.iter().flatten() {
            if let Err(error) = Domain::parse(domain) {
                return wrong(format!("entry `{name}`: {error}"), "write domains such as \"example.com\"");
            }
        }
        let no_suffix =
            |suffix: &String| suffix.trim_matches('.').is_empty() || suffix.contains(['*', '@', ' ']);
        if let Some(suffix) = self.mx_suffixes.iter().flatten().find(|suffix| no_suffix(suffix)) {
            return wrong(
                format!("entry `{name}`: `{suffix}` is not the end of a host name"),
                "write a suffix such as \".mx.example.com\"",
            );
        }
        if [self.connections, self.provider_connections].contains(&Some(0)) {
            return wrong(format!("entry `{name}`: 0 connections"), "use 1 or more");
        }
        if self.recipients_per_message.is_some_and(|recipients| !RECIPIENTS.contains(&recipients)) {
            return wrong(
                format!("entry `{name}`: `recipients-per-message` is out of range"),
                RECIPIENTS_HINT,
            );
        }
        if self.new_connections_per_minute == Some(0) {
            return wrong(format!("entry `{name}`: 0 new connections per minute"), "use 1 or more");
        }
        let rates = [self.messages_per_second, self.provider_messages_per_second];
        if rates.into_iter().flatten().any(|rate| !(0.001..=1e6).contains(&rate)) {
            return wrong(
                format!("entry `{name}`: a rate is out of range"),
                "use 0.001 to 1000000 messages per second",
            );
        }
        Ok(())
    }
}
