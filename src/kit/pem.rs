//! PEM (RFC 7468): blocks of base64 between lines that say what they hold.

use base64::prelude::{BASE64_STANDARD, Engine};

/// A block as it was found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Block<'a> {
    /// What it says it holds: `CERTIFICATE`.
    pub label: &'a str,
    /// Its lines.
    pub body: &'a str,
}

impl Block<'_> {
    /// What its lines encode.
    pub(crate) fn decode(&self) -> Result<Vec<u8>, base64::DecodeError> {
        BASE64_STANDARD.decode(self.body.split_whitespace().collect::<String>())
    }
}

/// The blocks of a text, in order (RFC 7468 §2).
pub(crate) fn blocks(text: &str) -> Vec<Block<'_>> {
    let mut blocks = Vec::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once("-----BEGIN ") {
        let Some((label, after)) = after.split_once("-----") else { break };
        let (body, after) = after.split_once("-----END ").unwrap_or((after, ""));
        blocks.push(Block { label, body });
        rest = after;
    }
    blocks
}
