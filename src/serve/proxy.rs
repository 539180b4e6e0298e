//! Who asks: the address of a client, also of one that comes through proxies.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use axum::http::HeaderMap;
use serde::Deserialize;

use crate::campaign::Network;

/// Whom a proxy asks for: each adds the address that it was asked from at the end.
const FORWARDED_FOR: &str = "x-forwarded-for";
/// How the client asked the first of them.
const FORWARDED_PROTO: &str = "x-forwarded-proto";
/// The addresses of a chain that are looked at.
const MOST_HOPS: usize = 32;

/// Who is believed when it says for whom it asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) enum Proxy {
    /// What connects through a Unix socket.
    Unix,
    /// An address or a network.
    At(Network),
}

impl TryFrom<String> for Proxy {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text == "unix" { Ok(Self::Unix) } else { text.parse().map(Self::At) }
    }
}

/// The other end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Peer {
    /// Its address; none at a Unix socket.
    pub address: Option<IpAddr>,
    /// It speaks TLS.
    pub has_tls: bool,
}

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Client {
    /// From where; none where that is not known.
    pub address: Option<IpAddr>,
    /// Nobody else can read what it sends.
    pub is_private: bool,
}

/// What a proxy says of its client can't be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BadForwarded;

impl fmt::Display for BadForwarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`X-Forwarded-For` of the proxy can't be read")
    }
}

impl Client {
    /// Who asks through `peer`. Only what a trusted proxy says counts, and of that only what was
    /// added by trusted ones: the address before the first that is none of them.
    pub(super) fn of(peer: Peer, proxies: &[Proxy], headers: &HeaderMap) -> Result<Self, BadForwarded> {
        let is_proxy = |address: Option<IpAddr>| {
            proxies.iter().any(|proxy| match (proxy, address) {
                (Proxy::Unix, None) => true,
                (Proxy::At(network), Some(address)) => network.contains(address.to_canonical()),
                (Proxy::Unix, Some(_)) | (Proxy::At(_), None) => false,
            })
        };
        let address = peer.address.map(|address| address.to_canonical());
        let is_here = address.is_none_or(|address| address.is_loopback());
        if !is_proxy(address) {
            // Somebody on this machine who asks for others, and is not trusted to say for whom.
            let asks_for_others = is_here && headers.contains_key(FORWARDED_FOR);
            let address = address.filter(|_| !asks_for_others);
            return Ok(Self { address, is_private: peer.has_tls || is_here });
        }
        let mut chain = Vec::new();
        for field in headers.get_all(FORWARDED_FOR) {
            chain.extend(field.to_str().map_err(|_| BadForwarded)?.split(','));
        }
        let is_plain = headers.get_all(FORWARDED_PROTO).iter().any(|proto| proto.as_bytes() != b"https");
        let mut client = None;
        for hop in chain.iter().rev().take(MOST_HOPS) {
            let hop = address_of(hop.trim()).ok_or(BadForwarded)?;
            client = Some(hop);
            if !is_proxy(client) {
                break;
            }
        }
        Ok(Self { address: client, is_private: !is_plain })
    }
}

/// An address, also with a port, as some proxies write it.
fn address_of(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().ok().or_else(|| Some(text.parse::<SocketAddr>().ok()?.ip()))?;
    Some(IpAddr::to_canonical(&address))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(from: &str, forwarded: &[&str]) -> Result<Option<String>, BadForwarded> {
        let proxies = ["10.0.0.0/8", "unix"].map(|text| Proxy::try_from(text.to_owned()).unwrap());
        let mut headers = HeaderMap::new();
        for text in forwarded {
            headers.append(FORWARDED_FOR, text.parse().unwrap());
        }
        let peer = Peer { address: from.parse().ok(), has_tls: true };
        Client::of(peer, &proxies, &headers).map(|client| client.address.map(|address| address.to_string()))
    }

    #[test]
    fn only_trusted_proxies_say_for_whom_they_ask() {
        let check = |from: &str, forwarded: &[&str], address: Option<&str>| {
            let expected = Ok(address.map(str::to_owned));
            assert_eq!(client(from, forwarded), expected, "{from} {forwarded:?}");
        };
        check("192.0.2.1", &[], Some("192.0.2.1"));
        check("192.0.2.1", &["198.51.100.1"], Some("192.0.2.1"));
        // A proxy on this machine that nobody trusts lends its address to nobody.
        check("127.0.0.1", &["198.51.100.1"], None);
        check("10.0.0.1", &["198.51.100.1"], Some("198.51.100.1"));
        // What the client itself wrote comes first, and counts for nothing.
        check("10.0.0.1", &["203.0.113.9, 198.51.100.1"], Some("198.51.100.1"));
        check("10.0.0.1", &["203.0.113.9", "198.51.100.1, 10.1.1.1"], Some("198.51.100.1"));
        check("10.0.0.1", &["nonsense, 198.51.100.1:4711"], Some("198.51.100.1"));
        check("unix", &["[2001:db8::1]:443"], Some("2001:db8::1"));
        check("::ffff:10.0.0.1", &["::ffff:198.51.100.1"], Some("198.51.100.1"));
        // A proxy that says nothing is not the client.
        check("10.0.0.1", &[], None);
        for bad in ["nonsense", "", "198.51.100.1,", "unknown"] {
            assert_eq!(client("10.0.0.1", &[bad]), Err(BadForwarded), "{bad}");
        }
    }

    #[test]
    fn in_clear_only_from_this_machine_or_behind_a_proxy() {
        let check = |from: &str, proto: Option<&str>, is_private: bool| {
            let mut headers = HeaderMap::new();
            if let Some(proto) = proto {
                headers.insert(FORWARDED_PROTO, proto.parse().unwrap());
            }
            let proxies = [Proxy::At("10.0.0.1".parse().unwrap())];
            let peer = Peer { address: from.parse().ok(), has_tls: false };
            let client = Client::of(peer, &proxies, &headers).unwrap();
            assert_eq!(client.is_private, is_private, "{from} {proto:?}");
        };
        check("127.0.0.1", None, true);
        check("::1", None, true);
        check("unix", None, true);
        check("192.0.2.1", None, false);
        check("192.0.2.1", Some("https"), false);
        check("10.0.0.1", None, true);
        check("10.0.0.1", Some("https"), true);
        check("10.0.0.1", Some("http"), false);
    }
}
