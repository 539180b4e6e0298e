//! DKIM keys and signatures (RFC 6376, RFC 8463), relaxed/relaxed.
//!
//! The body is hashed once per message, over its segments, whatever the number of signatures; a
//! body that many messages share is hashed once in all. Nothing here looks at a clock: the caller
//! passes the signature's time. Where a campaign has a certificate, its S/MIME signature comes
//! first and is part of what DKIM signs.

mod body;
mod fields;
mod generate;
mod key;
mod pkcs;

use std::sync::RwLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_lc_rs::error::Unspecified;
use bytes::Bytes;
use mail_auth::common::headers::{Writable, Writer};
use mail_auth::dkim::{Canonicalization, Signature};

use crate::campaign::Dkim;
use crate::kit::key_file::{KeyWarning, readable_by_others};
use crate::mail::{Message, SignedMessage, Timestamp};
use crate::smime;

pub use generate::{KeyKind, generate};
pub use key::{Key, KeyError};

/// `DKIM-Signature` fields with a 2048-bit RSA key have about 700 bytes, with a 4096-bit one about
/// 1,050.
pub const SIGNATURE_BYTES: usize = 1_100;

/// The signed fields of a header section and the signature's own: room for most.
const SIGNING_INPUT_BYTES: usize = 2_048;

/// The bits of the RSA key that a DKIM record holds: `p` is its `p=`, decoded. `None` when it is
/// not an RSA key.
pub fn published_rsa_bits(p: &[u8]) -> Option<usize> {
    pkcs::published_rsa_bits(p)
}

/// Signs messages with every key of a campaign. Shared by all threads.
#[derive(Debug)]
pub struct Signer {
    signatures: Vec<Prepared>,
    warnings: Vec<KeyWarning>,
    smime: Option<smime::Signer>,
    shared: SharedBody,
}

/// The parts of a signature that are the same for all messages.
#[derive(Debug)]
struct Prepared {
    key: Key,
    /// Everything but `t=`, `x=`, `h=`, `bh=` and `b=`.
    template: Signature,
    /// The fields to sign where they are present, in the order of `h=`.
    fields: Vec<String>,
    /// Seconds from `t=` to `x=`; 0 is no expiry.
    expires_after: u64,
}

/// A signature that could not be made.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// With a key of DKIM.
    #[error("can't sign for `{domain}` with selector `{selector}`")]
    Dkim {
        /// `d=`.
        domain: String,
        /// `s=`.
        selector: String,
        /// What the key said.
        #[source]
        source: Unspecified,
    },
    /// With the key of a certificate.
    #[error("can't sign with the certificate of `{subject}`")]
    Smime {
        /// Whose certificate it is.
        subject: String,
        /// What the key said.
        #[source]
        source: Unspecified,
    },
}

impl Signer {
    /// Reads the keys of `signatures`, in their order. With none, messages go out unsigned.
    pub fn load(signatures: &[Dkim]) -> Result<Self, KeyError> {
        let mut warnings = Vec::new();
        let signatures = signatures
            .iter()
            .map(|dkim| {
                warnings.extend(readable_by_others("DKIM", &dkim.key));
                Ok(Prepared::new(dkim, Key::load(dkim)?))
            })
            .collect::<Result<_, KeyError>>()?;
        Ok(Self { signatures, warnings, smime: None, shared: SharedBody::default() })
    }

    /// The same over what S/MIME has signed.
    pub fn over(mut self, smime: Option<smime::Signer>) -> Self {
        self.warnings.extend(smime.iter().filter_map(|smime| smime.warning().cloned()));
        self.smime = smime;
        self
    }

    /// What signs the content, where the campaign has a certificate.
    pub fn smime(&self) -> Option<&smime::Signer> {
        self.smime.as_ref()
    }

    /// Whether a selector can be published (RFC 6376 §3.1).
    pub fn check_selector(selector: &str) -> Result<(), KeyError> {
        key::check_selector(selector)
    }

    /// Problems of the key files that don't prevent their use.
    pub fn warnings(&self) -> &[KeyWarning] {
        &self.warnings
    }

    /// The keys, for comparing them with what DNS says.
    pub fn keys(&self) -> impl Iterator<Item = &Key> {
        self.signatures.iter().map(|signature| &signature.key)
    }

