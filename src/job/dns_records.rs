//! The DNS records that a campaign's sender needs.

use super::error::JobError;
use super::findings::{egress, sender_facts};
use super::name_servers::NameServers;
use super::open::Job;
use crate::dkim::Signer;
use crate::mail::Domain;
use crate::preflight::dns::{Record, look_up, records};

impl Job<'_> {
    /// The records, with what is published where `name_servers` are given. With `cname_to` the
    /// sender's zone points into that one.
    pub(crate) async fn dns_records(
        &self,
        cname_to: Option<&Domain>,
        name_servers: Option<&NameServers>,
    ) -> Result<Vec<Record>, JobError> {
        // Keys whose time has not come are published before they are used.
        let signer = Signer::load(&self.campaign().dkim)?;
        let egress = egress(self.campaign());
        let facts = sender_facts(self.campaign(), &signer, &egress, None);
        let mut records = records(&facts, cname_to.map(Domain::as_str));
        records.extend(self.campaign().tracking.iter().map(|tracking| Record::tracking(tracking.host())));
        if let Some(name_servers) = name_servers {
            look_up(&mut records, &name_servers.resolver(self.campaign())?).await;
        }
        Ok(records)
    }
}
