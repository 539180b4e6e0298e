//! SMTP (RFC 5321) and LMTP (RFC 2033) servers, on TCP or on a Unix socket, for mail that stays
//! here: what came back, and what programs hand over. They send no mail and relay nothing.
//!
//! Who may log in, whom mail is accepted for and whether it is kept is decided elsewhere:
//! [`Request`]s ask. A mail is answered with 250 only after it was kept, and with 451 where that
//! failed.
//!
//! | file | its noun |
//! |---|---|
//! | `terms` | what a listener offers, to whom, and how much of it |
//! | `clients` | how many connections each address has |
//! | `room` | the memory that mails may take before they are kept |
//! | `request` | what is asked of whoever keeps the mails |
//! | `transaction` | a mail between MAIL and its end |
//! | `session` | one session: bytes in, replies and steps out; no I/O and no clock |
//! | `server` | sockets, TLS, times, and the end |

mod clients;
mod request;
mod room;
mod server;
mod session;
mod terms;
mod transaction;
#[cfg(test)]
mod tests;

pub(crate) use clients::{Clients, Counted};
pub use request::{Answer, Delivery, Question, Request};
pub use server::{Listener, Stop};
pub use terms::{Terms, Tls};

/// A client with more errors than these is sent away.
const ERRORS: u32 = 20;
/// Commands of one connection without a mail that was kept, before it is sent away.
const COMMANDS: u32 = 1_000;
/// Logins that may fail in one connection.
const LOGINS: u32 = 3;
