//! Which rows a run is made of.

use super::error::JobError;
use super::freeze::List;
use super::frozen_run::FrozenRun;
use super::open::Job;
use super::resend::Resend;
use super::retry::RetrySelection;
use super::test_message::TestMessage;

/// Which rows a run is made of.
pub(crate) enum Selection {
    /// Those of the campaign's target group.
    List(List),
    /// Those of another run that ended with certain dispositions.
    Retry(Box<RetrySelection>),
    /// One row of another run, sent once more as it was.
    Resend(Box<Resend>),
    /// One row, sent to somebody else.
    Test(TestMessage),
}

impl Job<'_> {
    /// Finds the run of this content, or screens the rows and freezes them. The run is this
    /// process's from here on.
    pub(crate) fn freeze_or_resume(&self, selection: &Selection) -> Result<FrozenRun, JobError> {
        match selection {
            Selection::List(list) => self.freeze_list(list),
            Selection::Retry(retry) => self.freeze_retry(retry),
            Selection::Resend(resend) => self.freeze_resend(resend),
            Selection::Test(test) => self.freeze_test(test),
        }
    }
}
