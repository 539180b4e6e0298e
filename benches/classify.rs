//! How many replies a second one core classifies, and what the rules cost at start.
//!
//! `cargo bench --bench classify` takes the replies that the rules have as their tests, each as often as the others, with an address, an IP and
//! a number of its own in every copy: servers repeat their phrases, and never a whole reply.

use std::hint::black_box;
use std::time::Duration;

use mailrun::mail::{EnhancedStatus, Reply};
use mailrun::route::Classifier;
use rustix::time::{ClockId, clock_gettime};
use serde::Deserialize;

/// The rules, for their tests.
const RULES: &str = include_str!("../src/route/classify/rules.toml");
/// Replies in memory.
const REPLIES: usize = 10_000;
/// Times that all of them are classified; the median counts.
const ROUNDS: usize = 101;

#[derive(Deserialize)]
struct File {
    rule: Vec<Rule>,
}

#[derive(Deserialize)]
struct Rule {
    tests: Vec<String>,
}

fn main() {
    let start = cpu();
    let classifier = Classifier::default();
    let built = cpu() - start;
    let replies = replies();
    let bytes: usize = replies.iter().map(|reply| reply.text.len()).sum();

    let start = cpu();
    for reply in &replies[..1_000] {
        black_box(classifier.classify(reply));
    }
    let first = cpu() - start;
    let mut rates: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let start = cpu();
            for reply in &replies {
                black_box(classifier.classify(black_box(reply)));
            }
            replies.len() as f64 / (cpu() - start).as_secs_f64()
        })
        .collect();
    rates.sort_by(f64::total_cmp);
    println!(
        "{REPLIES} replies of {} bytes on average: {:.0} replies/s (lowest {:.0}, highest {:.0} of {ROUNDS} rounds)",
        bytes / replies.len(),
        rates[ROUNDS / 2],
        rates[0],
        rates[ROUNDS - 1]
    );
    println!("rules ready in {:.1} ms, the first 1,000 replies in {:.1} ms", ms(built), ms(first));
}

/// The processor's time that this thread has used: what others do on the machine does not count.
fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

fn replies() -> Vec<Reply> {
    let file: File = toml::from_str(RULES).expect("the rules are TOML");
    let tests: Vec<String> = file.rule.into_iter().flat_map(|rule| rule.tests).collect();
    // Steps that have no divisor with the number of tests in common would do; a stride by a prime mixes well enough.
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
