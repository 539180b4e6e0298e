//! What a signed message costs at least: the CPU of one RSA-2048 signature and of one SHA-256 of
//! its body, by ring and by AWS-LC, on as many threads at once as a sender would use.
//!
//! `peer-limit KEY.pem ROUNDS THREADS BYTES …` prints one JSON object: of each library, CPU seconds
//! per signature, and per hash of each size. All threads work at the same time, since cores that
//! are all busy are slower than one; signatures and hashes take turns, so that all meet the same
//! machine.

use std::env;
use std::fs;
use std::hint::black_box;
use std::sync::Barrier;
use std::thread;

use anyhow::{Context, anyhow};
use rustix::time::{ClockId, clock_gettime};
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject;
use serde_json::{Map, Value, json};

/// Times that everything is done before it is measured.
const WARM_UP: u32 = 20;

/// CPU seconds of one thread.
struct Spent {
    signing: f64,
    /// In the order of the sizes.
    hashing: Vec<f64>,
}

/// A library that signs and hashes. ring and AWS-LC have the same names for the same things.
macro_rules! library {
    ($name:ident, $library:ident) => {
        fn $name(pkcs8: &[u8], bodies: &[Vec<u8>], rounds: u32) -> anyhow::Result<Spent> {
            use $library::digest::{SHA256, digest};
            use $library::rand::SystemRandom;
            use $library::signature::{RSA_PKCS1_SHA256, RsaKeyPair};

            let key = RsaKeyPair::from_pkcs8(pkcs8).map_err(|error| anyhow!("the key: {error}"))?;
            let random = SystemRandom::new();
            let mut signature = vec![0; 2048 / 8];
            let mut spent = Spent { signing: 0.0, hashing: vec![0.0; bodies.len()] };
            for round in 0..WARM_UP + rounds {
                let counts = f64::from(u8::from(round >= WARM_UP));
                let signing = seconds(|| {
                    key.sign(&RSA_PKCS1_SHA256, &random, black_box(&round.to_le_bytes()), &mut signature)
                })?;
                black_box(&signature);
                spent.signing += counts * signing;
                for (body, total) in bodies.iter().zip(&mut spent.hashing) {
                    let hash = || {
                        black_box(digest(&SHA256, black_box(body)));
                        Ok::<_, anyhow::Error>(())
                    };
                    *total += counts * seconds(hash)?;
                }
            }
            Ok(spent)
        }
    };
}

library!(by_ring, ring);
library!(by_aws_lc, aws_lc_rs);

fn main() -> anyhow::Result<()> {
    let mut arguments = env::args().skip(1);
    let usage = "usage: peer-limit KEY.pem ROUNDS THREADS BYTES …";
    let pem = fs::read(arguments.next().context(usage)?)?;
    let rounds: u32 = arguments.next().context(usage)?.parse()?;
    let threads: usize = arguments.next().context(usage)?.parse()?;
    let sizes = arguments.map(|size| size.parse()).collect::<Result<Vec<usize>, _>>()?;

    let der = PrivatePkcs8KeyDer::from_pem_slice(&pem).map_err(|error| anyhow!("the key: {error}"))?;
    let line = "Some seventy letters of a body that is like the text of any message.\r\n";
    let bodies: Vec<Vec<u8>> = sizes.iter().map(|size| line.bytes().cycle().take(*size).collect()).collect();

    let mut found = Map::new();
    for (name, library) in [("ring", by_ring as fn(&[u8], &[Vec<u8>], u32) -> _), ("aws-lc", by_aws_lc)] {
        let start = Barrier::new(threads);
        let spent = thread::scope(|scope| {
            let work = || {
                start.wait();
                library(der.secret_pkcs8_der(), &bodies, rounds)
            };
            let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            threads.into_iter().map(|thread| thread.join().expect("it returns its errors")).collect::<Result<Vec<_>, _>>()
        })?;
        let each = |total: f64| total / f64::from(rounds) / threads as f64;
        let hash = |at: usize| each(spent.iter().map(|one| one.hashing[at]).sum());
        let hashes: Map<String, Value> =
            sizes.iter().enumerate().map(|(at, size)| (size.to_string(), json!(hash(at)))).collect();
        let signature = each(spent.iter().map(|one| one.signing).sum());
        found.insert(name.to_owned(), json!({"signature": signature, "hash": hashes}));
    }
    println!("{}", Value::Object(found));
    Ok(())
}

/// The CPU time of this thread that `work` takes.
fn seconds<E: std::fmt::Display>(work: impl FnOnce() -> Result<(), E>) -> anyhow::Result<f64> {
    let now = || {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
    };
    let start = now();
    let done = work();
    let spent = now() - start;
    done.map_err(|error| anyhow!("{error}"))?;
    Ok(spent)
}
