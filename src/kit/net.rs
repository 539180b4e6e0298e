//! Addresses that only their own network can reach.

use std::net::IpAddr;

/// Private (RFC 1918, RFC 4193), shared (RFC 6598) and link-local (RFC 3927, RFC 4291) addresses.
pub(crate) fn is_private(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            ip.is_private() || ip.is_link_local() || (a == 100 && (64..128).contains(&b))
        }
        IpAddr::V6(ip) => ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}
