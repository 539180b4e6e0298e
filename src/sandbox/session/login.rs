//! Where an exchange of AUTH PLAIN (RFC 4616) or LOGIN (RFC 4954) is.

/// What the next line of an exchange is.
#[derive(Debug)]
pub(super) enum Login {
    /// The response to PLAIN: both names and the password.
    Plain,
    /// The user's name.
    User,
    /// The password of this user.
    Password { user: String },
}
