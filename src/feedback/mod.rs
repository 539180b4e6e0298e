//! What comes back after a mail was handed over: bounces, complaints, unsubscribes, automatic
//! replies, reports about domains.
//!
//! A mail is read in three steps: [`each_mail`] finds it, [`Reader`] understands it, and what it
//! says is a [`Feedback`] with an [`Event`] for each recipient. Reading has no side effects, sends
//! nothing, and is bounded whatever comes: bytes of a mail, parts, depth, decoded text, recipients.
//!
//! [`Traces`] are what of our own mail is in it, from which a [`Recipient`] is found. [`decide`]
//! says what an event is to do, and the [`FeedbackLog`] does it and remembers it.
//!
//! The classes of failures are those of replies while sending (`route::classify`), so the same
//! refusal has the same class whether it comes now or later.

mod address;
mod attribution;
mod complaint;
pub mod domain_reports;
mod event;
pub mod import;
pub mod log;
mod machine;
pub mod mailbox;
mod memory;
mod mime;
mod notice;
mod policy;
mod reader;
mod regexes;
mod reply;
mod report;
mod reports;
pub mod reputation;
mod rules;
mod said;
mod ses;
mod source;
#[cfg(test)]
mod tests;
mod text;
mod traces;

pub use attribution::{By, Recipient};
pub use domain_reports::{DomainReports, KeptReport, MemoryDomainReports, NewReport, Period};
pub use event::{Event, Kind};
pub use log::{FeedbackLog, Import, Logged, Record, Undo, Undone};
pub use machine::Machine;
pub use memory::MemoryFeedback;
pub use notice::Notice;
pub use policy::{Action, ComplaintScope, Effect, Policy, decide};
pub use reader::Reader;
pub use reports::{DmarcReport, DmarcRow, Report, TlsReport, TlsRow};
pub use said::Feedback;
pub(crate) use source::MAIL_BYTES;
pub use source::{Found, Source, SourceError, content_hash, each_mail};
pub use traces::Traces;
