//! How a sender stands: whether it is verified, how receivers take its mail, and how far its domain
//! is with DMARC. From what was kept: nobody is asked.

use std::time::Duration;

use super::error::JobError;
use super::senders::SenderNote;
use super::workspace::Workspace;
use crate::domain::{Known, View};
use crate::feedback::reputation::Reading;
use crate::mail::{Address, Domain};
use crate::preflight::reputation::Group;

/// The time of the DMARC reports that count.
const MONTH: Duration = Duration::from_secs(30 * 86_400);

/// How a sender stands.
#[derive(Debug)]
pub(crate) struct SenderStanding {
    /// The domain of `From`.
    pub domain: String,
    /// The domain and its addresses, with what is noted of them; the addresses alone for who may
    /// not see the domain.
    pub notes: Vec<(String, SenderNote)>,
    /// What counts all mail of the domain; none for who may not see it.
    pub figures: Option<DomainFigures>,
}

/// How all mail of a domain fares, whoever sends it.
#[derive(Debug)]
pub(crate) struct DomainFigures {
    /// What the DMARC reports of the last 30 days say.
    pub month: View,
    /// Where its domain is on the way to `p=reject`, as reporters saw it last.
    pub stage: Option<&'static str>,
    /// How receivers took its mail.
    pub groups: Vec<Group>,
    /// What providers say of it.
    pub readings: Vec<Reading>,
}

impl Workspace {
    /// How a domain stands, and its `addresses` that campaigns send from; of the domain nothing
    /// unless `is_whole`: its figures are also those of others' mail.
    pub(crate) fn sender_standing(
        &self,
        domain: &Domain,
        addresses: &[Address],
        is_whole: bool,
    ) -> Result<SenderStanding, JobError> {
        let notes = self.sender_notes()?;
        let of_domain = notes.iter().find(|(name, _)| is_whole && *name == domain.as_str());
        let of_domain = of_domain.map(|(name, note)| (name.to_owned(), note.clone()));
        let of_addresses = addresses.iter().map(|address| (address.to_string(), notes.of_address(address)));
        Ok(SenderStanding {
            domain: domain.as_str().to_owned(),
            notes: of_domain.into_iter().chain(of_addresses).collect(),
            figures: is_whole.then(|| self.domain_figures(domain)).transpose()?,
        })
    }

    fn domain_figures(&self, domain: &Domain) -> Result<DomainFigures, JobError> {
        let since = Some(self.clock().wall() - MONTH);
        let month = self.domain_view(domain, since, None, &Known::new(None))?;
        let groups = self.reputation_of(domain)?;
        Ok(DomainFigures {
            stage: {
                let last = month.policies.iter().max_by_key(|(_, last, _, _)| *last);
                last.map(|(_, _, policy, is_tested)| stage(policy, *is_tested))
            },
            month,
            readings: self.readings_of(domain, &groups, false)?,
            groups,
        })
    }
}

/// The words of `mailrun domain policy`. Whoever sends reports was asked for them.
fn stage(policy: &str, is_tested: bool) -> &'static str {
    match (policy, is_tested) {
        ("none", _) => "monitoring",
        ("quarantine", true) => "quarantine test",
        ("quarantine", false) => "quarantine",
        ("reject", true) => "reject test",
        ("reject", false) => "reject",
        _ => "unknown",
    }
}
