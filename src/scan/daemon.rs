//! Connections to a daemon: one question, one answer, all of it bounded in time.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use crate::kit::outside_text;

/// How long to wait for a daemon that says nothing: the first scan loads SpamAssassin's rules.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);
/// A daemon on the same machine or next to it connects at once.
const CONNECT: Duration = Duration::from_secs(5);
/// More than any answer has.
const LONGEST_ANSWER: u64 = 1 << 20;

/// A stream to a daemon that has to be done by some time, however slowly the daemon talks.
pub(super) struct Connection {
    stream: Stream,
    until: Instant,
}

enum Stream {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(std::os::unix::net::UnixStream),
}

impl Stream {
    fn bound(&self, time: Duration) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => {
                stream.set_read_timeout(Some(time)).and_then(|()| stream.set_write_timeout(Some(time)))
            }
            #[cfg(unix)]
            Self::Unix(stream) => {
                stream.set_read_timeout(Some(time)).and_then(|()| stream.set_write_timeout(Some(time)))
            }
        }
    }
}

impl Connection {
    /// Gives the stream what is left of its time.
    fn in_time(&self) -> io::Result<()> {
        match self.until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
            Some(left) => self.stream.bound(left),
            None => Err(late()),
        }
    }
}

fn late() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "no answer in time")
}

/// A stream whose time is over says that it would block.
fn in_our_words(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => late(),
        _ => error,
    }
}

impl Read for Connection {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.in_time()?;
        let read = match &mut self.stream {
            Stream::Tcp(stream) => stream.read(buffer),
            #[cfg(unix)]
            Stream::Unix(stream) => stream.read(buffer),
        };
        read.map_err(in_our_words)
    }
}

impl Write for Connection {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.in_time()?;
        let written = match &mut self.stream {
            Stream::Tcp(stream) => stream.write(bytes),
            #[cfg(unix)]
            Stream::Unix(stream) => stream.write(bytes),
        };
        written.map_err(in_our_words)
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.stream {
            Stream::Tcp(stream) => stream.flush(),
            #[cfg(unix)]
            Stream::Unix(stream) => stream.flush(),
        }
    }
}

/// Connects to `endpoint`: `host:port`, or the path of a Unix socket. The whole conversation has to
/// be over after `patience`.
pub(super) fn connect(endpoint: &str, patience: Duration) -> io::Result<Connection> {
    let until = Instant::now() + patience;
    #[cfg(unix)]
    if endpoint.starts_with('/') {
        let stream = Stream::Unix(std::os::unix::net::UnixStream::connect(endpoint)?);
        return Ok(Connection { stream, until });
    }
    let mut failed = io::Error::new(io::ErrorKind::NotFound, "no such address");
    for address in endpoint.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, CONNECT.min(patience)) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(Connection { stream: Stream::Tcp(stream), until });
            }
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

/// The whole answer, bounded.
pub(super) fn read_to_end(stream: &mut Connection) -> io::Result<Vec<u8>> {
    let mut answer = Vec::new();
    stream.take(LONGEST_ANSWER).read_to_end(&mut answer)?;
    Ok(answer)
}

/// The error for an answer that does not follow the protocol.
pub(super) fn bad_answer(answer: &[u8]) -> io::Error {
    let shown = String::from_utf8_lossy(&answer[..answer.len().min(200)]);
    io::Error::new(io::ErrorKind::InvalidData, format!("unexpected answer: {}", outside_text::line(&shown)))
}
