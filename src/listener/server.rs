//! Sockets of the listener: moves bytes between them and the sessions, within bounded times, and
//! ends in order.
//!
//! All replies to the input of one read leave with one write.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::clients::Clients;
use super::request::{Answer, Question, Request};
use super::room::Room;
use super::session::{Session, Step};
use super::terms::Terms;
use crate::kit::socket::{BindError, Client, Place, Socket};

/// How long a client may be silent (RFC 5321 §4.5.3.2.7).
const IDLE_TIME: Duration = Duration::from_secs(5 * 60);
/// How long one mail may take to arrive.
const CONTENT_TIME: Duration = Duration::from_secs(10 * 60);
/// How long a client may take to log in, where it has to.
const LOGIN_TIME: Duration = Duration::from_secs(60);
/// How long a TLS handshake may take.
const HANDSHAKE_TIME: Duration = Duration::from_secs(60);
/// How long a client may take our replies.
const WRITE_TIME: Duration = Duration::from_secs(60);
/// A connection that is older ends between two mails.
const CONNECTION_TIME: Duration = Duration::from_secs(60 * 60);
/// How long mails in transfer may take to arrive once the listener is to end.
const DRAIN_TIME: Duration = Duration::from_secs(10);
/// How long the client has to close its side after the last reply. Closing with unread input would
/// reset the connection.
const LINGER_TIME: Duration = Duration::from_secs(2);
/// How long to wait when no connection can be accepted, such as when no file descriptor is left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// The size of reads: little memory on an idle connection, and a good part of a usual bounce.
const READ_BYTES: usize = 16 * 1024;

/// Whether the listener goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// It does.
    No,
    /// It ends when the mails in transfer have arrived.
    Drain,
    /// It ends now.
    Now,
}

/// Sockets that are bound.
#[derive(Debug)]
pub struct Listener {
    sockets: Vec<Socket>,
}

/// What all connections share.
struct Shared {
    terms: Arc<Terms>,
    room: Arc<Room>,
    connections: Arc<Semaphore>,
    clients: Arc<Clients>,
    requests: mpsc::Sender<Request>,
}

impl Listener {
    /// Binds all places. A socket that nobody listens on any longer is replaced.
    pub async fn bind(places: &[Place]) -> Result<Self, BindError> {
        let mut sockets = Vec::new();
        for place in places {
            sockets.push(Socket::bind(place).await?);
        }
        Ok(Self { sockets })
    }

    /// Where it listens, with the ports that the system chose.
    pub fn places(&self) -> Vec<Place> {
        self.sockets.iter().filter_map(Socket::place).collect()
    }

    /// Serves connections until `stop` says otherwise, or nobody takes requests any longer.
    pub async fn serve(self, terms: Terms, requests: mpsc::Sender<Request>, stop: watch::Receiver<Stop>) {
        let shared = Arc::new(Shared {
            room: Room::new(terms.room_bytes),
            connections: Arc::new(Semaphore::new(terms.connections)),
            clients: Arc::default(),
            terms: Arc::new(terms),
            requests,
        });
        let mut accepting = JoinSet::new();
        for socket in self.sockets {
            accepting.spawn(accept(socket, Arc::clone(&shared), stop.clone()));
        }
        while accepting.join_next().await.is_some() {}
    }
}

/// Accepts connections until the listener is to end, then waits for their ends.
async fn accept(socket: Socket, shared: Arc<Shared>, mut stop: watch::Receiver<Stop>) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = socket.accept() => accepted,
            Some(_) = connections.join_next() => continue,
            () = stopping(&mut stop) => break,
            () = shared.requests.closed() => break,
        };
        match accepted {
            Ok(Client::Tcp(stream, from)) => {
                begin(&mut connections, stream, Some(from.ip()), &shared, &stop).await;
            }
            Ok(Client::Unix(stream)) => begin(&mut connections, stream, None, &shared, &stop).await,
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
    socket.close();
    while connections.join_next().await.is_some() {}
}

