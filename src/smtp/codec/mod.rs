//! Bytes and values: commands out, replies and capabilities in. No state beyond one reply's.

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
