//! What a DKIM signature costs beside its limit: one RSA-2048 signature and one SHA-256 of the body, by ring alone.
//!
//! `cargo bench --bench sign` prints both and their ratio for bodies of 10, 100 and 200 KB.

use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use base64::prelude::{BASE64_STANDARD, Engine};
use bytes::Bytes;
use mailrun::campaign::Campaign;
use mailrun::dkim::Signer;
use mailrun::mail::{Message, Timestamp};
use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};

/// Signatures of each kind and size; the two kinds in turn, so that both meet the same machine.
const ROUNDS: u32 = 200;

fn main() {
    let campaign = Campaign::load(Path::new("fixtures/welcome/campaign.toml")).expect("the fixture loads");
    let rsa = campaign.dkim.first().expect("the fixture signs with RSA first");
    let signer = Signer::load(std::slice::from_ref(rsa)).expect("the fixture's key loads");
    let pem = std::fs::read_to_string(&rsa.key).expect("the fixture's key is there");
    let base64: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    let der = BASE64_STANDARD.decode(base64).expect("PEM holds base64");
    let key = RsaKeyPair::from_pkcs8(&der).or_else(|_| RsaKeyPair::from_der(&der)).expect("an RSA key");
    let random = SystemRandom::new();
    let mut signature = vec![0; key.public().modulus_len()];

    for kilobytes in [10, 100, 200] {
        let body = Bytes::from(
            "Some seventy letters of a body that is like the text of any message.\r\n"
                .repeat(kilobytes * 1_000 / 70),
        );
        let message = Message {
            header: Bytes::from_static(
                b"From: a@mail.example.com\r\nTo: b@example.com\r\nSubject: x\r\nMessage-ID: <1@x.example>\r\n",
            ),
            body: vec![body.clone()],
            message_id: "1@x.example".into(),
            eight_bit: false,
            needs_smtputf8: false,
        };
        let (mut whole, mut limit) = (0.0, 0.0);
        for _ in 0..ROUNDS {
            // A body of its own each time: one that all messages share is hashed once only.
            let message = Message { body: vec![Bytes::copy_from_slice(&body)], ..message.clone() };
            let start = Instant::now();
            black_box(signer.sign(message, Timestamp(0)).expect("it signs"));
            whole += start.elapsed().as_secs_f64();
            let start = Instant::now();
            let hash = digest(&SHA256, black_box(&body));
            key.sign(&RSA_PKCS1_SHA256, &random, hash.as_ref(), &mut signature).expect("it signs");
            black_box(&signature);
            limit += start.elapsed().as_secs_f64();
        }
        let micros = |seconds: f64| seconds * 1e6 / f64::from(ROUNDS);
        println!(
            "{kilobytes:>3} KB: signing {:>6.0} µs, its limit {:>6.0} µs, ratio {:.3}",
            micros(whole),
            micros(limit),
            whole / limit
        );
    }
}
