//! Each stage beside its limit: what the same work costs with nothing around it.
//!
//! `cargo bench --bench limits` measures all of them, `cargo bench --bench limits -- sign` those
//! with that in their name; `scripts/bench-ratios` prints what was measured last as a table with
//! the ratios. A group holds `mailrun` and `limit` of the same work in the same round, so that the
//! ratio survives a machine that other work slows down.
//!
//! Measured is the CPU time of this process, user and system, on all its threads: what others do on
//! the machine does not count, and waiting does not. Two benches stand apart, since it can't be
//! measured so: `round_trips` is about waiting for a slow line, and `journal` compares whole runs
//! in turn, which take too long for criterion's many rounds.

mod classify;
mod compose;
mod cpu;
mod documents;
mod end_to_end;
mod journal;
mod letters;
mod list;
mod pacer;
mod results;
mod scene;
mod session;
mod sign;

use std::time::Duration;

use criterion::{Criterion, criterion_group};

use cpu::CpuTime;

/// Short rounds: all stages together take a few minutes.
fn config() -> Criterion<CpuTime> {
    Criterion::default()
        .with_measurement(CpuTime::own())
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_millis(1_500))
}

criterion_group! {
    name = stages;
    config = config();
    targets = list::read, list::screen, compose::compose, letters::letters, documents::documents, sign::sign,
        sign::smime, pacer::pacer, session::session, classify::classify, journal::journal, results::results
}
criterion_group! {
    name = whole;
    config = Criterion::default().with_measurement(CpuTime::of_children()).sample_size(10);
    targets = end_to_end::end_to_end
}

fn main() {
    if let Some(code) = end_to_end::only_limit() {
        std::process::exit(code);
    }
    stages();
    whole();
    Criterion::default().configure_from_args().final_summary();
}
