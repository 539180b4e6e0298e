//! Signing beside ring's signatures and one SHA-256 of the body.

use std::fs;
use std::hint::black_box;
use std::path::Path;

use base64::prelude::{BASE64_STANDARD, Engine};
use bytes::Bytes;
use criterion::{BatchSize, BenchmarkId, Criterion};
use mailrun::campaign::{Dkim, Smime};
use mailrun::dkim::Signer;
use mailrun::mail::Message;
use mailrun::smime;
use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};

use super::cpu::{CpuTime, elements};
use super::scene::{NOW, keys, prose};

/// A key of the example, as ring has it.
pub(crate) enum RingKey {
    Rsa(RsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl RingKey {
    pub(crate) fn load(pem: &Path) -> Self {
        let pem = fs::read_to_string(pem).expect("the example's key is there");
        let base64: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
        let der = BASE64_STANDARD.decode(base64).expect("PEM holds base64");
        if let Ok(key) = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der) {
            return Self::Ed25519(key);
        }
        Self::Rsa(RsaKeyPair::from_pkcs8(&der).or_else(|_| RsaKeyPair::from_der(&der)).expect("an RSA key"))
    }

    pub(crate) fn sign(&self, hash: &[u8]) {
        match self {
            Self::Rsa(key) => {
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), hash, &mut signature).expect("it signs");
                black_box(signature);
            }
            Self::Ed25519(key) => drop(black_box(key.sign(hash))),
        }
    }
}

pub(crate) fn sign(c: &mut Criterion<CpuTime>) {
    let mut bench = c.benchmark_group("sign");
    bench.throughput(elements(1));
    let [rsa, ed25519] = keys();
    let both = [rsa.clone(), ed25519.clone()];
    let own = |kilobytes: usize| Body { own: prose(kilobytes * 1_000), shared: Bytes::new() };
    let attached = || Body { own: prose(10_000), shared: Bytes::from(prose(190_000)) };
    let all_shared = || Body { own: String::new(), shared: Bytes::from(prose(200_000)) };
    let cases: [(&str, &[Dkim], Body, Hashed); 8] = [
        ("RSA-2048, 10 KB", &both[..1], own(10), Hashed::EachTime),
        ("RSA-2048, 100 KB", &both[..1], own(100), Hashed::EachTime),
        ("RSA-2048, 200 KB", &both[..1], own(200), Hashed::EachTime),
        ("RSA-2048, 200 KB of which 190 attached to all", &both[..1], attached(), Hashed::EachTime),
        ("RSA-2048, 200 KB the same for all", &both[..1], all_shared(), Hashed::Once),
        ("Ed25519, 10 KB", &both[1..], own(10), Hashed::EachTime),
        ("RSA-2048 and Ed25519, 10 KB", &both, own(10), Hashed::EachTime),
        ("RSA-2048 and Ed25519, 100 KB", &both, own(100), Hashed::EachTime),
    ];
    for (what, keys, body, hashed) in cases {
        let signer = Signer::load(keys).expect("the example's keys load");
        bench.bench_function(BenchmarkId::new("mailrun", what), |b| {
            b.iter_batched(
                || body.message(),
                |message| signer.sign(message, NOW).expect("it signs"),
                BatchSize::SmallInput,
            );
        });
        let ring: Vec<RingKey> = keys.iter().map(|dkim| RingKey::load(&dkim.key)).collect();
        let whole: Vec<u8> = [body.own.as_bytes(), &body.shared].concat();
        let (limit, hashed_bytes) = match hashed {
            Hashed::EachTime => ("limit: ring, SHA-256 of the body and signature", whole.as_slice()),
            Hashed::Once => ("limit: ring, signature", &whole[..0]),
        };
        bench.bench_function(BenchmarkId::new(limit, what), |b| {
            b.iter(|| {
                let hash = digest(&SHA256, black_box(hashed_bytes));
                ring.iter().for_each(|key| key.sign(hash.as_ref()));
            });
        });
    }
    bench.finish();
}

/// S/MIME alone and under DKIM, beside one signature and one hash of the content by ring.
pub(crate) fn smime(c: &mut Criterion<CpuTime>) {
    let mut bench = c.benchmark_group("smime");
    bench.throughput(elements(1));
    let [rsa, _] = keys();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/smime/test-keys");
    let file = |name: &str| folder.join(name);
    let certificate = Smime {
        certificate: file("rsa.pem"),
        key: Some(file("rsa.key")),
        chain: Some(file("chain.pem")),
        password_env: None,
        password_file: None,
        use_from: None,
        use_until: None,
    };
    let ring = RingKey::load(&file("rsa.key"));
    for (what, kilobytes, dkim) in [
        ("RSA-2048, 10 KB", 10, &[][..]),
        ("RSA-2048, 100 KB", 100, &[][..]),
        ("RSA-2048 under DKIM with RSA-2048, 10 KB", 10, &[rsa.clone()][..]),
        ("RSA-2048 under DKIM with RSA-2048, 100 KB", 100, &[rsa][..]),
    ] {
        let body = Body { own: prose(kilobytes * 1_000), shared: Bytes::new() };
        let smime = smime::Signer::load(&certificate, None).expect("the tests' certificate loads");
        let signer = Signer::load(dkim).expect("the example's key loads").over(Some(smime));
        bench.bench_function(BenchmarkId::new("mailrun", what), |b| {
            b.iter_batched(
                || body.message(),
                |message| signer.sign(message, NOW).expect("it signs"),
                BatchSize::SmallInput,
            );
        });
        // One of each, whatever the number of signatures: two of them have a ratio of 2 and more.
        bench.bench_function(
            BenchmarkId::new("limit: ring, one SHA-256 of the body and one signature", what),
            |b| {
                b.iter(|| ring.sign(digest(&SHA256, black_box(body.own.as_bytes())).as_ref()));
            },
        );
    }
    bench.finish();
}

/// How often the limit hashes the body.
enum Hashed {
    EachTime,
    /// It is the same for all messages.
    Once,
}

struct Body {
    /// Each message has one of its own.
    own: String,
    shared: Bytes,
}

impl Body {
    fn message(&self) -> Message {
        let own = Bytes::copy_from_slice(self.own.as_bytes());
        Message {
            header: Bytes::from_static(
                b"From: a@mail.example.com\r\nTo: b@example.com\r\nSubject: x\r\nDate: Fri, 29 May 2026 20:26:40 +0000\r\n\
                  Message-ID: <1@x.example>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n",
            ),
            body: [own, self.shared.clone()].into_iter().filter(|segment| !segment.is_empty()).collect(),
            message_id: "1@x.example".to_owned(),
            eight_bit: false,
            needs_smtputf8: false,
        }
    }
}
