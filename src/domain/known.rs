//! Whose a mail is that a report counts: ours, a platform's, forwarded, of somebody unknown, or
//! made up.

use std::collections::HashSet;
use std::net::IpAddr;

use serde::Serialize;

use crate::campaign::{Platform, Senders};
use crate::feedback::DmarcRow;

/// Whose mails are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Class {
    /// Sent by servers of the domain: those that its SPF record or the registry names.
    Ours,
    /// Sent by a `[[platform]]` of the registry.
    Platform,
    /// Sent by us or a platform, and passed on by somebody else.
    Forwarder,
    /// Sent by somebody who can be known, or signs with a key of the domain, and whom the registry
    /// does not name.
    Unknown,
    /// Nothing in it is right: the domain was made up.
    Hostile,
}

impl Class {
    /// All classes.
    pub(crate) const ALL: [Self; 5] =
        [Self::Ours, Self::Platform, Self::Forwarder, Self::Unknown, Self::Hostile];

    /// Its name in the output.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Platform => "platform",
            Self::Forwarder => "forwarder",
            Self::Unknown => "unknown",
            Self::Hostile => "hostile",
        }
    }

    /// Whether the domain's owner answers for its mails.
    pub(crate) fn is_own(self) -> bool {
        matches!(self, Self::Ours | Self::Platform)
    }
}

/// What the registry knows of those who send.
#[derive(Debug, Default)]
pub(crate) struct Known {
    platforms: Vec<Platform>,
    /// Domain and selector of each key of a sender.
    keys: HashSet<(String, String)>,
}

impl Known {
    /// What `senders` names.
    pub(crate) fn new(senders: Option<&Senders>) -> Self {
        let Some(senders) = senders else { return Self::default() };
        let keys = senders.senders.iter().flat_map(|sender| &sender.dkim);
        let keys = keys.map(|key| (key.domain.as_str().to_owned(), key.selector.to_lowercase()));
        Self { platforms: senders.platforms.clone(), keys: keys.collect() }
    }

    /// The names of the platforms.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.platforms.iter().map(|platform| platform.name.as_str())
    }

    /// The platform that a mail came from directly: its address, or the return path that SPF
    /// vouches for.
    fn sent_by(&self, row: &DmarcRow) -> Option<&Platform> {
        let is_from = |platform: &&Platform| {
            row.source.is_some_and(|source| platform.addresses.iter().any(|network| network.contains(source)))
                || row.spf_pass && platform.spf_domains.iter().any(|name| is_below(&row.spf_domain, name))
        };
        self.platforms.iter().find(is_from)
    }

    /// The platform that signed a mail, whoever passed it on.
    fn signed_by(&self, row: &DmarcRow) -> Option<&Platform> {
        let has_signed = |platform: &&Platform| {
            row.dkim_pass
                && (platform.selectors.contains(&row.selector)
                    || platform.dkim_domains.iter().any(|name| is_below(&row.dkim_domain, name)))
        };
        self.platforms.iter().find(has_signed)
    }
}

/// Whether `name` is `above`, or below it.
pub(super) fn is_below(name: &str, above: &str) -> bool {
    !above.is_empty() && name.strip_suffix(above).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// What the reports themselves show of the domain's own mail.
#[derive(Debug, Default)]
pub(super) struct Shown {
    /// Keys that own mail is signed with.
    keys: HashSet<(String, String)>,
    /// Addresses that the domain's SPF record names.
    addresses: HashSet<IpAddr>,
}

impl Shown {
    /// Takes in one row of many; all of them come before [`classify`].
    pub(super) fn add(&mut self, row: &DmarcRow, known: &Known) {
        if row.spf_aligned {
            self.addresses.extend(row.source);
        }
        let is_own = row.spf_aligned || known.sent_by(row).is_some();
        if is_own && row.dkim_aligned && row.dkim_pass {
            self.keys.insert(key(row));
        }
    }
}

fn key(row: &DmarcRow) -> (String, String) {
    (row.dkim_domain.clone(), row.selector.clone())
}

/// Whose the mails of a row are, and the platform's name.
pub(super) fn classify<'k>(row: &DmarcRow, known: &'k Known, shown: &Shown) -> (Class, Option<&'k str>) {
    let named = |platform: &'k Platform| {
        (if platform.own { Class::Ours } else { Class::Platform }, Some(platform.name.as_str()))
    };
    if let Some(platform) = known.sent_by(row) {
        return named(platform);
    }
    let is_own_key = shown.keys.contains(&key(row)) || known.keys.contains(&key(row));
    if row.spf_aligned {
        return known.signed_by(row).map_or((Class::Ours, None), named);
    }
    if row.forwarded {
        return (Class::Forwarder, None);
    }
    if let Some(platform) = known.signed_by(row) {
        // Where its addresses are known, this was not one of them.
        let is_passed_on =
            !platform.addresses.is_empty() || !platform.spf_domains.is_empty() || !row.spf_pass;
        return if is_passed_on { (Class::Forwarder, Some(platform.name.as_str())) } else { named(platform) };
    }
    let is_own_address = row.source.is_some_and(|source| shown.addresses.contains(&source));
    match (row.dkim_aligned, is_own_key) {
        _ if is_own_address => (Class::Ours, None),
        // Signed by us, or once signed by us and changed since.
        (_, true) => (Class::Forwarder, None),
        (true, false) => (Class::Unknown, None),
        (false, false) if row.spf_pass || row.dkim_pass => (Class::Unknown, None),
        (false, false) => (Class::Hostile, None),
    }
}
