//! Answers DNS questions from zone files on a loopback port, over UDP and TCP (RFC 1035 §4.2), on a
//! thread of its own.
//!
//! A resolver asks it as it would ask any name server, so that lookups work as in a real run. It
//! stops when it is dropped.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use hickory_resolver::proto::op::{Edns, Message, MessageType, OpCode, ResponseCode};
use hickory_resolver::proto::rr::DNSClass;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::zone::{Answer, Zones};

/// The longest answer over UDP without EDNS (RFC 1035 §2.3.4).
const PLAIN_PAYLOAD: u16 = 512;
/// The largest question and answer over UDP.
const LARGEST_PAYLOAD: u16 = 4_096;
/// A TCP connection without questions is closed after this time.
const IDLE: Duration = Duration::from_secs(10);

/// The responder: it runs until it is dropped.
#[derive(Debug)]
pub(super) struct Responder {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Responder {
    /// Starts it on a free port, the same for UDP and TCP.
    pub(super) fn start(zones: Zones) -> io::Result<Self> {
        let (udp, tcp) = bind()?;
        let address = udp.local_addr()?;
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel();
        let thread = thread::Builder::new().name("dns-zone".to_owned()).spawn(move || {
            runtime.block_on(async move {
                // An error of the listening sockets ends the service; resolvers then report that
                // nobody answers.
                if let (Ok(udp), Ok(tcp)) = (UdpSocket::from_std(udp), TcpListener::from_std(tcp)) {
                    let zones = Arc::new(zones);
                    tokio::select! {
                        _ = stopped => {}
                        () = serve_udp(&udp, &zones) => {}
                        () = serve_tcp(&tcp, &zones) => {}
                    }
                }
            });
        })?;
        Ok(Self { address, stop: Some(stop), thread: Some(thread) })
    }

    /// The address that it answers at.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        // Dropping the sender ends the wait for it.
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has reported it already.
            let _ = thread.join();
        }
    }
}

/// UDP and TCP sockets on one port. Another program may have the TCP port of the UDP port that the
/// system gave.
fn bind() -> io::Result<(std::net::UdpSocket, std::net::TcpListener)> {
    let mut tries = 16;
    loop {
        tries -= 1;
        let udp = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        match std::net::TcpListener::bind(udp.local_addr()?) {
            Ok(tcp) => {
                udp.set_nonblocking(true)?;
                tcp.set_nonblocking(true)?;
                return Ok((udp, tcp));
            }
            Err(error) if tries == 0 => return Err(error),
            Err(_) => {}
        }
    }
}

async fn serve_udp(socket: &UdpSocket, zones: &Zones) {
    let mut question = vec![0; usize::from(LARGEST_PAYLOAD)];
    loop {
        match socket.recv_from(&mut question).await {
            Ok((length, from)) => {
                if let Some(answer) = respond(zones, &question[..length], true) {
                    // If an answer is lost, the client asks again.
                    let _ = socket.send_to(&answer, from).await;
                }
            }
            // An ICMP message about an earlier answer: nobody listens there any more.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
            Err(_) => return,
        }
    }
}

async fn serve_tcp(listener: &TcpListener, zones: &Arc<Zones>) {
    while let Ok((stream, _)) = listener.accept().await {
        let zones = Arc::clone(zones);
        tokio::spawn(async move {
            // A client that goes away in the middle asks again.
            let _ = serve_stream(stream, &zones).await;
        });
    }
}

async fn serve_stream(mut stream: TcpStream, zones: &Zones) -> io::Result<()> {
    while let Ok(length) = timeout(IDLE, stream.read_u16()).await {
        let mut question = vec![0; usize::from(length?)];
        stream.read_exact(&mut question).await?;
        if let Some(answer) = respond(zones, &question, false) {
            let length = u16::try_from(answer.len()).map_err(io::Error::other)?;
            stream.write_u16(length).await?;
            stream.write_all(&answer).await?;
        }
    }
    Ok(())
}

/// The bytes to answer with; `None` is silence.
fn respond(zones: &Zones, question: &[u8], udp: bool) -> Option<Vec<u8>> {
    let request = Message::from_vec(question).ok()?;
    if request.metadata.message_type != MessageType::Query {
        return None;
    }
    let mut response = Message::response(request.metadata.id, request.metadata.op_code);
    response.metadata.recursion_desired = request.metadata.recursion_desired;
    response.metadata.recursion_available = true;
    response.add_queries(request.queries.iter().cloned());
    let mut largest = PLAIN_PAYLOAD;
    if let Some(edns) = &request.edns {
        largest = edns.max_payload().clamp(PLAIN_PAYLOAD, LARGEST_PAYLOAD);
        let mut own = Edns::new();
        own.set_max_payload(LARGEST_PAYLOAD);
        response.set_edns(own);
    }
    let asked = match request.queries.as_slice() {
        [query] if query.query_class() == DNSClass::IN => Some(query),
        [] | [_] | [_, _, ..] => None,
    };
    match asked {
        Some(query) if request.metadata.op_code == OpCode::Query => {
            match zones.answer(query.name(), query.query_type()) {
                Answer::Silence => return None,
                Answer::Records { code, answers, soa } => {
                    response.metadata.response_code = code;
                    response.add_answers(answers);
                    response.add_authorities(soa.map(|record| *record));
                }
            }
        }
        Some(_) | None => response.metadata.response_code = ResponseCode::NotImp,
    }
    let bytes = response.to_vec().ok()?;
    if udp && bytes.len() > usize::from(largest) {
        // RFC 2181 §9: the client asks again over TCP.
        return response.truncate().to_vec().ok();
    }
    Some(bytes)
}
