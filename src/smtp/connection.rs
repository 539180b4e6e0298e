//! The thin tokio driver: connects, and ties the session to its socket.
//!
//! It decides nothing: the session says what to write and what a reply means. It reads whenever
//! there is something to read, even in the middle of a large message, so that the two sides never
//! wait for each other.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, Sleep, sleep_until, timeout};

use crate::campaign::Timeouts;
use crate::mail::Timestamp;

use super::opening::{self, Opened};
use super::session::Session;
use super::stream::Stream;
use super::{
    Capabilities, Concern, ConnectError, ConnectProblem, Extensions, Fate, NotStarted, Report, Secrets,
    SessionError, Target, Transaction,
};

#[cfg(test)]
mod tests;

/// Segments handed to the socket at once: a message has a handful, and the system accepts 1,024.
const SLICES: usize = 64;
/// The bytes of one read: many replies.
const READ_BYTES: usize = 4_096;
/// How long to wait for the end of TLS: nothing depends on it.
const FAREWELL: Duration = Duration::from_secs(2);

/// The caller's number for a connection; each report carries it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(pub u64);

/// An open session, ready for transactions.
#[derive(Debug)]
pub struct Connection {
    info: SessionInfo,
    stream: Stream,
    timeouts: Timeouts,
    extensions: Extensions,
    secrets: Secrets,
}

/// The two ends of a connection, and how it is secured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionInfo {
    /// The target's host name.
    pub remote_host: String,
    /// The address that was connected to.
    pub remote_ip: IpAddr,
    /// This end's address.
    pub local_ip: IpAddr,
    /// Version and cipher suite, such as `TLSv1.3 TLS_AES_256_GCM_SHA384`; `None` in clear.
    pub tls: Option<String>,
    /// What the server offers.
    pub capabilities: Capabilities,
}

/// How a connection is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// Messages in flight at once; at least 1.
    pub depth: usize,
    /// Another message begins only while at most this many bytes, its own included, have no reply
    /// yet. Keep it below the size of the socket's send buffer.
    pub window_bytes: usize,
    /// Messages before the connection is closed; 0 is unlimited.
    pub max_messages: u64,
    /// How long it stays open without work.
    pub idle: Duration,
}

/// How a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Closed {
    /// The work channel was closed and everything had its reply.
    WorkEnded,
    /// No work for [`ConnectionLimits::idle`].
    Idle,
    /// [`ConnectionLimits::max_messages`] were sent.
    MessageLimit,
    /// The server said 421, or the session broke.
    Lost(SessionError),
}

/// Connects to the first address of `target` that answers, and opens the session: greeting, EHLO,
/// TLS, AUTH.
///
/// If an address can't be reached or refuses to talk, tries the next one. A failure of TLS,
/// credentials or protocol is final.
pub async fn connect(target: &Target) -> Result<Connection, ConnectError> {
    let mut last = ConnectError { remote_ip: None, problem: ConnectProblem::NoAddress };
    for remote in &target.addresses {
        if target.local_ip.is_some_and(|ip| ip.is_ipv4() != remote.is_ipv4()) {
            continue;
        }
        match opening::open(target, *remote).await {
            Ok(opened) => return Ok(Connection::new(target, remote.ip(), opened)),
            Err(problem) => last = ConnectError { remote_ip: Some(remote.ip()), problem },
        }
        tracing::debug!(host = target.host, %remote, problem = %last, "failed to open a session");
        if last.concern() != Concern::Site {
            break;
        }
    }
    Err(last)
}

/// Opens a session with a server in this process, at the other end of `stream`.
///
/// # Errors
/// Those of the session; nothing is encrypted.
pub async fn connect_local(target: &Target, stream: UnixStream) -> Result<Connection, ConnectError> {
    match opening::open_local(target, stream).await {
        Ok(opened) => Ok(Connection::new(target, opening::LOCAL, opened)),
        Err(problem) => Err(ConnectError { remote_ip: None, problem }),
    }
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self { depth: 1, window_bytes: 65_536, max_messages: 0, idle: Duration::from_secs(60) }
    }
}

