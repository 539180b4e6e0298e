//! The SMTP session's state machine, bytes in and out without a socket, beside a copy of those
//! bytes.

use std::hint::black_box;
use std::io::IoSlice;

use bytes::Bytes;
use criterion::{BatchSize, BenchmarkId, Criterion};
use mailrun::campaign::Timeouts;
use mailrun::mail::{Envelope, Message, SignedMessage};
use mailrun::smtp::{Capabilities, Fate, Session, Transaction};

use super::cpu::{CpuTime, elements};
use super::scene::{NOW, prose};

const REPLIES: &[u8] = b"250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n250 2.0.0 Ok: queued as 4bJ5Zk2xqPz1x\r\n";
const GO_AHEAD: &[u8] = b"250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n354 End data with <CR><LF>.<CR><LF>\r\n";
const TAKEN: &[u8] = b"250 2.0.0 Ok: queued as 4bJ5Zk2xqPz1x\r\n";

pub(crate) fn session(c: &mut Criterion<CpuTime>) {
    let mut bench = c.benchmark_group("session");
    bench.throughput(elements(1));
    let message = message();
    let bytes = message.to_vec();
    let chunking =
        Capabilities { pipelining: true, chunking: true, size: Some(0), ..Capabilities::default() };
    let dots = Capabilities { chunking: false, ..chunking };
    for (what, capabilities, replies) in [
        ("10 KB, PIPELINING and CHUNKING", chunking, [REPLIES].as_slice()),
        ("10 KB, PIPELINING", dots, &[GO_AHEAD, TAKEN]),
    ] {
        bench.bench_function(BenchmarkId::new("mailrun", what), |b| {
            let mut session = Session::new(capabilities, Timeouts::default(), 1, 128 << 10);
            let mut id = 0;
            b.iter_batched(
                || {
                    id += 1;
                    transaction(id, &message)
                },
                |transaction| {
                    session.submit(transaction, NOW);
                    for reply in replies {
                        written(&mut session);
                        session.on_bytes(black_box(reply), NOW);
                    }
                    let report = session.next_report().expect("every transaction has its report");
                    assert!(report.fates.iter().all(Fate::is_accepted), "{report:?}");
                    report
                },
                BatchSize::SmallInput,
            );
        });
        bench.bench_function(BenchmarkId::new("limit: memcpy of the message", what), |b| {
            b.iter(|| black_box(&bytes).clone());
        });
    }
    bench.finish();
}

/// Hands all that is to be written to nobody.
fn written(session: &mut Session) {
    while session.wants_write() {
        let mut slices = [IoSlice::new(&[]); 16];
        let filled = session.chunks(&mut slices);
        let bytes = slices[..filled].iter().map(|slice| black_box(slice).len()).sum();
        session.wrote(bytes);
    }
}

fn transaction(id: u64, message: &SignedMessage) -> Transaction {
    let address = |text: &str| text.parse().expect("it is an address");
    let return_path = Some(address("bounces+k3v9x@mail.example.com"));
    let envelope = Envelope::to_one(return_path, address("ann.evans1234@post.example"), None);
    Transaction { id, envelope, message: message.clone(), valid_until: None }
}

fn message() -> SignedMessage {
    let message = Message {
        header: Bytes::from_static(b"From: a@mail.example.com\r\nTo: b@example.com\r\nSubject: x\r\n"),
        body: vec![Bytes::from(prose(10_000))],
        message_id: "1@x.example".to_owned(),
        eight_bit: false,
        needs_smtputf8: false,
    };
    SignedMessage::new(Bytes::new(), message)
}
