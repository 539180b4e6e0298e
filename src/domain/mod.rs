//! Who sends in the name of a domain, from the DMARC reports that came, and what that means for the
//! domain's policy (RFC 9989).
//!
//! Pure: the reports, the registry and the time are passed in. All that reports say is what others
//! wrote: names are texts, numbers are added up without overflow, and nothing is trusted that a
//! receiver did not check.

mod known;
mod policy;
#[cfg(test)]
mod tests;
mod view;

pub(crate) use known::{Class, Known};
pub(crate) use policy::{Advice, Evidence, Published, advice};
pub(crate) use view::{Alignment, Rows, Source, View, Week, percent};
