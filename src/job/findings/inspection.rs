//! The whole list, screened and rendered.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::edition::Past;
use crate::job::error::JobError;
use crate::job::frozen_run::place;
use crate::job::observer::Stage;
use crate::job::open::{Job, inputs};
use crate::job::temporary_plan::TemporaryPlan;
use crate::plan::{Plan, ScreenedRows};
use crate::preflight::Findings;
use crate::preflight::approval::Approval;
use crate::preflight::list::{self, DryRun, Looking};
use crate::run_dir::Input;
use crate::screen::Counts;
use crate::state;
use crate::suppression::{AddressKey, Checker};

/// Screened rows looked at for examples.
const SCREENED_SEEN: usize = 10_000;

/// The whole list, screened and rendered. The suppression list of this machine is left out of the
/// screening, so that the approval is the same on every machine.
pub(crate) struct Inspection {
    /// The rows that pass screening.
    pub plan: Plan,
    /// The number of rows in each file of the target group.
    pub rows_by_file: Vec<u64>,
    /// What screening made of the list.
    pub counts: Counts,
    /// Accepted rows whose address is on the suppression list now.
    pub suppressed: u64,
    /// The messages of all rows.
    pub dry_run: DryRun,
    /// What reaches a recipient.
    pub approval: Approval,
    /// The files of the list.
    inputs: Vec<Input>,
    files: TemporaryPlan,
}

impl Inspection {
    /// Screens and renders the rows, the first `limit` of those that pass screening.
    pub(crate) fn of(job: &Job<'_>, limit: Option<u64>) -> Result<Self, JobError> {
        let campaign = job.campaign();
        let (inputs, contents) = (inputs(job.target_group()?)?, job.contents()?);
        let nobody = state::in_memory().suppressions()?;
        let files = job.temporary_plan_against((&nobody, Past::default()), limit, None)?;
        let plan = files.open()?;
        let composer = list::composer(campaign)?;
        let rows = list::sample(plan.len(), u32::MAX);
        let (observer, done) = (job.workspace.observer(), AtomicU64::new(0));
        let progress = |rows: u64| {
            let rows = done.fetch_add(rows, Ordering::Relaxed) + rows;
            observer.progress(Stage::Rendering { rows, of: u64::from(plan.len()) });
        };
        let dry_run = list::dry_run(&plan, &composer, &Looking::new(campaign), &rows, progress)?;
        observer.progress(Stage::Done);
        let (signatures, signer) = (job.signatures(), job.signer()?);
        let approval = Approval::new(campaign, &signatures, &signer, &inputs, &contents, limit, &dry_run);
        let suppressed = suppressed(job, &plan)?;
        let (rows_by_file, counts) = (files.screening.rows_by_file.clone(), files.screening.counts);
        Ok(Self { plan, rows_by_file, counts, suppressed, dry_run, approval, inputs, files })
    }

    /// What is to be said of the list.
    pub(crate) fn findings(&self) -> Result<Findings, JobError> {
        let screened: Vec<_> =
            ScreenedRows::open(&self.files.dir.screened())?.take(SCREENED_SEEN).collect::<Result<_, _>>()?;
        let files: Vec<String> = self.inputs.iter().map(|input| input.shown.clone()).collect();
        let mut findings = Findings::default();
        findings.extend(list::screening(&self.counts, &screened, &files, self.suppressed));
        findings.extend(self.dry_run.findings(|index| self.place(index)));
        Ok(findings)
    }

    /// File and row of a row of the plan, for people.
    pub(crate) fn place(&self, index: u32) -> String {
        place(&self.inputs, &self.plan, index)
    }

    /// File and row of a row of the plan.
    pub(crate) fn file_and_row(&self, index: u32) -> (&str, u64) {
        let (file, row) = self.plan.place(index);
        (&self.inputs[file as usize].shown, row)
    }

    /// Messages that would be sent now.
    pub(crate) fn to_send(&self) -> u64 {
        self.counts.accepted - self.suppressed
    }
}

/// The accepted rows whose address is on the suppression list now.
fn suppressed(job: &Job<'_>, plan: &Plan) -> Result<u64, JobError> {
    let list_id = job.campaign().identity.list();
    let checker = Checker::open(job.workspace.suppressions()?, list_id, job.workspace.clock().wall())?;
    if checker.is_empty() {
        return Ok(0);
    }
    let mut key = String::new();
    let mut suppressed = 0;
    for index in 0..plan.len() {
        let address = plan.address(index);
        AddressKey::write(address.local(), address.domain().as_str(), &mut key);
        suppressed += u64::from(!checker.check(checker.fingerprinter().of(&key), || &key)?.is_empty());
    }
    Ok(suppressed)
}
