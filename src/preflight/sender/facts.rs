//! Who sends, and where from, as receivers will see it.

use std::net::IpAddr;

use crate::dkim::Signer;
use crate::mail::Domain;

/// Where mail leaves from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Egress {
    /// The address that receivers see.
    pub address: IpAddr,
    /// The name in EHLO, where it is known.
    pub ehlo: Option<String>,
}

/// Who sends, as receivers will see it.
#[derive(Debug)]
pub(crate) struct Sender<'a> {
    /// The domain of `From`.
    pub from: &'a Domain,
    /// The domain of the return path.
    pub return_path: &'a Domain,
    /// The keys that messages are signed with.
    pub signer: &'a Signer,
    /// The addresses that mail leaves from; empty where they are not known.
    pub egress: &'a [Egress],
    /// The hosts of the relays that mail is handed to. Where `egress` is empty, SPF is checked for
    /// their addresses.
    pub relays: Vec<&'a str>,
    /// A signed message of the campaign, to verify.
    pub message: Option<&'a [u8]>,
}
