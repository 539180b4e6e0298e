//! Addresses that events may go to. A name is looked up by whoever sets it, so that what counts is
//! the address that is connected to.

use std::net::{IpAddr, Ipv4Addr};

use crate::kit::net::is_private;

/// Whether an address may be connected to: those of this machine and of its networks only where
/// `allow_private`, those that nobody can have never. In clear only where they are private.
pub(super) fn is_allowed(ip: IpAddr, is_tls: bool, allow_private: bool) -> bool {
    let ip = ip.to_canonical();
    let is_local = ip.is_loopback() || is_private(ip);
    if is_local { allow_private } else { is_tls && is_public(ip) }
}

/// Whether an address is one of the internet's (RFC 6890), and does not hide another.
fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, c, _] = ip.octets();
            let is_special = matches!((a, b, c), (0, ..) | (192, 0, 0) | (198, 18 | 19, _) | (240..=255, ..));
            !(is_special || ip.is_multicast() || ip.is_documentation())
        }
        IpAddr::V6(ip) => {
            let parts = ip.segments();
            let v4 = |high: u16, low: u16| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
            // RFC 6052: NAT64; RFC 3056: 6to4. Both lead to the IPv4 address in them.
            let inside = match parts {
                [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => Some(v4(high, low)),
                _ => None,
            };
            match inside {
                Some(inside) => {
                    let inside = IpAddr::V4(inside);
                    !inside.is_loopback() && !is_private(inside) && is_public(inside)
                }
                // RFC 4291: global unicast; RFC 3849: documentation; RFC 4380: Teredo.
                None => {
                    parts[0] & 0xe000 == 0x2000
                        && !(parts[0] == 0x2001 && (parts[1] == 0xdb8 || parts[1] == 0))
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_addresses_need_leave_and_odd_ones_get_none() {
        let private = [
            "127.0.0.1",
            "127.9.9.9",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "::1",
            "fe80::1",
            "fd00::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
        ];
        for text in private {
            let ip = text.parse().unwrap();
            assert!(!is_allowed(ip, true, false), "{text}");
            assert!(is_allowed(ip, true, true) && is_allowed(ip, false, true), "{text}");
        }
        let never = [
            "0.0.0.0",
            "0.1.2.3",
            "255.255.255.255",
            "240.0.0.1",
            "224.0.0.1",
            "198.18.0.1",
            "192.0.0.8",
            "192.0.2.1",
            "::",
            "ff02::1",
            "64:ff9b::7f00:1",
            "64:ff9b::a00:1",
            "2002:7f00:1::",
            "2001:db8::1",
            "2001::1",
            "::7f00:1",
        ];
        for text in never {
            let ip = text.parse().unwrap();
            assert!(!is_allowed(ip, true, false) && !is_allowed(ip, true, true), "{text}");
        }
        for text in ["9.9.9.9", "2620:fe::fe", "64:ff9b::909:909"] {
            let ip = text.parse().unwrap();
            assert!(is_allowed(ip, true, false), "{text}");
            assert!(!is_allowed(ip, false, true), "{text} in clear");
        }
    }
}
