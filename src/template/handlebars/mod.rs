//! Handlebars.

pub(crate) mod helpers;
pub(crate) mod line;
pub(crate) mod render;
pub(crate) mod script;
pub(crate) mod source;
pub(crate) mod walk;
