//! The program is killed at any moment, again and again; afterwards every planned row was accepted
//! exactly once or is in doubt, and longer lists sent later, by runs that are killed too, reach
//! nobody twice. One campaign has a message for each row, the other one text for all. The receivers
//! keep a record of their own, which the results are held against.
//!
//! `scripts/crash-rounds N` runs it for N rounds.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

use mailrun::mail::Disposition;
use mailrun::sandbox::{Faults, Options, record};

use crate::kit::{Dir, Relay, campaign, list};

const ROWS: usize = 150;
/// The two campaigns: their ids, their connections, and the recipients of one of their messages.
/// Small enough that what may be in doubt is well below the number of rows. Each has a receiver of
/// its own, which tells what it cut.
const CAMPAIGNS: [(&str, usize, usize); 2] = [("one", 4, 1), ("two", 2, 4)];
/// How the reason of a row starts that a kill put in doubt.
const CUT_OFF: &str = "the run was cut off";
/// Recipients that come later, in runs of their own.
const NEWCOMERS: usize = 40;
/// Kills of each of the two campaigns in a round.
const KILLS: usize = 2;
/// A kill in the sending comes within so many milliseconds of its start; about as long as a run
/// takes to its end.
const WITHIN_MS: u64 = 400;
/// The first kill of a round comes this soon: it falls into the sending.
const SOON_MS: u64 = 60;

/// A small generator: the moments need not be good random numbers, only different ones.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// What was done, over all rounds.
#[derive(Default, Debug)]
struct Tally {
    rounds: u64,
    kills: BTreeMap<&'static str, u64>,
    accepted: u64,
    in_doubt_by_kills: u64,
    in_doubt_by_faults: u64,
    bounced: u64,
    taken_in_doubt: u64,
}

#[test]
fn killed_at_any_moment_nothing_is_lost_and_nothing_sent_twice() {
    let number = |name: &str, default: u64| {
        std::env::var(name).map_or(default, |text| text.parse().expect("a whole number"))
    };
    let rounds = number("MAILRUN_CRASH_ROUNDS", 3);
    let mut random = Random(number("MAILRUN_CRASH_SEED", 0x9e37_79b9_7f4a_7c15).max(1));
    let mut tally = Tally::default();
    for round in 0..rounds {
        one_round(round, &mut random, &mut tally);
        tally.rounds += 1;
        if rounds > 10 && (round + 1).is_multiple_of(20) {
            println!("{} rounds: {tally:?}", round + 1);
        }
    }
    println!("{tally:?}");
    // A test whose kills all miss, or that sends nothing, proves nothing.
    let sending = tally.kills.get("sending").copied().unwrap_or(0);
    assert!(sending >= rounds.div_ceil(2), "{sending} kills in {rounds} rounds fell into the sending");
    assert!(tally.accepted > rounds * ROWS as u64, "{} rows accepted in {rounds} rounds", tally.accepted);
}

