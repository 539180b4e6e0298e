//! Short texts sealed with a secret: opaque to whoever holds them, readable for whoever has the
//! secret, and impossible to make up without it.
//!
//! A sealed text is the base64url (RFC 4648 §5, no padding) of `tag ‖ sealed`. With
//! `K = HMAC-SHA256(secret, label)` for the labels `mailrun PURPOSE tag` and `mailrun PURPOSE key`,
//! `tag = HMAC-SHA256(K_tag, text)[..16]`, and `sealed` is the text XORed with the blocks
//! `HMAC-SHA256(K_key, tag ‖ n)`, n = 0, 1, 2 … as one byte. (This is the synthetic-IV construction
//! of RFC 5297 with HMAC in place of AES.) The same text always gives the same sealed text; what
//! was sealed for one purpose does not open for another.

use std::fmt;

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use ring::hmac::{self, HMAC_SHA256, Key};

/// Bytes of the tag in front of the sealed bytes.
pub(crate) const TAG_BYTES: usize = 16;

/// The keys of one purpose, made from a secret.
pub(crate) struct Sealer {
    tag: Key,
    stream: Key,
}

/// Shows no key.
impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer(…)")
    }
}

impl Sealer {
    /// The keys of `secret` (at least 16 random bytes) for one purpose.
    pub(crate) fn new(secret: &[u8], purpose: &str) -> Self {
        Self {
            tag: derive(secret, &format!("mailrun {purpose} tag")),
            stream: derive(secret, &format!("mailrun {purpose} key")),
        }
    }

    /// The bytes of `text`, sealed: letters, digits, `-` and `_`, [`sealed_len`] of them.
    pub(crate) fn seal(&self, mut text: Vec<u8>) -> String {
        let tag = self.tag_of(&text);
        self.apply_stream(&tag, &mut text);
        let mut sealed = Vec::with_capacity(TAG_BYTES + text.len());
        sealed.extend_from_slice(&tag);
        sealed.append(&mut text);
        BASE64_URL_SAFE_NO_PAD.encode(sealed)
    }

    /// What was sealed; `None` when it was not sealed with this secret for this purpose.
    pub(crate) fn open(&self, sealed: &str) -> Option<Vec<u8>> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let (tag, sealed) = bytes.split_first_chunk::<TAG_BYTES>()?;
        let mut text = sealed.to_vec();
        self.apply_stream(tag, &mut text);
        same(tag, &self.tag_of(&text)).then_some(text)
    }

    fn tag_of(&self, text: &[u8]) -> [u8; TAG_BYTES] {
        let whole = hmac::sign(&self.tag, text);
        whole.as_ref()[..TAG_BYTES].try_into().expect("HMAC-SHA256 has 32 bytes")
    }

    fn apply_stream(&self, tag: &[u8; TAG_BYTES], bytes: &mut [u8]) {
        let mut input = [0; TAG_BYTES + 1];
        input[..TAG_BYTES].copy_from_slice(tag);
        for (number, block) in bytes.chunks_mut(32).enumerate() {
            // Callers seal far less than 256 blocks; a forged text may be longer, and fails its
            // tag.
            input[TAG_BYTES] = number as u8;
            for (byte, key) in block.iter_mut().zip(hmac::sign(&self.stream, &input).as_ref()) {
                *byte ^= key;
            }
        }
    }
}

/// The characters that `bytes` bytes have when they are sealed, rounded up to a multiple of 4.
pub(crate) const fn sealed_len(bytes: usize) -> usize {
    (TAG_BYTES + bytes).div_ceil(3) * 4
}

/// A key of its own for what `label` names.
pub(crate) fn derive(secret: &[u8], label: &str) -> Key {
    let secret = Key::new(HMAC_SHA256, secret);
    Key::new(HMAC_SHA256, hmac::sign(&secret, label.as_bytes()).as_ref())
}

/// Whether two tags are equal; takes the same time wherever the first difference is.
pub(crate) fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_secret_and_purpose_open_it() {
        let sealer = Sealer::new(b"secret", "token");
        for text in ["", "42", "jose@example.com", &"x".repeat(1_000)] {
            let sealed = sealer.seal(text.into());
            assert!(sealed.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'), "{sealed}");
            assert!(sealed.len() <= sealed_len(text.len()) && sealed.len() + 4 > sealed_len(text.len()));
            assert_eq!(sealer.open(&sealed), Some(text.into()));
            assert_eq!(Sealer::new(b"another", "token").open(&sealed), None);
            assert_eq!(Sealer::new(b"secret", "click").open(&sealed), None);
        }
    }

    #[test]
    fn nothing_can_be_read_or_changed() {
        let sealer = Sealer::new(b"secret", "token");
        let sealed = sealer.seal(b"jose@example.com".to_vec());
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(&sealed).unwrap();
        assert!(!String::from_utf8_lossy(&bytes).contains("jose"));
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert_eq!(sealer.open(&BASE64_URL_SAFE_NO_PAD.encode(changed)), None, "byte {at}");
        }
        for bad in ["", "x", "!!!!", &sealed[..20]] {
            assert_eq!(sealer.open(bad), None, "{bad}");
        }
    }
}
