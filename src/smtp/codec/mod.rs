//! Bytes and values: writes commands, reads replies and capabilities. Its only state is an
//! incomplete reply.

mod capabilities;
pub(super) mod command;
mod dsn;
#[cfg(test)]
mod fuzz;
mod reply;
mod stuffing;

pub use capabilities::Capabilities;
pub(super) use reply::{ReplyParser, TEXT_BYTES};
pub(super) use stuffing::stuff;
