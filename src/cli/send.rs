//! `mailrun send`: the main job.

use std::sync::Arc;

use super::args::{self, Common, DnsOptions, Sending};
use super::diagnostic::Diagnostic;
use super::drive::{self, Run};
use super::exit::Exit;
use super::job::{self, Job};
use super::progress::Reading;
use super::text::count;
use super::{dry, gate, log, moment, paths, summary};
use crate::campaign::{Campaign, RouteKind};
use crate::mail::{Address, Timestamp};
use crate::plan::{Freeze, Plan};
use crate::run;
use crate::run_dir::{
    Content, Input, Manifest, RunDir, RunId, RunLock, RunOptions, State, StopReason, run_id,
};

pub fn run(common: &Common, args: args::Send) -> Result<Exit, Diagnostic> {
    let mut campaign = job::load(common, &args.selection.campaign)?;
    rehearse(&mut campaign, &args.sending);
    let not_after = args.sending.end()?;
    if let Some(not_before) = &args.sending.not_before {
        moment::wait_until(moment::parse(not_before)?)?;
    }
    let job = Job::open(common, campaign)?;
    if args.dry_run {
        return dry::run(common, &job, args.selection.limit);
    }
    if let Some(to) = args.to {
        let checked = (!args.no_check).then_some(&args.sending.dns);
        return test_message(common, &job, to, args.row.unwrap_or(1), &args.sending, checked);
    }
    if let Some(hash) = &args.approved {
        gate::approved(common, &job, args.selection.limit.map(u64::from), hash)?;
    }
    let inputs = job.inputs()?;
    let contents = job.materials.contents()?;
    let options = RunOptions { limit: args.selection.limit.map(u64::from), ..RunOptions::default() };
    let derived = run_id(&job.materials.campaign, &inputs, &contents, &options);
    let id = match &args.run_id {
        Some(name) => name.parse().map_err(|error| Diagnostic::of("bad --run-id", &error))?,
        None => derived,
    };
    let runs = paths::runs_of(common, &job.materials.campaign);
    paths::remember_runs(common, &runs)?;
    if args.run_id.is_none() && !args.new_run {
        refuse_second_run(&runs, &job.materials.campaign, &id)?;
    }
    let dir = RunDir::create(&runs, &job.materials.campaign.identity.id, &id)?;
    let lock = dir.lock()?;
    let frozen = open_or_freeze(common, &job, dir, lock, id, inputs, contents, options)?;
    if frozen.manifest.state == State::Finished {
        return finished_before(&frozen, args.sending.json);
    }
    if !args.no_check {
        gate::before_sending(&job, &frozen.plan, &args.sending.dns)?;
    }
    // What has begun is gone on with, however late it is.
    if frozen.manifest.started.is_none() {
        gate::deadline(&job.materials.campaign, u64::from(frozen.plan.len()), &args.sending)?;
    }
    drive::drive(common, &job.materials, frozen, &args.sending, not_after)
}

/// `--sandbox`: everything as it is, but to the embedded receiver.
pub fn rehearse(campaign: &mut Campaign, sending: &Sending) {
    if sending.sandbox {
        campaign.delivery.route = RouteKind::Sandbox;
    }
}

/// A run that began, did not end, and has another content: its recipients must not get two messages by an edit.
fn refuse_second_run(runs: &std::path::Path, campaign: &Campaign, id: &RunId) -> Result<(), Diagnostic> {
    for dir in RunDir::list(runs)? {
        let Ok(manifest) = Manifest::read(&dir.manifest()) else { continue };
        let begun = manifest.started.is_some() && manifest.options.retry.is_none();
        let ended = match &manifest.state {
            State::Finished => true,
            // That run was ended by choice.
            State::Interrupted { reason: StopReason::NotAfter } => true,
            State::Planned | State::Running | State::Interrupted { .. } => false,
        };
        let other = manifest.campaign_id == campaign.identity.id && manifest.run_id != *id;
        let same_route = manifest.campaign.delivery.route == campaign.delivery.route;
        if other && same_route && begun && !ended {
            return Err(Diagnostic::new(format!(
                "run `{}` of this campaign has begun and is not finished, and its content was another",
                manifest.run_id
            ))
            .at(dir.path().display())
            .hint(
                "restore its files to go on with it, or start anew with `--new-run`: those who got the first message \
                 get this one too",
            ));
        }
    }
    Ok(())
}

