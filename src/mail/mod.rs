//! Plain values of e-mail: address, message, envelope, reply and enhanced status, disposition.
//!
//! Everything here is a plain value: no I/O, no clock, no configuration.

mod address;
mod class;
mod disposition;
mod envelope;
#[cfg(test)]
mod fuzz;
mod list_id;
mod message;
mod reply;
mod timestamp;

pub use address::{Address, AddressError, AddressParts, Domain, Mailbox};
pub use class::Class;
pub use disposition::Disposition;
pub use envelope::Envelope;
pub use list_id::{ListId, NoListId};
pub use message::{Message, SignedMessage};
pub use reply::{EnhancedStatus, Reply};
pub use timestamp::Timestamp;