async fn begin<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    connections: &mut JoinSet<()>,
    mut stream: S,
    from: Option<IpAddr>,
    shared: &Arc<Shared>,
    stop: &watch::Receiver<Stop>,
) {
    let counted = shared.clients.count(from, shared.terms.connections_of_one);
    let permit = Arc::clone(&shared.connections).try_acquire_owned();
    let (Some(counted), Ok(permit)) = (counted, permit) else {
        let line = format!("421 4.3.2 {} too many connections\r\n", shared.terms.host);
        // An empty buffer takes it at once.
        drop(timeout(ACCEPT_PAUSE, stream.write_all(line.as_bytes())).await);
        return;
    };
    let (shared, stop) = (Arc::clone(shared), stop.clone());
    connections.spawn(async move {
        // An error ends this connection only, and nobody is left to report it to.
        drop(connection(stream, from, &shared, stop).await);
        drop((permit, counted));
    });
}

/// Serves one connection, in clear, with TLS, or first so and then so.
async fn connection<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    from: Option<IpAddr>,
    shared: &Shared,
    stop: watch::Receiver<Stop>,
) -> io::Result<()> {
    let is_local = from.is_none_or(|from| from.is_loopback());
    let mut exchange = Exchange {
        shared,
        session: Session::new(&shared.terms, &shared.room, is_local),
        client: from,
        stop,
        input: vec![0; READ_BYTES],
        from: 0,
        to: 0,
        out: Vec::new(),
        began: Instant::now(),
        content_began: None,
        draining_since: None,
    };
    let tls = shared.terms.tls.as_ref();
    let is_implicit = tls.is_some_and(|tls| tls.is_implicit);
    if !is_implicit {
        exchange.session.greet(&mut exchange.out);
        if exchange.run(&mut stream).await? == Ended::Closed {
            return Ok(());
        }
    }
    let Some(tls) = tls else { return Ok(()) };
    let mut stream = tokio::select! {
        accepted = timeout(HANDSHAKE_TIME, (tls.acceptor)().accept(stream)) => accepted??,
        // Nothing has been said yet.
        () = stopping(&mut exchange.stop) => return Ok(()),
    };
    exchange.session.secured();
    if is_implicit {
        exchange.session.greet(&mut exchange.out);
    }
    exchange.run(&mut stream).await?;
    Ok(())
}

/// Why a stream is left.
#[derive(Debug, PartialEq, Eq)]
enum Ended {
    Closed,
    StartTls,
}

/// Waits until the listener is to end.
async fn stopping(stop: &mut watch::Receiver<Stop>) {
    // Nobody can stop it any longer: as if it were asked to end.
    drop(stop.wait_for(|stop| *stop != Stop::No).await);
}

/// Waits until the listener is to end now.
async fn stopping_now(stop: &mut watch::Receiver<Stop>) {
    if stop.wait_for(|stop| *stop == Stop::Now).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Waits for the next reason to end.
async fn stopping_further(stop: &mut watch::Receiver<Stop>, is_stopping: bool) {
    match is_stopping {
        false => stopping(stop).await,
        true => stopping_now(stop).await,
    }
}

/// A session with its buffers.
struct Exchange<'a> {
    shared: &'a Shared,
    session: Session,
    /// Its address.
    client: Option<IpAddr>,
    stop: watch::Receiver<Stop>,
    /// What was read; `from..to` is still unused.
    input: Vec<u8>,
    from: usize,
    to: usize,
    out: Vec<u8>,
    began: Instant,
    content_began: Option<Instant>,
    draining_since: Option<Instant>,
}

