//! Mail into files of batch SMTP (RFC 2442) instead of to a host: another program sends it on, such
//! as `exim4 -bS`.
//!
//! The messages come over SMTP sessions within this process, so everything before them is as with
//! any next hop. A message is accepted once the file that it is in has its name and is synced with
//! its folder: a file is there as a whole or not at all, and what was not answered when the process
//! was killed is in doubt.

mod folder;
mod server;

pub use folder::{BatchFolder, BatchFolderSettings};
