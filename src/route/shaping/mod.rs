//! The limits of each provider: connections, messages a connection, messages a second, new
//! connections a minute.
//!
//! The figures are data: `shaping.toml`, extended and overridden by the campaign's `[[shaping]]`.
//! This module knows the limits; the lanes keep them.

use serde::Deserialize;

use super::site::is_below;
use super::tls::TlsDemand;
use crate::campaign::ShapingEntry;
use crate::mail::Domain;

/// The entries that come with the program.
const SHAPING: &str = include_str!("shaping.toml");

/// The limits of one site.
#[derive(Debug, Clone, PartialEq)]
pub struct SiteShaping {
    /// The provider's name; `None` for everybody else.
    pub provider: Option<Box<str>>,
    /// Connections at once.
    pub connections: usize,
    /// Messages over one connection before it is closed; 0 is unlimited.
    pub messages_per_connection: u64,
    /// Recipients of one message, if all get the same text.
    pub recipients_per_message: usize,
    /// Messages a second.
    pub messages_per_second: Option<f64>,
    /// Connections opened within a minute.
    pub new_connections_per_minute: Option<u32>,
    /// Connections at once over all sites of the provider.
    pub provider_connections: Option<usize>,
    /// Messages a second over all sites of the provider.
    pub provider_messages_per_second: Option<f64>,
    /// The least transport security.
    pub tls: TlsDemand,
}

/// The limits of all sites. Make one and share it.
#[derive(Debug, Clone)]
pub struct Shaping {
    /// The campaign's entries before the program's. The first that matches decides.
    entries: Vec<Entry>,
    everybody: SiteShaping,
}

#[derive(Debug, Clone)]
struct Entry {
    suffixes: Vec<String>,
    domains: Vec<Domain>,
    /// It is in the campaign file.
    own: bool,
    shaping: SiteShaping,
}

/// An entry that can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ShapingError {
    /// The program's own entries are not TOML, or a key is unknown.
    #[error("shaping entries can't be read: {0}")]
    Toml(String),
    /// An entry that matches nothing.
    #[error("entry `{0}` of `[[shaping]]` matches no domain")]
    FitsNobody(String),
    /// Two entries of the campaign have one name.
    #[error("`[[shaping]]` has more than one entry `{0}`")]
    Twice(String),
}

impl ShapingError {
    /// What to do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Toml(_) => None,
            Self::FitsNobody(_) => {
                let known: Vec<_> = parse().ok()?.into_iter().map(|entry| entry.name).collect();
                Some(format!(
                    "add `mx-suffixes` or `domains`, or use the name of an entry to override: {}",
                    known.join(", ")
                ))
            }
            Self::Twice(_) => Some("merge them into one entry".to_owned()),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    shaping: Vec<ShapingEntry>,
}

fn parse() -> Result<Vec<ShapingEntry>, ShapingError> {
    let file: File = toml::from_str(SHAPING).map_err(|error| ShapingError::Toml(error.to_string()))?;
    Ok(file.shaping)
}

impl Default for Shaping {
    /// The entries that come with the program.
    fn default() -> Self {
        Self::new(&[]).expect("the tests load the program's own entries")
    }
}

impl Shaping {
    /// The program's entries, extended and overridden by the campaign's.
    pub fn new(campaign: &[ShapingEntry]) -> Result<Self, ShapingError> {
        let mut built_in = parse()?;
        let mut own = Vec::new();
        for entry in campaign {
            if own.iter().any(|other: &ShapingEntry| other.name == entry.name) {
                return Err(ShapingError::Twice(entry.name.clone()));
            }
            let base = built_in.iter().position(|base| base.name == entry.name).map(|at| built_in.remove(at));
            own.push(over(entry, base.unwrap_or_default()));
        }
        let owned = own.len();
        let mut entries = own;
        entries.extend(built_in);
        let is_default = |entry: &ShapingEntry| entry.name == ShapingEntry::DEFAULT;
        let default = entries.iter().find(|entry| is_default(entry)).cloned().unwrap_or_default();
        let everybody = SiteShaping { provider: None, ..shaping(default.clone()) };
        let entries = entries.into_iter().enumerate().filter(|(_, entry)| !is_default(entry));
        let entries =
            entries.map(|(at, entry)| Entry::new(entry, &default, at < owned)).collect::<Result<_, _>>()?;
        Ok(Self { entries, everybody })
    }

