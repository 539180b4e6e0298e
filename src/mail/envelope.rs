//! The envelope of one message (RFC 5321 §2.3.1): where it goes and where failures come back to.

use super::Address;

/// Return path and recipient of one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// `MAIL FROM`; `None` is the null return path `<>`.
    pub return_path: Option<Address>,
    /// `RCPT TO`.
    pub recipient: Address,
}

impl Envelope {
    /// True when an address needs SMTPUTF8 (RFC 6531 §3.4).
    pub fn needs_smtputf8(&self) -> bool {
        self.recipient.needs_smtputf8() || self.return_path.as_ref().is_some_and(Address::needs_smtputf8)
    }
}
