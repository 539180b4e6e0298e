//! Whole runs: the program's CPU time for a campaign from the list to the results, with the
//! receiver in this process, beside ring's signatures and the hashes of as many bodies, or a bare
//! copy of the messages through a socket, both in another process too.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, SamplingMode};
use mailrun::sandbox::{Options, Sandbox};
use ring::digest::{SHA256, digest};
use tokio::runtime::Runtime;

use super::cpu::{CpuTime, elements};
use super::scene::{Scene, keys, prose};
use super::sign::RingKey;

const SIGNED: usize = 500;
const UNSIGNED: usize = 5_000;
const BODY_BYTES: usize = 10_000;
/// Names the limit that this program measures when it is started anew.
const ONLY_LIMIT: &str = "MAILRUN_BENCH_LIMIT";

/// Measures what this program was started anew for; `None` when it was not.
pub(crate) fn only_limit() -> Option<i32> {
    let limit = std::env::var(ONLY_LIMIT).ok()?;
    Some(if limit == "sign" { sign() } else { copy(&limit) })
}

pub(crate) fn end_to_end(c: &mut Criterion<CpuTime>) {
    let mut bench = c.benchmark_group("end to end");
    bench.sampling_mode(SamplingMode::Flat).warm_up_time(Duration::from_millis(1));
    bench.measurement_time(Duration::from_secs(8));
    for (what, rows, is_signed) in
        [("RSA-2048, 10 KB, to a relay", SIGNED, true), ("unsigned, 10 KB, to a relay", UNSIGNED, false)]
    {
        bench.throughput(elements(rows));
        bench.bench_function(BenchmarkId::new("mailrun", what), |b| {
            let runtime = Runtime::new().expect("there are threads");
            let sandbox = runtime.block_on(Sandbox::start(Options::default())).expect("there is a free port");
            let scene = campaign(rows, is_signed, sandbox.addr().port());
            let mut number = 0;
            b.iter(|| {
                number += 1;
                send(scene.folder.path(), number);
            });
            drop(runtime.block_on(sandbox.stop()));
        });
        let limit = if is_signed {
            "limit: ring, SHA-256 of the body and signature"
        } else {
            "limit: a copy through the socket"
        };
        bench.bench_function(BenchmarkId::new(limit, what), |b| {
            let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
            let address = listener.local_addr().expect("it is bound").to_string();
            std::thread::spawn(move || listener.incoming().flatten().for_each(swallow));
            b.iter(|| again(if is_signed { "sign" } else { &address }));
        });
    }
    bench.finish();
}

/// A clean list, so that every row is a message.
fn campaign(rows: usize, is_signed: bool, port: u16) -> Scene {
    use mailrun::synth::ListFormat;
    use mailrun::synth::{self, Share, Spec};
    let none = Share::default();
    let spec =
        Spec { rows: rows as u64, duplicates: none, invalid: none, non_ascii: none, ..Spec::default() };
    let scene = Scene::new();
    synth::write(&spec, &scene.path("list.csv"), ListFormat::Csv, false, |_| ())
        .expect("the list can be written");
    scene.write("letter.hbs", &format!("Dear {{{{full_name}}}},\n\n{}", prose(BODY_BYTES).replace('\r', "")));
    let dkim = match keys() {
        [rsa, _] if is_signed => format!(
            "[[dkim]]\ndomain = \"mail.example.com\"\nselector = \"s\"\nkey = \"{}\"\n",
            rsa.key.display()
        ),
        _ => String::new(),
    };
    scene.write(
        "campaign.toml",
        &format!(
            "[campaign]\nid = \"bench\"\nwithout-unsubscribe = true\n[sender]\nfrom = \"News <news@mail.example.com>\"\n\
             [target-group]\nfiles = [\"list.csv\"]\n[template]\nsubject = \"{{{{first_name}}}}\"\ntext = \"letter.hbs\"\n{dkim}\
             [capacity]\nper-hour = 1_000_000_000\npace = \"burst\"\n[delivery]\nroute = \"relay\"\n\
             [delivery.relay]\nhost = \"127.0.0.1\"\nport = {port}\ntls = \"none\"\nconnections = 20\n"
        ),
    );
    scene
}

fn send(folder: &Path, number: u32) {
    let ended = Command::new(env!("CARGO_BIN_EXE_mailrun"))
        .args(["send", "campaign.toml", "--no-check", "--no-progress", "--run-id", &format!("r{number}")])
        .current_dir(folder)
        .env("MAILRUN_STATE", folder.join("state"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .expect("the program is built with its benches");
    assert!(ended.success(), "the cost of a run that failed says nothing: {ended}");
    std::fs::remove_dir_all(folder.join("runs")).expect("the run is over");
}

/// This program once more, for a limit alone.
fn again(limit: &str) {
    let this = std::env::current_exe().expect("Linux knows");
    let ended = Command::new(this).arg("--bench").env(ONLY_LIMIT, limit).stdin(Stdio::null()).status();
    assert!(ended.expect("it has been started before").success());
}

fn sign() -> i32 {
    let [rsa, _] = keys();
    let (key, body) = (RingKey::load(&rsa.key), prose(BODY_BYTES));
    for _ in 0..SIGNED {
        key.sign(digest(&SHA256, std::hint::black_box(body.as_bytes())).as_ref());
    }
    0
}

fn copy(address: &str) -> i32 {
    let mut stream = TcpStream::connect(address).expect("the parent listens");
    let (body, mut answer) = (prose(BODY_BYTES), [0]);
    for _ in 0..UNSIGNED {
        stream.write_all(body.as_bytes()).expect("the parent reads");
    }
    stream.shutdown(std::net::Shutdown::Write).expect("the parent reads");
    i32::from(stream.read(&mut answer).is_err())
}

/// Reads to the end and throws it away.
fn swallow(mut stream: TcpStream) {
    let mut buffer = vec![0; 64 << 10];
    while stream.read(&mut buffer).is_ok_and(|bytes| bytes > 0) {}
}
