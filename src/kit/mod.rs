//! Tools that know nothing about mail.

pub(crate) mod causes;
pub(crate) mod der;
pub(crate) mod exposition;
pub mod file;
pub(crate) mod json;
pub mod key_file;
pub mod nearest;
pub(crate) mod net;
pub(crate) mod open_files;
pub(crate) mod outside_text;
pub(crate) mod pem;
pub(crate) mod seal;
pub mod socket;
pub mod store;
pub(crate) mod tags;
pub(crate) mod text;
pub(crate) mod zip;
