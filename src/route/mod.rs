//! Where mail goes and what replies mean: DNS, relay or MX hosts, sites, limits per provider,
//! MTA-STS, retry schedule, reply classification, files of batch SMTP.

mod bsmtp;
mod classify;
mod dns;
mod host_book;
mod mta_sts;
mod mx;
mod relay;
mod retry;
mod router;
mod shaping;
mod site;
#[cfg(test)]
mod testing;
mod tls;

pub use bsmtp::{BatchFolder, BatchFolderSettings};
pub use classify::{Classification, Classifier, Failure, Reaction, RuleError, class_of_failure};
pub use dns::{DnsError, DnsFailure, MxRecord, MxRecords, Resolver, ResolverError};
pub use host_book::HostBook;
pub use mta_sts::{Mode, MtaSts, PolicyStoreError};
pub use mx::{Destination, MxHost, Unroutable, destination, host_addresses};
pub use relay::relay_addresses;
pub use retry::{Next, Schedule};
pub use router::{Route, Router};
pub use shaping::{Shaping, ShapingError, SiteShaping};
pub use site::{SiteKey, shown_name};
pub use tls::{MxSecurity, TlsDemand, tls_demand};
