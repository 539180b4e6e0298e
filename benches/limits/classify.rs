//! Classifying replies beside one pass over their bytes; and what the rules cost at start.
//!
//! The replies are those that the rules have as their tests, each as often as the others, with an
//! address, an IP and a number of its own in every copy: servers repeat their phrases, and never a
//! whole reply.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion};
use mailrun::mail::{EnhancedStatus, Reply};
use mailrun::route::Classifier;
use serde::Deserialize;

use super::cpu::{CpuTime, elements};

/// The rules, for their tests.
const RULES: &str = include_str!("../../src/route/classify/rules.toml");
/// Replies in memory.
const REPLIES: usize = 10_000;

#[derive(Deserialize)]
struct File {
    rule: Vec<Rule>,
}

#[derive(Deserialize)]
struct Rule {
    tests: Vec<String>,
}

pub(crate) fn classify(c: &mut Criterion<CpuTime>) {
    let mut bench = c.benchmark_group("classify");
    let classifier = Classifier::default();
    let replies = replies();
    bench.throughput(elements(REPLIES));
    bench.bench_function(BenchmarkId::new("mailrun", "10,000 replies"), |b| {
        b.iter(|| {
            for reply in &replies {
                black_box(classifier.classify(black_box(reply)));
            }
        });
    });
    bench.bench_function(BenchmarkId::new("limit: lower case", "10,000 replies"), |b| {
        b.iter(|| {
            for reply in &replies {
                black_box(black_box(reply).text.to_ascii_lowercase());
            }
        });
    });
    bench.throughput(elements(1));
    bench
        .bench_function(BenchmarkId::new("mailrun", "the rules made ready"), |b| b.iter(Classifier::default));
    bench.bench_function(BenchmarkId::new("limit: their TOML parsed", "the rules made ready"), |b| {
        b.iter(|| toml::from_str::<toml::Table>(black_box(RULES)).expect("the rules are TOML"));
    });
    bench.finish();
}

fn replies() -> Vec<Reply> {
    let file: File = toml::from_str(RULES).expect("the rules are TOML");
    let tests: Vec<String> = file.rule.into_iter().flat_map(|rule| rule.tests).collect();
    // A stride by a prime mixes well enough.
    (0..REPLIES).map(|n| reply(&tests[n * 7_919 % tests.len()], n)).collect()
}

fn reply(test: &str, n: usize) -> Reply {
    let code = test[..3].parse().expect("a test begins with a code");
    let rest = test.get(4..).unwrap_or_default();
    let (enhanced, text) = match EnhancedStatus::split(rest) {
        Some((enhanced, text)) => (Some(enhanced), text),
        None => (None, rest),
    };
    let text = text
        .replace("bob@", &format!("{}.{n:x}@", ["ann", "bob", "carol", "dave", "erin"][n % 5]))
        .replace("192.0.2.7", &format!("192.0.2.{}", n % 250));
    Reply { code, enhanced, text: format!("{text} {:08x}", n.wrapping_mul(0x9e37_79b1)) }
}
