//! What becomes of messages to a relay that stops reading, resets, answers garbage, answers late or
//! closes after the dot: each row ends in the disposition that is true of it, and none is taken
//! over twice.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use mailrun::mail::{Class, Disposition};
use mailrun::sandbox::{Extensions, Options, record};

use crate::kit::{Dir, Relay, campaign, list};

use Disposition::{Accepted, Deferred, InDoubt};

/// Short enough that a relay which says nothing is given up soon, long enough for one that is only
/// slow.
/// So few attempts that the site does not rest before those have succeeded that fail once only: a
/// row does not outlive its time in a rest.
const TIMES: &str = "[delivery.retry]\nfirst = \"1500ms\"\nlongest = \"1500ms\"\ngive-up-after = \"9s\"\n\
                     [delivery.timeouts]\nenvelope = \"1s\"\ndata = \"1s\"\nend-of-data = \"5s\"\n\
                     [stop]\nbounce-percent = 0";

struct Case {
    recipient: &'static str,
    /// With a message that no socket takes in one go.
    large: bool,
    disposition: Disposition,
    class: Option<Class>,
    detail: &'static str,
}

fn case(
    recipient: &'static str,
    disposition: Disposition,
    class: Option<Class>,
    detail: &'static str,
) -> Case {
    Case { recipient, large: false, disposition, class, detail }
}

fn large(case: Case) -> Case {
    Case { large: true, ..case }
}