    /// Signs the content of `message` and puts the signatures of DKIM in front of it; `now` becomes
    /// `t=` and the signing time, in seconds.
    pub fn sign(&self, message: Message, now: Timestamp) -> Result<SignedMessage, SignError> {
        let message = match &self.smime {
            Some(smime) => smime.sign(message, now).map_err(|source| SignError::Smime {
                subject: smime.certificate().subject.clone(),
                source,
            })?,
            None => message,
        };
        if self.signatures.is_empty() {
            return Ok(SignedMessage::new(Bytes::new(), message));
        }
        let body_hash = self.shared.hash(&message.body);
        let fields = fields::split(&message.header);
        let mut out = Vec::with_capacity(self.signatures.len() * SIGNATURE_BYTES);
        for prepared in &self.signatures {
            prepared.sign(&fields, &body_hash, now, &mut out)?;
        }
        Ok(SignedMessage::new(out.into(), message))
    }
}

impl Prepared {
    fn new(dkim: &Dkim, key: Key) -> Self {
        let template = Signature {
            v: 1,
            a: key.algorithm(),
            d: dkim.domain.as_str().to_owned(),
            s: dkim.selector.clone(),
            ch: Canonicalization::Relaxed,
            cb: Canonicalization::Relaxed,
            ..Signature::default()
        };
        Self {
            key,
            template,
            fields: fields::to_sign(&dkim.headers),
            expires_after: dkim.expires_after.map_or(0, |span| span.0.as_secs().max(1)),
        }
    }

    fn sign(
        &self,
        fields: &[(&[u8], &[u8])],
        body_hash: &[u8; 32],
        now: Timestamp,
        out: &mut Vec<u8>,
    ) -> Result<(), SignError> {
        let (names, values) = fields::select(&self.fields, fields);
        let seconds = u64::try_from(now.seconds()).unwrap_or(0);
        let mut signature = self.template.clone();
        signature.h = names;
        signature.bh = body_hash.to_vec();
        signature.t = seconds;
        signature.x = if self.expires_after == 0 { 0 } else { seconds + self.expires_after };
        let mut input = Vec::with_capacity(SIGNING_INPUT_BYTES);
        SigningInput { fields: &values, signature: &signature }.write(&mut input);
        signature.b = self.key.sign(&input).map_err(|source| SignError::Dkim {
            domain: self.template.d.clone(),
            selector: self.template.s.clone(),
            source,
        })?;
        signature.write(out, true);
        Ok(())
    }
}

/// What is signed: the chosen fields, then the signature's own field with an empty `b=` (RFC 6376
/// §3.7).
struct SigningInput<'a> {
    fields: &'a [(&'a [u8], &'a [u8])],
    signature: &'a Signature,
}

impl Writable for SigningInput<'_> {
    fn write(self, writer: &mut impl Writer) {
        Canonicalization::Relaxed.canonicalize_headers(self.fields.iter().copied(), writer);
        self.signature.write(writer, false);
    }
}

/// The hash of a body that consecutive messages share: the same segments, not merely equal ones.
///
/// A body is kept once it has been seen twice in a row. As long as it is kept its memory can't
/// become another body's, so equal addresses mean equal bytes.
#[derive(Debug, Default)]
struct SharedBody {
    kept: RwLock<Option<(Vec<Bytes>, [u8; 32])>>,
    last_seen: AtomicUsize,
}

impl SharedBody {
    fn hash(&self, body: &[Bytes]) -> [u8; 32] {
        if let Some((kept, hash)) = &*self.kept.read().expect("no holder of this lock can panic")
            && same_memory(kept, body)
        {
            return *hash;
        }
        let hash = body::hash(body);
        let first = body.first().map_or(0, |segment| segment.as_ptr() as usize);
        if self.last_seen.swap(first, Ordering::Relaxed) == first {
            *self.kept.write().expect("no holder of this lock can panic") = Some((body.to_vec(), hash));
        }
        hash
    }
}

fn same_memory(a: &[Bytes], b: &[Bytes]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.as_ptr() == b.as_ptr() && a.len() == b.len())
}

#[cfg(test)]
mod tests;
