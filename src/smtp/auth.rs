//! Credentials, and the lines of AUTH (RFC 4954). What is secret never shows in `Debug`, in an error or in a log.

use std::fmt;

use mail_send::Credentials as Encoder;
use smtp_proto::{AUTH_CRAM_MD5, AUTH_LOGIN, AUTH_PLAIN, AUTH_XOAUTH2};

use super::Capabilities;
use super::token::{TokenError, TokenSource};

/// Whom to authenticate as.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// AUTH PLAIN (RFC 4616), or LOGIN, or CRAM-MD5 (RFC 2195), whichever is offered first in this order: over TLS none is
    /// safer than another.
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
    /// AUTH XOAUTH2 with tokens that a command prints.
    Tokens {
        /// The user.
        username: String,
        /// Where they come from.
        source: TokenSource,
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
    CramMd5,
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
    /// These credentials as they can be sent, and whether it is worth asking for others when they are refused.
    pub async fn current(&self) -> Result<(Self, bool), TokenError> {
        match self {
            Self::Password { .. } | Self::XOAuth2 { .. } => Ok((self.clone(), false)),
            Self::Tokens { username, source } => {
                let (token, used_before) = source.token().await?;
                Ok((Self::XOAuth2 { username: username.clone(), token }, used_before))
            }
        }
    }

    /// `refused`, which came of [`Self::current`], is not to be used again.
    pub async fn forget(&self, refused: &Self) {
        if let (Self::Tokens { source, .. }, Self::XOAuth2 { token, .. }) = (self, refused) {
            source.forget(token).await;
        }
    }

    /// The mechanism to use of those that the server offers.
    pub fn mechanism(&self, offered: &Capabilities) -> Option<Mechanism> {
        match self {
            Self::Password { .. } if offered.auth_plain => Some(Mechanism::Plain),
            Self::Password { .. } if offered.auth_login => Some(Mechanism::Login),
            Self::Password { .. } => offered.auth_cram_md5.then_some(Mechanism::CramMd5),
            Self::XOAuth2 { .. } | Self::Tokens { .. } => offered.auth_xoauth2.then_some(Mechanism::XOAuth2),
        }
    }

    /// The AUTH command, with the initial response where the mechanism has one.
    pub fn command(&self, mechanism: Mechanism) -> String {
        match mechanism {
            Mechanism::Plain => format!("AUTH PLAIN {}\r\n", self.encode(AUTH_PLAIN, "").unwrap_or_default()),
            Mechanism::Login => "AUTH LOGIN\r\n".into(),
            Mechanism::CramMd5 => "AUTH CRAM-MD5\r\n".into(),
            Mechanism::XOAuth2 => {
                format!("AUTH XOAUTH2 {}\r\n", self.encode(AUTH_XOAUTH2, "").unwrap_or_default())
            }
        }
    }

    /// The line that answers a 334 with the text `challenge`.
    pub fn answer(&self, mechanism: Mechanism, challenge: &str) -> Result<String, BadChallenge> {
        match mechanism {
            Mechanism::Login => Ok(self.encode(AUTH_LOGIN, challenge).ok_or(BadChallenge)? + "\r\n"),
            Mechanism::CramMd5 => Ok(self.encode(AUTH_CRAM_MD5, challenge).ok_or(BadChallenge)? + "\r\n"),
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
            // Only what came of `current` is sent.
            Self::Tokens { .. } => return None,
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
        // RFC 2195 §2.
        assert_eq!(password.command(Mechanism::CramMd5), "AUTH CRAM-MD5\r\n");
        let challenge = "PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+";
        assert_eq!(
            password.answer(Mechanism::CramMd5, challenge).unwrap(),
            "dGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw\r\n"
        );
        let token = Credentials::XOAuth2 { username: "a@b.example".into(), token: Password::new("ya29") };
        assert_eq!(
            token.command(Mechanism::XOAuth2),
            "AUTH XOAUTH2 dXNlcj1hQGIuZXhhbXBsZQFhdXRoPUJlYXJlciB5YTI5AQE=\r\n"
        );
        assert_eq!(token.answer(Mechanism::XOAuth2, "eyJzdGF0dXMiOiI0MDEifQ==").unwrap(), "\r\n");
    }

    #[test]
    fn plain_before_login_before_cram_md5() {
        let offered = |auth_plain, auth_login, auth_cram_md5| {
            let auth_xoauth2 = true;
            let offered = Capabilities {
                auth_plain,
                auth_login,
                auth_cram_md5,
                auth_xoauth2,
                ..Capabilities::default()
            };
            password().mechanism(&offered)
        };
        assert_eq!(offered(true, true, true), Some(Mechanism::Plain));
        assert_eq!(offered(false, true, true), Some(Mechanism::Login));
        assert_eq!(offered(false, false, true), Some(Mechanism::CramMd5));
        assert_eq!(offered(false, false, false), None);
    }
}