/// Sends to each recipient and holds the result and the relay's own record against what is
/// expected.
fn check(options: Options, cases: &[Case]) {
    let dir = Dir::new();
    let taken = dir.path().join("taken.jsonl");
    let relay = Relay::start(Options { record: Some(taken.clone()), ..options });
    let file = campaign(&dir, "one", relay.port(), "connections = 10", TIMES);
    dir.write("files/large.bin", vec![b'x'; 12 << 20]);
    let text = fs::read_to_string(dir.path().join(&file)).unwrap();
    let attachments = "[template]\nattachment-columns = [\"file\"]\nattachment-folder = \"files\"\n";
    dir.write(&file, text.replace("[template]\n", attachments));
    let line = |case: &Case| {
        format!("{}@a.example,1,{}\n", case.recipient, if case.large { "large.bin" } else { "" })
    };
    let lines: String = cases.iter().map(line).collect();
    dir.write("one.csv", format!("email,n,file\n{lines}"));
    let code = if cases.iter().all(|case| case.disposition == Accepted) { 0 } else { 1 };
    dir.run(&["send", &file]).ended(code);

    let mut times: BTreeMap<String, u64> = BTreeMap::new();
    for entry in record::read(&taken).unwrap() {
        *times.entry(entry.recipient).or_default() += 1;
    }
    let results = dir.results("one");
    assert_eq!(results.len(), cases.len());
    let mut wrong = Vec::new();
    for (row, case) in results.iter().zip(cases) {
        let said = row.detail.as_deref().or(row.reply.as_deref()).unwrap_or_default();
        let taken = times.get(row.email.as_deref().unwrap()).copied().unwrap_or(0);
        let most = u64::from(matches!(case.disposition, Accepted | InDoubt));
        let fits = row.disposition == case.disposition
            && row.class == case.class
            && said.contains(case.detail)
            && taken <= most
            && (case.disposition != Accepted || taken == 1);
        if !fits {
            let class = row.class.map(|class| class.to_string());
            wrong.push(format!(
                "{}: {} {class:?} `{said}`, accepted by the receiver {taken} times",
                case.recipient, row.disposition
            ));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn with_everything_in_one_write() {
    let network = Some(Class::Network);
    let protocol = Some(Class::Protocol);
    check(
        Options::default(),
        &[
            case("ann", Accepted, None, ""),
            case("slow-100ms", Accepted, None, ""),
            // A message that was written whole may have been accepted, whatever was answered.
            case("stall-at-rcpt", InDoubt, network, "RCPT"),
            case("drop-at-rcpt", InDoubt, network, ""),
            case("reset-at-rcpt", InDoubt, network, ""),
            case("garbage-at-rcpt", InDoubt, protocol, "not a reply"),
            case("stall-in-data", InDoubt, network, ""),
            case("drop-in-data", InDoubt, network, ""),
            case("reset-in-data", InDoubt, network, ""),
            case("stall-after-dot", InDoubt, network, ""),
            case("slow-30s", InDoubt, network, ""),
            case("drop-after-dot", InDoubt, network, ""),
            case("lose-after-dot", InDoubt, network, ""),
            case("reset-after-dot", InDoubt, network, ""),
            case("garbage-after-dot", InDoubt, protocol, "not a reply"),
            case("overlong-after-dot", InDoubt, protocol, "too long"),
            // A message that was not written whole was not accepted: it is tried again, and given
            // up in the end.
            large(case("stall-in-data+large", Deferred, network, "")),
            large(case("stall-in-data-once+large", Accepted, None, "")),
            large(case("drop-in-data-once+large", Accepted, None, "")),
            large(case("reset-in-data-once+large", Accepted, None, "")),
            large(case("stall-at-rcpt-once+large", Accepted, None, "")),
        ],
    );
}

#[test]
fn step_by_step() {
    let network = Some(Class::Network);
    let protocol = Some(Class::Protocol);
    let extensions = Extensions { pipelining: false, chunking: false, ..Extensions::default() };
    check(
        Options { extensions, ..Options::default() },
        &[
            case("ann", Accepted, None, ""),
            // Without the content nothing can have been accepted.
            case("stall-at-rcpt", Deferred, network, "RCPT"),
            case("drop-at-rcpt", Deferred, network, ""),
            case("reset-at-rcpt", Deferred, network, ""),
            case("garbage-at-rcpt", Deferred, protocol, "not a reply"),
            case("stall-after-dot", InDoubt, network, ""),
            case("slow-30s", InDoubt, network, ""),
            case("drop-after-dot", InDoubt, network, ""),
            case("lose-after-dot", InDoubt, network, ""),
            case("reset-after-dot", InDoubt, network, ""),
            case("garbage-after-dot", InDoubt, protocol, "not a reply"),
            case("overlong-after-dot", InDoubt, protocol, "too long"),
            large(case("stall-in-data+large", Deferred, network, "")),
        ],
    );
}

/// Apart from the recipients that fail each time: their failures let the site rest, longer than a
/// row that fails once lives.
#[test]
fn what_fails_once_is_tried_again() {
    let extensions = Extensions { pipelining: false, chunking: false, ..Extensions::default() };
    check(
        Options { extensions, ..Options::default() },
        &[
            case("stall-at-rcpt-once", Accepted, None, ""),
            case("drop-at-rcpt-once", Accepted, None, ""),
            case("garbage-at-rcpt-once", Accepted, None, ""),
            large(case("reset-in-data-once+large", Accepted, None, "")),
        ],
    );
}

/// A relay that answers each command with these bytes, and closes the connection behind those that
/// end in [`CLOSE`]. The content of BDAT is skipped, and all replies to the input of one read leave
/// with one write.
struct Scripted {
    port: u16,
    connections: Arc<AtomicUsize>,
}

impl Scripted {
    fn start(reply: fn(&str) -> &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&connections);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                counted.fetch_add(1, Ordering::Relaxed);
                // The client may go at any time.
                std::thread::spawn(move || drop(serve(stream.unwrap(), reply)));
            }
        });
        Self { port, connections }
    }
}

