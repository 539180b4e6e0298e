//! A decision of the pacer beside a look at the clock, without which there is none.

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion};
use mailrun::campaign::Capacity;
use mailrun::mail::Timestamp;
use mailrun::pacing::{Account, Clock, Holder, Ledger, MemoryLedger, Pacer, Reading};

use super::cpu::{CpuTime, elements};
use super::scene::NOW;

/// Simulated time from one decision to the next.
const STEP: Duration = Duration::from_millis(1);

pub(crate) fn pacer(c: &mut Criterion<CpuTime>) {
    let mut bench = c.benchmark_group("pacer");
    bench.throughput(elements(1));
    let what = "one decision, 10,000,000 an hour";
    bench.bench_function(BenchmarkId::new("mailrun", what), |b| {
        let capacity = Capacity { per_hour: 10_000_000, ..Capacity::default() };
        let clock = Clock::simulated(Reading::simulated(NOW));
        let ledger = MemoryLedger::new(clock.clone());
        let account = ledger.join(Holder::new("bench", "1"), (&capacity).into());
        let account = account.expect("memory has no failures");
        let mut line = Line { pacer: Pacer::new(&capacity, NOW), clock, account, now: NOW };
        // Far into the run, past the first requests.
        (0..10_000).for_each(|_| _ = line.decide());
        b.iter(|| line.decide());
    });
    bench.bench_function(BenchmarkId::new("limit: two looks at the clock", what), |b| {
        b.iter(|| black_box(Instant::now().elapsed()));
    });
    bench.finish();
}

struct Line {
    pacer: Pacer,
    clock: Clock,
    account: Box<dyn Account>,
    now: Timestamp,
}

impl Line {
    /// Asks how many of 20 may leave, and the ledger where the pacer wants it.
    fn decide(&mut self) -> u64 {
        self.now = self.now + STEP;
        let admission = self.pacer.admit(self.now, 20);
        if let Some(request) = admission.request {
            self.clock.set(Reading::simulated(self.now));
            let reservation = self.account.reserve(&request);
            self.pacer.reserved(self.now, reservation.expect("memory has no failures"));
        }
        admission.count
    }
}
