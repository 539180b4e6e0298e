//! What a signed message costs at least: the CPU of one RSA-2048 signature and of one SHA-256 of
//! its body, by ring alone.
//!
//! `peer-limit KEY.pem ROUNDS BYTES …` prints one JSON object: CPU seconds per signature, and per
//! hash of each size. Signatures and hashes take turns, so that all meet the same machine.

use std::env;
use std::fs;
use std::hint::black_box;

use anyhow::{Context, anyhow};
use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rustix::time::{ClockId, clock_gettime};
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject;
use serde_json::{Map, Value, json};

/// Times that everything is done before it is measured.
const WARM_UP: u32 = 20;

fn main() -> anyhow::Result<()> {
    let mut arguments = env::args().skip(1);
    let usage = "usage: peer-limit KEY.pem ROUNDS BYTES …";
    let pem = fs::read(arguments.next().context(usage)?)?;
    let rounds: u32 = arguments.next().context(usage)?.parse()?;
    let sizes = arguments.map(|size| size.parse()).collect::<Result<Vec<usize>, _>>()?;

    let der = PrivatePkcs8KeyDer::from_pem_slice(&pem).map_err(|error| anyhow!("the key: {error}"))?;
    let key = RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).map_err(|error| anyhow!("the key: {error}"))?;
    let random = SystemRandom::new();
    let mut signature = vec![0; key.public().modulus_len()];
    let line = "Some seventy letters of a body that is like the text of any message.\r\n";
    let bodies: Vec<Vec<u8>> = sizes.iter().map(|size| line.bytes().cycle().take(*size).collect()).collect();

    let mut signing = 0.0;
    let mut hashing = vec![0.0; bodies.len()];
    for round in 0..WARM_UP + rounds {
        let counts = f64::from(u8::from(round >= WARM_UP));
        signing += counts
            * seconds(|| {
                key.sign(&RSA_PKCS1_SHA256, &random, black_box(&round.to_le_bytes()), &mut signature)
                    .expect("an RSA key signs whatever it is given");
                black_box(&signature);
            });
        for (body, total) in bodies.iter().zip(&mut hashing) {
            *total += counts
                * seconds(|| {
                    black_box(digest(&SHA256, black_box(body)));
                });
        }
    }
    let each = |total: f64| total / f64::from(rounds);
    let hashes: Map<String, Value> =
        sizes.iter().zip(hashing).map(|(size, total)| (size.to_string(), json!(each(total)))).collect();
    println!("{}", json!({"signature": each(signing), "hash": hashes}));
    Ok(())
}

/// The CPU time of this thread that `work` takes.
fn seconds(work: impl FnOnce()) -> f64 {
    let now = || {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
    };
    let start = now();
    work();
    now() - start
}
