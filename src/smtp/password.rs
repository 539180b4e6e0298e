//! A secret that can't be printed.

use std::fmt;

use super::secrets::Secrets;

/// A secret text: it never shows in `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(Box<str>);

impl Password {
    /// Wraps `secret` so that it can't be printed.
    pub fn new(secret: impl Into<Box<str>>) -> Self {
        Self(secret.into())
    }

    /// `secrets` with this one.
    pub fn among(&self, secrets: Secrets) -> Secrets {
        secrets.and(&self.0)
    }

    /// The secret itself, for the wire.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}