fn one_round(round: u64, random: &mut Random, tally: &mut Tally) {
    let dir = Dir::new();
    let faulty = round % 3 == 1;
    let taken = CAMPAIGNS.map(|(id, ..)| dir.path().join(format!("{id}.jsonl")));
    let relays = taken.clone().map(|record| {
        let faults = faulty.then(|| Faults::evenly(0.01, random.below(u64::MAX - 1)));
        Relay::start(Options { record: Some(record), faults, ..Options::default() })
    });
    // What a fault puts in doubt grows with the depth: less of it keeps the bound below the rows.
    let depth = 1 + random.below(if faulty { 2 } else { 3 }) as usize;
    let durability = if round.is_multiple_of(2) { "process-crash" } else { "power-loss" };
    let more = format!(
        "[delivery.retry]\nfirst = \"20ms\"\nlongest = \"50ms\"\n[capacity]\naccount = \"shared\"\nper-hour = 100000000\n\
         [journal]\ndurability = \"{durability}\"\n[stop]\nbounce-percent = 0"
    );
    let mut ports = relays.iter().map(Relay::port);
    let files = CAMPAIGNS.map(|(id, connections, together)| {
        list(&dir, id, ROWS);
        let settings = format!(
            "connections = {connections}\npipeline-depth = {depth}\nrecipients-per-message = {together}"
        );
        campaign(&dir, id, ports.next().unwrap(), &settings, &more)
    });
    // The second one has one text for all: a kill falls into messages for many.
    let path = dir.path().join(&files[1]);
    let text = fs::read_to_string(&path).unwrap().replace("id = \"two\"", "id = \"two\"\nkind = \"alarm\"");
    let text = text.replace("subject = \"Number {{n}}\"", "subject = \"Outage\"\npersonalised = false");
    fs::write(&path, text.replace("letter.hbs", "outage.hbs")).unwrap();
    dir.write("outage.hbs", "The power is out.\n");

    // Of each campaign, the kills that may have left something in doubt.
    let mut in_sending = [0; 2];
    for kill in 0..KILLS {
        let mut aims: [Aim; 2] = std::array::from_fn(|_| Aim::any(random));
        if kill == 0 {
            aims[round as usize % 2] = Aim::Sending(Duration::from_millis(random.below(SOON_MS)));
        }
        thread::scope(|scope| {
            let kills = [0, 1].map(|n| {
                let runs = dir.path().join("runs").join(CAMPAIGNS[n].0);
                let child = dir.start(&["send", &files[n], "--no-progress"]);
                scope.spawn(move || aims[n].kill(child, &runs))
            });
            for (kill, in_sending) in kills.into_iter().zip(&mut in_sending) {
                let phase = kill.join().unwrap();
                *in_sending += usize::from(phase == "sending");
                *tally.kills.entry(phase).or_default() += 1;
            }
        });
    }
    for file in &files {
        let ran = dir.run(&["send", file, "--no-progress"]);
        assert!([0, 1].contains(&ran.code()), "round {round}: {}\n{}", ran.stdout(), ran.stderr());
    }
    let results = CAMPAIGNS.map(|(id, ..)| dir.results(id));
    let times = times_in(&taken);
    // Either way the messages that were complete on the connection never get an answer.
    let ended = relays.iter().map(Relay::stats).map(|stats| (stats.dropped + stats.closed) as usize);
    let ended: Vec<usize> = ended.collect();
    later_runs(&dir, &files, random);
    relays.into_iter().for_each(|relay| drop(relay.stop()));
    let in_all_runs = times_in(&taken);
    let known = |recipient: &str| {
        CAMPAIGNS
            .iter()
            .any(|(id, ..)| (0..ROWS + NEWCOMERS).any(|n| recipient == format!("r{n}@{id}.example")))
    };
    let unknown: Vec<&String> = in_all_runs.keys().filter(|recipient| !known(recipient)).collect();
    assert!(unknown.is_empty(), "round {round}: mail to somebody on no list: {unknown:?}");
    let twice: Vec<_> = in_all_runs.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "round {round}: one edition was sent twice to {twice:?}");
    if !faulty {
        let newcomers = in_all_runs.keys().filter(|recipient| is_newcomer(recipient)).count();
        assert!(newcomers > 0, "round {round}: no newcomer got anything");
    }
    for (n, results) in results.into_iter().enumerate() {
        let (id, connections, together) = CAMPAIGNS[n];
        assert_eq!(results.len(), ROWS, "round {round}: a result for every row");
        let (mut by_kills, mut by_faults) = (0, 0);
        for row in &results {
            let email = row.email.as_deref().unwrap();
            let taken = times.get(email).copied().unwrap_or(0);
            match row.disposition {
                Disposition::Accepted => {
                    assert_eq!(
                        taken, 1,
                        "round {round}: `{email}` is accepted; the receiver accepted it {taken} times"
                    );
                    tally.accepted += 1;
                }
                Disposition::InDoubt => {
                    assert!(
                        taken <= 1,
                        "round {round}: `{email}` is in doubt; the receiver accepted it {taken} times"
                    );
                    tally.taken_in_doubt += taken;
                    let detail = row.detail.as_deref().unwrap_or_default();
                    *if detail.starts_with(CUT_OFF) { &mut by_kills } else { &mut by_faults } += 1;
                }
                Disposition::Bounced => {
                    assert_eq!(taken, 0, "round {round}: `{email}` bounced, and the receiver accepted it");
                    tally.bounced += 1;
                }
                other => panic!("round {round}: `{email}` is {other}: {:?}", row.detail),
            }
        }
        tally.in_doubt_by_kills += by_kills;
        tally.in_doubt_by_faults += by_faults;
        let (kills, ended) = (in_sending[n], ended[n]);
        // A kill leaves what was granted and not answered; a lost connection what was on it.
        for (what, in_doubt, most) in [
            (format!("{kills} kills in the sending"), by_kills, kills * connections * (depth + 1) * together),
            (format!("{ended} connections that the receiver ended"), by_faults, ended * depth * together),
        ] {
            assert!(
                in_doubt as usize <= most,
                "round {round}: {in_doubt} of `{id}` in doubt after {what}: at most {most}"
            );
            assert!(
                most < ROWS,
                "round {round}: a bound that allows every row of `{id}` tells nothing: {most} after {what}"
            );
        }
    }
}

