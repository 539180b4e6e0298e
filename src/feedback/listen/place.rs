//! Where to listen.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use serde::Deserialize;

/// A TCP address, or the path of a Unix socket.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Place {
    /// `127.0.0.1:2424`.
    Tcp(SocketAddr),
    /// `/run/mailrun/feedback.sock`.
    Unix(PathBuf),
}

/// A text is no place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is neither an address with a port, such as `127.0.0.1:2424`, nor the path of a socket")]
pub struct BadPlace(String);

impl FromStr for Place {
    type Err = BadPlace;

    fn from_str(text: &str) -> Result<Self, BadPlace> {
        // As Postfix and Exim name sockets.
        let path = text.strip_prefix("unix:").unwrap_or(text);
        if path.starts_with('/') {
            return Ok(Self::Unix(PathBuf::from(path)));
        }
        text.parse().map(Self::Tcp).map_err(|_| BadPlace(text.to_owned()))
    }
}

impl TryFrom<String> for Place {
    type Error = BadPlace;

    fn try_from(text: String) -> Result<Self, BadPlace> {
        text.parse()
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(addr) => write!(f, "{addr}"),
            Self::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_paths() {
        let shown = |text: &str| text.parse::<Place>().map(|place| place.to_string());
        assert_eq!(shown("127.0.0.1:24").unwrap(), "127.0.0.1:24");
        assert_eq!(shown("[::1]:24").unwrap(), "[::1]:24");
        assert_eq!(shown("unix:/run/a.sock").unwrap(), "/run/a.sock");
        assert_eq!(shown("/run/a.sock").unwrap(), "/run/a.sock");
        for bad in ["", "24", "localhost:24", "a.sock", "unix:a.sock", "127.0.0.1"] {
            assert_eq!(shown(bad), Err(BadPlace(bad.to_owned())));
        }
    }
}
