//! The envelope of one message (RFC 5321 §2.3.1): where it goes, and where bounces return to.

use super::Address;

/// Return path, recipients and archive address of one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// `MAIL FROM`; `None` is the null return path `<>`.
    pub return_path: Option<Address>,
    /// One `RCPT TO` each, in order; at least one. Several recipients share one text, and none sees
    /// the rest.
    pub recipients: Vec<Address>,
    /// The archive: a last `RCPT TO` that the message does not show.
    pub archive: Option<Address>,
    /// The only recipient is the archive, which missed its copy before: nobody is notified of it.
    pub is_copy: bool,
}

impl Envelope {
    /// The envelope of a message for one recipient.
    pub fn to_one(return_path: Option<Address>, recipient: Address, archive: Option<Address>) -> Self {
        Self { return_path, recipients: vec![recipient], archive, is_copy: false }
    }

    /// The envelope of a copy that only the archive is still to get.
    pub fn of_copy(return_path: Option<Address>, archive: Address) -> Self {
        Self { is_copy: true, ..Self::to_one(return_path, archive, None) }
    }

    /// True when the return path or a recipient needs SMTPUTF8 (RFC 6531 §3.4); an archive address
    /// is ASCII.
    pub fn needs_smtputf8(&self) -> bool {
        self.return_path.iter().chain(&self.recipients).any(Address::needs_smtputf8)
    }
}
