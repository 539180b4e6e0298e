//! Who sends in the name of a domain, from the reports that were kept, and what DNS says of it.

use std::time::Duration;

use tokio::task::JoinSet;

use super::error::JobError;
use super::workspace::Workspace;
use crate::domain::{Known, Published, Rows, View};
use crate::feedback::Period;
use crate::mail::{Domain, Timestamp};
use crate::preflight::sender::dmarc::record::Record;
use crate::preflight::sender::dmarc::walk;
use crate::route::{DnsError, Resolver};

/// So many sources, the largest, get their names in reverse DNS.
const NAMED: usize = 200;
/// Clocks of reporters may be ahead.
const AHEAD: Duration = Duration::from_secs(2 * 86_400);

impl Workspace {
    /// What the reports on `domain` say that begin within the time.
    pub(crate) fn domain_view(
        &self,
        domain: &Domain,
        since: Option<Timestamp>,
        until: Option<Timestamp>,
        known: &Known,
    ) -> Result<View, JobError> {
        // What has not begun is made up.
        let ahead = self.clock().wall() + AHEAD;
        let until = Some(until.map_or(ahead, |until| until.min(ahead)));
        let period = Period { domain: domain.as_str().to_owned(), since, until };
        let reports = self.state()?.domain_reports()?;
        let mut rows = Rows::new(domain.as_str());
        reports.each_dmarc(&period, &mut |report, row| rows.add(report, row))?;
        reports.each_tls(&period, &mut |_, row| rows.add_tls(row))?;
        Ok(rows.view(known))
    }
}

/// Looks the largest sources of `view` up in reverse DNS. A name that can't be found stays unknown.
pub(crate) async fn name_sources(view: &mut View, resolver: &Resolver) {
    let mut lookups = JoinSet::new();
    for (number, source) in view.sources.iter().enumerate().take(NAMED) {
        let Some(address) = source.address else { continue };
        let resolver = resolver.clone();
        lookups.spawn(async move { (number, resolver.ptr(address).await) });
    }
    while let Some(found) = lookups.join_next().await {
        if let Ok((number, Ok(names))) = found {
            view.sources[number].ptr = names.into_iter().next();
        }
    }
}

/// The DMARC record that applies to `domain`.
pub(crate) async fn published_policy(domain: &Domain, resolver: &Resolver) -> Result<Published, DnsError> {
    let steps = walk::walk(domain.as_str(), resolver).await?;
    let applied = walk::applied(&steps).map(|(at, _)| at.to_owned());
    // Several at the domain itself are none, and are to be shown.
    let several = || steps.first().filter(|step| step.records > 1).map(|step| step.domain.clone());
    let Some(at) = several().or(applied) else { return Ok(Published { at: None, texts: Vec::new() }) };
    let texts = resolver.txt(&format!("_dmarc.{at}")).await?;
    let texts = texts.into_iter().filter(|text| Record::parse(text).is_some()).collect();
    Ok(Published { at: Some(at), texts })
}
