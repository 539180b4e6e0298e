//! Bytes and values: writes commands, reads replies and capabilities. Its only state is an
//! incomplete reply.

mod capabilities;
pub mod command;
mod dsn;
#[cfg(test)]
mod fuzz;
mod reply;
mod stuffing;

pub use capabilities::Capabilities;
pub use reply::ReplyParser;
pub use stuffing::stuff;
