//! Mails that came back, from where they are to what they say and whom they concern.

use std::cell::OnceCell;

use super::attribution::RunIndex;
use super::error::JobError;
use super::read_mail::ReadMail;
use super::workspace::Workspace;
use crate::feedback::{Found, Reader, Source};

/// So many mails are attributed together,
const MAILS: usize = 500;
/// or so many events: one mail may have two thousand.
const EVENTS: usize = 5_000;

/// Reads mails, some hundred at a time.
pub(crate) struct FeedbackRead<'w> {
    workspace: &'w Workspace,
    reader: Reader,
    /// Opened for the first mails.
    runs: OnceCell<RunIndex<'w>>,
    waiting: Vec<ReadMail>,
    events: usize,
}

impl<'w> FeedbackRead<'w> {
    /// Attributes mails to the runs of `workspace`.
    pub(crate) fn new(workspace: &'w Workspace) -> Self {
        let reader = Reader::default();
        Self { workspace, reader, runs: OnceCell::new(), waiting: Vec::new(), events: 0 }
    }

    /// Reads a mail. Returns those that are done, in their order: none until there are enough.
    pub(crate) fn read(&mut self, source: &Source, mail: Found<'_>) -> Result<Vec<ReadMail>, JobError> {
        let mail = ReadMail::read(&self.reader, source, mail);
        self.events += mail.recipients.len();
        self.waiting.push(mail);
        if self.waiting.len() < MAILS && self.events < EVENTS { Ok(Vec::new()) } else { self.finish() }
    }

    /// Those that are left.
    pub(crate) fn finish(&mut self) -> Result<Vec<ReadMail>, JobError> {
        let mut mails = std::mem::take(&mut self.waiting);
        self.events = 0;
        if !mails.is_empty() {
            self.runs()?.attribute(&mut mails)?;
        }
        Ok(mails)
    }

    fn runs(&self) -> Result<&RunIndex<'w>, JobError> {
        if let Some(runs) = self.runs.get() {
            return Ok(runs);
        }
        let runs = RunIndex::open(self.workspace)?;
        Ok(self.runs.get_or_init(|| runs))
    }
}
