//! The world: true time, the machine's clocks, processes and what they send.

use std::time::Duration;

use super::Sent;
use crate::campaign::Capacity;
use crate::mail::Timestamp;
use crate::pacing::agreement::micros;
use crate::pacing::clock::{BootId, Clock, Reading, Uptime};
use crate::pacing::ledger::{Account, Ledger, LedgerError, Request, Reservation, Usage};
use crate::pacing::pacer::Pacer;

/// Where simulated time begins, on the wall clock: in the middle of a slot.
pub(super) const BEGIN: i64 = 1_780_000_123_456_789;
/// So many messages are prepared ahead.
const LOOK_AHEAD: u64 = 5_000;

/// What there is to send: for so long at a time, again and again.
#[derive(Debug, Clone)]
pub(crate) struct Supply(pub Vec<(Duration, Flow)>);

/// What there is to send for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flow {
    /// Nothing can leave.
    Stalled,
    /// So many messages get ready each second; they wait for their turn.
    Rate(u64),
    /// As much as is admitted.
    Endless,
}

impl Supply {
    pub(crate) fn endless() -> Self {
        Self(vec![(Duration::from_secs(3_600), Flow::Endless)])
    }

    pub(crate) fn rate(per_second: u64) -> Self {
        Self(vec![(Duration::from_secs(3_600), Flow::Rate(per_second))])
    }

    /// After `elapsed` microseconds: what flows, for how much longer, and how many messages have
    /// trickled in.
    fn at(&self, elapsed: u64) -> (Flow, u64, u64) {
        let trickled = |(time, flow): (Duration, Flow)| match flow {
            Flow::Rate(rate) => rate * micros(time) / 1_000_000,
            Flow::Stalled | Flow::Endless => 0,
        };
        let cycle: u64 = self.0.iter().map(|(time, _)| micros(*time)).sum();
        let each: u64 = self.0.iter().map(|phase| trickled(*phase)).sum();
        let mut left = elapsed % cycle;
        let mut sum = elapsed / cycle * each;
        for &(time, flow) in &self.0 {
            if left < micros(time) {
                return (flow, micros(time) - left, sum + trickled((Duration::from_micros(left), flow)));
            }
            left -= micros(time);
            sum += trickled((time, flow));
        }
        unreachable!("the rest of a division by the cycle is less than the cycle")
    }
}

/// When, inside its admission's interval, a message begins.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fate {
    AtOnce,
    AtTheEnd,
    Anywhere,
    /// Early when the time's tens of seconds are even, late otherwise: squeezes neighbours
    /// together.
    Squeezed,
}

/// How a process behaves.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub supply: Supply,
    pub fate: Fate,
    /// The ledger's transaction takes up to this before and after it is done.
    pub ledger_takes: Duration,
    /// The process comes up to this late to what it wants to do.
    pub late: Duration,
}

impl Plan {
    pub(crate) fn new(supply: Supply, fate: Fate) -> Self {
        Self { supply, fate, ledger_takes: Duration::from_millis(10), late: Duration::from_millis(3) }
    }
}

struct Process {
    account: Box<dyn Account>,
    pacer: Pacer,
    plan: Plan,
    /// True time at its start, and what its own clock said.
    started: (i64, i64),
    taken: u64,
    trickled: u64,
    wake: i64,
    asking: Option<(i64, Request)>,
    answer: Option<(i64, Result<Reservation, LedgerError>)>,
}

