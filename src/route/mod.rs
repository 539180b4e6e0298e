//! Where mail goes and what comes back: relay, retry schedule, reply classification.

pub mod classify;
pub mod dns;
pub mod relay;
pub mod retry;

pub use classify::{Action, Classifier, Failure, class_of_failure};
pub use dns::{DnsError, DnsFailure, MxRecord, MxRecords, Resolver, ResolverError};
pub use retry::{Next, Schedule};
