//! Which name servers are asked, and which addresses of a host are used.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The address of a name server; port 53 if none is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NameServer(pub SocketAddr);

/// Which addresses of a host are used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum IpFamily {
    /// All of them, IPv4 first.
    #[default]
    Any,
    /// A records only.
    Ipv4,
    /// AAAA records only.
    Ipv6,
}

impl FromStr for NameServer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bare = text.trim_start_matches('[').trim_end_matches(']');
        let address = text.parse().or_else(|_| bare.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 53)));
        address.map(Self).map_err(|_| {
            format!("`{text}` is not the address of a name server: write an IP address, such as \"192.0.2.53\" or \"[2001:db8::53]:5353\"")
        })
    }
}

impl fmt::Display for NameServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de> Deserialize<'de> for NameServer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for NameServer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_servers_have_port_53_unless_they_say_otherwise() {
        let check =
            |text: &str, address: &str| assert_eq!(text.parse::<NameServer>().unwrap().to_string(), address);
        check("192.0.2.53", "192.0.2.53:53");
        check("127.0.0.1:5353", "127.0.0.1:5353");
        check("2001:db8::53", "[2001:db8::53]:53");
        check("[2001:db8::53]", "[2001:db8::53]:53");
        check("[2001:db8::53]:54", "[2001:db8::53]:54");
        for bad in ["", "dns.example.com", "192.0.2", "192.0.2.53:", "192.0.2.53:99999"] {
            assert!(bad.parse::<NameServer>().is_err(), "{bad}");
        }
    }
}
