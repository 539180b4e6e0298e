//! What becomes of messages to a relay that stops reading, resets, answers garbage, answers late or
//! closes after the dot: each row ends in the disposition that is true of it, and none is taken
//! over twice.

use std::collections::BTreeMap;
use std::fs;

use mailrun::mail::{Class, Disposition};
use mailrun::sandbox::{Extensions, Options, record};

use crate::kit::{Dir, Relay, campaign};

use Disposition::{Accepted, Deferred, InDoubt};

/// Short enough that a relay which says nothing is given up soon, long enough for one that is only
/// slow.
const TIMES: &str = "[delivery.retry]\nfirst = \"20ms\"\nlongest = \"50ms\"\ngive-up-after = \"6s\"\n\
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
    dir.write("large.bin", vec![b'x'; 12 << 20]);
    let text = fs::read_to_string(dir.path().join(&file)).unwrap();
    dir.write(&file, text.replace("[template]\n", "[template]\nattachment-columns = [\"file\"]\n"));
    let line = |case: &Case| {
        format!("{}@a.example,1,{}\n", case.recipient, if case.large { "large.bin" } else { "" })
    };
    let lines: String = cases.iter().map(line).collect();
    dir.write("one.csv", format!("email,n,file\n{lines}"));
    dir.run(&["send", &file]).ended(1);

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
            case("stall-at-rcpt-once", Accepted, None, ""),
            case("drop-at-rcpt-once", Accepted, None, ""),
            case("garbage-at-rcpt-once", Accepted, None, ""),
            case("stall-after-dot", InDoubt, network, ""),
            case("slow-30s", InDoubt, network, ""),
            case("drop-after-dot", InDoubt, network, ""),
            case("garbage-after-dot", InDoubt, protocol, "not a reply"),
            large(case("stall-in-data+large", Deferred, network, "")),
            large(case("reset-in-data-once+large", Accepted, None, "")),
        ],
    );
}