    /// The limits of the site of a domain whose mail goes to `hosts` (in lower case, without the
    /// final dot).
    pub fn of<T: AsRef<str>>(&self, domain: &Domain, hosts: &[T]) -> &SiteShaping {
        let fits = |entry: &&Entry| entry.domains.contains(domain) || entry.fits_hosts(hosts);
        self.entries.iter().find(fits).map_or(&self.everybody, |entry| &entry.shaping)
    }

    /// The limits of a relay: the campaign's own entry whose `mx-suffixes` its name has. The
    /// program's entries are for other people's servers; without an entry a relay has only the
    /// limits in `[delivery.relay]`.
    pub fn of_relay(&self, host: &str) -> Option<&SiteShaping> {
        let host = host.to_ascii_lowercase();
        self.entries.iter().find(|entry| entry.own && entry.fits_hosts(&[&host])).map(|entry| &entry.shaping)
    }
}

impl Entry {
    fn new(entry: ShapingEntry, default: &ShapingEntry, own: bool) -> Result<Self, ShapingError> {
        let bare = |suffix: &String| suffix.trim_matches('.').to_ascii_lowercase();
        let suffixes: Vec<_> = entry.mx_suffixes.iter().flatten().map(bare).collect();
        let domains: Vec<_> =
            entry.domains.iter().flatten().filter_map(|domain| Domain::parse(domain).ok()).collect();
        if suffixes.is_empty() && domains.is_empty() {
            return Err(ShapingError::FitsNobody(entry.name));
        }
        let provider = Some(entry.name.clone().into_boxed_str());
        let shaping = SiteShaping { provider, ..shaping(over(&entry, default.clone())) };
        Ok(Self { suffixes, domains, own, shaping })
    }

    fn fits_hosts<T: AsRef<str>>(&self, hosts: &[T]) -> bool {
        let fits = |host: &T| self.suffixes.iter().any(|suffix| is_below(host.as_ref(), suffix));
        !hosts.is_empty() && !self.suffixes.is_empty() && hosts.iter().all(fits)
    }
}

/// `entry`, with `base` for the keys that it does not set.
fn over(entry: &ShapingEntry, base: ShapingEntry) -> ShapingEntry {
    let entry = entry.clone();
    ShapingEntry {
        name: entry.name,
        mx_suffixes: entry.mx_suffixes.or(base.mx_suffixes),
        domains: entry.domains.or(base.domains),
        connections: entry.connections.or(base.connections),
        messages_per_connection: entry.messages_per_connection.or(base.messages_per_connection),
        recipients_per_message: entry.recipients_per_message.or(base.recipients_per_message),
        messages_per_second: entry.messages_per_second.or(base.messages_per_second),
        new_connections_per_minute: entry.new_connections_per_minute.or(base.new_connections_per_minute),
        provider_connections: entry.provider_connections.or(base.provider_connections),
        provider_messages_per_second: entry
            .provider_messages_per_second
            .or(base.provider_messages_per_second),
        tls: entry.tls.or(base.tls),
    }
}

fn shaping(entry: ShapingEntry) -> SiteShaping {
    SiteShaping {
        provider: None,
        connections: entry.connections.unwrap_or(1),
        messages_per_connection: entry.messages_per_connection.unwrap_or(0),
        recipients_per_message: entry.recipients_per_message.unwrap_or(1),
        messages_per_second: entry.messages_per_second,
        new_connections_per_minute: entry.new_connections_per_minute,
        provider_connections: entry.provider_connections,
        provider_messages_per_second: entry.provider_messages_per_second,
        tls: entry.tls.unwrap_or_default().into(),
    }
}

#[cfg(test)]
mod tests;
