//! Credentials (RFC 4954). What is secret never shows in `Debug`, in an error or in a log.

use std::fmt;

/// Whom to authenticate as.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// AUTH PLAIN (RFC 4616) or LOGIN.
    Password {
        /// The user.
        username: String,
        /// The password.
        password: Password,
    },
    /// AUTH XOAUTH2.
    XOAuth2 {
        /// The user.
        username: String,
        /// The access token.
        token: Password,
    },
}

/// A secret text.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(Box<str>);

impl Password {
    /// `secret` as a value that can't be printed.
    pub fn new(secret: impl Into<Box<str>>) -> Self {
        Self(secret.into())
    }

    /// The secret itself: for the wire only.
    pub(super) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}
