//! `[[platform]]` of `senders.toml`: who else sends in the name of the senders' domains, for
//! `mailrun domain`.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::error::Mistake;
use crate::mail::Domain;

/// `[[platform]]`: a service, or own servers, that may send in the name of the domains.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Platform {
    /// What reports call it.
    pub name: String,
    /// These are own servers.
    #[serde(default)]
    pub own: bool,
    /// The addresses and networks that it sends from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<Network>,
    /// The domains of its return paths; what is below them counts too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub spf_domains: Vec<String>,
    /// The domains that it signs with, other than the senders' own; what is below them counts too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dkim_domains: Vec<String>,
    /// The selectors that it signs with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub selectors: Vec<String>,
}

/// An address, or a network such as `192.0.2.0/24`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    /// The network of `address` with so many leading bits.
    pub fn of(address: IpAddr, bits: u8) -> Self {
        let address = match address {
            IpAddr::V4(address) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(bits.min(32))).unwrap_or(0);
                IpAddr::V4((address.to_bits() & mask).into())
            }
            IpAddr::V6(address) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(bits.min(128))).unwrap_or(0);
                IpAddr::V6((address.to_bits() & mask).into())
            }
        };
        Self { address, bits }
    }

    /// Whether `address` is in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        address.is_ipv4() == self.address.is_ipv4() && Self::of(address, self.bits) == *self
    }

    /// Its first address.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    fn is_single(&self) -> bool {
        self.bits == if self.address.is_ipv4() { 32 } else { 128 }
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let problem = || format!("`{text}` is neither an address nor a network such as 192.0.2.0/24");
        let (address, bits) =
            text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.parse().map_err(|_| problem())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(most), str::parse).map_err(|_| problem())?;
        if bits > most { Err(problem()) } else { Ok(Self::of(address, bits)) }
    }
}

impl TryFrom<String> for Network {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_single() { self.address.fmt(f) } else { write!(f, "{}/{}", self.address, self.bits) }
    }
}

impl From<Network> for String {
    fn from(network: Network) -> Self {
        network.to_string()
    }
}

/// Makes names comparable, and refuses what can't be meant.
pub(super) fn check(platforms: &mut [Platform]) -> Result<(), Mistake> {
    for at in 0..platforms.len() {
        let name = platforms[at].name.clone();
        if platforms[..at].iter().any(|other| other.name == name) {
            let problem = format!("the platform `{name}` is named twice");
            return Err(Mistake::new("platform.name", problem, "keep one of them"));
        }
        let platform = &mut platforms[at];
        let names = [&platform.spf_domains, &platform.dkim_domains, &platform.selectors];
        if platform.addresses.is_empty() && names.iter().all(|names| names.is_empty()) {
            let problem = format!("nothing says what mail is from the platform `{name}`");
            let hint = "name its `addresses`, `spf-domains`, `dkim-domains` or `selectors`";
            return Err(Mistake::new("platform.name", problem, hint));
        }
        for (key, names) in [
            ("platform.spf-domains", &mut platform.spf_domains),
            ("platform.dkim-domains", &mut platform.dkim_domains),
        ] {
            for name in names {
                let domain = name.parse::<Domain>().map_err(|_| {
                    Mistake::new(
                        key,
                        format!("`{name}` is no domain"),
                        "use a name such as `mail.example.com`",
                    )
                })?;
                *name = domain.as_str().to_owned();
            }
        }
        platform.selectors.iter_mut().for_each(|selector| *selector = selector.to_lowercase());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_hold_their_addresses() {
        for (network, address, is_in) in [
            ("192.0.2.7", "192.0.2.7", true),
            ("192.0.2.7", "192.0.2.8", false),
            ("192.0.2.77/24", "192.0.2.1", true),
            ("192.0.2.0/24", "192.0.3.1", false),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("2001:db8::/32", "2001:db8:1::1", true),
            ("2001:db8::/128", "2001:db8::1", false),
        ] {
            let parsed: Network = network.parse().unwrap();
            assert_eq!(parsed.contains(address.parse().unwrap()), is_in, "{network} {address}");
            assert_eq!(parsed.to_string().parse::<Network>().unwrap(), parsed);
        }
        for bad in ["", "192.0.2.0/33", "192.0.2.0/x", "example.com", "2001:db8::/129"] {
            assert!(bad.parse::<Network>().is_err(), "{bad}");
        }
        assert_eq!("192.0.2.77/24".parse::<Network>().unwrap().to_string(), "192.0.2.0/24");
    }

    #[test]
    fn a_platform_says_what_mail_is_from_it() {
        let platform = |name: &str, spf: &[&str]| Platform {
            name: name.into(),
            own: false,
            addresses: Vec::new(),
            spf_domains: spf.iter().map(|name| (*name).to_owned()).collect(),
            dkim_domains: Vec::new(),
            selectors: Vec::new(),
        };
        let mut good = [platform("a", &["Bounces.ESP.example"])];
        check(&mut good).unwrap();
        assert_eq!(good[0].spf_domains, ["bounces.esp.example"]);
        assert!(check(&mut [platform("a", &[])]).is_err());
        assert!(check(&mut [platform("a", &["no domain"])]).is_err());
        assert!(check(&mut [platform("a", &["x.example"]), platform("a", &["y.example"])]).is_err());
    }
}
