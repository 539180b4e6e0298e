//! The relay's addresses, by the system's own resolver (`/etc/hosts` included).

use std::io;
use std::net::SocketAddr;

/// The addresses of `host`, a name or an IP address, in the order to try them.
pub async fn relay_addresses(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let found: Vec<SocketAddr> = tokio::net::lookup_host((host, port)).await?.collect();
    if found.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
    }
    Ok(found)
}
