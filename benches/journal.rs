//! What the journal costs: the same run with it and without, in turn, to the embedded receiver.
//!
//! `cargo bench --bench journal` sends each plan with a journal that survives a loss of power
//! (`power-loss`), with one that survives the end of the process (`process-crash`), and with one
//! that forgets everything, which no campaign file can ask for. Prints every rate as it comes
//! (`MAILRUN_BENCH_ROUNDS` of each kind, 7 by default) with the CPU time of this process a message,
//! receiver included; then the medians with the lowest and highest. On a machine that has other
//! work, the CPU time says more.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mailrun::campaign::{Campaign, Duplicates, Durability};
use mailrun::compose::{Composer, ReturnPaths, RunFacts};
use mailrun::dkim::Signer;
use mailrun::edition::Past;
use mailrun::journal::{ConnectionInfo, Group, Journal, JournalRead, JournalStore, RunKey};
use mailrun::kit::store::{Store, StoreError, StoreKind};
use mailrun::mail::Timestamp;
use mailrun::pacing::Clock;
use mailrun::plan::{Freeze, Layout, Plan};
use mailrun::route::{Classifier, Schedule};
use mailrun::run::{
    self, Breaker, Departure, Directory, Dispatcher, Earlier, Lane, NextHop, NextHops, Parts, Preparer,
    RelayHop, Segment, Settings, Site, SourceLimits, Sources, Suppressor, Work,
};
use mailrun::run_dir::RunDir;
use mailrun::sandbox::{Options, Sandbox};
use mailrun::smtp::{ConnectionLimits, Extensions, Security, Target};
use mailrun::suppression::{Checker, MemoryList, Watch};
use mailrun::{screen, state, target_group};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

const CONNECTIONS: usize = 20;

/// A journal, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Without,
    Kept(Durability),
}

const KINDS: [(&str, Kind); 3] = [
    ("without", Kind::Without),
    ("process-crash", Kind::Kept(Durability::ProcessCrash)),
    ("power-loss", Kind::Kept(Durability::PowerLoss)),
];

fn main() -> Result<(), Box<dyn Error>> {
    let rounds = std::env::var("MAILRUN_BENCH_ROUNDS").map_or(Ok(7), |rounds| rounds.parse())?;
    let mut table = Vec::new();
    let answers = Duration::from_millis(5);
    for (what, rows, is_signed, delay) in [
        ("unsigned, 0.4 KB", 20_000, false, None),
        ("unsigned, answered after 5 ms", 10_000, false, Some(answers)),
        ("RSA-2048, 0.9 KB", 4_000, true, None),
    ] {
        let scene = Scene::new(rows, is_signed, delay)?;
        let mut rates: [Vec<f64>; 3] = Default::default();
        let mut costs: [Vec<f64>; 3] = Default::default();
        for round in 0..rounds {
            for (number, (name, kind)) in KINDS.iter().enumerate() {
                let before = cpu_seconds()?;
                let rate = scene.run(*kind, round)?;
                let cost = (cpu_seconds()? - before) * 1e6 / f64::from(rows);
                println!("{what}\t{name}\t{rate:.0}\t{cost:.0}");
                rates[number].push(rate);
                costs[number].push(cost);
            }
        }
        for ((name, _), (rates, costs)) in KINDS.iter().zip(rates.iter_mut().zip(&mut costs)) {
            let (rate, cost) = (median(rates), median(costs));
            let (slowest, fastest) = (rates[0], rates[rates.len() - 1]);
            let (least, most) = (costs[0], costs[costs.len() - 1]);
            table.push(format!(
                "| {what} | {name} | {rate:.0} | {slowest:.0} to {fastest:.0} | {cost:.0} µs | {least:.0} to {most:.0} |"
            ));
        }
    }
    println!(
        "\n| messages | journal | messages/s, median | lowest to highest | CPU a message, median | least to most |"
    );
    println!("|---|---|---|---|---|---|");
    table.iter().for_each(|line| println!("{line}"));
    Ok(())
}