impl Exchange<'_> {
    async fn run<S: AsyncRead + AsyncWrite + Unpin>(&mut self, stream: &mut S) -> io::Result<Ended> {
        loop {
            let mut unused = &self.input[self.from..self.to];
            let step = self.session.advance(&mut unused, &mut self.out);
            self.from = self.to - unused.len();
            match step {
                Step::Ask(question) => {
                    let is_mail = matches!(question, Question::Keep(_));
                    let answer = self.ask(question).await?;
                    self.session.answered(answer, &mut self.out);
                    if is_mail {
                        // What was kept is answered, whatever else the client has sent.
                        self.flush(stream).await?;
                    }
                }
                Step::StartTls => {
                    self.flush(stream).await?;
                    // What came in clear behind STARTTLS is no part of what comes encrypted.
                    (self.from, self.to) = (0, 0);
                    return Ok(Ended::StartTls);
                }
                Step::Read => {
                    self.flush(stream).await?;
                    if !self.read(stream).await? {
                        return self.close(stream).await;
                    }
                }
                Step::Close => return self.close(stream).await,
            }
        }
    }

    /// Asks, and waits for the answer.
    async fn ask(&mut self, question: Question) -> io::Result<Answer> {
        let (to, answer) = oneshot::channel();
        let request = Request { question, from: self.client, answer: to };
        if self.shared.requests.send(request).await.is_err() {
            return Ok(Answer::Failed);
        }
        tokio::select! {
            biased;
            answer = answer => Ok(answer.unwrap_or(Answer::Failed)),
            () = stopping_now(&mut self.stop) => Err(io::ErrorKind::Interrupted.into()),
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
            written = timeout(WRITE_TIME, all) => written??,
            () = stopping_now(&mut self.stop) => return Err(io::ErrorKind::Interrupted.into()),
        }
        self.out.clear();
        Ok(())
    }

    /// Reads more. False at the end of the input; `out` then has the last reply, if there is one.
    async fn read<S: AsyncRead + Unpin>(&mut self, stream: &mut S) -> io::Result<bool> {
        // The session leaves at most a part of a command line, so there is always room.
        self.input.copy_within(self.from..self.to, 0);
        (self.from, self.to) = (0, self.to - self.from);
        let now = Instant::now();
        match self.session.is_in_content() {
            true => drop(self.content_began.get_or_insert(now)),
            false => self.content_began = None,
        }
        loop {
            // Without anybody who keeps mails there is nothing to wait for.
            let is_stopping = *self.stop.borrow() != Stop::No || self.shared.requests.is_closed();
            if is_stopping {
                self.draining_since.get_or_insert_with(Instant::now);
            }
            let is_idle = self.session.is_idle();
            if is_stopping && is_idle {
                self.session.farewell("4.3.2", "is stopping", &mut self.out);
                return Ok(false);
            }
            let ends = [
                Some(now + IDLE_TIME),
                self.content_began.map(|began| began + CONTENT_TIME),
                self.draining_since.map(|began| began + DRAIN_TIME),
                is_idle.then_some(self.began + CONNECTION_TIME),
                (!self.session.is_known()).then_some(self.began + LOGIN_TIME),
            ];
            let end = ends.into_iter().flatten().min().expect("the first is always there");
            if Instant::now() >= end {
                self.session.farewell("4.4.2", "timeout exceeded", &mut self.out);
                return Ok(false);
            }
            tokio::select! {
                biased;
                read = stream.read(&mut self.input[self.to..]) => {
                    let length = read?;
                    self.to += length;
                    return Ok(length > 0);
                }
                () = tokio::time::sleep_until(end) => {}
                () = self.shared.requests.closed(), if !is_stopping => {}
                () = stopping_further(&mut self.stop, is_stopping) => {
                    if is_stopping {
                        return Err(io::ErrorKind::Interrupted.into());
                    }
                }
            }
        }
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
            done = timeout(LINGER_TIME, farewell) => done.unwrap_or(Ok(()))?,
            () = stopping_now(&mut self.stop) => {}
        }
        Ok(Ended::Closed)
    }
}
