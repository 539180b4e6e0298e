//! Credentials, and the lines of AUTH (RFC 4954). Secrets never show in `Debug`, in an error or in
//! a log.

use base64::prelude::{BASE64_STANDARD, Engine};

use super::codec::Capabilities;
use super::password::Password;
use super::secrets::Secrets;
use super::token::{TokenError, TokenSource};

/// The credentials to authenticate with.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// AUTH PLAIN (RFC 4616), LOGIN or CRAM-MD5 (RFC 2195): the first in this order that the server
    /// offers. Over TLS none is safer than another.
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

/// How to authenticate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mechanism {
    Plain,
    Login,
    CramMd5,
    XOAuth2,
}

/// The server asks for something that the mechanism does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("challenge not understood")]
pub struct BadChallenge;

impl Credentials {
    /// Credentials that can be sent, and whether it is worth asking for others if they are refused.
    pub async fn current(&self) -> Result<(Self, bool), TokenError> {
        match self {
            Self::Password { .. } | Self::XOAuth2 { .. } => Ok((self.clone(), false)),
            Self::Tokens { username, source } => {
                let (token, used_before) = source.token().await?;
                Ok((Self::XOAuth2 { username: username.clone(), token }, used_before))
            }
        }
    }

    /// Forgets `refused`, which came from [`Self::current`]: it is not used again.
    pub async fn forget(&self, refused: &Self) {
        if let (Self::Tokens { source, .. }, Self::XOAuth2 { token, .. }) = (self, refused) {
            source.forget(token).await;
        }
    }

    /// The mechanism to use, of those that the server offers.
    pub fn mechanism(&self, offered: &Capabilities) -> Option<Mechanism> {
        match self {
            Self::Password { .. } if offered.auth_plain => Some(Mechanism::Plain),
            Self::Password { .. } if offered.auth_login => Some(Mechanism::Login),
            Self::Password { .. } => offered.auth_cram_md5.then_some(Mechanism::CramMd5),
            Self::XOAuth2 { .. } | Self::Tokens { .. } => offered.auth_xoauth2.then_some(Mechanism::XOAuth2),
        }
    }

    /// The AUTH command, with the initial response if the mechanism has one.
    pub fn command(&self, mechanism: Mechanism) -> String {
        let (username, secret) = self.parts();
        match mechanism {
            // RFC 4616 §2.
            Mechanism::Plain => {
                format!("AUTH PLAIN {}\r\n", BASE64_STANDARD.encode(format!("\0{username}\0{secret}")))
            }
            Mechanism::Login => "AUTH LOGIN\r\n".into(),
            Mechanism::CramMd5 => "AUTH CRAM-MD5\r\n".into(),
            Mechanism::XOAuth2 => {
                let response = format!("user={username}\x01auth=Bearer {secret}\x01\x01");
                format!("AUTH XOAUTH2 {}\r\n", BASE64_STANDARD.encode(response))
            }
        }
    }

    /// The line that answers a 334 with the text `challenge`.
    pub fn answer(&self, mechanism: Mechanism, challenge: &str) -> Result<String, BadChallenge> {
        let (username, secret) = self.parts();
        let challenge = || BASE64_STANDARD.decode(challenge).map_err(|_| BadChallenge);
        let answer = match mechanism {
            Mechanism::Login => {
                let asked = challenge()?.to_ascii_lowercase();
                let asks_for = |word: &str| asked.starts_with(word.as_bytes());
                if asks_for("username") || asks_for("user name") {
                    username.to_owned()
                } else if asks_for("password") {
                    secret.to_owned()
                } else {
                    return Err(BadChallenge);
                }
            }
            // RFC 2195 §2.
            Mechanism::CramMd5 => format!("{username} {:x}", hmac_md5(secret.as_bytes(), &challenge()?)),
            // The challenge is the reason for a refusal; an empty line gets the refusal itself.
            Mechanism::XOAuth2 => String::new(),
            Mechanism::Plain => return Err(BadChallenge),
        };
        Ok(BASE64_STANDARD.encode(answer) + "\r\n")
    }

    /// `secrets` with these. Only the result of [`Self::current`] has one.
    pub fn among(&self, secrets: Secrets) -> Secrets {
        match self {
            Self::Password { password, .. } => password.among(secrets),
            Self::XOAuth2 { token, .. } => token.among(secrets),
            Self::Tokens { .. } => secrets,
        }
    }

    /// The user and the secret. Only the result of [`Self::current`] has a secret.
    fn parts(&self) -> (&str, &str) {
        match self {
            Self::Password { username, password } => (username, password.reveal()),
            Self::XOAuth2 { username, token } => (username, token.reveal()),
            Self::Tokens { username, .. } => (username, ""),
        }
    }
}

/// HMAC-MD5 (RFC 2104 §2).
fn hmac_md5(key: &[u8], text: &[u8]) -> md5::Digest {
    const BLOCK: usize = 64;
    let mut block = [0; BLOCK];
    if key.len() > BLOCK {
        block[..16].copy_from_slice(&md5::compute(key).0);
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let hash = |pad: u8, text: &[u8]| {
        let padded: Vec<u8> = block.iter().map(|byte| byte ^ pad).chain(text.iter().copied()).collect();
        md5::compute(padded)
    };
    hash(0x5c, &hash(0x36, text).0)
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

    /// RFC 2202 §2, test cases 2 and 6; for a key of one block, Python's result.
    #[test]
    fn hmac_md5_of_keys_up_to_a_block_and_beyond() {
        let digest = |key: &[u8], text: &str| format!("{:x}", hmac_md5(key, text.as_bytes()));
        assert_eq!(digest(b"Jefe", "what do ya want for nothing?"), "750c783e6ab0b503eaa86e310a5db738");
        let long = "Test Using Larger Than Block-Size Key - Hash Key First";
        assert_eq!(digest(&[0xaa; 80], long), "6b1ab7fe4bd7bf8f0b62e6ce61b9d0cd");
        assert_eq!(digest(&[0xaa; 64], "x"), "5008d796c91c4cc94e59c724e664a7f2");
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
