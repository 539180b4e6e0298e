//! What a run would come to: counts, domains, slots and the finish time. Sends nothing and leaves
//! nothing.

use super::error::JobError;
use super::findings::DOMAINS_LOOKED_UP;
use super::open::Job;
use crate::kit::causes::Causes;
use crate::plan::top_domains;
use crate::preflight::Finding;
use crate::preflight::finish_time::Estimate;
use crate::screen::Counts;

/// What a run would come to, started now.
pub(crate) struct Outlook {
    /// The number of rows in each file of the target group.
    pub rows_by_file: Vec<u64>,
    /// What screening made of the list.
    pub counts: Counts,
    /// Why rows are invalid.
    pub invalid: Causes,
    /// Why `send` would refuse the list, or the attachment folder.
    pub refusals: Vec<Finding>,
    /// The destination domains with the most rows, and their rows.
    pub domains: Vec<(String, u64)>,
    /// When the messages leave if it starts now, as far as that is known without DNS.
    pub estimate: Estimate,
}

impl Job<'_> {
    /// Screens the list, the first `limit` rows that pass, and names the `domains` largest domains.
    pub(crate) async fn outlook(&self, limit: Option<u64>, domains: usize) -> Result<Outlook, JobError> {
        let files = self.plan_to_send(limit)?;
        let screening = &files.screening;
        let plan = files.open()?;
        let largest = screening.domains.exact(DOMAINS_LOOKED_UP);
        let largest = largest.unwrap_or_else(|| top_domains(&plan, DOMAINS_LOOKED_UP));
        let domains = largest.iter().take(domains).cloned().collect();
        let estimate = self.estimate(&plan, screening.counts.accepted, largest, None).await?;
        let (rows_by_file, counts) = (screening.rows_by_file.clone(), screening.counts);
        let shown: Vec<&str> = self.target_group()?.files().iter().map(|file| file.shown.as_str()).collect();
        let (invalid, mut refusals) = (files.why_invalid(&shown)?, self.list_refusals(&counts, &shown));
        refusals.extend(self.attachment_folder()?);
        Ok(Outlook { rows_by_file, counts, invalid, refusals, domains, estimate })
    }
}
