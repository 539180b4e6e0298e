//! Scanners: programs and rules that judge content before it is sent. ClamAV, services that speak
//! ICAP and YARA rules look for viruses and whatever else must not leave; SpamAssassin scores a
//! message.
//!
//! A client is a value that knows where its program listens. Its `scan` takes one piece of content
//! (a decoded part, or a whole message) and returns a [`ScanResult`], or an error when the program
//! gave none. It blocks: call it on a plain thread, never in a rayon worker. It sees content only,
//! never who the other recipients are.
//!
//! [`Scanners`] are all that a campaign names; they keep what they said of a content. Whatever is
//! no clear answer counts as none: nothing is clean because its scanner failed.
//!
//! Another scanner is another file here with the same `scan`, and a kind in `scanners`.

mod clamd;
mod daemon;
mod icap;
mod item;
mod scanners;
mod spamd;
mod verdicts;
mod yara;

pub(crate) use self::clamd::Clamd;
pub(crate) use self::item::Item;
pub(crate) use self::scanners::{Judgement, ScannerError, Scanners};
pub(crate) use self::spamd::{Score, Spamd};

/// What a virus scanner says about one piece of content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ScanResult {
    /// Nothing was found.
    Clean,
    /// Malware; the name of the signature that matched.
    Infected(String),
    /// The scanner answered, but did not look at the content: its reason.
    Refused(String),
}
