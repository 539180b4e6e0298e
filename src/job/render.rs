//! The exact messages that `send` would make, and what recipients see of them.

use super::error::{JobError, SelectionError};
use super::open::{Job, inputs};
use super::temporary_plan::TemporaryPlan;
use crate::campaign::ByteSize;
use crate::compose::{Composer, InlineImages, RenderFailure, preheader};
use crate::dkim::Signer;
use crate::mail::Address;
use crate::plan::{Plan, Row};
use crate::run::Enough;
use crate::run_dir::{RunOptions, run_id};

/// Which row's message.
#[derive(Debug, Clone)]
pub(crate) enum RowChoice {
    /// The n-th row that passes screening, from 1.
    Number(u32),
    /// The first row with this address.
    Address(Address),
    /// So many rows, spread over the list.
    Sample(u32),
    /// Every row.
    All,
}

/// A message as a recipient sees it.
pub(crate) struct Preview {
    /// Where its row is: `list.csv, row 3`.
    pub place: String,
    /// The recipient.
    pub email: String,
    pub subject: String,
    /// What mailboxes show beside the subject.
    pub preheader: String,
    /// The text part.
    pub text: String,
    /// The HTML part for a browser, with its inline images.
    pub html: Option<String>,
    /// The size of the signed message.
    pub bytes: ByteSize,
}

/// Makes the messages of a campaign's rows. Tokens and `Message-ID` are those of the run that
/// `send` would make of the same content, unless they are test messages.
pub(crate) struct Renderer<'j> {
    job: &'j Job<'j>,
    files: TemporaryPlan,
    plan: Plan,
    composer: Composer,
    signer: Signer,
}

impl<'w> Job<'w> {
    /// Screens the list as far as `choice` needs it, or, for a row by its number, until about
    /// `most_rows` are read. The tokens of test messages (`is_test`) unsubscribe nobody.
    pub(crate) fn renderer(
        &'w self,
        choice: &RowChoice,
        (is_test, most_rows): (bool, Option<u64>),
    ) -> Result<Renderer<'w>, JobError> {
        let stop_after = match choice {
            RowChoice::Number(row) => {
                let accepted = u64::from(*row).max(1);
                Some(Enough { accepted, rows: most_rows.unwrap_or(u64::MAX) })
            }
            RowChoice::Address(_) | RowChoice::Sample(_) | RowChoice::All => None,
        };
        let files = self.temporary_plan(None, stop_after)?;
        let plan = files.open()?;
        let inputs = inputs(self.target_group()?)?;
        let id = run_id(self.campaign(), &inputs, &self.contents()?, &RunOptions::default());
        Ok(Renderer {
            job: self,
            files,
            plan,
            composer: self.composer(&id, is_test)?,
            signer: self.signer()?,
        })
    }
}

impl Renderer<'_> {
    /// The rows of `choice`, as indices of the plan.
    pub(crate) fn rows(&self, choice: &RowChoice) -> Result<Box<dyn Iterator<Item = u32>>, JobError> {
        let all = self.plan.len();
        let index = match choice {
            RowChoice::All => return Ok(Box::new(0..all)),
            RowChoice::Sample(rows) => {
                let rows = (*rows).min(all);
                let spread = move |n| (u64::from(n) * u64::from(all) / u64::from(rows)) as u32;
                return Ok(Box::new((0..rows).map(spread)));
            }
            RowChoice::Number(row) => self.files.row((*row).max(1))?,
            RowChoice::Address(address) => (0..self.plan.len())
                .find(|index| self.plan.address(*index) == *address)
                .ok_or_else(|| SelectionError::NoAddress(address.clone()))?,
        };
        Ok(Box::new(std::iter::once(index)))
    }

    /// The signed message of a row.
    pub(crate) fn message(&self, index: u32) -> Result<Vec<u8>, JobError> {
        let row = self.plan.row(index)?;
        let now = self.job.workspace.clock().wall();
        let message = self.composer.compose(&row, now).map_err(|failure| self.failed(&row, &failure))?;
        self.check_password(&row)?;
        Ok(self.signer.sign(message, now)?.to_vec())
    }

    /// A row's message as its recipient sees it, with these images in it.
    pub(crate) fn preview(&self, index: u32, images: &InlineImages) -> Result<Preview, JobError> {
        let row = self.plan.row(index)?;
        let now = self.job.workspace.clock().wall();
        let (message, rendered) =
            self.composer.compose_shown(&row, now).map_err(|failure| self.failed(&row, &failure))?;
        self.check_password(&row)?;
        Ok(Preview {
            place: self.place(&row),
            email: row.email.clone(),
            preheader: preheader(&rendered),
            html: images.page(&rendered),
            subject: rendered.subject,
            text: rendered.text.replace("\r\n", "\n"),
            bytes: ByteSize(self.signer.sign(message, now)?.bytes as u64),
        })
    }

    /// A row whose password can't be told gets no documents either.
    fn check_password(&self, row: &Row) -> Result<(), JobError> {
        let now = self.job.workspace.clock().wall();
        self.composer.compose_second(row, now).map_err(|failure| self.failed(row, &failure))?;
        Ok(())
    }

    fn place(&self, row: &Row) -> String {
        let file = &self.job.target_group().expect("it is open").files()[row.file as usize].shown;
        format!("{file}, row {}", row.row)
    }

    fn failed(&self, row: &Row, failure: &RenderFailure) -> SelectionError {
        SelectionError::Render {
            email: row.email.clone(),
            place: self.place(row),
            reason: failure.to_string(),
            hint: failure.hint(),
        }
    }
}
