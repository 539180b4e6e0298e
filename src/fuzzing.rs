//! Inputs for tests of what reads bytes from outside: random ones, and valid ones that were
//! spoiled.
//!
//! `cargo test` makes a few hundred of them; `scripts/fuzz N` makes N for each test.
//! `MAILRUN_FUZZ_SEED` chooses others; the same seed gives the same inputs.

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// Inputs without `MAILRUN_FUZZ_INPUTS`.
const USUAL: u32 = 300;
/// Bytes that mean something to one of the readers.
const TELLING: &[u8] = b"\0\r\n\t \",;|.-@<>\\{}[]:0129aeE\x7f\x80\xff\xc3\xef\xbb\xbf";

/// How many inputs a test makes.
fn inputs() -> u32 {
    number("MAILRUN_FUZZ_INPUTS").map_or(USUAL, |inputs| u32::try_from(inputs).expect("it fits into 32 bits"))
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a whole number"))
}

/// Calls `test` with inputs made from `seeds`; what makes it panic is made smaller and shown.
pub(crate) fn fuzz(name: &str, seeds: &[Vec<u8>], test: impl Fn(&[u8])) {
    let seed = number("MAILRUN_FUZZ_SEED").unwrap_or(1);
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config =
        Config { cases: inputs(), failure_persistence: None, max_shrink_iters: 20_000, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let outcome = runner.run(&strategy(seeds), |input| {
        test(&input);
        Ok(())
    });
    match outcome {
        Ok(()) => println!("{name}: {} inputs, seed {seed}", inputs()),
        Err(error) => panic!("{name}, seed {seed}: {error}"),
    }
}

/// A change to an input.
#[derive(Debug, Clone)]
enum Change {
    Flip {
        at: u16,
        bit: u8,
    },
    Set {
        at: u16,
        byte: u8,
    },
    Insert {
        at: u16,
        bytes: Vec<u8>,
    },
    Remove {
        at: u16,
        bytes: u8,
    },
    Repeat {
        at: u16,
        bytes: u8,
        times: u8,
    },
    CutAt {
        at: u16,
    },
    /// The rest is another seed's, from the same place on.
    GoOnAs {
        at: u16,
        seed: usize,
    },
}

fn strategy(seeds: &[Vec<u8>]) -> impl Strategy<Value = Vec<u8>> {
    let telling = prop_oneof![prop::sample::select(TELLING), any::<u8>()];
    let change = prop_oneof![
        (any::<u16>(), 0..8_u8).prop_map(|(at, bit)| Change::Flip { at, bit }),
        (any::<u16>(), telling.clone()).prop_map(|(at, byte)| Change::Set { at, byte }),
        (any::<u16>(), prop::collection::vec(telling.clone(), 1..9))
            .prop_map(|(at, bytes)| Change::Insert { at, bytes }),
        (any::<u16>(), any::<u8>()).prop_map(|(at, bytes)| Change::Remove { at, bytes }),
        (any::<u16>(), any::<u8>(), 1..20_u8).prop_map(|(at, bytes, times)| Change::Repeat {
            at,
            bytes,
            times
        }),
        any::<u16>().prop_map(|at| Change::CutAt { at }),
        (any::<u16>(), 0..seeds.len()).prop_map(|(at, seed)| Change::GoOnAs { at, seed }),
    ];
    let spoiled = (0..seeds.len(), prop::collection::vec(change, 0..6)).prop_map(move |(seed, changes)| {
        let mut input = seeds[seed].clone();
        changes.into_iter().for_each(|change| apply(&mut input, change, seeds));
        input
    });
    prop_oneof![8 => spoiled, 1 => prop::collection::vec(telling, 0..200), 1 => prop::collection::vec(any::<u8>(), 0..200)]
}

fn apply(input: &mut Vec<u8>, change: Change, seeds: &[Vec<u8>]) {
    let place = |at: u16| usize::from(at) * input.len() / usize::from(u16::MAX);
    match change {
        Change::Flip { at, bit } => {
            let at = place(at);
            input.get_mut(at).into_iter().for_each(|byte| *byte ^= 1 << bit);
        }
        Change::Set { at, byte } => {
            let at = place(at);
            input.get_mut(at).into_iter().for_each(|old| *old = byte);
        }
        Change::Insert { at, bytes } => {
            let at = place(at);
            input.splice(at..at, bytes);
        }
        Change::Remove { at, bytes } => {
            let at = place(at);
            input.drain(at..input.len().min(at + usize::from(bytes)));
        }
        Change::Repeat { at, bytes, times } => {
            let at = place(at);
            let end = input.len().min(at + usize::from(bytes));
            let part = input[at..end].repeat(usize::from(times));
            input.splice(end..end, part);
        }
        Change::CutAt { at } => input.truncate(place(at)),
        Change::GoOnAs { at, seed } => {
            let at = place(at);
            input.truncate(at);
            input.extend_from_slice(seeds[seed].get(at..).unwrap_or_default());
        }
    }
}

/// Texts as seeds.
pub(crate) fn texts(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}