/// The CPU time of this process so far.
fn cpu_seconds() -> Result<f64, Box<dyn Error>> {
    // utime and stime, the 14th and 15th field, in hundredths of a second; the second field may
    // hold spaces.
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let (_, fields) = stat.rsplit_once(')').ok_or("an unknown form of /proc/self/stat")?;
    let ticks: Vec<f64> =
        fields.split_whitespace().skip(11).take(2).map(str::parse).collect::<Result<_, _>>()?;
    Ok(ticks.iter().sum::<f64>() / 100.0)
}

/// Sorts, and takes the middle.
fn median(rates: &mut [f64]) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

/// A plan, and what it takes to send it.
struct Scene {
    folder: tempfile::TempDir,
    campaign: Campaign,
    dir: RunDir,
    rows: u32,
    runtime: Runtime,
    sandbox: Sandbox,
}

impl Scene {
    fn new(rows: u32, is_signed: bool, delay: Option<Duration>) -> Result<Self, Box<dyn Error>> {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
        let file = |name: &str, text: &str| std::fs::write(folder.path().join(name), text);
        let lines: String = (0..rows).map(|n| format!("r{n}@one.example,{n}\n")).collect();
        file("list.csv", &format!("email,n\n{lines}"))?;
        file("letter.hbs", "Hello {{n}},\n\nthis is a letter of a few lines, as short as letters come.\n")?;
        let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/welcome/campaign.toml");
        let mut campaign = Campaign::parse(
            "[campaign]\nid = \"bench\"\n[sender]\nfrom = \"news@mail.example.com\"\n[target-group]\nfiles = [\"list.csv\"]\n\
             [template]\nsubject = \"Number {{n}}\"\ntext = \"letter.hbs\"\n[delivery]\nroute = \"sandbox\"\n",
            &folder.path().join("campaign.toml"),
        )?;
        if is_signed {
            campaign.dkim = Campaign::load(&fixture)?.dkim.into_iter().take(1).collect();
        }
        let group = target_group::open(&campaign.target_group)?;
        let dir = mailrun::state::runs(folder.path()).create("bench", &"plan".parse()?)?;
        let checker = Checker::open(Arc::new(MemoryList::default()), None, Timestamp::wall())?;
        let limits = screen::Limits { duplicates: Duplicates::Keep, rows: None };
        let freeze = Freeze::aside(&dir.plan_files(), Layout::new(&group.schema(), None))?;
        run::freeze(&group, freeze, limits, None, (checker, Past::default()), |_| ())?;
        let runtime = Runtime::new()?;
        let sandbox = runtime.block_on(Sandbox::start(Options { delay, ..Options::default() }))?;
        Ok(Self { folder, campaign, dir, rows, runtime, sandbox })
    }

