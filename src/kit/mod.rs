//! Tools that know nothing of mail.

pub mod file;
pub mod nearest;
pub mod store;
