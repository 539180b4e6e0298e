//! Tokens in links: opaque to their holders, readable for whoever has the secret.
//!
//! A token is a sequence of bytes, sealed for the label `token` (see `kit::seal`):
//!
//! | bytes | content |
//! |---|---|
//! | 1 | the format: 2 |
//! | 1 | the purpose, a letter: see [`Purpose`] |
//! | 4 | the row: its index in the run's plan, from 0, big-endian |
//! | rest | `campaign NUL run NUL address NUL id` in UTF-8 |
//!
//! `id` is the recipient's id, empty where the target group has none. `address` is the recipient's
//! address, empty where it and the id together have more than [`LONGEST`] bytes: the row of the run
//! has it then. A reader refuses purposes that it does not know: links of other kinds have letters
//! of their own, which also decide what the rest is.
//!
//! The tokens of mailrun 0.1 are `campaign NUL run NUL recipient`, sealed in the same way. A
//! campaign's id never begins with byte 2, so both can be told apart, and links in mailboxes work
//! for years.
//!
//! The same recipient of the same run always has the same token, no address can be read from it,
//! and none can be made up.

use crate::kit::seal::{self, Sealer};
use crate::mail::Address;

/// What tokens are sealed for.
const LABEL: &str = "token";

const FORMAT: u8 = 2;

/// The bytes before the campaign's id: format, purpose and row.
const HEAD_BYTES: usize = 1 + 1 + 4;

/// The longest recipient id that a token holds, in bytes.
pub const LONGEST: usize = 256;

/// What a link is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// `u`: its holder unsubscribes.
    Unsubscribe,
    /// `t`: the unsubscribe link of a test message, which went to somebody else than its recipient.
    /// It unsubscribes nobody.
    Test,
}

impl Purpose {
    const fn letter(self) -> u8 {
        match self {
            Self::Unsubscribe => b'u',
            Self::Test => b't',
        }
    }

    fn of_letter(letter: u8) -> Option<Self> {
        [Self::Unsubscribe, Self::Test].into_iter().find(|purpose| purpose.letter() == letter)
    }
}

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// What its link is for.
    pub purpose: Purpose,
    /// The campaign's id.
    pub campaign: String,
    /// The run's id.
    pub run: String,
    /// The row: its index in the run's plan, from 0. Tokens of mailrun 0.1 do not have it.
    pub row: Option<u32>,
    /// The recipient's address, where the token holds it. Tokens of mailrun 0.1 do not say whether
    /// their recipient is one.
    pub address: Option<Address>,
    /// The recipient's id; the address where the target group has no ids.
    pub recipient: String,
}

/// Why a token says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Another secret, or altered.
    #[error("the token was not made with this secret, or was altered")]
    Secret,
    /// Made by a later version, or for a link of another kind.
    #[error("the token is of a kind that this version does not know")]
    Kind,
}

/// Makes the tokens of one run.
#[derive(Debug)]
pub(super) struct Tokens {
    sealer: Sealer,
    purpose: Purpose,
    /// `campaign NUL run NUL`
    names: String,
}

impl Tokens {
    /// `secret` has at least 16 random bytes, and is the same for as long as links should work.
    pub(super) fn new(secret: &[u8], purpose: Purpose, campaign: &str, run: &str) -> Self {
        Self { sealer: Sealer::new(secret, LABEL), purpose, names: format!("{campaign}\0{run}\0") }
    }

    /// The token of one row. The id, or the address where there is none, has at most [`LONGEST`]
    /// bytes.
    pub(super) fn of(&self, row: u32, address: &str, id: Option<&str>) -> String {
        let id = id.unwrap_or_default();
        let address = if address.len() + id.len() <= LONGEST { address } else { "" };
        let mut text = Vec::with_capacity(HEAD_BYTES + self.names.len() + LONGEST + 1);
        text.extend_from_slice(&[FORMAT, self.purpose.letter()]);
        text.extend_from_slice(&row.to_be_bytes());
        text.extend_from_slice(self.names.as_bytes());
        text.extend_from_slice(address.as_bytes());
        text.push(0);
        text.extend_from_slice(id.as_bytes());
        self.sealer.seal(text)
    }

    /// The most characters that a token of this run has.
    pub(super) fn longest(&self) -> usize {
        seal::sealed_len(HEAD_BYTES + self.names.len() + 1 + LONGEST)
    }
}

