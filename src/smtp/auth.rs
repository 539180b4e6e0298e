//! Credentials, and the lines of AUTH (RFC 4954). What is secret never shows in `Debug`, in an error or in a log.

use std::fmt;

use mail_send::Credentials as Encoder;
use smtp_proto::{AUTH_LOGIN, AUTH_PLAIN, AUTH_XOAUTH2};

use super::Capabilities;

/// Whom to authenticate as.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// AUTH PLAIN (RFC 4616), or LOGIN where PLAIN is not offered.
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

/// How to authenticate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mechanism {
    Plain,
    Login,
    XOAuth2,
}

/// The server asks for something that the mechanism does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("challenge not understood")]
pub struct BadChallenge;

impl Password {
    /// `secret` as a value that can't be printed.
    pub fn new(secret: impl Into<Box<str>>) -> Self {
        Self(secret.into())
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

impl Credentials {
    /// The mechanism to use of those that the server offers.
    pub fn mechanism(&self, offered: &Capabilities) -> Option<Mechanism> {
        match self {
            Self::Password { .. } if offered.auth_plain => Some(Mechanism::Plain),
            Self::Password { .. } => offered.auth_login.then_some(Mechanism::Login),
            Self::XOAuth2 { .. } => offered.auth_xoauth2.then_some(Mechanism::XOAuth2),
        }
    }

    /// The AUTH command, with the initial response where the mechanism has one.
    pub fn command(&self, mechanism: Mechanism) -> String {
        match mechanism {
            Mechanism::Plain => format!("AUTH PLAIN {}\r\n", self.encode(AUTH_PLAIN, "").unwrap_or_default()),
            Mechanism::Login => "AUTH LOGIN\r\n".into(),
            Mechanism::XOAuth2 => {
                format!("AUTH XOAUTH2 {}\r\n", self.encode(AUTH_XOAUTH2, "").unwrap_or_default())
            }
        }
    }

    /// The line that answers a 334 with the text `challenge`.
    pub fn answer(&self, mechanism: Mechanism, challenge: &str) -> Result<String, BadChallenge> {
        match mechanism {
            Mechanism::Login => Ok(self.encode(AUTH_LOGIN, challenge).ok_or(BadChallenge)? + "\r\n"),
            // The challenge is the reason for a refusal; an empty line gets the refusal itself.
            Mechanism::XOAuth2 => Ok("\r\n".into()),
            Mechanism::Plain => Err(BadChallenge),
        }
    }

    fn encode(&self, mechanism: u64, challenge: &str) -> Option<String> {
        let encoder = match self {
            Self::Password { username, password } => {
                Encoder::Plain { username: username.as_str(), secret: &*password.0 }
            }
            Self::XOAuth2 { username, token } => {
                Encoder::XOauth2 { username: username.as_str(), secret: &*token.0 }
            }
        };
        encoder.encode(mechanism, challenge).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password() -> Credentials {
        Credentials::Password { username: "tim".into(), password: Password::new("tanstaaftanstaaf") }
    }

    #[test]
    fn secrets_are_not_printed() {
        let token = Credentials::XOAuth2 { username: "tim".into(), token: Password::new("ya29") };
        assert_eq!(format!("{:?}", password()), "Password { username: \"tim\", password: Password(…) }");
        assert_eq!(format!("{token:?}"), "XOAuth2 { username: \"tim\", token: Password(…) }");
    }

    #[test]
    fn lines_of_each_mechanism() {
        let password = password();
        assert_eq!(password.command(Mechanism::Plain), "AUTH PLAIN AHRpbQB0YW5zdGFhZnRhbnN0YWFm\r\n");
        assert_eq!(password.answer(Mechanism::Plain, ""), Err(BadChallenge));
        assert_eq!(password.command(Mechanism::Login), "AUTH LOGIN\r\n");
        assert_eq!(password.answer(Mechanism::Login, "VXNlcm5hbWU6").unwrap(), "dGlt\r\n");
        assert_eq!(
            password.answer(Mechanism::Login, "UGFzc3dvcmQ6").unwrap(),
            "dGFuc3RhYWZ0YW5zdGFhZg==\r\n"
        );
        for bad in ["", "x", "Q29sb3VyOg=="] {
            assert_eq!(password.answer(Mechanism::Login, bad), Err(BadChallenge), "{bad:?}");
        }
        let token = Credentials::XOAuth2 { username: "a@b.example".into(), token: Password::new("ya29") };
        assert_eq!(
            token.command(Mechanism::XOAuth2),
            "AUTH XOAUTH2 dXNlcj1hQGIuZXhhbXBsZQFhdXRoPUJlYXJlciB5YTI5AQE=\r\n"
        );
        assert_eq!(token.answer(Mechanism::XOAuth2, "eyJzdGF0dXMiOiI0MDEifQ==").unwrap(), "\r\n");
    }

    #[test]
    fn plain_before_login() {
        let offered = |auth_plain, auth_login, auth_xoauth2| {
            let offered = Capabilities { auth_plain, auth_login, auth_xoauth2, ..Capabilities::default() };
            password().mechanism(&offered)
        };
        assert_eq!(offered(true, true, true), Some(Mechanism::Plain));
        assert_eq!(offered(false, true, true), Some(Mechanism::Login));
        assert_eq!(offered(false, false, true), None);
    }
}
