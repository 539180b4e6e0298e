//! From a frozen plan to its results: what `send` and `retry` share.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::args::{Common, InDoubt, Sending};
use super::diagnostic::{Diagnostic, chain};
use super::exit::Exit;
use super::job::Materials;
use super::progress::Progress;
use super::text::{count, duration};
use super::ways::{Allowances, Left};
use super::{log, mx, paths, signals, summary, ways};
use crate::campaign::{Campaign, RouteKind};
use crate::journal::{self, Journal, RunKey, State as RowState, States};
use crate::mail::{Address, Disposition, Timestamp};
use crate::pacing::{Holder, LedgerThread, Pacer};
use crate::plan::Plan;
use crate::route::{Classifier, Schedule};
use crate::run::{self, Breaker, Dispatcher, Phase, Preparer, Settings, Suppressor, Task};
use crate::run_dir::{Manifest, RunDir, RunLock, State};
use crate::sandbox::{Keep, Options as SandboxOptions, Sandbox};
use crate::state::State as SharedState;
use crate::suppression::{Feed, NewEntry, Reason, Suppressions, Term, Watch};

/// How often the state of a run is written for `status`.
const STATUS_EVERY: Duration = Duration::from_secs(1);

/// A run whose plan is frozen, held by this process.
pub struct Run {
    pub dir: RunDir,
    pub lock: RunLock,
    pub manifest: Manifest,
    pub plan: Arc<Plan>,
    /// Where all messages go instead: a test message.
    pub redirect: Option<Address>,
}

/// Sends what is left of a run and writes its results.
pub fn drive(
    common: &Common,
    materials: &Materials,
    mut run: Run,
    sending: &Sending,
    not_after: Option<Timestamp>,
) -> Result<Exit, Diagnostic> {
    let campaign = &materials.campaign;
    check_unpaced(campaign, sending)?;
    let (journal, states) = open_journal(&run, campaign, sending)?;
    run.manifest.state = State::Running;
    run.manifest.started.get_or_insert(Timestamp::wall());
    run.manifest.write(&run.dir.manifest())?;

    let phase =
        super::runtime()?.block_on(send(common, materials, &run, sending, not_after, journal, states))?;
    // Mail may have gone out: whatever fails now, the same command goes on from it.
    conclude(run, &phase, sending.json).map_err(|diagnostic| diagnostic.exit(Exit::Interrupted))
}

/// Writes down how the run ended, and its results.
fn conclude(mut run: Run, phase: &Phase, as_json: bool) -> Result<Exit, Diagnostic> {
    let (state, not_attempted) = match phase {
        Phase::Stopped { reason, .. } => (
            State::Interrupted { reason: reason.clone() },
            format!("the run ended before its turn: {reason}"),
        ),
        Phase::Running | Phase::Draining { .. } | Phase::Finished => {
            run.manifest.finished = Some(Timestamp::wall());
            (State::Finished, String::new())
        }
    };
    run.manifest.state = state;
    if matches!(phase, Phase::Stopped { at_once: true, .. }) {
        run.manifest.write(&run.dir.manifest())?;
        log::print(&format!(
            "the journal has all that is known: `mailrun results {}` writes it out",
            run.dir.name()
        ));
        return Ok(Exit::Interrupted);
    }
    let results = run::write_results(&run.dir, &run.manifest, false, &not_attempted)?;
    run.manifest.outcomes =
        results.dispositions.iter().map(|(disposition, rows)| (disposition.to_string(), *rows)).collect();
    run.manifest.write(&run.dir.manifest())?;
    summary::print(&run.dir, &run.manifest, &results, as_json)?;
    drop(run.lock);
    Ok(exit_of(phase, &run.manifest))
}

/// How a run that came to its end is told to the shell.
pub fn exit_of(phase: &Phase, manifest: &Manifest) -> Exit {
    match phase {
        Phase::Stopped { .. } => Exit::Interrupted,
        Phase::Running | Phase::Draining { .. } | Phase::Finished => exit_of_finished(manifest),
    }
}

/// Exit code of a finished run: 0 when every planned recipient was accepted.
pub fn exit_of_finished(manifest: &Manifest) -> Exit {
    let of = |disposition: Disposition| manifest.outcomes.get(disposition.as_str()).copied().unwrap_or(0);
    let refused =
        [Disposition::Bounced, Disposition::Deferred, Disposition::InDoubt, Disposition::RenderFailed];
    if refused.into_iter().map(of).sum::<u64>() == 0 { Exit::Ok } else { Exit::SomeNotAccepted }
}

/// Without the pacer nothing keeps to the agreement: for rehearsals only.
fn check_unpaced(campaign: &Campaign, sending: &Sending) -> Result<(), Diagnostic> {
    if sending.unpaced && campaign.delivery.route != RouteKind::Sandbox {
        return Err(Diagnostic::new("`--unpaced` is only for the sandbox: it ignores the agreed capacity")
            .hint("add `--sandbox` to rehearse"));
    }
    Ok(())
}

