//! What a run would come to: counts, domains, slots and the finish time. Sends nothing and leaves
//! nothing.

use super::error::JobError;
use super::open::Job;
use crate::mail::Timestamp;
use crate::plan::{Forecast, forecast, top_domains};
use crate::screen::Counts;

/// What a run would come to, started now.
pub(crate) struct Outlook {
    /// The number of rows in each file of the target group.
    pub rows_by_file: Vec<u64>,
    /// What screening made of the list.
    pub counts: Counts,
    /// The destination domains with the most rows, and their rows.
    pub domains: Vec<(String, u64)>,
    /// When it starts.
    pub start: Timestamp,
    /// When the messages leave.
    pub forecast: Forecast,
}

impl Job<'_> {
    /// Screens the list, the first `limit` rows that pass, and names the `domains` largest domains.
    pub(crate) fn outlook(&self, limit: Option<u64>, domains: usize) -> Result<Outlook, JobError> {
        let files = self.temporary_plan(limit, None)?;
        let screening = &files.screening;
        let domains = match screening.domains.exact(domains) {
            Some(domains) => domains,
            None => top_domains(&files.open()?, domains),
        };
        let start = self.workspace.clock().wall();
        let forecast = forecast(screening.counts.accepted, &self.campaign().capacity, start);
        let (rows_by_file, counts) = (screening.rows_by_file.clone(), screening.counts);
        Ok(Outlook { rows_by_file, counts, domains, start, forecast })
    }
}
