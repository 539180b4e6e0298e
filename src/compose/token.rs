//! The recipient's token in unsubscribe links: opaque to its holder, readable for whoever has the secret.
//!
//! A token is the base64url (RFC 4648 §5, no padding) of `tag ‖ sealed`. With `K = HMAC-SHA256(secret, label)` for the
//! labels `mailrun token tag` and `mailrun token key`, the payload is `campaign NUL run NUL recipient` in UTF-8,
//! `tag = HMAC-SHA256(K_tag, payload)[..16]`, and `sealed` is the payload XORed with the blocks
//! `HMAC-SHA256(K_key, tag ‖ n)`, n = 0, 1, 2 … as one byte. (This is the synthetic-IV construction of RFC 5297 with
//! HMAC in the place of AES.) The same recipient of the same run always has the same token, no address can be read
//! from it, and none can be made up.

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use ring::hmac::{self, HMAC_SHA256, Key};

/// The longest recipient id that a token holds, in bytes.
pub const LONGEST: usize = 256;

const TAG_BYTES: usize = 16;

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

/// The keys made from a secret.
pub struct TokenKeys {
    tag: Key,
    stream: Key,
}

impl std::fmt::Debug for TokenKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenKeys(…)")
    }
}

impl TokenKeys {
    /// The keys of `secret`: at least 16 random bytes, kept for as long as links should work.
    pub fn new(secret: &[u8]) -> Self {
        let secret = Key::new(HMAC_SHA256, secret);
        let derive = |label: &[u8]| Key::new(HMAC_SHA256, hmac::sign(&secret, label).as_ref());
        Self { tag: derive(b"mailrun token tag"), stream: derive(b"mailrun token key") }
    }

    /// The token of `recipient`; `prefix` is `campaign NUL run NUL`.
    pub(super) fn seal(&self, prefix: &str, recipient: &str) -> String {
        let mut payload = Vec::with_capacity(prefix.len() + recipient.len());
        payload.extend_from_slice(prefix.as_bytes());
        payload.extend_from_slice(recipient.as_bytes());
        let tag = self.tag_of(&payload);
        self.apply_stream(&tag, &mut payload);
        let mut token = Vec::with_capacity(TAG_BYTES + payload.len());
        token.extend_from_slice(&tag);
        token.append(&mut payload);
        BASE64_URL_SAFE_NO_PAD.encode(token)
    }

    fn open(&self, token: &str) -> Option<Token> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(token).ok()?;
        let (tag, sealed) = bytes.split_first_chunk::<TAG_BYTES>()?;
        let mut payload = sealed.to_vec();
        self.apply_stream(tag, &mut payload);
        if !same(tag, &self.tag_of(&payload)) {
            return None;
        }
        let payload = String::from_utf8(payload).ok()?;
        let mut parts = payload.splitn(3, '\0').map(str::to_owned);
        Some(Token { campaign: parts.next()?, run: parts.next()?, recipient: parts.next()? })
    }

    fn tag_of(&self, payload: &[u8]) -> [u8; TAG_BYTES] {
        let whole = hmac::sign(&self.tag, payload);
        whole.as_ref()[..TAG_BYTES].try_into().expect("HMAC-SHA256 has 32 bytes")
    }

    fn apply_stream(&self, tag: &[u8; TAG_BYTES], bytes: &mut [u8]) {
        let mut input = [0; TAG_BYTES + 1];
        input[..TAG_BYTES].copy_from_slice(tag);
        for (number, block) in bytes.chunks_mut(32).enumerate() {
            // Ids, run and campaign together stay far below 256 blocks; a forged token may not, and fails its tag.
            input[TAG_BYTES] = number as u8;
            for (byte, key) in block.iter_mut().zip(hmac::sign(&self.stream, &input).as_ref()) {
                *byte ^= key;
            }
        }
    }
}

/// Takes the same time wherever the first difference is.
fn same(a: &[u8; TAG_BYTES], b: &[u8; TAG_BYTES]) -> bool {
    a.iter().zip(b).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
}

/// What `token` says, when it was made with `secret`.
pub fn decode(secret: &[u8], token: &str) -> Option<Token> {
    TokenKeys::new(secret).open(token)
}

/// The token of one recipient of one run.
pub fn encode(secret: &[u8], token: &Token) -> String {
    TokenKeys::new(secret).seal(&format!("{}\0{}\0", token.campaign, token.run), &token.recipient)
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
    fn nothing_can_be_read_or_changed() {
        let text = encode(b"secret", &token("jose@example.com"));
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(&text).unwrap();
        assert!(!String::from_utf8_lossy(&bytes).contains("jose"));
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert_eq!(decode(b"secret", &BASE64_URL_SAFE_NO_PAD.encode(changed)), None, "byte {at}");
        }
        for bad in ["", "x", "!!!!", &text[..20]] {
            assert_eq!(decode(b"secret", bad), None, "{bad}");
        }
    }

    #[test]
    fn the_form_of_a_token_is_kept() {
        // Made by an independent implementation of the form that the module's documentation describes:
        // links in mailboxes have to work for years.
        assert_eq!(
            encode(b"0123456789abcdef", &token("42")),
            "EGLNsDBxOzsjedWE17uEa0ViHvccOrBJEgiDh5a5mH_k4WpV1UWZ1ck"
        );
    }
}
