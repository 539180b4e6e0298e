//! Bytes and values: commands out, replies and capabilities in. No state beyond one reply's.

mod capabilities;

pub use capabilities::Capabilities;