impl Connection {
    fn new(target: &Target, remote_ip: IpAddr, opened: Opened) -> Self {
        let info = SessionInfo {
            remote_host: target.host.clone(),
            remote_ip,
            local_ip: opened.local_ip,
            tls: opened.tls,
            capabilities: opened.capabilities,
        };
        Self {
            info,
            stream: opened.stream,
            timeouts: target.timeouts.clone(),
            extensions: target.extensions.clone(),
            secrets: opened.secrets,
        }
    }

    /// The two ends of the connection, and how it is secured.
    pub fn info(&self) -> &SessionInfo {
        &self.info
    }

    /// Sends what comes through `work` until it is closed, the connection is idle, has sent its
    /// number of messages, or breaks. Each transaction received, including those left in `work` at
    /// the end, gets exactly one report, and all reports are in `reports` when this returns.
    ///
    /// While `reports` is full the connection stops: its reader must never wait for room in `work`.
    pub async fn serve<R: From<(ConnectionId, Report)>>(
        self,
        id: ConnectionId,
        work: mpsc::Receiver<Transaction>,
        reports: mpsc::Sender<R>,
        limits: ConnectionLimits,
    ) -> Closed {
        let mut driver = Driver::new(self, work, limits);
        loop {
            while let Some(report) = driver.next_report() {
                // Nobody listens any more when the run is ending; the journal knows what is in
                // flight.
                let _ = reports.send((id, report).into()).await;
            }
            if driver.session.is_over() {
                break;
            }
            let event = poll_fn(|cx| driver.poll_event(cx)).await;
            driver.on_event(event);
        }
        let _ = timeout(FAREWELL, driver.stream.shutdown()).await;
        while let Some(transaction) = driver.work.recv().await {
            let _ = reports.send((id, driver.hand_back(&transaction)).into()).await;
        }
        driver.closed()
    }
}

/// Session, socket, work and timer.
struct Driver {
    session: Session,
    stream: Stream,
    /// Something was written that TLS may still hold.
    unflushed: bool,
    buffer: Box<[u8]>,
    work: mpsc::Receiver<Transaction>,
    limits: ConnectionLimits,
    /// Messages taken from `work`.
    taken: u64,
    /// Why no more work is taken; `None` while it is.
    closing: Option<Closed>,
    /// QUIT was sent: what follows is no loss.
    quit_sent: bool,
    timer: Pin<Box<Sleep>>,
    /// The progress and the wait that the deadline is for. The timer may fire earlier, never later.
    patience: (u64, Duration),
    deadline: Instant,
}

/// One thing that happened.
enum Event {
    Read(io::Result<usize>),
    Wrote(io::Result<usize>),
    Flushed(io::Result<()>),
    Work(Option<Transaction>),
    Deadline,
}

impl Driver {
    fn new(connection: Connection, work: mpsc::Receiver<Transaction>, limits: ConnectionLimits) -> Self {
        let Connection { info, stream, timeouts, extensions, secrets } = connection;
        let session = Session::new(info.capabilities, timeouts, limits.depth, limits.window_bytes)
            .with(extensions)
            .hiding(secrets);
        let deadline = Instant::now() + limits.idle;
        Self {
            session,
            stream,
            unflushed: false,
            buffer: vec![0; READ_BYTES].into(),
            work,
            limits,
            taken: 0,
            closing: None,
            quit_sent: false,
            timer: Box::pin(sleep_until(deadline)),
            patience: (0, limits.idle),
            deadline,
        }
    }

