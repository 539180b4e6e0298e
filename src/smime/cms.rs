//! CMS SignedData without its content (RFC 5652 §5), as DER. All but hash, time and signature is
//! the same for all messages, and is made once.
//!
//! The attributes are those of RFC 8551 §2.5 that a sender of campaigns means: content type,
//! signing time, message digest, and the certificate (RFC 5035), so that no other certificate of
//! the key can take its place. SMIMECapabilities would invite encrypted replies, which nobody here
//! could read.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::error::Unspecified;
use chrono::Datelike;

use super::certificate::Certificate;
use super::key::Algorithm;
use crate::kit::der::{INTEGER, OBJECT_IDENTIFIER, OCTET_STRING, SEQUENCE, wrap};
use crate::mail::Timestamp;

const SET: u8 = 0x31;
/// `[0]`, constructed.
const CONTEXT_0: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// `1.2.840.113549.1.7.1`, id-data.
const DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01];
/// `1.2.840.113549.1.7.2`, id-signedData.
const SIGNED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];
/// `1.2.840.113549.1.9.3`, id-contentType.
const CONTENT_TYPE: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x03];
/// `1.2.840.113549.1.9.4`, id-messageDigest.
const MESSAGE_DIGEST: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x04];
/// `1.2.840.113549.1.9.5`, id-signingTime.
const SIGNING_TIME: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x05];
/// `1.2.840.113549.1.9.16.2.47`, id-aa-signingCertificateV2.
const SIGNING_CERTIFICATE_V2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x02, 0x2f];
/// SHA-256 without parameters (RFC 5754 §2).
const SHA_256: &[u8] = &[0x30, 0x0b, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01];

/// What all signatures of a certificate have in common.
pub(super) struct SignedData {
    /// From the version to the certificates.
    head: Vec<u8>,
    /// Version, signer and hash algorithm of the SignerInfo.
    signer: Vec<u8>,
    /// The algorithm of the signature.
    algorithm: &'static [u8],
    content_type: Vec<u8>,
    signing_certificate: Vec<u8>,
}

/// It is long, and is DER.
impl fmt::Debug for SignedData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedData").finish_non_exhaustive()
    }
}

impl SignedData {
    /// `certificates` begin with the one that signs.
    pub(super) fn new(certificates: &[Certificate], algorithm: Algorithm) -> Self {
        let own = &certificates[0];
        let mut sorted: Vec<&[u8]> = certificates.iter().map(|certificate| &certificate.der[..]).collect();
        // X.690 §11.6: the elements of a SET are in the order of their DER.
        sorted.sort_unstable();
        let head = [
            wrap(INTEGER, &[1]),
            wrap(SET, SHA_256),
            wrap(SEQUENCE, &wrap(OBJECT_IDENTIFIER, DATA)),
            wrap(CONTEXT_0, &sorted.concat()),
        ]
        .concat();
        let signer = [
            wrap(INTEGER, &[1]),
            wrap(SEQUENCE, &[&own.issuer_der[..], &wrap(INTEGER, &own.serial)].concat()),
            SHA_256.to_vec(),
        ]
        .concat();
        // RFC 5035 §4: SEQUENCE of ESSCertIDv2, whose hash is SHA-256 by default.
        let id = wrap(SEQUENCE, &wrap(OCTET_STRING, digest(&SHA256, &own.der).as_ref()));
        let signing_certificate = wrap(SEQUENCE, &wrap(SEQUENCE, &id));
        Self {
            head,
            signer,
            algorithm: algorithm.identifier(),
            content_type: attribute(CONTENT_TYPE, &wrap(OBJECT_IDENTIFIER, DATA)),
            signing_certificate: attribute(SIGNING_CERTIFICATE_V2, &signing_certificate),
        }
    }

    /// The ContentInfo with a SignedData over the content with this hash.
    pub(super) fn sign(
        &self,
        content_hash: &[u8],
        now: Timestamp,
        sign: impl FnOnce(&[u8]) -> Result<Vec<u8>, Unspecified>,
    ) -> Result<Vec<u8>, Unspecified> {
        let time = attribute(SIGNING_TIME, &signing_time(now));
        let hash = attribute(MESSAGE_DIGEST, &wrap(OCTET_STRING, content_hash));
        let mut attributes = [&self.content_type[..], &time, &hash, &self.signing_certificate];
        attributes.sort_unstable();
        let attributes = attributes.concat();
        // RFC 5652 §5.4: signed as a SET, written as `[0]`.
        let signature = sign(&wrap(SET, &attributes))?;
        let signer = wrap(
            SEQUENCE,
            &[
                &self.signer[..],
                &wrap(CONTEXT_0, &attributes),
                self.algorithm,
                &wrap(OCTET_STRING, &signature),
            ]
            .concat(),
        );
        let signed_data = wrap(SEQUENCE, &[&self.head[..], &wrap(SET, &signer)].concat());
        let content = wrap(CONTEXT_0, &signed_data);
        Ok(wrap(SEQUENCE, &[&wrap(OBJECT_IDENTIFIER, SIGNED_DATA)[..], &content].concat()))
    }
}

/// An attribute with one value.
fn attribute(oid: &[u8], value: &[u8]) -> Vec<u8> {
    wrap(SEQUENCE, &[wrap(OBJECT_IDENTIFIER, oid), wrap(SET, value)].concat())
}

/// RFC 5652 §11.3: UTCTime until 2049, GeneralizedTime from then on.
fn signing_time(now: Timestamp) -> Vec<u8> {
    let now = now.to_utc();
    match now.year() {
        1950..=2049 => wrap(UTC_TIME, now.format("%y%m%d%H%M%SZ").to_string().as_bytes()),
        _ => wrap(GENERALIZED_TIME, now.format("%Y%m%d%H%M%SZ").to_string().as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_their_year_asks() {
        let at =
            |text: &str| Timestamp(text.parse::<chrono::DateTime<chrono::Utc>>().unwrap().timestamp_micros());
        assert_eq!(signing_time(at("2049-12-31T23:59:59Z")), b"\x17\x0d491231235959Z");
        assert_eq!(signing_time(at("2050-01-01T00:00:00Z")), b"\x18\x0f20500101000000Z");
    }
}
