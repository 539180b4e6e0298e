//! Sockets: TLS and HTTP/1.1 on them, within bounded times and memory, and an end in order.
//!
//! HTTP/2 is not spoken: what is asked for is small, and a proxy before it can.

use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::certificates::Certificates;
use super::proxy::Peer;
use crate::kit::socket::{BindError, Client, Place, Socket};
use crate::listener::{Clients, Counted};

/// Connections at once; others wait until one ends.
const CONNECTIONS: usize = 1_000;
/// Connections from one address that is not this machine's; more are closed.
const CONNECTIONS_OF_ONE: usize = 64;
/// How long a TLS handshake may take.
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);
/// How long the head of a request may take to come, and how long a connection may be idle.
const HEAD_TIME: Duration = Duration::from_secs(20);
/// The largest head of a request.
const HEAD_BYTES: usize = 16 * 1024;
/// The largest number of its fields.
const HEAD_FIELDS: usize = 64;
/// The largest body of a request.
pub(super) const BODY_BYTES: usize = 16 * 1024;
/// How long a request may take from its head to its answer.
const REQUEST_TIME: Duration = Duration::from_secs(30);
/// A connection ends after this time whatever it does: so a client that reads nothing is left.
const CONNECTION_TIME: Duration = Duration::from_secs(5 * 60);
/// How long what was begun may take at the end.
const DRAIN_TIME: Duration = Duration::from_secs(10);
/// How long to wait when no connection can be accepted, such as when no file descriptor is left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Sockets that are bound.
#[derive(Debug)]
pub(super) struct Listener {
    sockets: Vec<Socket>,
    certificates: Option<Arc<Certificates>>,
}

impl Listener {
    /// Binds all places. A Unix socket that nobody listens on any longer is replaced.
    pub(super) async fn bind(
        places: &[Place],
        certificates: Option<Arc<Certificates>>,
    ) -> Result<Self, BindError> {
        let mut sockets = Vec::new();
        for place in places {
            sockets.push(Socket::bind(place).await?);
        }
        Ok(Self { sockets, certificates })
    }

    /// Where it listens, with the ports that the system chose.
    pub(super) fn places(&self) -> Vec<Place> {
        self.sockets.iter().filter_map(Socket::place).collect()
    }

    /// Answers with `router` until `stop` holds true, then ends what was begun.
    pub(super) async fn serve(self, router: Router, stop: watch::Receiver<bool>) {
        let router = router.layer(DefaultBodyLimit::max(BODY_BYTES)).layer(middleware::from_fn(within_time));
        let permits = Arc::new(Semaphore::new(CONNECTIONS));
        let clients = Arc::new(Clients::default());
        let mut accepting = JoinSet::new();
        for socket in self.sockets {
            let shared = Shared {
                router: router.clone(),
                certificates: self.certificates.clone(),
                permits: Arc::clone(&permits),
                clients: Arc::clone(&clients),
                stop: stop.clone(),
            };
            accepting.spawn(accept(socket, shared));
        }
        // The router's copies hold what requests are sent to: with the last one, nobody can ask.
        drop(router);
        while accepting.join_next().await.is_some() {}
    }
}

/// A request that takes too long is given up.
async fn within_time(request: Request, next: Next) -> Response {
    match timeout(REQUEST_TIME, next.run(request)).await {
        Ok(response) => response,
        Err(_) => StatusCode::REQUEST_TIMEOUT.into_response(),
    }
}

/// What all connections of a socket share.
#[derive(Clone)]
struct Shared {
    router: Router,
    certificates: Option<Arc<Certificates>>,
    permits: Arc<Semaphore>,
    clients: Arc<Clients>,
    stop: watch::Receiver<bool>,
}

/// Accepts connections until the end, then waits for theirs.
async fn accept(socket: Socket, shared: Shared) {
    let mut connections = JoinSet::new();
    let mut stop = shared.stop.clone();
    loop {
        // Ends of connections are taken note of at the next one, so that none wait in memory.
        while connections.try_join_next().is_some() {}
        let accepted = tokio::select! {
            accepted = next(&socket, &shared) => accepted,
            () = stopping(&mut stop) => break,
        };
        let Some((client, permit)) = accepted else {
            sleep(ACCEPT_PAUSE).await;
            continue;
        };
        match client {
            Client::Tcp(stream, from) => {
                if let Some(counted) = shared.clients.count(Some(from.ip()), CONNECTIONS_OF_ONE) {
                    let address = Some(from.ip());
                    connections.spawn(connection(stream, address, Some(counted), permit, shared.clone()));
                }
            }
            Client::Unix(stream) => {
                connections.spawn(connection(stream, None, None, permit, shared.clone()));
            }
        }
    }
    socket.close();
    drop(shared);
    while connections.join_next().await.is_some() {}
}

/// The next client, once there is room for it.
async fn next(socket: &Socket, shared: &Shared) -> Option<(Client, OwnedSemaphorePermit)> {
    let permit = Arc::clone(&shared.permits).acquire_owned().await.ok()?;
    Some((socket.accept().await.ok()?, permit))
}

/// Waits until the listener is to end; where nobody can say so any longer, it is.
async fn stopping(stop: &mut watch::Receiver<bool>) {
    drop(stop.wait_for(|stop| *stop).await);
}

/// Answers one connection. An error ends this one only, and nobody is left to report it to.
async fn connection<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    address: Option<IpAddr>,
    counted: Option<Counted>,
    permit: OwnedSemaphorePermit,
    shared: Shared,
) {
    let Shared { router, certificates, stop, .. } = shared;
    match certificates {
        None => exchange(stream, Peer { address, has_tls: false }, router, stop).await,
        Some(certificates) => {
            if let Ok(Ok(stream)) = timeout(HANDSHAKE_TIME, certificates.acceptor().accept(stream)).await {
                exchange(stream, Peer { address, has_tls: true }, router, stop).await;
            }
        }
    }
    drop((counted, permit));
}

async fn exchange<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    peer: Peer,
    router: Router,
    mut stop: watch::Receiver<bool>,
) {
    let router = TowerToHyperService::new(router);
    let answer = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(peer);
        router.call(request)
    });
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIME)
            .max_headers(HEAD_FIELDS)
            .max_buf_size(HEAD_BYTES)
            .serve_connection(TokioIo::new(stream), answer)
    );
    let left = tokio::select! {
        _ = connection.as_mut() => return,
        () = stopping(&mut stop) => DRAIN_TIME,
        () = sleep(CONNECTION_TIME) => REQUEST_TIME,
    };
    connection.as_mut().graceful_shutdown();
    drop(timeout(left, connection).await);
}