#[expect(clippy::too_many_arguments, reason = "what a run is made of, put together in one place")]
fn open_or_freeze(
    common: &Common,
    job: &Job,
    dir: RunDir,
    lock: RunLock,
    id: RunId,
    inputs: Vec<Input>,
    contents: Vec<Content>,
    options: RunOptions,
) -> Result<Run, Diagnostic> {
    let campaign = &job.materials.campaign;
    if dir.manifest().exists() {
        let mut manifest = Manifest::read(&dir.manifest())?;
        check_same_content(&dir, &manifest, &inputs, &contents, &options)?;
        if manifest.plan.is_some() {
            manifest.campaign = campaign.clone();
            let plan = Arc::new(manifest.open_plan(&dir.plan())?);
            return Ok(Run { dir, lock, manifest, plan, redirect: None });
        }
        // Cut off while the plan was made: nothing was sent, it is made again.
        for path in [dir.plan(), dir.screened()] {
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Diagnostic::of("can't remove an unfinished plan", &error).at(path.display()));
                }
                Ok(()) | Err(_) => {}
            }
        }
    }
    let mut manifest = Manifest::new(campaign, id, inputs, contents, options.clone(), Timestamp::wall());
    manifest.write(&dir.manifest())?;
    let list = paths::state(common)?.suppressions()?;
    let mut reading = Reading::new(common);
    let freeze = Freeze::begin(&dir.plan_files(), job.layout())?;
    let screening = job.freeze(&list, options.limit, None, freeze, |rows| reading.show(rows))?;
    reading.finish();
    if campaign.delivery.route != RouteKind::Sandbox {
        list.restart_time(&screening.blocked, Timestamp::wall())?;
    }
    for (input, rows) in manifest.inputs.iter_mut().zip(&screening.rows_by_file) {
        input.rows = Some(*rows);
    }
    manifest.planned = Some(Timestamp::wall());
    manifest.screening = screening.counts;
    manifest.suppression_change = screening.suppression_change;
    manifest.plan = Some(screening.frozen.plan);
    manifest.screened = Some(screening.frozen.screened);
    manifest.write(&dir.manifest())?;
    if !common.quiet {
        log::print(&drive::announce(campaign, &manifest, screening.counts.accepted));
    }
    let plan = Arc::new(manifest.open_plan(&dir.plan())?);
    Ok(Run { dir, lock, manifest, plan, redirect: None })
}

/// A run keeps the content that it began with.
fn check_same_content(
    dir: &RunDir,
    manifest: &Manifest,
    inputs: &[Input],
    contents: &[Content],
    options: &RunOptions,
) -> Result<(), Diagnostic> {
    let hashes = |inputs: &[Input]| inputs.iter().map(|input| input.hash.clone()).collect::<Vec<_>>();
    let changed = if hashes(&manifest.inputs) != hashes(inputs) {
        "the target group"
    } else if manifest.contents != contents {
        "a template or an attachment"
    } else if manifest.options != *options {
        "`--limit`"
    } else {
        return Ok(());
    };
    Err(Diagnostic::new(format!(
        "run `{}` began with another content: {changed} has changed",
        manifest.run_id
    ))
    .at(dir.path().display())
    .hint("name another run with `--run-id`, or restore what it began with"))
}

fn finished_before(run: &Run, json: bool) -> Result<Exit, Diagnostic> {
    let when = run.manifest.finished.map_or(String::new(), |at| format!(" at {at}"));
    log::print(&format!(
        "run {} finished{when}: nothing is sent again (`--run-id NAME` makes a deliberate new run)",
        run.dir.name()
    ));
    summary::print_finished(&run.dir, &run.manifest, json)?;
    Ok(Exit::Ok)
}

/// `--to`: the message of one row, to somebody else. Each one is a run of its own.
fn test_message(
    common: &Common,
    job: &Job,
    to: Address,
    row: u32,
    sending: &Sending,
    checked: Option<&DnsOptions>,
) -> Result<Exit, Diagnostic> {
    let campaign = &job.materials.campaign;
    let list = paths::state(common)?.suppressions()?;
    let row = row.max(1);
    let (_folder, aside, screening) = job.freeze_aside(&list, None, Some(u64::from(row)))?;
    if screening.counts.accepted < u64::from(row) {
        return Err(Diagnostic::new(format!(
            "there is no row {row}: {} of {} rows pass screening",
            count(screening.counts.accepted),
            count(screening.counts.rows)
        )));
    }
    let now = Timestamp::wall();
    let id: RunId =
        now.to_utc().format("test-%Y%m%d-%H%M%S%3f").to_string().parse().expect("letters and digits");
    let runs = paths::runs_of(common, campaign);
    paths::remember_runs(common, &runs)?;
    let dir = RunDir::create(&runs, &campaign.identity.id, &id)?;
    let lock = dir.lock()?;
    let frozen = crate::plan::freeze_rows(&Plan::open(&aside.plan())?, [row - 1], &dir.plan_files())?;
    let options = RunOptions { to: Some(to.to_string()), ..RunOptions::default() };
    let mut manifest = Manifest::new(campaign, id, job.inputs()?, job.materials.contents()?, options, now);
    manifest.planned = Some(now);
    manifest.screening = crate::screen::Counts { rows: 1, accepted: 1, ..Default::default() };
    manifest.plan = Some(frozen.plan);
    manifest.screened = Some(frozen.screened);
    // The test goes out whatever happened on the list since: it is not for the row's own recipient.
    manifest.suppression_change = screening.suppression_change;
    manifest.write(&dir.manifest())?;
    let plan = Arc::new(manifest.open_plan(&dir.plan())?);
    if let Some(dns) = checked {
        gate::before_sending(job, &plan, dns)?;
    }
    let run = Run { dir, lock, manifest, plan, redirect: Some(to) };
    drive::drive(common, &job.materials, run, sending, None)
}

impl From<run::PlanningError> for Diagnostic {
    fn from(error: run::PlanningError) -> Self {
        match error {
            run::PlanningError::TargetGroup(error) => error.into(),
            run::PlanningError::Screen(error) => Self::of("can't screen the target group", &error),
            run::PlanningError::Plan(error) => error.into(),
        }
    }
}
