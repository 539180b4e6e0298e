//! Where mail goes and what replies mean: DNS, relay or MX hosts, sites, limits per provider,
//! MTA-STS, retry schedule, reply classification.

pub mod classify;
pub mod dns;
mod host_book;
pub mod mta_sts;
pub mod mx;
pub mod relay;
pub mod retry;
pub mod router;
pub mod shaping;
pub mod site;
#[cfg(test)]
mod testing;
pub mod tls;

pub use classify::{Action, Classifier, Failure, class_of_failure};
pub use dns::{DnsError, DnsFailure, MxRecord, MxRecords, Resolver, ResolverError};
pub use host_book::HostBook;
pub use mta_sts::MtaSts;
pub use mx::{Destination, MxHost, Unroutable, destination, host_addresses};
pub use retry::{Next, Schedule};
pub use router::{Route, Router};
pub use shaping::{Shaping, ShapingError, SiteShaping};
pub use site::{SiteKey, shown_name};
pub use tls::{MxSecurity, TlsDemand, tls_demand};
