//! The exact messages that `send` would make.

use super::error::{JobError, SelectionError};
use super::open::{Job, inputs};
use super::temporary_plan::TemporaryPlan;
use crate::compose::Composer;
use crate::dkim::Signer;
use crate::mail::Address;
use crate::plan::Plan;
use crate::run_dir::{RunOptions, run_id};

/// Which row's message.
#[derive(Debug, Clone)]
pub(crate) enum RowChoice {
    /// The n-th row that passes screening, from 1.
    Number(u32),
    /// The first row with this address.
    Address(Address),
    /// Every row.
    All,
}

/// Makes the messages of a campaign's rows. Tokens and `Message-ID` are those of the run that
/// `send` would make of the same content.
pub(crate) struct Renderer<'j> {
    job: &'j Job<'j>,
    files: TemporaryPlan,
    plan: Plan,
    composer: Composer,
    signer: Signer,
}

impl<'w> Job<'w> {
    /// Screens the list as far as `choice` needs it.
    pub(crate) fn renderer(&'w self, choice: &RowChoice) -> Result<Renderer<'w>, JobError> {
        let stop_after = match choice {
            RowChoice::Number(row) => Some(u64::from(*row).max(1)),
            RowChoice::Address(_) | RowChoice::All => None,
        };
        let files = self.temporary_plan(None, stop_after)?;
        let plan = files.open()?;
        let inputs = inputs(self.target_group()?)?;
        let id = run_id(self.campaign(), &inputs, &self.contents()?, &RunOptions::default());
        Ok(Renderer { job: self, files, plan, composer: self.composer(&id, false)?, signer: self.signer()? })
    }
}

impl Renderer<'_> {
    /// The rows of `choice`, as indices of the plan.
    pub(crate) fn rows(&self, choice: &RowChoice) -> Result<std::ops::Range<u32>, JobError> {
        let index = match choice {
            RowChoice::All => return Ok(0..self.plan.len()),
            RowChoice::Number(row) => self.files.row((*row).max(1))?,
            RowChoice::Address(address) => (0..self.plan.len())
                .find(|index| self.plan.address(*index) == *address)
                .ok_or_else(|| SelectionError::NoAddress(address.clone()))?,
        };
        Ok(index..index + 1)
    }

    /// The signed message of a row.
    pub(crate) fn message(&self, index: u32) -> Result<Vec<u8>, JobError> {
        let row = self.plan.row(index)?;
        let now = self.job.workspace.clock().wall();
        let message = self.composer.compose(&row, now).map_err(|failure| {
            let file = &self.job.target_group().expect("it is open").files()[row.file as usize].shown;
            SelectionError::Render {
                email: row.email.to_owned(),
                place: format!("{file}, row {}", row.row),
                reason: failure.to_string(),
                hint: failure.hint(),
            }
        })?;
        Ok(self.signer.sign(message, now)?.to_vec())
    }
}
