//! Batch SMTP (RFC 2442): what a client would say in an SMTP session, in a file. `exim -bS` and
//! others write and read it. Each recipient of each message is a row.

mod command;
mod content;
mod lines;
mod read;
mod transactions;

pub(super) use read::{BsmtpFile, BsmtpReader, RawBsmtp, looks_like};