/// The journal of the run, made or gone on with. Rows that a killed process left open get their outcome.
fn open_journal(run: &Run, campaign: &Campaign, sending: &Sending) -> Result<(Journal, States), Diagnostic> {
    let key = RunKey {
        run_id: run.manifest.run_id.to_string(),
        plan_rows: run.plan.len(),
        plan_hash: run.plan.hash().to_owned(),
    };
    let (path, durability) = (run.dir.journal(), campaign.journal.durability);
    // Once a run has begun its journal must be there: without it everybody would get the message again.
    let begun = run.manifest.started.is_some();
    let mut journal = if path.exists() || begun {
        Journal::open(&path, &key, durability)?
    } else {
        Journal::create(&path, &key, durability)?
    };
    let mut states = journal.states()?;
    let choice = match sending.in_doubt {
        InDoubt::Keep => journal::InDoubt::Keep,
        InDoubt::Resend => journal::InDoubt::Resend,
    };
    let open = journal.resolve_open_intents(&mut states, Timestamp::now(), choice)?;
    if !open.is_empty() {
        let what = match sending.in_doubt {
            InDoubt::Keep => "they are `in_doubt` in the results and not sent again",
            InDoubt::Resend => "they are sent again, as you asked",
        };
        log::print(&format!("{} messages were under way when the run was cut off: {what}", open.len()));
    }
    Ok((journal, states))
}

/// The part that needs a runtime.
async fn send(
    common: &Common,
    materials: &Materials,
    run: &Run,
    sending: &Sending,
    not_after: Option<Timestamp>,
    journal: Journal,
    states: States,
) -> Result<Phase, Diagnostic> {
    let campaign = &materials.campaign;
    let sandbox = match campaign.delivery.route {
        RouteKind::Sandbox => Some(start_sandbox(sending).await?),
        RouteKind::Relay | RouteKind::Mx => None,
    };
    let schedule = Schedule::new(&campaign.delivery.retry);
    let (left, done_before) = left(&schedule, &journal, &states)?;
    // Eight bytes a row that nobody needs while the run goes on.
    drop(states);
    let policies = paths::state_dir(common)?.join(mx::POLICIES);
    let next_hops = ways::router(campaign, sandbox.as_ref(), || sending.dns.resolver(campaign), &policies)?;
    let next_hops = Arc::new(next_hops);
    let (lanes, directory) = left.place(&next_hops, |row| run.plan.domain(row));
    let state = paths::state(common)?;
    let allowances = Allowances::take(campaign, &*state, u64::from(run.plan.len()))?;
    let (pacer, ledger) = pacer(&*state, run, campaign, sending)?;
    let settings = Settings {
        schedule,
        not_after,
        drain: Duration::from_secs(campaign.delivery.drain_seconds),
        per_second: pacer.as_ref().map(|_| campaign.capacity.per_hour as f64 / 3_600.0),
        // A test message goes to one address as often as there are rows: each in a transaction of its own.
        one_text: !campaign.template.personalised && run.redirect.is_none(),
    };
    let breaker = Breaker::new(campaign.stop.clone());
    let dispatcher = Dispatcher::new(run::Parts {
        settings,
        lanes,
        directory,
        sources: run::Sources::new(&allowances.limits, Timestamp::now()),
        pacer,
        classifier: Classifier::new(campaign.reply.clone())?,
        breaker,
    });
    let list = state.suppressions()?;
    let watch = Arc::new(Watch::open(Arc::clone(&list), run.manifest.suppression_change, Timestamp::wall())?);
    let _feed =
        Feed::start(Arc::clone(&watch)).map_err(|error| Diagnostic::of("can't start a thread", &error))?;
    let run_id = &run.manifest.run_id;
    let plan = Arc::clone(&run.plan);
    let preparer = Arc::new(Preparer {
        plan: Arc::clone(&plan),
        composer: materials.composer(run_id)?,
        signer: materials.load_signer()?,
        watch,
        return_paths: materials.return_paths(run_id)?,
        redirect: run.redirect.clone(),
        archive: campaign.sender.archive_bcc.clone(),
    });
    let suppressor = match campaign.delivery.route {
        RouteKind::Sandbox => Suppressor::none(),
        RouteKind::Relay | RouteKind::Mx => suppressor(list, plan, run)?,
    };
    let (signals_in, signals) = mpsc::channel(2);
    signals::forward(signals_in)?;
    let planned = u64::from(run.plan.len());
    let job = run::Job {
        preparer,
        dispatcher,
        next_hops: Arc::clone(&next_hops),
        departures: ways::departures(campaign)?,
        journal,
        ledger,
        suppressor,
        planned,
        done_before,
    };
    let mut progress = Progress::new(common);
    let mut status = super::status::Writer::new(&run.dir, STATUS_EVERY);
    let ended = run::send(job, signals, |snapshot| {
        progress.show(snapshot);
        status.write(snapshot);
    })
    .await
    .map_err(|error| Diagnostic::from(error).exit(Exit::Interrupted))?;
    progress.finish();
    if let Some(mta_sts) = next_hops.mta_sts() {
        mta_sts.save(&policies)?;
    }
    allowances.give_back(&*state, &ended.allowances)?;
    if let Some(sandbox) = sandbox {
        sandbox.stop().await;
    }
    if let Phase::Stopped { reason, .. } = &ended.phase {
        log::print(&format!("stopped: {reason}"));
    }
    Ok(ended.phase)
}