fn serve(mut stream: TcpStream, reply: fn(&str) -> &'static str) -> std::io::Result<()> {
    stream.write_all(b"220 relay\r\n")?;
    let (mut input, mut read) = (Vec::new(), [0; 4_096]);
    loop {
        let bytes = stream.read(&mut read)?;
        if bytes == 0 {
            return Ok(());
        }
        input.extend_from_slice(&read[..bytes]);
        let mut replies = String::new();
        while let Some(end) = input.windows(2).position(|pair| pair == b"\r\n") {
            let line = String::from_utf8_lossy(&input[..end]).into_owned();
            let chunk = line.strip_prefix("BDAT ").and_then(|rest| rest.split(' ').next()?.parse().ok());
            let whole = end + 2 + chunk.unwrap_or(0);
            if input.len() < whole {
                break;
            }
            input.drain(..whole);
            let said = reply(line.split(' ').next().unwrap_or_default());
            replies.push_str(said.trim_end_matches(CLOSE));
            if said.ends_with(CLOSE) {
                return stream.write_all(replies.as_bytes());
            }
        }
        stream.write_all(replies.as_bytes())?;
    }
}

const CLOSE: &str = "<close>";
const OFFERS: &str = "250-relay\r\n250-PIPELINING\r\n250 CHUNKING\r\n";

/// The settings of a run that is soon over.
const SOON: &str = "[delivery.retry]\nfirst = \"20ms\"\nlongest = \"50ms\"\ngive-up-after = \"3s\"\n[stop]\nbounce-percent = 0";

#[test]
fn a_relay_that_closes_behind_ehlo_is_left_alone_and_no_row_is_in_doubt() {
    let closing = Scripted::start(|_| "250-relay\r\n250-PIPELINING\r\n250 CHUNKING\r\n<close>");
    let refusing = Scripted::start(|_| "250-relay\r\n250 PIPELINING\r\n421 4.3.2 not now\r\n<close>");
    for relay in [&closing, &refusing] {
        let dir = Dir::new();
        list(&dir, "one", 30);
        let file = campaign(&dir, "one", relay.port, "connections = 4", SOON);
        dir.run(&["send", &file]).ended(1);
        assert_eq!(dir.dispositions("one"), [("deferred".to_owned(), 30)]);
        let connections = relay.connections.load(Ordering::Relaxed);
        assert!(connections <= 10, "{connections} connections in three seconds");
    }
}

#[test]
fn a_reply_too_many_is_no_acceptance() {
    let check = |reply: fn(&str) -> &'static str, disposition: &str| {
        let dir = Dir::new();
        let relay = Scripted::start(reply);
        list(&dir, "one", 6);
        let file = campaign(&dir, "one", relay.port, "connections = 1", SOON);
        dir.run(&["send", &file]).ended(1);
        assert_eq!(dir.dispositions("one"), [(disposition.to_owned(), 6)]);
    };
    let rcpt_twice = |verb: &str| match verb {
        "EHLO" => OFFERS,
        "RCPT" => "250 r\r\n250 r\r\n",
        "BDAT" => "550 5.6.0 refused\r\n",
        _ => "250 ok\r\n",
    };
    check(rcpt_twice, "in_doubt");
    let ehlo_twice = |verb: &str| match verb {
        "EHLO" => "250-relay\r\n250-PIPELINING\r\n250 CHUNKING\r\n250 relay\r\n",
        "BDAT" => "550 5.6.0 refused\r\n",
        _ => "250 ok\r\n",
    };
    check(ehlo_twice, "deferred");
}

#[test]
fn a_relay_that_takes_ten_a_second_soon_gets_no_more() {
    let dir = Dir::new();
    let relay = Relay::start(Options::default());
    let file = campaign(&dir, "one", relay.port(), "", "[delivery.retry]\nfirst = \"2s\"");
    let rows: String = (0..60).map(|n| format!("rate-10+{n}@a.example,{n}\n")).collect();
    dir.write("one.csv", format!("email,n\n{rows}"));
    let begun = Instant::now();
    dir.run(&["send", &file, "-v"]).ended(0).says(" messages a second: 451 4.4.5 ");
    let (took, stats) = (begun.elapsed().as_secs_f64(), relay.stop());
    assert_eq!(dir.dispositions("one"), [("accepted".to_owned(), 60)]);
    assert!(took <= 12.0, "60 at 10 a second took {took} s");
    assert!(stats.deferred <= 40, "{} refused", stats.deferred);
}
