//! A message with an encrypted document, beside the key, the compression and the encryption alone.

use std::hint::black_box;
use std::io::Write;
use std::num::NonZeroU32;

use aws_lc_rs::cipher::{AES_256, EncryptingKey, UnboundCipherKey};
use aws_lc_rs::pbkdf2;
use criterion::{BenchmarkId, Criterion};
use flate2::Compression;
use flate2::write::DeflateEncoder;
use mailrun::campaign::Campaign;

use super::cpu::{CpuTime, elements};
use super::scene::{NOW, Scene, composer, prose};

const BYTES: usize = 100_000;
const ROUNDS: NonZeroU32 = NonZeroU32::new(1_000).expect("it is not 0");

/// What the campaign of [`Scene::campaign`] has besides.
const DOCUMENTS: &str = "[secure-documents]\nattachments = [\"document.txt\"]\nsecret-env = \"SECRET\"\n\
    subject = \"Your password\"\ntext = \"password.hbs\"\n[[scanner]]\nkind = \"clamd\"\naddress = \"/unused\"\n";

pub(crate) fn documents(c: &mut Criterion<CpuTime>) {
    let mut bench = c.benchmark_group("documents");
    bench.throughput(elements(1));
    let scene = Scene::new();
    scene.list("list.csv", 100);
    let document = prose(BYTES);
    scene.write("document.txt", &document);
    scene.write("password.hbs", "{{password}}");
    let plain = scene.campaign("Your invoice", "It is in the ZIP.\n", None);
    let rows = scene.rows(&plain, 1);
    let written = format!(
        "[campaign]\nid = \"bench\"\n[sender]\nfrom = \"News <news@mail.example.com>\"\n\
         [target-group]\nfiles = [\"list.csv\"]\n[template]\nsubject = \"Your invoice\"\n\
         text = \"letter.txt.hbs\"\n{DOCUMENTS}[delivery]\nroute = \"sandbox\"\n"
    );
    let campaign = Campaign::parse(&written, &scene.path("campaign.toml")).expect("the campaign is right");
    let composer = composer(&campaign);
    bench.bench_function(BenchmarkId::new("mailrun", "100 KB"), |b| {
        b.iter(|| composer.compose(black_box(&rows[0]), NOW).expect("it composes"));
    });
    bench.bench_function(BenchmarkId::new("limit: PBKDF2, deflate and AES-256", "100 KB"), |b| {
        b.iter(|| alone(black_box(document.as_bytes())));
    });
    bench.finish();
}

/// The three with nothing around them.
fn alone(document: &[u8]) -> Vec<u8> {
    let mut keys = [0; 66];
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA1, ROUNDS, &[7; 16], b"a password of 16", &mut keys);
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(document).expect("memory takes what is written");
    let mut deflated = encoder.finish().expect("memory takes what is written");
    let key = UnboundCipherKey::new(&AES_256, &keys[..32]).and_then(EncryptingKey::ecb);
    let whole = deflated.len() / 16 * 16;
    key.and_then(|key| key.encrypt(&mut deflated[..whole])).expect("they are whole blocks");
    deflated
}