/// How often each recipient got something, as the receivers have it.
fn times_in(records: &[PathBuf]) -> BTreeMap<String, u64> {
    let mut times = BTreeMap::new();
    for entry in records.iter().flat_map(|record| record::read(record).unwrap()) {
        *times.entry(entry.recipient).or_insert(0_u64) += 1;
    }
    times
}

/// Longer lists, each sent by a run of its own that is killed in the sending and started again, or
/// left as it is while the next run takes over.
fn later_runs(dir: &Dir, files: &[String; 2], random: &mut Random) {
    for rows in [ROWS + NEWCOMERS / 2, ROWS + NEWCOMERS] {
        for ((id, ..), file) in CAMPAIGNS.into_iter().zip(files) {
            list(dir, id, rows);
            let child = dir.start(&["send", file, "--new-run", "--no-progress"]);
            let aim = Aim::Start(Duration::from_millis(20 + random.below(WITHIN_MS)));
            aim.kill(child, &dir.path().join("runs").join(id));
        }
    }
    for file in files {
        let ran = dir.run(&["send", file, "--new-run", "--no-progress"]);
        assert!([0, 1].contains(&ran.code()), "{}\n{}", ran.stdout(), ran.stderr());
    }
}

fn is_newcomer(recipient: &str) -> bool {
    let number = recipient.strip_prefix('r').and_then(|rest| rest.split('@').next()?.parse().ok());
    number.is_some_and(|number: usize| number >= ROWS)
}

/// Where a kill is to fall. A process that has passed the place before it was seen there is killed
/// where it is.
#[derive(Debug, Clone, Copy)]
enum Aim {
    /// So long after its start.
    Start(Duration),
    /// While the plan is made.
    Planning,
    /// So long after the journal was made.
    Sending(Duration),
    /// While the results are written.
    Results(Duration),
}

impl Aim {
    fn any(random: &mut Random) -> Self {
        let millis = |random: &mut Random, limit| Duration::from_micros(random.below(limit * 1_000));
        match random.below(8) {
            0 => Self::Start(millis(random, 30)),
            1 | 2 => Self::Planning,
            3..=5 => Self::Sending(millis(random, WITHIN_MS)),
            _ => Self::Results(millis(random, 3)),
        }
    }

    /// Kills the process there, and tells how far it had come.
    fn kill(self, mut child: Child, runs: &Path) -> &'static str {
        let run = || -> Option<PathBuf> { Some(fs::read_dir(runs).ok()?.next()?.ok()?.path()) };
        let is_there = |name: &str| run().is_some_and(|run| run.join(name).exists());
        // Time is what this test is about: it decides where the kill falls, and nothing else.
        let begun = Instant::now();
        let (reached, wait): (Box<dyn Fn() -> bool>, Duration) = match self {
            Self::Start(wait) => (Box::new(move || begun.elapsed() >= wait), Duration::ZERO),
            Self::Planning => {
                (Box::new(|| is_there("manifest.json") || is_there("plan.arrow")), Duration::ZERO)
            }
            Self::Sending(wait) => (Box::new(|| is_there("journal.db")), wait),
            Self::Results(wait) => (Box::new(|| is_there("results/part-00000.parquet.new")), wait),
        };
        while child.try_wait().unwrap().is_none() && !reached() {
            thread::yield_now();
        }
        let reached_at = Instant::now();
        while child.try_wait().unwrap().is_none() && reached_at.elapsed() < wait {
            thread::yield_now();
        }
        // One that has ended by itself is not there to be killed.
        let _ = child.kill();
        child.wait().unwrap();
        run().map_or("before the run", |run| phase(&run))
    }
}

/// How far a killed run had come.
fn phase(run: &Path) -> &'static str {
    let manifest = fs::read_to_string(run.join("manifest.json")).unwrap_or_default();
    let is_there = |name: &str| run.join(name).exists();
    if manifest.contains("\"is\": \"finished\"") {
        "finished"
    } else if !manifest.contains("\"plan\"") {
        "planning"
    } else if !is_there("journal.db") {
        "planned"
    } else if is_there("results/part-00000.parquet.new") || is_there("results/part-00000.parquet") {
        "results"
    } else {
        "sending"
    }
}
