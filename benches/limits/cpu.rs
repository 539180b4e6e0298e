//! CPU time as criterion's measurement.

use std::time::Duration;

use criterion::Throughput;
use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use rustix::time::{ClockId, clock_gettime};

/// User and system time.
pub(crate) struct CpuTime {
    of: Of,
    /// Writes nanoseconds, whatever clock they are of.
    wall: WallTime,
}

enum Of {
    /// This process, all threads.
    Own,
    /// The processes that this one has waited for.
    Children,
}

impl CpuTime {
    pub(crate) fn own() -> Self {
        Self { of: Of::Own, wall: WallTime }
    }

    pub(crate) fn of_children() -> Self {
        Self { of: Of::Children, wall: WallTime }
    }
}

impl Measurement for CpuTime {
    type Intermediate = Duration;
    type Value = Duration;

    fn start(&self) -> Duration {
        match self.of {
            Of::Own => {
                let time = clock_gettime(ClockId::ProcessCPUTime);
                Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
            }
            Of::Children => children(),
        }
    }

    fn end(&self, start: Duration) -> Duration {
        // Nothing takes no time: criterion divides by it.
        (self.start() - start).max(Duration::from_nanos(1))
    }

    fn add(&self, one: &Duration, other: &Duration) -> Duration {
        *one + *other
    }

    fn zero(&self) -> Duration {
        Duration::ZERO
    }

    fn to_f64(&self, value: &Duration) -> f64 {
        value.as_nanos() as f64
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        self.wall.formatter()
    }
}

/// The CPU time of the children that were waited for: the 16th and 17th field of `/proc/self/stat`,
/// in hundredths of a second.
fn children() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux has it");
    // The second field may hold spaces.
    let (_, fields) = stat.rsplit_once(')').expect("the second field is in brackets");
    let ticks = fields.split_whitespace().skip(13).take(2);
    let ticks: u64 = ticks.map(|field| field.parse::<u64>().expect("they are numbers")).sum();
    Duration::from_millis(ticks * 10)
}

/// Rows as criterion's throughput.
pub(crate) fn elements(rows: usize) -> Throughput {
    Throughput::Elements(rows as u64)
}
