//! Tools that know nothing of mail.

pub mod file;
pub mod store;
