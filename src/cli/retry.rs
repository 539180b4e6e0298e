//! `mailrun retry`: a new run of those rows of a run that ended in some way.

use std::collections::HashSet;
use std::sync::Arc;

use super::args::{self, Common};
use super::diagnostic::Diagnostic;
use super::drive::{self, Run};
use super::exit::Exit;
use super::job::{self, Materials};
use super::text::count;
use super::{gate, log, moment, paths, results, send};
use crate::journal::{self, State as RowState};
use crate::mail::{Disposition, Timestamp};
use crate::plan;
use crate::run_dir::{Manifest, Retry, RunDir, RunOptions, State, run_id};
use crate::screen::Counts;

pub fn run(common: &Common, args: args::Retry) -> Result<Exit, Diagnostic> {
    let from = results::resolve(common, &args.run)?;
    let before = Manifest::read(&from.manifest())?;
    let wanted: HashSet<Disposition> = args.disposition.iter().copied().collect();
    for disposition in &wanted {
        check_wanted(*disposition)?;
    }
    let mut campaign = job::load(common, &before.campaign_file)?;
    campaign.delivery.route = before.campaign.delivery.route;
    send::rehearse(&mut campaign, &args.sending);
    let not_after = args.sending.end()?;
    if let Some(not_before) = &args.sending.not_before {
        moment::wait_until(moment::parse(not_before)?)?;
    }
    let (materials, _) = Materials::open(common, campaign)?;

    // Nobody may change the outcomes while they are chosen from.
    let _lock = from.lock()?;
    let mut dispositions: Vec<String> = wanted.iter().map(ToString::to_string).collect();
    dispositions.sort();
    let options = RunOptions {
        retry: Some(Retry { run_id: before.run_id.clone(), dispositions }),
        ..RunOptions::default()
    };
    let contents = materials.contents()?;
    let id = run_id(&materials.campaign, &before.inputs, &contents, &options);
    let runs = paths::runs_of(common, &materials.campaign);
    let dir = RunDir::create(&runs, &before.campaign_id, &id)?;
    let lock = dir.lock()?;
    let manifest = match Manifest::read_if_there(&dir.manifest())? {
        Some(manifest) if manifest.plan.is_some() => manifest,
        Some(_) | None => {
            let mut manifest = Manifest::new(
                &materials.campaign,
                id,
                before.inputs.clone(),
                contents,
                options,
                Timestamp::wall(),
            );
            let rows = chosen(&from, &wanted)?;
            for path in [dir.plan(), dir.screened()] {
                // What an earlier start left unfinished.
                let _ = std::fs::remove_file(path);
            }
            let frozen =
                plan::freeze_rows(&before.open_plan(&from.plan())?, rows.iter().copied(), &dir.plan_files())?;
            manifest.planned = Some(Timestamp::wall());
            manifest.screening =
                Counts { rows: rows.len() as u64, accepted: rows.len() as u64, ..Counts::default() };
            manifest.suppression_change = 0;
            manifest.plan = Some(frozen.plan);
            manifest.screened = Some(frozen.screened);
            manifest.write(&dir.manifest())?;
            manifest
        }
    };
    if manifest.state == State::Finished {
        log::print(&format!("run {} has finished: nothing is sent again", dir.name()));
        return Ok(Exit::Ok);
    }
    if !common.quiet {
        log::print(&format!(
            "run {}: {} rows of run {} once more",
            dir.name(),
            count(manifest.screening.accepted),
            from.name()
        ));
    }
    let plan = Arc::new(manifest.open_plan(&dir.plan())?);
    let run = Run { dir, lock, manifest, plan, redirect: None };
    gate::deadline(&materials.campaign, u64::from(run.plan.len()), &args.sending)?;
    drive::drive(common, &materials, run, &args.sending, not_after)
}

fn check_wanted(disposition: Disposition) -> Result<(), Diagnostic> {
    match disposition {
        Disposition::Bounced
        | Disposition::Deferred
        | Disposition::InDoubt
        | Disposition::RenderFailed
        | Disposition::NotAttempted => Ok(()),
        Disposition::Accepted => {
            Err(Diagnostic::new("`accepted` rows are not sent again")
                .hint("`send --run-id NAME` sends all anew"))
        }
        Disposition::Suppressed | Disposition::Duplicate | Disposition::Invalid => {
            Err(Diagnostic::new(format!("`{disposition}` rows are not in the plan"))
                .hint("mend the list and send it: its content makes a new run"))
        }
    }
}

/// The rows of a run that ended so.
fn chosen(from: &RunDir, wanted: &HashSet<Disposition>) -> Result<Vec<u32>, Diagnostic> {
    let states = journal::read(&from.journal())?;
    let ended = |state: RowState| match state {
        RowState::Untouched | RowState::Pending => Disposition::NotAttempted,
        RowState::Final(disposition) => disposition,
        RowState::Open | RowState::Unknown => Disposition::InDoubt,
    };
    let rows: Vec<u32> =
        states.iter().filter(|(_, state)| wanted.contains(&ended(*state))).map(|(row, _)| row).collect();
    if rows.is_empty() {
        return Err(Diagnostic::new(format!("run `{}` has no such rows", from.name()))
            .hint("`mailrun status RUN` shows what it has"));
    }
    Ok(rows)
}