/// Processes on one machine.
pub(crate) struct World {
    /// True microseconds since the world began.
    pub now: i64,
    /// What the ledger reads: the clock of the process that asks it.
    clock: Clock,
    boot: (BootId, i64),
    /// What was added to the wall clock by setting it.
    wall_step: i64,
    processes: Vec<Option<Process>>,
    sent: Vec<(i64, u64)>,
    seed: u64,
    /// Requests to the ledger, of all processes that have ended too.
    pub asked: u64,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            now: 0,
            clock: Clock::simulated(Reading::simulated(Timestamp(BEGIN))),
            boot: (BootId(7), -50_000_000_000),
            wall_step: 0,
            processes: Vec::new(),
            sent: Vec::new(),
            seed: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            asked: 0,
        }
    }

    /// The clock for the ledger of this world's processes.
    pub(crate) fn clock(&self) -> Clock {
        self.clock.clone()
    }

    /// Below `end` (splitmix64).
    pub(crate) fn random(&mut self, end: u64) -> u64 {
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.seed;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end.max(1)
    }

    /// Starts a process; returns its number.
    pub(crate) fn start(&mut self, account: Box<dyn Account>, capacity: &Capacity, plan: Plan) -> usize {
        let own = BEGIN + self.now + self.wall_step;
        self.processes.push(Some(Process {
            account,
            pacer: Pacer::new(capacity, Timestamp(own)),
            plan,
            started: (self.now, own),
            taken: 0,
            trickled: 0,
            wake: self.now,
            asking: None,
            answer: None,
        }));
        self.processes.len() - 1
    }

    /// Kills a process: nothing is given back.
    pub(crate) fn kill(&mut self, number: usize) {
        self.processes[number] = None;
    }

    /// Ends a process as it should.
    pub(crate) fn stop(&mut self, number: usize) {
        let Some(mut process) = self.processes[number].take() else { return };
        let reading = self.reading(&process);
        if let Some(request) = process.pacer.give_back(reading.now) {
            self.clock.set(reading);
            process.account.reserve(&request).expect("the ledger of a simulation can be kept");
        }
    }

    /// Sets the wall clock.
    pub(crate) fn step_wall(&mut self, by: i64) {
        self.wall_step += by;
    }

    /// Starts the machine again, `pause` later; kills every process.
    pub(crate) fn reboot(&mut self, pause: Duration) {
        self.processes.iter_mut().for_each(|process| *process = None);
        self.now += i64::try_from(micros(pause)).unwrap();
        self.boot = (BootId(self.boot.0.0 + 1), self.now);
    }

    /// What the process's pacer knows.
    pub(crate) fn pacer(&self, number: usize) -> &Pacer {
        &self.processes[number].as_ref().expect("the process runs").pacer
    }

    /// How much the process was allowed to send.
    pub(crate) fn taken(&self, number: usize) -> u64 {
        self.processes[number].as_ref().map_or(0, |process| process.taken)
    }

    pub(crate) fn wall_reading(&self) -> Reading {
        let wall = Timestamp(BEGIN + self.now + self.wall_step);
        Reading { now: wall, wall, boot: self.boot.0, uptime: Uptime(self.now - self.boot.1) }
    }

    /// The last hour of the only account.
    pub(crate) fn usage(&self, ledger: &dyn Ledger) -> Usage {
        self.clock.set(self.wall_reading());
        ledger.usage().unwrap().remove(0)
    }

    fn reading(&self, process: &Process) -> Reading {
        let now = Timestamp(process.started.1 + self.now - process.started.0);
        Reading { now, ..self.wall_reading() }
    }

    /// Lets `time` pass.
    pub(crate) fn run(&mut self, time: Duration) {
        let end = self.now + i64::try_from(micros(time)).unwrap();
        loop {
            let next = self.processes.iter().enumerate().filter_map(|(number, process)| {
                let process = process.as_ref()?;
                let asking = process.asking.as_ref().map_or(i64::MAX, |(at, _)| *at);
                let answer = process.answer.as_ref().map_or(i64::MAX, |(at, _)| *at);
                Some((process.wake.min(asking).min(answer), number))
            });
            match next.min() {
                Some((at, number)) if at < end => {
                    self.now = self.now.max(at);
                    let mut process = self.processes[number].take().expect("it was just seen");
                    self.step(&mut process);
                    self.processes[number] = Some(process);
                }
                _ => break,
            }
        }
        self.now = end;
    }

    fn step(&mut self, process: &mut Process) {
        let reading = self.reading(process);
        let takes = micros(process.plan.ledger_takes);
        if let Some((_, request)) = process.asking.take_if(|(at, _)| *at <= self.now) {
            self.clock.set(reading);
            let answer = process.account.reserve(&request);
            self.asked += 1;
            process.answer = Some((self.now + self.random(takes) as i64 + 1, answer));
            return;
        }
        if let Some((_, answer)) = process.answer.take_if(|(at, _)| *at <= self.now) {
            match answer {
                Ok(reservation) => process.pacer.reserved(reading.now, reservation),
                Err(_) => process.pacer.failed(reading.now),
            }
        }

        let elapsed = u64::try_from(self.now - process.started.0).unwrap();
        let (flow, lasts, trickled) = process.plan.supply.at(elapsed);
        let (ready, next) = match flow {
            Flow::Stalled => (0, lasts),
            Flow::Rate(rate) => {
                ((trickled - process.trickled).min(LOOK_AHEAD), lasts.min(1_000_000 / rate.max(1) + 1))
            }
            Flow::Endless => (LOOK_AHEAD, 1_000),
        };
        let admission = process.pacer.admit(reading.now, ready);
        assert!(admission.count <= ready && admission.ask_again_at > reading.now);
        process.taken += admission.count;
        if let Flow::Rate(_) = flow {
            process.trickled += admission.count;
        }
        if let Some(request) = admission.request {
            assert!(process.asking.is_none() && process.answer.is_none(), "asked twice");
            process.asking = Some((self.now + self.random(takes) as i64, request));
        }
        let life = admission.valid_until.0 - reading.now.0;
        self.send(process.plan.fate, admission.count, life);

        let mut wait = admission.ask_again_at.0 - reading.now.0;
        if ready == admission.count {
            // The next message that gets ready is an event too.
            wait = wait.min(i64::try_from(next).unwrap());
        }
        process.wake = self.now + wait + self.random(micros(process.plan.late)) as i64;
    }

    fn send(&mut self, fate: Fate, count: u64, life: i64) {
        assert!(count == 0 || life >= 0, "admitted what can't begin any more");
        let mut left = count;
        while left > 0 {
            let part = if left < 4 { 1 } else { left.min(count.div_ceil(3)) };
            let delay = match fate {
                Fate::AtOnce => 0,
                Fate::AtTheEnd => life,
                Fate::Anywhere => self.random(life as u64 + 1) as i64,
                Fate::Squeezed => life * (self.now / 10_000_000 % 2),
            };
            self.sent.push((self.now + delay, part));
            left -= part;
        }
    }

    /// What was sent so far, in true time.
    pub(crate) fn sent(&self) -> Sent {
        let mut at = self.sent.clone();
        at.sort_unstable();
        Sent { at }
    }
}
