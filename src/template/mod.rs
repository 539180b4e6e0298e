//! Templates: strict, checked before the first row, with the place of every error.

mod error;
pub(crate) mod format;
pub(crate) mod handlebars;
pub(crate) mod uses;
pub(crate) mod values;

pub use error::{Fault, Place, TemplateError};
