//! The recipient's token in unsubscribe links: opaque to its holder, readable for whoever has the
//! secret.
//!
//! A token is `campaign NUL run NUL recipient` in UTF-8, sealed for the purpose `token` (see
//! `kit::seal`). The same recipient of the same run always has the same token, no address
//! can be read from it, and none can be made up.

use crate::kit::seal::{self, Sealer};

/// What tokens are sealed for.
const PURPOSE: &str = "token";

/// The longest recipient id that a token holds, in bytes.
pub const LONGEST: usize = 256;

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// The campaign's id.
    pub campaign: String,
    /// The run's id.
    pub run: String,
    /// The recipient's id; the address where the target group has no ids.
    pub recipient: String,
}

/// Makes the tokens of one run.
#[derive(Debug)]
pub(super) struct Tokens {
    sealer: Sealer,
    /// `campaign NUL run NUL`
    prefix: String,
}

impl Tokens {
    /// `secret` has at least 16 random bytes, and is the same for as long as links should work.
    pub(super) fn new(secret: &[u8], campaign: &str, run: &str) -> Self {
        Self { sealer: Sealer::new(secret, PURPOSE), prefix: format!("{campaign}\0{run}\0") }
    }

    /// The token of one recipient.
    pub(super) fn of(&self, recipient: &str) -> String {
        let mut text = Vec::with_capacity(self.prefix.len() + recipient.len());
        text.extend_from_slice(self.prefix.as_bytes());
        text.extend_from_slice(recipient.as_bytes());
        self.sealer.seal(text)
    }

    /// The most characters that a token of this run has.
    pub(super) fn longest(&self) -> usize {
        seal::sealed_len(self.prefix.len() + LONGEST)
    }
}

/// What `token` says, when it was made with `secret`.
pub fn decode(secret: &[u8], token: &str) -> Option<Token> {
    let text = String::from_utf8(Sealer::new(secret, PURPOSE).open(token)?).ok()?;
    let mut parts = text.splitn(3, '\0').map(str::to_owned);
    Some(Token { campaign: parts.next()?, run: parts.next()?, recipient: parts.next()? })
}

/// The token of one recipient of one run.
pub fn encode(secret: &[u8], token: &Token) -> String {
    Tokens::new(secret, &token.campaign, &token.run).of(&token.recipient)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(recipient: &str) -> Token {
        Token { campaign: "spring-news".into(), run: "2026-05-31".into(), recipient: recipient.into() }
    }

    #[test]
    fn a_token_says_what_went_in() {
        for recipient in ["42", "", "josé@example.com", "a\0b", &"x".repeat(LONGEST)] {
            let text = encode(b"secret", &token(recipient));
            assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'), "{text}");
            assert_eq!(decode(b"secret", &text), Some(token(recipient)));
            assert_eq!(decode(b"another", &text), None);
        }
    }

    #[test]
    fn the_form_of_a_token_is_kept() {
        // Made by an independent implementation of the form that the module's documentation
        // describes: links in mailboxes have to work for years.
        assert_eq!(
            encode(b"0123456789abcdef", &token("42")),
            "EGLNsDBxOzsjedWE17uEa0ViHvccOrBJEgiDh5a5mH_k4WpV1UWZ1ck"
        );
    }
}
