//! Target groups of any size for load tests: the same arguments give the same bytes on every
//! machine, in constant memory.
//!
//! Shares are exact, rounded to whole rows, and screening finds just those duplicates and invalid
//! addresses. Unless a mix names others, all addresses are in domains that RFC 2606 keeps from
//! everybody. Never reads anything, and never makes half a file: it is written beside its place,
//! and moved there when it is whole.

mod domains;
mod error;
mod list;
mod people;
mod quotas;
mod random;
mod share;
mod spec;
#[cfg(test)]
mod tests;
mod writer;

pub use domains::{DomainMix, MOST_DOMAINS};
pub use error::SynthError;
pub use list::{Written, write};
pub use share::{RowCount, Share};
pub use spec::{COLUMN_RANGE, MOST_ROWS, Spec};
