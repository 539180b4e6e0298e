//! Messages a second over one connection on a long line: 50 ms of latency there and back, added by
//! a proxy in this process.
//!
//! `cargo bench --bench round_trips` sends over one connection at depth 1 and 8 (one round trip a
//! message, PIPELINING and CHUNKING), at depth 1 to a server without CHUNKING (two), and with
//! `send()` of `mail-send`, which waits for every reply. Prints each rate as it comes
//! (`MAILRUN_BENCH_ROUNDS` of each kind, 5 by default), then the medians with the lowest and
//! highest.

use std::collections::VecDeque;
use std::error::Error;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use mail_send::SmtpClientBuilder;
use mail_send::smtp::message::Message as LockStepMessage;
use mailrun::campaign::Timeouts;
use mailrun::mail::{Address, Envelope, Message, SignedMessage};
use mailrun::sandbox::{Extensions as Offers, Options, Sandbox};
use mailrun::smtp::{
    self, ConnectionId, ConnectionLimits, Extensions, Secrets, Security, Target, Transaction,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// Half of the latency: each way.
const ONE_WAY: Duration = Duration::from_millis(25);
/// Pieces of a stream that are on their way: far more than a window's worth.
const ON_THE_WAY: usize = 1_024;
const BODY_BYTES: usize = 4_000;

#[derive(Clone, Copy)]
enum Kind {
    Depth { depth: usize, chunking: bool },
    LockStep,
}

const KINDS: [(&str, Kind, u64); 4] = [
    ("depth 1", Kind::Depth { depth: 1, chunking: true }, 40),
    ("depth 8", Kind::Depth { depth: 8, chunking: true }, 320),
    ("depth 1, without CHUNKING", Kind::Depth { depth: 1, chunking: false }, 20),
    ("mail-send, send()", Kind::LockStep, 10),
];

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let rounds: usize = std::env::var("MAILRUN_BENCH_ROUNDS").map_or(Ok(5), |rounds| rounds.parse())?;
    let whole = Sandbox::start(Options::default()).await?;
    let offers = Offers { chunking: false, ..Offers::default() };
    let plain = Sandbox::start(Options { extensions: offers, ..Options::default() }).await?;
    let (far, far_plain) = (long_line(whole.addr()).await?, long_line(plain.addr()).await?);
    let mut rates: [Vec<f64>; 4] = Default::default();
    for _ in 0..rounds {
        for ((name, kind, messages), rates) in KINDS.iter().zip(&mut rates) {
            let rate = match *kind {
                Kind::Depth { depth, chunking } => {
                    ours(if chunking { far } else { far_plain }, depth, *messages).await?
                }
                Kind::LockStep => lock_step(far, *messages).await?,
            };
            println!("{name}\t{rate:.1}");
            rates.push(rate);
        }
    }
    println!("\n| one connection, 50 ms | messages/s, median | lowest to highest |\n|---|---|---|");
    for ((name, ..), rates) in KINDS.iter().zip(&mut rates) {
        rates.sort_by(f64::total_cmp);
        let (median, lowest, highest) = (rates[rates.len() / 2], rates[0], rates[rates.len() - 1]);
        println!("| {name} | {median:.1} | {lowest:.1} to {highest:.1} |");
    }
    Ok(())
}

/// A port behind which `server` is 25 ms away each way.
async fn long_line(server: SocketAddr) -> Result<SocketAddr, Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(server).await.expect("the sandbox listens");
            for socket in [&client, &server] {
                socket.set_nodelay(true).expect("a TCP socket has the option");
            }
            let (from_client, to_client) = client.into_split();
            let (from_server, to_server) = server.into_split();
            tokio::spawn(delay(from_client, to_server));
            tokio::spawn(delay(from_server, to_client));
        }
    });
    Ok(address)
}

/// Passes bytes on so much later, as many as come.
async fn delay(mut from: tokio::net::tcp::OwnedReadHalf, mut to: tokio::net::tcp::OwnedWriteHalf) {
    let (send, mut receive) = mpsc::channel::<(tokio::time::Instant, Bytes)>(ON_THE_WAY);
    tokio::spawn(async move {
        while let Some((due, bytes)) = receive.recv().await {
            tokio::time::sleep_until(due).await;
            if to.write_all(&bytes).await.is_err() {
                return;
            }
        }
    });
    let mut buffer = vec![0; 64 << 10];
    while let Ok(read) = from.read(&mut buffer).await {
        let bytes = Bytes::copy_from_slice(&buffer[..read]);
        if read == 0 || send.send((tokio::time::Instant::now() + ONE_WAY, bytes)).await.is_err() {
            return;
        }
    }
}

fn body() -> Bytes {
    Bytes::from(
        "Some seventy letters of a body that is like the text of any message.\r\n".repeat(BODY_BYTES / 70),
    )
}

fn header() -> Bytes {
    Bytes::from_static(b"From: a@m.example\r\nTo: b@r.example\r\nSubject: x\r\nMessage-ID: <1@m.example>\r\n")
}

/// Messages a second of the session that mailrun sends with, connecting not counted.
async fn ours(server: SocketAddr, depth: usize, messages: u64) -> Result<f64, Box<dyn Error>> {
    let target = Target {
        host: "sandbox".into(),
        addresses: vec![server],
        local_ip: None,
        ehlo: "bench.example.com".parse()?,
        security: Security::None,
        credentials: None,
        timeouts: Timeouts::default(),
        extensions: Extensions::default(),
        secrets: Secrets::default(),
    };
    let connection = smtp::connect(&target).await?;
    let (work, to_do) = mpsc::channel(depth);
    let (told, mut reports) = mpsc::channel(64);
    let limits = ConnectionLimits { depth, window_bytes: 128 << 10, ..ConnectionLimits::default() };
    let serving = tokio::spawn(connection.serve(ConnectionId(1), to_do, told, limits));
    let begun = Instant::now();
    tokio::spawn(async move {
        for id in 0..messages {
            let message = Message {
                header: header(),
                body: vec![body()],
                message_id: format!("{id}@m.example"),
                eight_bit: false,
                needs_smtputf8: false,
            };
            let recipient = Address::parse(&format!("r{id}@r.example")).expect("it is an address");
            let transaction = Transaction {
                id,
                envelope: Envelope::to_one(None, recipient, None),
                message: SignedMessage::new(Bytes::new(), message),
                valid_until: None,
            };
            if work.send(transaction).await.is_err() {
                return;
            }
        }
    });
    let mut took = VecDeque::new();
    while let Some((_, report)) = reports.recv().await {
        assert!(report.fates[0].is_accepted(), "{:?}", report.fates);
        took.push_back(begun.elapsed());
    }
    serving.await?;
    let last = took.back().expect("there were messages");
    Ok(messages as f64 / last.as_secs_f64())
}

/// Messages a second of `mail-send`, connecting not counted.
async fn lock_step(server: SocketAddr, messages: u64) -> Result<f64, Box<dyn Error>> {
    let builder = SmtpClientBuilder::new("127.0.0.1", server.port())?.implicit_tls(false);
    let mut client = builder.connect_plain().await?;
    let content = [&header()[..], b"\r\n", &body()].concat();
    let begun = Instant::now();
    for id in 0..messages {
        let recipient = format!("r{id}@r.example");
        let message = LockStepMessage::new("a@m.example", [recipient.as_str()], &content[..]);
        client.send(message).await?;
    }
    Ok(messages as f64 / begun.elapsed().as_secs_f64())
}
