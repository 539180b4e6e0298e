//! What lanes, mailbox providers, local addresses and messages may use.

use crate::pacing::Rate;

/// What a lane may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LaneLimits {
    /// Connections open at once.
    pub connections: usize,
    /// Connections to begin with, until the site has shown how many it accepts.
    pub initial: usize,
    /// Messages in flight on one connection.
    pub pipeline_depth: usize,
    /// Recipients of one message, where all get the same text; at least 1.
    pub recipients: usize,
    /// A message is for recipients of one domain only. A relay takes any; some hosts that serve
    /// several domains take one at a time ("multiple destination domains per transaction is
    /// unsupported").
    pub one_domain: bool,
    /// Messages; a message for several recipients counts once for each.
    pub rate: Option<Rate>,
    /// New connections.
    pub openings: Option<Rate>,
    /// All mail goes to this site, so a permanent refusal by it stops the run.
    pub only_way: bool,
}

/// The limits of a mailbox provider over all of its sites.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ProviderLimits {
    /// Its name in the shaping data.
    pub name: String,
    /// Connections open at once, over all sites; no limit when `None`.
    pub connections: Option<usize>,
    /// Messages, over all sites; a message for several recipients counts once for each.
    pub rate: Option<Rate>,
}

/// What one local address may send.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceLimits {
    /// Its share of the run's connections, relative to the other local addresses; at least 1.
    pub weight: u32,
    /// Messages, over all sites; a message for several recipients counts once for each.
    pub rate: Option<Rate>,
    /// Messages that it may still send in this run: the rest of a warm-up's day.
    pub allowance: Option<u64>,
}

impl Default for SourceLimits {
    fn default() -> Self {
        Self { weight: 1, rate: None, allowance: None }
    }
}

/// How many rows may share a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EnvelopeLimits {
    /// Recipients of one message; 1 gives each row a message of its own.
    pub recipients: usize,
    /// They all have the same domain.
    pub one_domain: bool,
}
