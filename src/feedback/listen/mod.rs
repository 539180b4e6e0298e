//! A listener for a relay's transport: LMTP (RFC 2033) and SMTP (RFC 5321), on TCP or on a Unix
//! socket. It sends no mail and relays nothing.
//!
//! Whom mail is accepted for, and whether it is kept, is decided elsewhere: [`Request`]s ask. A
//! mail is answered with 250 only after it was kept, and with 451 where that failed.
//!
//! | file | its noun |
//! |---|---|
//! | `room` | the memory that mails may take before they are kept |
//! | `session` | one session: bytes in, replies and steps out; no I/O and no clock |
//! | `server` | sockets, times, and the end |

mod room;
mod server;
mod session;
#[cfg(test)]
mod tests;

pub use server::{Listener, Stop};
pub use session::{Answer, Delivery, Request};

/// The largest mail, as announced with SIZE (RFC 1870): as much as is read of a mail in a file.
const MAIL_BYTES: usize = super::source::MAIL_BYTES;
/// All mails in memory together, of all connections: at least one of the largest.
const ROOM_BYTES: usize = 24 << 20;
/// Recipients of one mail; more get 452 4.5.3. RFC 5321 §4.5.3.1.8 requires 100.
const RECIPIENTS: usize = 100;
/// Connections at once; more are answered 421 4.3.2.
pub(crate) const CONNECTIONS: usize = 100;
/// A client with more errors than these is sent away.
const ERRORS: u32 = 20;
/// Commands of one connection without a mail that was kept, before it is sent away.
const COMMANDS: u32 = 1_000;