async fn start_sandbox(sending: &Sending) -> Result<Sandbox, Diagnostic> {
    let options = SandboxOptions {
        keep: sending.sandbox_keep.clone().map_or(Keep::Discard, Keep::Eml),
        record: sending.sandbox_record.clone(),
        ..SandboxOptions::default()
    };
    Sandbox::start(options).await.map_err(|error| Diagnostic::of("can't start the sandbox", &error))
}

/// What the journal has left, and the number of rows that are over.
fn left(schedule: &Schedule, journal: &Journal, states: &States) -> Result<(Left, u64), Diagnostic> {
    let mut fresh = Vec::new();
    let mut tried = Vec::new();
    let mut done = 0;
    let mut details = journal.details();
    for (row, state) in states.iter() {
        match state {
            RowState::Untouched => fresh.push(row),
            RowState::Pending => {
                let outcome = details.outcome(states, row)?.expect("a row that is pending has an outcome");
                let at = match outcome.verdict {
                    journal::Verdict::Retry { at } => at,
                    journal::Verdict::Final(_) | journal::Verdict::Withdrawn => Timestamp::now(),
                };
                let task = Task {
                    row,
                    attempts: outcome.attempt,
                    first_attempt_at: outcome.first_attempt_at,
                    last_attempt_at: outcome.last_attempt_at,
                };
                tried.push((task, schedule.due(at, Timestamp::now())));
            }
            RowState::Final(_) => done += 1,
            // `resolve_open_intents` has left none, and a damaged journal is refused.
            RowState::Open | RowState::Unknown => done += 1,
        }
    }
    Ok((Left { fresh, tried }, done))
}

fn pacer(
    state: &dyn SharedState,
    run: &Run,
    campaign: &Campaign,
    sending: &Sending,
) -> Result<(Option<Pacer>, Option<LedgerThread>), Diagnostic> {
    if sending.unpaced {
        return Ok((None, None));
    }
    let mut capacity = campaign.capacity.clone();
    if campaign.delivery.route == RouteKind::Sandbox {
        // A rehearsal keeps the pace, and takes nothing of what was agreed.
        capacity.account = format!("sandbox/{}", capacity.account);
    }
    let process = format!("{}/{}", run.manifest.run_id, std::process::id());
    let holder = Holder::new(&run.manifest.campaign_id, &process);
    let account = state.ledger().join(holder, (&capacity).into())?;
    let thread = LedgerThread::start(account)
        .map_err(|error| Diagnostic::of("can't start the ledger's thread", &error))?;
    Ok((Some(Pacer::new(&capacity, Timestamp::now())), Some(thread)))
}

/// Adds addresses that bounced for good to the suppression list.
fn suppressor(list: Arc<dyn Suppressions>, plan: Arc<Plan>, run: &Run) -> Result<Suppressor, Diagnostic> {
    let source = run.dir.name();
    Suppressor::spawn(move |rows| {
        let mut entries = rows.iter().map(|(row, class)| NewEntry {
            address: plan.address(*row),
            email: plan.email(*row).to_owned(),
            reason: class.as_str().parse().unwrap_or(Reason::BadMailbox),
            source: source.clone(),
            term: Term::Default,
        });
        if let Err(error) = list.import(&mut entries, Timestamp::wall()) {
            tracing::error!("{} addresses are not on the suppression list: {}", rows.len(), chain(&error));
        }
    })
    .map_err(|error| Diagnostic::of("can't start a thread", &error))
}

/// What is going to happen, in one line.
pub fn announce(campaign: &Campaign, manifest: &Manifest, left: u64) -> String {
    let capacity = &campaign.capacity;
    let seconds = left as f64 * 3_600.0 / capacity.per_hour as f64;
    format!(
        "run {}/{}: {} of {} rows planned, {} to send, about {} at {} an hour",
        manifest.campaign_id,
        manifest.run_id,
        count(manifest.screening.accepted),
        count(manifest.screening.rows),
        count(left),
        duration(Duration::from_secs_f64(seconds)),
        count(capacity.per_hour)
    )
}
