//! Scanners: programs that judge content before it is sent. ClamAV looks for viruses, SpamAssassin
//! scores a message.
//!
//! A scanner is a value that knows where its program listens. Its `scan` takes one piece of content
//! (a decoded part, or a whole message) and returns a [`ScanResult`], or an error when the program
//! gave none. It blocks: call it on a plain thread, never in a rayon worker. It sees content only,
//! never who the other recipients are.
//!
//! Another scanner is another file here with the same `scan`.

mod clamd;
mod daemon;
mod spamd;

pub(crate) use self::clamd::Clamd;
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
