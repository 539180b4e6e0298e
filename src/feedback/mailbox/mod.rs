//! Mails in an IMAP mailbox (RFC 3501, RFC 9051): read, then marked, moved or deleted.
//!
//! What was read shows on the mails themselves, so nothing has to be remembered of the mailbox: its
//! UIDs may become others (UIDVALIDITY) between two readings. A mail that is read twice is known by
//! its content.
//!
//! | file | its noun |
//! |---|---|
//! | `settings` | `[[feedback.mailbox]]` |
//! | `bounded` | a connection that ends when the server sends too much |
//! | `inbox` | an open mailbox: groups of mails, fetched and marked |

mod bounded;
mod inbox;
mod settings;

pub use inbox::{Group, Inbox, MailboxError};
pub use settings::{Done, Mailbox, MailboxTls};
