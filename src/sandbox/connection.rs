//! One connection: moves bytes between the socket and the session, and carries out the session's
//! steps.
//!
//! Decides nothing about the protocol. All replies to the input of one read leave with one write.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::options::Tls;
use super::session::{Common, Session, Step};
use super::stats::count;
use super::store::Store;

/// The size of the first reads: more than a command line, and little memory on an idle connection.
const FIRST_READ_BYTES: usize = 8 * 1024;

/// The size of reads once a client has filled the first: a good part of a usual message.
const READ_BYTES: usize = 64 * 1024;

/// How long a TLS handshake may take.
const HANDSHAKE_TIME: Duration = Duration::from_secs(60);

/// How long the client has to close its side after the last reply. Closing with unread input would
/// reset the connection.
const LINGER_TIME: Duration = Duration::from_secs(2);

/// How long a `stall-…` lasts if the client never gives up: longer than any timeout of RFC 5321
/// §4.5.3.2.
const STALL_TIME: Duration = Duration::from_secs(30 * 60);

/// What all connections of a sandbox share.
pub(super) struct Shared {
    pub common: Arc<Common>,
    pub store: Arc<Store>,
    pub tls: Option<TlsAcceptor>,
}

/// Why a stream has ended.
#[derive(Debug, PartialEq, Eq)]
enum Ended {
    StartTls,
    Reset,
    Closed,
}

/// Serves one connection to its end. An error ends this connection only.
pub(super) async fn serve(shared: &Shared, tcp: TcpStream, number: u64, stop: watch::Receiver<bool>) {
    // The client has closed a connection that fails: nobody is left to report it to.
    drop(try_serve(shared, tcp, number, stop).await);
}

async fn try_serve(
    shared: &Shared,
    mut tcp: TcpStream,
    number: u64,
    stop: watch::Receiver<bool>,
) -> io::Result<()> {
    tcp.set_nodelay(true)?;
    let session = Session::new(Arc::clone(&shared.common), number, tcp.peer_addr()?.ip());
    let mut exchange = Exchange { shared, session, stop, input: Vec::new(), from: 0, to: 0, out: Vec::new() };
    let implicit = shared.common.options.tls == Tls::Implicit;
    if !implicit {
        exchange.session.greet(&mut exchange.out);
        match exchange.run(&mut tcp).await? {
            Ended::StartTls => {}
            Ended::Reset => return tcp.set_zero_linger(),
            Ended::Closed => return Ok(()),
        }
    }
    let acceptor = shared.tls.as_ref().expect("STARTTLS and implicit TLS need the acceptor made at start");
    let mut tls = tokio::select! {
        accepted = timeout(HANDSHAKE_TIME, acceptor.accept(tcp)) => accepted??,
        () = stopped(&mut exchange.stop) => return Ok(()),
    };
    count(&shared.common.counters.tls);
    exchange.session.secured();
    if implicit {
        exchange.session.greet(&mut exchange.out);
    }
    if exchange.run(&mut tls).await? == Ended::Reset {
        tls.get_ref().0.set_zero_linger()?;
    }
    Ok(())
}

/// A session with its buffers.
struct Exchange<'a> {
    shared: &'a Shared,
    session: Session,
    stop: watch::Receiver<bool>,
    /// What was read; `from..to` is still unused.
    input: Vec<u8>,
    from: usize,
    to: usize,
    out: Vec<u8>,
}

impl Exchange<'_> {
    /// Runs the session over one stream, plain or encrypted.
    async fn run<S: AsyncRead + AsyncWrite + Unpin>(&mut self, stream: &mut S) -> io::Result<Ended> {
        self.input.resize(self.input.len().max(FIRST_READ_BYTES), 0);
        loop {
            let mut unused = &self.input[self.from..self.to];
            let step = self.session.advance(&mut unused, &mut self.out);
            self.from = self.to - unused.len();
            if let Step::Keep(message) = step {
                let kept = self.shared.store.keep(message).await;
                self.session.kept(kept);
                continue;
            }
            self.flush(stream).await?;
            match step {
                Step::Keep(_) => unreachable!("handled above"),
                Step::Read => {
                    if !self.read(stream).await? {
                        return self.close(stream).await;
                    }
                }
                Step::Wait(time) => {
                    tokio::select! {
                        () = tokio::time::sleep(time) => {}
                        () = stopped(&mut self.stop) => return Ok(Ended::Closed),
                    }
                }
                Step::StartTls => return Ok(Ended::StartTls),
                Step::Close => return self.close(stream).await,
                Step::Drop => return Ok(Ended::Closed),
                Step::Reset => return Ok(Ended::Reset),
                Step::Stall { reading } => {
                    self.stall(stream, reading).await;
                    return Ok(Ended::Closed);
                }
            }
        }
    }

    async fn flush<S: AsyncWrite + Unpin>(&mut self, stream: &mut S) -> io::Result<()> {
        if self.out.is_empty() {
            return Ok(());
        }
        let all = async {
            stream.write_all(&self.out).await?;
            stream.flush().await
        };
        tokio::select! {
            biased;
            written = timeout(self.shared.common.options.idle_timeout, all) => written??,
            () = stopped(&mut self.stop) => return Err(io::ErrorKind::Interrupted.into()),
        }
        self.out.clear();
        Ok(())
    }

    /// Reads more. False at the end of the input; `out` then has the last reply, if there is one.
    async fn read<S: AsyncRead + Unpin>(&mut self, stream: &mut S) -> io::Result<bool> {
        if self.to == self.input.len() {
            self.input.resize(READ_BYTES, 0);
        }
        // The session leaves at most a part of a command line, so there is always room.
        self.input.copy_within(self.from..self.to, 0);
        (self.from, self.to) = (0, self.to - self.from);
        let idle = self.shared.common.options.idle_timeout;
        let why = tokio::select! {
            biased;
            read = timeout(idle, stream.read(&mut self.input[self.to..])) => match read {
                Ok(read) => {
                    let length = read?;
                    self.to += length;
                    return Ok(length > 0);
                }
                Err(_) => "timeout exceeded",
            },
            () = stopped(&mut self.stop) => "sandbox is stopping",
        };
        self.session.farewell(why, &mut self.out);
        Ok(false)
    }

    /// Sends the last reply, closes our side, then waits for the client to close its own.
    async fn close<S: AsyncRead + AsyncWrite + Unpin>(&mut self, stream: &mut S) -> io::Result<Ended> {
        let farewell = async {
            stream.write_all(&self.out).await?;
            stream.shutdown().await?;
            while stream.read(&mut self.input).await? > 0 {}
            io::Result::Ok(())
        };
        tokio::select! {
            biased;
            done = timeout(LINGER_TIME, farewell) => drop(done),
            () = stopped(&mut self.stop) => {}
        }
        Ok(Ended::Closed)
    }

    /// Stays silent until the client closes or the sandbox stops.
    async fn stall<S: AsyncRead + Unpin>(&mut self, stream: &mut S, reading: bool) {
        let silence = async {
            if !reading {
                std::future::pending::<()>().await;
            }
            while stream.read(&mut self.input).await.is_ok_and(|length| length > 0) {}
        };
        tokio::select! {
            done = timeout(STALL_TIME, silence) => drop(done),
            () = stopped(&mut self.stop) => {}
        }
    }
}

/// Returns when the sandbox stops or is dropped.
pub(super) async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error means that the sender was dropped, which counts as stopping.
    drop(stop.wait_for(|stopping| *stopping).await);
}
