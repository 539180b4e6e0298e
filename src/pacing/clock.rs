//! The clocks of a process as one value, which tests set: the time of messages, the journal and
//! results, and the clock that capacity is counted on.
//!
//! Ages are measured on the system's monotonic clock (`CLOCK_MONOTONIC`): all processes of one boot
//! read the same clock, and nobody can set it. It stops while the machine sleeps, so a window on it
//! is never longer than it seems. Records from before the machine's last start can only be placed
//! by the wall clock; the boot's id says which case it is.

use std::fmt;
use std::fs;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rustix::time::{ClockId, clock_gettime};

use crate::mail::Timestamp;

/// Microseconds on the system's monotonic clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Uptime(pub i64);

impl Uptime {
    fn now() -> Self {
        let time = clock_gettime(ClockId::Monotonic);
        Self(time.tv_sec * 1_000_000 + time.tv_nsec / 1_000)
    }

    pub(crate) fn plus(self, micros: u64) -> Self {
        Self(self.0.saturating_add(i64::try_from(micros).unwrap_or(i64::MAX)))
    }

    pub(crate) fn minus(self, micros: u64) -> Self {
        Self(self.0.saturating_sub(i64::try_from(micros).unwrap_or(i64::MAX)))
    }

    /// Microseconds since `earlier`; zero when that is later.
    pub(crate) fn since(self, earlier: Self) -> u64 {
        u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0)
    }
}

/// Which start of which kernel the monotonic clock counts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BootId(pub u128);

impl BootId {
    /// Where the system has no boot ids (it is not Linux).
    pub const UNKNOWN: Self = Self(0);

    /// Of this boot.
    fn current() -> Self {
        static CURRENT: OnceLock<BootId> = OnceLock::new();
        *CURRENT.get_or_init(|| {
            let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
            Self::parse(&text).unwrap_or(Self::UNKNOWN)
        })
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        let digits: String = text.trim().chars().filter(|&c| c != '-').collect();
        u128::from_str_radix(&digits, 16).ok().map(Self)
    }
}

/// 32 hexadecimal digits.
impl fmt::Display for BootId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// One moment, on every clock that is needed to place it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// The process's own time, [`Timestamp::now`]: what the pacer, the journal and the results
    /// speak of.
    pub now: Timestamp,
    /// The system's wall clock, which may have been set since the process began.
    pub wall: Timestamp,
    /// Which boot `uptime` belongs to.
    pub boot: BootId,
    /// The system's monotonic clock.
    pub uptime: Uptime,
}

impl Reading {
    /// Simulated time: every clock says `now`.
    pub fn simulated(now: Timestamp) -> Self {
        Self { now, wall: now, boot: BootId(1), uptime: Uptime(now.0) }
    }

    /// The moment `time` of this process, on the monotonic clock.
    pub(crate) fn uptime_of(&self, time: Timestamp) -> Uptime {
        Uptime(self.uptime.0.saturating_add(time.0.saturating_sub(self.now.0)))
    }

    /// The moment `uptime`, in this process's time.
    pub(crate) fn time_of(&self, uptime: Uptime) -> Timestamp {
        Timestamp(self.now.0.saturating_add(uptime.0.saturating_sub(self.uptime.0)))
    }

    /// The moment `uptime`, on the wall clock as it is set now.
    pub(crate) fn wall_of(&self, uptime: Uptime) -> Timestamp {
        Timestamp(self.wall.0.saturating_add(uptime.0.saturating_sub(self.uptime.0)))
    }
}

/// Where a job, its run and a ledger get the time from.
#[derive(Debug, Clone)]
pub struct Clock(Hands);

#[derive(Debug, Clone)]
enum Hands {
    /// The process's time and the monotonic clock run together; how far apart they are is measured
    /// once.
    System { boot: BootId, offset: i64 },
    /// Says what it was set to last.
    Set(Arc<Mutex<Reading>>),
}

/// A calibration is repeated when the process lost its core for longer than this.
const CLOSE_MICROS: i64 = 20;
const CALIBRATIONS: usize = 50;

impl Clock {
    /// The system's clocks.
    pub fn system() -> Self {
        let attempt = || {
            let before = Uptime::now();
            let now = Timestamp::now();
            let after = Uptime::now();
            (after.0 - before.0, now.0 - before.0)
        };
        let mut best = attempt();
        for _ in 0..CALIBRATIONS {
            if best.0 <= CLOSE_MICROS {
                break;
            }
            best = best.min(attempt());
        }
        Self(Hands::System { boot: BootId::current(), offset: best.1 })
    }

    /// A clock of simulated time, for tests and benchmarks: it says `reading` until it is
    /// [`set`](Self::set). Clones are set together.
    pub fn simulated(reading: Reading) -> Self {
        Self(Hands::Set(Arc::new(Mutex::new(reading))))
    }

    /// Sets a clock of simulated time. The system's clocks can't be set.
    pub fn set(&self, reading: Reading) {
        match &self.0 {
            Hands::System { .. } => {}
            Hands::Set(said) => *said.lock().unwrap_or_else(PoisonError::into_inner) = reading,
        }
    }

    /// The process's own time, which never jumps: see [`Timestamp::now`].
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Hands::System { .. } => Timestamp::now(),
            Hands::Set(_) => self.reading().now,
        }
    }

    /// The system's wall clock, which may jump: see [`Timestamp::wall`].
    pub fn wall(&self) -> Timestamp {
        match &self.0 {
            Hands::System { .. } => Timestamp::wall(),
            Hands::Set(_) => self.reading().wall,
        }
    }

    /// What the clocks say now.
    pub fn reading(&self) -> Reading {
        match &self.0 {
            Hands::System { boot, offset } => {
                let uptime = Uptime::now();
                let now = Timestamp(uptime.0 + offset);
                Reading { now, wall: Timestamp::wall(), boot: *boot, uptime }
            }
            Hands::Set(said) => *said.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readings_agree_with_the_process_and_never_go_back() {
        let clock = Clock::system();
        let mut last = clock.reading();
        for _ in 0..1_000 {
            let before = Timestamp::now();
            let reading = clock.reading();
            assert!(reading.uptime >= last.uptime && reading.now >= last.now);
            // A millisecond for a calibration that was never left alone.
            assert!(reading.now.0 >= before.0 - 1_000, "{reading:?} {before:?}");
            last = reading;
        }
        assert_eq!(last.boot, Clock::system().reading().boot);
        assert_eq!(last.time_of(last.uptime_of(Timestamp(5))), Timestamp(5));
    }

    #[test]
    fn a_boot_id_is_read_as_the_kernel_writes_it() {
        let id = BootId::parse("3f2c1d00-0000-4000-8000-00000000000a\n").unwrap();
        assert_eq!(id.to_string(), "3f2c1d0000004000800000000000000a");
        assert_eq!(BootId::parse(&id.to_string()), Some(id));
        assert_eq!(BootId::parse("none"), None);
    }
}
