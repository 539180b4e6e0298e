//! `mailrun send --dry-run`: everything but SMTP.

use std::time::Instant;

use super::args::Common;
use super::diagnostic::Diagnostic;
use super::exit::Exit;
use super::job::Job;
use super::text::count;
use super::{log, out, paths};
use crate::mail::Timestamp;
use crate::plan::Plan;
use crate::run_dir::RunId;

/// Failures told one by one.
const FAILURES_NAMED: u64 = 20;

pub fn run(common: &Common, job: &Job, limit: Option<u32>) -> Result<Exit, Diagnostic> {
    let list = paths::state(common)?.suppressions()?;
    let (_folder, dir, screening) = job.freeze_aside(&list, limit.map(u64::from), None)?;
    let plan = Plan::open(&dir.plan())?;
    let id: RunId = "dry-run".parse().expect("letters and a hyphen");
    let (composer, signer) = (job.materials.composer(&id)?, job.materials.load_signer()?);
    let now = Timestamp::wall();
    let start = Instant::now();
    let (mut bytes, mut largest, mut failed) = (0_u64, 0_usize, 0_u64);
    // One text for all is composed and signed once.
    let rows = if composer.is_one_text() { plan.len().min(1) } else { plan.len() };
    for index in 0..rows {
        let row = plan.row(index)?;
        match composer.compose(&row, now) {
            Ok(message) => {
                let signed = signer
                    .sign(message, now)
                    .map_err(|error| Diagnostic::of("can't sign a message", &error))?;
                bytes += signed.bytes as u64;
                largest = largest.max(signed.bytes);
            }
            Err(failure) => {
                failed += 1;
                if failed <= FAILURES_NAMED {
                    let file = &job.group.files()[row.file as usize].shown;
                    log::print(&format!("{file}, row {}: {failure}", row.row));
                }
            }
        }
    }
    if failed > FAILURES_NAMED {
        log::print(&format!("… and {} more", count(failed - FAILURES_NAMED)));
    }
    if failed == 0 && rows < plan.len() {
        bytes *= u64::from(plan.len());
    } else if rows < plan.len() {
        failed = u64::from(plan.len());
    }
    let composed = u64::from(plan.len()) - failed;
    let counts = screening.counts;
    out(&format!(
        "{} rows: {} composed and signed, {} render_failed, {} invalid, {} duplicate, {} suppressed\n\
         {:.1} MB in all, {} bytes the largest, {:.0} messages/s on one core; nothing was sent\n",
        count(counts.rows),
        count(composed),
        count(failed),
        count(counts.invalid),
        count(counts.duplicate),
        count(counts.suppressed),
        bytes as f64 / 1e6,
        count(largest as u64),
        composed as f64 / start.elapsed().as_secs_f64().max(1e-6)
    ))?;
    Ok(if failed == 0 { Exit::Ok } else { Exit::SomeNotAccepted })
}
