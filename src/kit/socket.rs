//! Where a program listens, and sockets that are listened on.

use std::fmt;
use std::fs::{self, Permissions};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::Deserialize;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

/// Anybody who may reach the socket may connect, as to a port on loopback. Its folder tells who.
const SOCKET_MODE: u32 = 0o666;

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

/// A socket can't be listened on.
#[derive(Debug, thiserror::Error)]
#[error("failed to listen on `{place}`")]
pub struct BindError {
    place: Place,
    source: io::Error,
}

/// A socket that is listened on.
#[derive(Debug)]
pub(crate) enum Socket {
    /// At an address.
    Tcp(TcpListener),
    /// At a path.
    Unix(UnixListener, PathBuf),
}

/// Who has connected.
#[derive(Debug)]
pub(crate) enum Client {
    /// From an address.
    Tcp(TcpStream, SocketAddr),
    /// On this machine.
    Unix(UnixStream),
}

impl Socket {
    /// Binds a place. A socket that nobody listens on any longer is replaced.
    pub(crate) async fn bind(place: &Place) -> Result<Self, BindError> {
        let bound = match place {
            Place::Tcp(addr) => TcpListener::bind(addr).await.map(Self::Tcp),
            Place::Unix(path) => bind_unix(path).await.map(|listener| Self::Unix(listener, path.clone())),
        };
        bound.map_err(|source| BindError { place: place.clone(), source })
    }

    /// Where it is, with the port that the system chose.
    pub(crate) fn place(&self) -> Option<Place> {
        match self {
            Self::Tcp(listener) => listener.local_addr().ok().map(Place::Tcp),
            Self::Unix(_, path) => Some(Place::Unix(path.clone())),
        }
    }

    /// Waits for the next client.
    pub(crate) async fn accept(&self) -> io::Result<Client> {
        Ok(match self {
            Self::Tcp(listener) => {
                let (stream, from) = listener.accept().await?;
                drop(stream.set_nodelay(true));
                Client::Tcp(stream, from)
            }
            Self::Unix(listener, _) => Client::Unix(listener.accept().await?.0),
        })
    }

    /// Listens no longer.
    pub(crate) fn close(self) {
        if let Self::Unix(listener, path) = self {
            drop(listener);
            // Somebody may have removed it: then nobody misses it.
            drop(fs::remove_file(path));
        }
    }
}

async fn bind_unix(path: &Path) -> io::Result<UnixListener> {
    let listener = match UnixListener::bind(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => match UnixStream::connect(path).await {
            Err(refused) if refused.kind() == io::ErrorKind::ConnectionRefused => {
                fs::remove_file(path)?;
                UnixListener::bind(path)?
            }
            Ok(_) | Err(_) => return Err(error),
        },
        bound => bound?,
    };
    fs::set_permissions(path, Permissions::from_mode(SOCKET_MODE))?;
    Ok(listener)
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