    /// The next event. Reading comes first, so that a refusal is seen before more is written. Work
    /// comes before writing, so that everything that fits goes out in one write.
    ///
    /// While the server has nothing to answer, nothing is written on top of input that was not
    /// read: it is the end of the connection, or a reply that nobody asked for and that would be
    /// taken for the answer to what is written.
    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        let mut buffer = ReadBuf::new(&mut self.buffer);
        if let Poll::Ready(read) = Pin::new(&mut self.stream).poll_read(cx, &mut buffer) {
            return Poll::Ready(Event::Read(read.map(|()| buffer.filled().len())));
        }
        if self.closing.is_none()
            && self.session.has_room()
            && let Poll::Ready(work) = self.work.poll_recv(cx)
        {
            return Poll::Ready(Event::Work(work));
        }
        if self.session.is_quiet() && self.session.wants_write() && self.stream.has_unread_input() {
            // The reactor wakes the read that is pending.
        } else if self.session.wants_write() {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let filled = self.session.chunks(&mut slices);
            let write = Pin::new(&mut self.stream).poll_write_vectored(cx, &slices[..filled]);
            if let Poll::Ready(wrote) = write {
                return Poll::Ready(Event::Wrote(wrote));
            }
        } else if self.unflushed
            && let Poll::Ready(flushed) = Pin::new(&mut self.stream).poll_flush(cx)
        {
            return Poll::Ready(Event::Flushed(flushed));
        }
        self.poll_deadline(cx)
    }

    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        let patience = (self.session.progress(), self.session.wait().unwrap_or(self.limits.idle));
        if patience != self.patience {
            self.patience = patience;
            self.deadline = Instant::now() + patience.1;
            if self.deadline < self.timer.deadline() {
                self.timer.as_mut().reset(self.deadline);
            }
        }
        // Most deadlines move long before they are reached: the timer is reset only when it fires.
        while self.timer.as_mut().poll(cx).is_ready() {
            if Instant::now() >= self.deadline {
                return Poll::Ready(Event::Deadline);
            }
            self.timer.as_mut().reset(self.deadline);
        }
        Poll::Pending
    }

    fn on_event(&mut self, event: Event) {
        let now = Timestamp::now();
        match event {
            Event::Read(Ok(0)) => self.session.on_eof(now),
            // TLS ended without close_notify.
            Event::Read(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                self.session.on_eof(now)
            }
            Event::Read(Ok(bytes)) => self.session.on_bytes(&self.buffer[..bytes], now),
            Event::Wrote(Ok(0)) => self.session.on_error(&io::ErrorKind::WriteZero.into(), now),
            Event::Wrote(Ok(bytes)) => {
                self.session.wrote(bytes);
                self.unflushed = matches!(self.stream, Stream::Tls(_));
            }
            Event::Flushed(Ok(())) => self.unflushed = false,
            Event::Read(Err(error)) | Event::Wrote(Err(error)) | Event::Flushed(Err(error)) => {
                self.session.on_error(&error, now);
            }
            Event::Work(Some(transaction)) => {
                self.taken += 1;
                self.session.submit(transaction, now);
                if self.taken == self.limits.max_messages {
                    self.close(Closed::MessageLimit);
                }
            }
            Event::Work(None) => self.close(Closed::WorkEnded),
            Event::Deadline if self.session.wait().is_some() => self.session.on_timeout(now),
            Event::Deadline => self.close(Closed::Idle),
        }
        self.settle();
    }

    /// Acts on the session's state: takes no more work once it has ended, sends QUIT once
    /// everything is done.
    fn settle(&mut self) {
        match self.session.ended() {
            Some(error) if !self.quit_sent => self.close(Closed::Lost(error.clone())),
            Some(_) => {}
            None if self.closing.is_some() && self.session.is_idle() => {
                self.quit_sent = true;
                self.session.quit();
            }
            None => {}
        }
    }

    /// Takes no more work. Transactions left in the channel are handed back.
    fn close(&mut self, why: Closed) {
        self.closing = Some(why);
        self.work.close();
    }

    /// The next report of the session, or of a transaction that came too late for it.
    fn next_report(&mut self) -> Option<Report> {
        if let Some(report) = self.session.next_report() {
            return Some(report);
        }
        self.closing.as_ref()?;
        let transaction = self.work.try_recv().ok()?;
        Some(self.hand_back(&transaction))
    }

    fn hand_back(&self, transaction: &Transaction) -> Report {
        let now = Timestamp::now();
        let why = match &self.closing {
            Some(Closed::Lost(error)) => NotStarted::Lost(error.clone()),
            Some(Closed::WorkEnded | Closed::Idle | Closed::MessageLimit) | None => NotStarted::Closed,
        };
        transaction.left(Fate::NotStarted { why }, now)
    }

    fn closed(self) -> Closed {
        self.closing.unwrap_or(Closed::WorkEnded)
    }
}
