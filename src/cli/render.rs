//! `mailrun render`: the exact message of one row, or those of all.

use std::fs;
use std::io::Write;
use std::path::Path;

use super::args::{self, Common};
use super::diagnostic::Diagnostic;
use super::exit::Exit;
use super::job::{self, Job};
use super::text::count;
use super::{log, paths};
use crate::compose::Composer;
use crate::dkim::Signer;
use crate::mail::Timestamp;
use crate::plan::Plan;
use crate::run_dir::{RunId, run_id};

pub fn run(common: &Common, args: &args::Render) -> Result<Exit, Diagnostic> {
    let job = Job::open(common, job::load(common, &args.campaign)?)?;
    let list = paths::state(common)?.suppressions()?;
    let wanted = args.row.unwrap_or(1).max(1);
    let stop_after = (args.email.is_none() && !args.all).then_some(u64::from(wanted));
    let (_folder, dir, screening) = job.freeze_aside(&list, None, stop_after)?;
    let plan = Plan::open(&dir.plan())?;
    // The run that `send` would make of this content: tokens and Message-ID are those that it would use.
    let id = run_id(&job.materials.campaign, &job.inputs()?, &job.materials.contents()?, &Default::default());
    let maker = Maker::new(&job, &id)?;
    if args.all {
        let out = args.out.as_deref().expect("clap demands --out with --all");
        return all(&job, &plan, &maker, out);
    }
    let index = match &args.email {
        Some(email) => (0..plan.len()).find(|index| plan.address(*index) == *email).ok_or_else(|| {
            Diagnostic::new(format!("no row that passes screening has the address `{email}`"))
                .hint("`mailrun send --dry-run` tells which rows fail and why; capital letters count")
        })?,
        None if wanted <= plan.len() => wanted - 1,
        None => {
            return Err(Diagnostic::new(format!(
                "there is no row {wanted}: {} of {} rows pass screening",
                count(screening.counts.accepted),
                count(screening.counts.rows)
            )));
        }
    };
    let message = maker.make(&job, &plan, index)?;
    match &args.out {
        Some(folder) => write(folder, index, &message)?,
        None => {
            let mut stdout = std::io::stdout().lock();
            let written = stdout.write_all(&message).and_then(|()| stdout.flush());
            if let Err(error) = written {
                return super::broken_pipe_is_fine(error);
            }
        }
    }
    Ok(Exit::Ok)
}

struct Maker {
    composer: Composer,
    signer: Signer,
}

impl Maker {
    fn new(job: &Job, id: &RunId) -> Result<Self, Diagnostic> {
        Ok(Self { composer: job.materials.composer(id)?, signer: job.materials.load_signer()? })
    }

    fn make(&self, job: &Job, plan: &Plan, index: u32) -> Result<Vec<u8>, Diagnostic> {
        let row = plan.row(index)?;
        let place = format!("{}, row {}", job.group.files()[row.file as usize].shown, row.row);
        let message = self.composer.compose(&row, Timestamp::wall()).map_err(|failure| {
            Diagnostic::new(format!("can't render the message for `{}`: {failure}", row.email))
                .at(place)
                .hint("give the row a value or the template a default; `send` records it as `render_failed`")
        })?;
        let signed = self.signer.sign(message, Timestamp::wall());
        Ok(signed.map_err(|error| Diagnostic::of("can't sign the message", &error))?.to_vec())
    }
}

fn all(job: &Job, plan: &Plan, maker: &Maker, out: &Path) -> Result<Exit, Diagnostic> {
    let mut failed = 0_u64;
    for index in 0..plan.len() {
        match maker.make(job, plan, index) {
            Ok(message) => write(out, index, &message)?,
            Err(error) => {
                failed += 1;
                log::print(&error.to_string());
            }
        }
    }
    log::print(&format!(
        "{} messages in {}, {} rows can't be rendered",
        count(u64::from(plan.len()) - failed),
        out.display(),
        count(failed)
    ));
    Ok(if failed == 0 { Exit::Ok } else { Exit::SomeNotAccepted })
}

fn write(folder: &Path, index: u32, message: &[u8]) -> Result<(), Diagnostic> {
    let path = folder.join(format!("{:08}.eml", index + 1));
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(&path, message))
        .map_err(|error| Diagnostic::of("can't write the message", &error).at(path.display()))
}
