//! S/MIME: messages whose content is signed (RFC 8551, RFC 5652).
//!
//! A message becomes `multipart/signed`: its content, header fields of the content included, and
//! beside it a detached CMS SignedData with the certificate and its chain, without the root. DKIM
//! signs what comes out. The content is hashed over its segments, without a copy; the rest costs
//! one signature. Nothing here looks at a clock: the caller passes the time.

mod certificate;
mod cms;
mod error;
mod key;
mod material;
mod pbes2;
mod pkcs12;

use aws_lc_rs::digest::{Context, SHA256};
use aws_lc_rs::error::Unspecified;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD, Engine};
use bytes::Bytes;

use self::certificate::Chain;
use self::cms::SignedData;
use self::key::Key;
use crate::campaign::Smime;
use crate::kit::key_file::{KeyWarning, readable_by_others};
use crate::mail::{Message, Timestamp};

pub use certificate::{Certificate, ChainEnd};
pub use error::SmimeError;

/// Characters of base64 in a line (RFC 2045 §6.8).
const LINE: usize = 76;
/// The part with the signature. Outlook and others know it by its name (RFC 8551 §3.2.1).
const SIGNATURE_HEADER: &str = "Content-Type: application/pkcs7-signature; name=\"smime.p7s\"\r\n\
    Content-Transfer-Encoding: base64\r\n\
    Content-Disposition: attachment; filename=\"smime.p7s\"\r\n\r\n";

/// Signs the content of messages with one certificate. Shared by all threads.
#[derive(Debug)]
pub struct Signer {
    key: Key,
    chain: Chain,
    signed_data: SignedData,
    warning: Option<KeyWarning>,
}

impl Signer {
    /// Reads the certificate of `smime`, its key and its chain. `password` opens what is encrypted.
    pub fn load(smime: &Smime, password: Option<&str>) -> Result<Self, SmimeError> {
        let (key, certificates) = material::load(smime, password)?;
        let chain = Chain::new(&key, certificates)
            .ok_or_else(|| SmimeError::OtherKey { certificate: smime.certificate.clone() })?;
        let signed_data = SignedData::new(chain.sent(), key.algorithm());
        let file = smime.key.as_ref().unwrap_or(&smime.certificate);
        let warning = readable_by_others("S/MIME", file);
        Ok(Self { key, chain, signed_data, warning })
    }

    /// A problem of the key file that doesn't prevent its use.
    pub fn warning(&self) -> Option<&KeyWarning> {
        self.warning.as_ref()
    }

    /// The certificate that signs.
    pub fn certificate(&self) -> &Certificate {
        self.chain.own()
    }

    /// The certificates that go along with it, in the order of the chain.
    pub fn intermediates(&self) -> &[Certificate] {
        self.chain.intermediates()
    }

    /// What the chain ends with.
    pub fn chain_end(&self) -> &ChainEnd {
        self.chain.end()
    }

    /// How many certificates of the files have no place in the chain.
    pub fn strays(&self) -> usize {
        self.chain.strays()
    }

    /// The message with its content signed; `now` is the signing time, in seconds.
    pub fn sign(&self, message: Message, now: Timestamp) -> Result<Message, Unspecified> {
        let (fields, of_content) = split(&message.header);
        let mut digest = Context::new(&SHA256);
        for segment in [&of_content[..], b"\r\n"].into_iter().chain(message.body.iter().map(|b| &b[..])) {
            digest.update(segment);
        }
        let digest = digest.finish();
        let signature = self.signed_data.sign(digest.as_ref(), now, |input| self.key.sign(input))?;

        // No content holds its own hash, so nothing in it looks like the boundary.
        let boundary = format!("=_{}", BASE64_URL_SAFE_NO_PAD.encode(&digest.as_ref()[..18]));
        let mut header = fields;
        header.extend_from_slice(b"Content-Type: multipart/signed; micalg=sha-256;\r\n protocol=\"application/pkcs7-signature\";\r\n boundary=\"");
        header.extend_from_slice(boundary.as_bytes());
        header.extend_from_slice(b"\"\r\n");

        let before = [&b"--"[..], boundary.as_bytes(), b"\r\n", &of_content, b"\r\n"].concat();
        let mut after = Vec::with_capacity(signature.len() * 3 / 2 + 512);
        for piece in ["\r\n--", &boundary, "\r\n", SIGNATURE_HEADER] {
            after.extend_from_slice(piece.as_bytes());
        }
        base64_lines(&signature, &mut after);
        for piece in ["\r\n--", &boundary, "--\r\n"] {
            after.extend_from_slice(piece.as_bytes());
        }

        let mut body = Vec::with_capacity(message.body.len() + 2);
        body.push(Bytes::from(before));
        body.extend(message.body);
        body.push(Bytes::from(after));
        Ok(Message { header: header.into(), body, ..message })
    }
}

/// The header section in two: the message's own fields, and those of its content, which go inside.
fn split(header: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let (mut own, mut of_content) = (Vec::with_capacity(header.len() + 160), Vec::new());
    let mut rest = header;
    while !rest.is_empty() {
        let (field, after) = rest.split_at(field_length(rest));
        let is_of_content = field.get(..8).is_some_and(|name| name.eq_ignore_ascii_case(b"content-"));
        let part = if is_of_content { &mut of_content } else { &mut own };
        part.extend_from_slice(field);
        rest = after;
    }
    (own, of_content)
}

/// The bytes of the first field, its folded lines included.
fn field_length(header: &[u8]) -> usize {
    let mut ends = memchr::memchr_iter(b'\n', header).map(|at| at + 1);
    ends.find(|end| !matches!(header.get(*end), Some(b' ' | b'\t'))).unwrap_or(header.len())
}

fn base64_lines(bytes: &[u8], out: &mut Vec<u8>) {
    let mut line = [0; LINE];
    for (number, chunk) in bytes.chunks(LINE / 4 * 3).enumerate() {
        if number > 0 {
            out.extend_from_slice(b"\r\n");
        }
        let length = BASE64_STANDARD.encode_slice(chunk, &mut line).expect("57 bytes are 76 characters");
        out.extend_from_slice(&line[..length]);
    }
}

#[cfg(test)]
mod tests;
