//! Target groups of any size for load tests: the same arguments give the same bytes on every
//! machine, in constant memory.
//!
//! Shares are exact (rounded to whole rows): screening finds exactly these duplicates and invalid
//! addresses. Unless a mix names others, all addresses are in domains reserved by RFC 2606. Never
//! reads a file, and never leaves an incomplete one.

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
pub use writer::ListFormat;