    /// Sends all of it; messages a second.
    fn run(&self, kind: Kind, round: usize) -> Result<f64, Box<dyn Error>> {
        let plan = Arc::new(Plan::open(&self.dir.plan())?);
        let key = RunKey {
            run_id: "bench".into(),
            plan_rows: plan.len(),
            plan_hash: plan.hash().to_owned(),
            has_passwords: false,
        };
        let path = self.folder.path().join(format!("journal-{round}"));
        std::fs::create_dir(&path)?;
        let run = RunDir::at(path.clone());
        let journal = match kind {
            Kind::Without => Journal::new(Box::new(Forgetful::new(&key)), &key)?,
            Kind::Kept(durability) => {
                state::open(&path.join("state.db"), Clock::system()).create_journal(&run, &key, durability)?
            }
        };
        let facts = RunFacts {
            run_id: "bench".into(),
            token_secret: b"secret".to_vec(),
            document_secret: Vec::new(),
            is_test: false,
        };
        let preparer = Preparer {
            passwords: None,
            plan,
            number: 0,
            composer: Composer::new(&self.campaign, facts)?,
            signer: Signer::load(&self.campaign.dkim)?,
            watch: Arc::new(Watch::open(Arc::new(MemoryList::default()), None, 0, Timestamp::wall())?),
            return_paths: ReturnPaths::new(self.campaign.sender.return_path(), false, "bench", b"secret")?,
            redirect: Vec::new(),
            archive: None,
            one_text: false,
            seeds: None,
            scanning: None,
            clock: Clock::system(),
        };
        let site = Arc::new(self.site()?);
        let limits = run::relay_limits(CONNECTIONS, 1, None);
        let mut lane = Lane::new(Arc::clone(&site), limits, None, Timestamp::now());
        lane.add(Segment::whole((0..self.rows).collect()));
        let settings = Settings {
            passwords: None,
            one_text: false,
            schedule: Schedule::new(&self.campaign.delivery.retry),
            end: None,
            drain: Duration::from_secs(30),
            per_second: None,
        };
        let breaker = Breaker::new(self.campaign.stop.clone());
        let work = Work {
            preparer: Arc::new(preparer),
            dispatcher: Dispatcher::new(Parts {
                passwords: 0,
                settings,
                lanes: vec![lane],
                directory: Directory::empty(),
                sources: Sources::new(&[SourceLimits::default()], Timestamp::now()),
                pacer: None,
                classifier: Classifier::default(),
                breaker,
            }),
            next_hops: Arc::new(NextHops {
                routes: Vec::new(),
                rest: NextHop::Relay(run::Routed { site, limits, provider: None }),
            }),
            departures: vec![Departure { local_ip: None, ehlo: "bench.example.com".parse()? }],
            journal,
            ledger: None,
            suppressor: Suppressor::none(),
            planned: u64::from(self.rows),
            earlier: Earlier::default(),
            clock: Clock::system(),
        };
        let (_signals, demands) = mpsc::channel(1);
        let mut accepted = 0;
        let start = Instant::now();
        let ended = self
            .runtime
            .block_on(run::send(work, demands, |snapshot| accepted = snapshot.counts.accepted))?;
        let rate = f64::from(self.rows) / start.elapsed().as_secs_f64();
        drop(ended);
        assert_eq!(accepted, u64::from(self.rows), "the rate of a run that failed says nothing");
        // Whatever is left of it would count in the next round's disk.
        std::fs::remove_dir_all(&path)?;
        Ok(rate)
    }

    fn site(&self) -> Result<Site, Box<dyn Error>> {
        let target = Target {
            host: "sandbox".into(),
            addresses: vec![self.sandbox.addr()],
            local_ip: None,
            ehlo: "bench.example.com".parse()?,
            security: Security::None,
            credentials: None,
            timeouts: self.campaign.delivery.timeouts.clone(),
            extensions: Extensions::default(),
            secrets: mailrun::smtp::Secrets::default(),
        };
        let limits = ConnectionLimits {
            depth: 1,
            window_bytes: 128 << 10,
            max_messages: 0,
            idle: Duration::from_secs(60),
        };
        let hop = RelayHop { name: None, target, port: self.sandbox.addr().port(), weight: 1 };
        Ok(Site::relays("sandbox".into(), "sandbox".into(), vec![hop], limits))
    }
}

/// A journal that keeps nothing, to measure what one costs. No run may use it: its intents are
/// never durable.
#[derive(Debug)]
struct Forgetful {
    store: Store,
    run: RunKey,
}

impl Forgetful {
    fn new(run: &RunKey) -> Self {
        const KIND: StoreKind = StoreKind {
            name: "forgetful journal",
            if_missing: None,
            if_foreign: None,
            if_damaged: None,
            if_replaced: None,
            if_denied: None,
        };
        Self { store: Store { kind: &KIND, place: "nowhere".into() }, run: run.clone() }
    }
}

impl JournalRead for Forgetful {
    fn store(&self) -> &Store {
        &self.store
    }

    fn run(&self) -> &RunKey {
        &self.run
    }

    fn groups_after(&self, _: u64, _: u64, _: &mut dyn FnMut(Group<'_>)) -> Result<(), StoreError> {
        Ok(())
    }

    fn group(&self, _: u64) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(None)
    }

    fn connection(&self, _: u32) -> Result<Option<ConnectionInfo>, StoreError> {
        Ok(None)
    }
}

impl JournalStore for Forgetful {
    fn last_numbers(&self) -> Result<(u64, u32), StoreError> {
        Ok((0, 0))
    }

    fn commit(&mut self, _: &[(u32, ConnectionInfo)], _: Option<Group<'_>>) -> Result<(), StoreError> {
        Ok(())
    }
}