/// What `token` says, when it was made with `secret`.
pub fn decode(secret: &[u8], token: &str) -> Result<Token, TokenError> {
    let text = Sealer::new(secret, LABEL).open(token.trim()).ok_or(TokenError::Secret)?;
    match text.split_first_chunk::<HEAD_BYTES>() {
        Some(([FORMAT, purpose, row @ ..], rest)) => {
            let purpose = Purpose::of_letter(*purpose).ok_or(TokenError::Kind)?;
            let [campaign, run, address, id] = parts(rest)?;
            let row = Some(u32::from_be_bytes(*row));
            let parsed = Address::parse(&address).ok();
            let recipient = if id.is_empty() { address } else { id };
            Ok(Token { purpose, campaign, run, row, address: parsed, recipient })
        }
        Some(_) | None => {
            let [campaign, run, recipient] = parts(&text)?;
            Ok(Token { purpose: Purpose::Unsubscribe, campaign, run, row: None, address: None, recipient })
        }
    }
}

/// The parts of a text that NULs divide; the last may hold more of them.
fn parts<const N: usize>(text: &[u8]) -> Result<[String; N], TokenError> {
    let text = std::str::from_utf8(text).map_err(|_| TokenError::Kind)?;
    let parts: Vec<String> = text.splitn(N, '\0').map(str::to_owned).collect();
    parts.try_into().map_err(|_| TokenError::Kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &[u8] = b"0123456789abcdef";

    fn tokens(purpose: Purpose) -> Tokens {
        Tokens::new(SECRET, purpose, "spring-news", "2026-05-31")
    }

    #[test]
    fn a_token_says_what_went_in() {
        let check = |row: u32, given: &str, id: Option<&str>| {
            let text = tokens(Purpose::Unsubscribe).of(row, given, id);
            assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'), "{text}");
            assert!(text.len() <= tokens(Purpose::Unsubscribe).longest(), "{text}");
            assert_eq!(decode(b"another", &text), Err(TokenError::Secret));
            let token = decode(SECRET, &text).unwrap();
            assert_eq!((token.campaign.as_str(), token.run.as_str()), ("spring-news", "2026-05-31"));
            assert_eq!((token.row, token.recipient.as_str()), (Some(row), id.unwrap_or(given)));
            token.address.map(|address| address.to_string())
        };
        for (row, given, id) in [
            (7, "ann@example.com", Some("42")),
            (u32::MAX, "josé@example.com", None),
            (0, "ann@example.com", Some("a\0b")),
        ] {
            assert_eq!(check(row, given, id).as_deref(), Some(given));
        }
        let long = "x".repeat(LONGEST);
        assert_eq!(check(2, "ann@example.com", Some(&long)), None, "the row of the run has the address");
    }

    #[test]
    fn a_token_has_its_purpose_and_no_other() {
        for purpose in [Purpose::Unsubscribe, Purpose::Test] {
            let text = tokens(purpose).of(7, "ann@example.com", None);
            assert_eq!(decode(SECRET, &text).unwrap().purpose, purpose);
        }
        let of_later = Sealer::new(SECRET, LABEL).seal(b"\x02c\0\0\0\x01campaign\0run\0\0https://x".to_vec());
        assert_eq!(decode(SECRET, &of_later), Err(TokenError::Kind));
        let return_path =
            Sealer::new(SECRET, "return path").seal(b"\x02u\0\0\0\x01c\0r\0\0a@b.example".to_vec());
        assert_eq!(decode(SECRET, &return_path), Err(TokenError::Secret));
    }

    #[test]
    fn tokens_of_the_first_version_still_work() {
        // Made by an independent implementation of the form that the module's documentation
        // describes: links in mailboxes have to work for years.
        let token = decode(SECRET, "EGLNsDBxOzsjedWE17uEa0ViHvccOrBJEgiDh5a5mH_k4WpV1UWZ1ck").unwrap();
        assert_eq!((token.campaign.as_str(), token.run.as_str()), ("spring-news", "2026-05-31"));
        assert_eq!((token.recipient.as_str(), token.row, token.address), ("42", None, None));
        assert_eq!(token.purpose, Purpose::Unsubscribe);
    }

    #[test]
    fn the_form_of_a_token_is_kept() {
        // Made with Python's hmac, as docs/suppression.md describes the form.
        let token = tokens(Purpose::Unsubscribe).of(7, "ann@example.com", Some("42"));
        assert_eq!(
            token,
            "Sf7MG07PPCoOV-fOusb7DQDgYkInvjKRmA8yElzT2z_kLFmxSpQzBnEdHYm0RxYZEC1NhRf0edhTsSso6Kq7"
        );
    }
}
