//! The envelope of one message (RFC 5321 §2.3.1): where it goes and where failures come back to.

use super::Address;

/// Return path, recipient and archive address of one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// `MAIL FROM`; `None` is the null return path `<>`.
    pub return_path: Option<Address>,
    /// `RCPT TO`.
    pub recipient: Address,
    /// A second `RCPT TO` that the message does not show: the archive.
    pub archive: Option<Address>,
}

impl Envelope {
    /// True when the return path or the recipient needs SMTPUTF8 (RFC 6531 §3.4); an archive address is ASCII.
    pub fn needs_smtputf8(&self) -> bool {
        self.recipient.needs_smtputf8() || self.return_path.as_ref().is_some_and(Address::needs_smtputf8)
    }
}
