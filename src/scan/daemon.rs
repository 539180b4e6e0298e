//! Connections to a daemon: one question, one answer, both bounded in time.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use crate::kit::outside_text;

/// How long to wait for a daemon that says nothing: the first scan loads SpamAssassin's rules.
const PATIENCE: Duration = Duration::from_secs(60);
/// A daemon on the same machine or next to it connects at once.
const CONNECT: Duration = Duration::from_secs(5);
/// More than any answer has.
const LONGEST_ANSWER: u64 = 1 << 20;

/// A stream to a daemon.
pub(super) trait Duplex: Read + Write {}
impl<T: Read + Write> Duplex for T {}

/// Connects to `endpoint`: `host:port`, or the path of a Unix socket.
pub(super) fn connect(endpoint: &str) -> io::Result<Box<dyn Duplex>> {
    #[cfg(unix)]
    if endpoint.starts_with('/') {
        let stream = std::os::unix::net::UnixStream::connect(endpoint)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        return Ok(Box::new(stream));
    }
    let mut failed = io::Error::new(io::ErrorKind::NotFound, "no such address");
    for address in endpoint.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, CONNECT) {
            Ok(stream) => {
                stream.set_read_timeout(Some(PATIENCE))?;
                stream.set_write_timeout(Some(PATIENCE))?;
                return Ok(Box::new(stream));
            }
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

/// The whole answer, bounded.
pub(super) fn read_to_end(stream: &mut dyn Duplex) -> io::Result<Vec<u8>> {
    let mut answer = Vec::new();
    stream.take(LONGEST_ANSWER).read_to_end(&mut answer)?;
    Ok(answer)
}

/// The error for an answer that does not follow the protocol.
pub(super) fn bad_answer(answer: &[u8]) -> io::Error {
    let shown = String::from_utf8_lossy(&answer[..answer.len().min(200)]);
    io::Error::new(io::ErrorKind::InvalidData, format!("unexpected answer: {}", outside_text::line(&shown)))
}
