//! Reads MIME (RFC 2045, 2046, 2047) from hostile hands: one pass over the bytes, bounded parts,
//! depth and decoded text, no recursion, and no error: what is broken is read as far as it goes.
//!
//! A message in a message stays closed. Its header is read where it says whom the mail was for.

mod charset;
mod header;
mod html;
mod parts;
mod transfer;
mod words;

pub(super) use header::Header;
pub(super) use parts::{Message, Part};
