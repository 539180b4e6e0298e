//! Certificates and how they follow one another (RFC 5280, RFC 8550).

use std::fmt;

use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::oid_registry::OID_PKCS9_EMAIL_ADDRESS;
use x509_parser::parse_x509_certificate;
use x509_parser::prelude::X509Certificate;

use super::key::Key;
use crate::mail::Timestamp;

/// A certificate, as far as it matters for mail.
#[derive(Clone)]
pub struct Certificate {
    pub(super) der: Vec<u8>,
    /// Its issuer's name, as DER.
    pub(super) issuer_der: Vec<u8>,
    /// Its own name, as DER.
    subject_der: Vec<u8>,
    /// The digits of its serial number.
    pub(super) serial: Vec<u8>,
    /// What its SubjectPublicKeyInfo holds.
    public_key: Vec<u8>,
    /// Its own name, for people.
    pub subject: String,
    /// The name of its issuer, for people.
    pub issuer: String,
    /// The addresses it speaks for, as they are written there.
    pub addresses: Vec<String>,
    /// It is valid from this moment.
    pub not_before: Timestamp,
    /// It is valid until this moment.
    pub not_after: Timestamp,
    /// It belongs to an authority.
    pub is_authority: bool,
    /// Its key usage allows signatures, or does not say (RFC 8550 §4.4.2).
    pub may_sign: bool,
    /// Its extended key usage allows mail, or does not say (RFC 8550 §4.4.4).
    pub is_for_mail: bool,
}

/// Names it; the rest is DER.
impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate({})", self.subject)
    }
}

/// What a chain ends with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChainEnd {
    /// The certificate of this authority, which is not in the files: a root that verifiers know, or
    /// an intermediate certificate that they lack.
    Issuer(String),
    /// A root, which was in the files and is not sent.
    Root(String),
    /// The certificate itself: nobody else vouches for it.
    SelfSigned,
    /// A certificate with the name of this issuer, whose key made another signature.
    Forged(String),
}

impl Certificate {
    /// Reads DER. The error says what is wrong, as a fragment.
    pub(super) fn read(der: &[u8]) -> Result<Self, String> {
        let (rest, parsed) =
            parse_x509_certificate(der).map_err(|error| format!("a damaged certificate ({error})"))?;
        let micros = |seconds: i64| Timestamp(seconds.saturating_mul(1_000_000));
        let usage = parsed.key_usage().map_err(|error| format!("a damaged certificate ({error})"))?;
        let extended =
            parsed.extended_key_usage().map_err(|error| format!("a damaged certificate ({error})"))?;
        Ok(Self {
            der: der[..der.len() - rest.len()].to_vec(),
            issuer_der: parsed.issuer().as_raw().to_vec(),
            subject_der: parsed.subject().as_raw().to_vec(),
            serial: parsed.raw_serial().to_vec(),
            public_key: parsed.public_key().subject_public_key.data.to_vec(),
            subject: parsed.subject().to_string(),
            issuer: parsed.issuer().to_string(),
            addresses: addresses(&parsed),
            not_before: micros(parsed.validity().not_before.timestamp()),
            not_after: micros(parsed.validity().not_after.timestamp()),
            is_authority: parsed.is_ca(),
            may_sign: usage
                .is_none_or(|usage| usage.value.digital_signature() || usage.value.non_repudiation()),
            is_for_mail: extended.is_none_or(|usage| usage.value.email_protection || usage.value.any),
        })
    }

    /// Whether it is valid at this moment.
    pub fn is_valid_at(&self, now: Timestamp) -> bool {
        self.not_before <= now && now <= self.not_after
    }

    /// As it was read.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    fn names_itself(&self) -> bool {
        self.issuer_der == self.subject_der
    }

    /// Whether `issuer` signed it.
    fn is_signed_by(&self, issuer: &Self) -> bool {
        let (Ok((_, own)), Ok((_, issuer))) =
            (parse_x509_certificate(&self.der), parse_x509_certificate(&issuer.der))
        else {
            return false;
        };
        own.verify_signature(Some(issuer.public_key())).is_ok()
    }
}

/// The addresses of a certificate (RFC 8550 §3): subjectAltName, and the older field of the name.
fn addresses(certificate: &X509Certificate<'_>) -> Vec<String> {
    let mut found = Vec::new();
    for extension in certificate.extensions() {
        if let ParsedExtension::SubjectAlternativeName(names) = extension.parsed_extension() {
            found.extend(names.general_names.iter().filter_map(|name| match name {
                GeneralName::RFC822Name(address) => Some((*address).to_owned()),
                _ => None,
            }));
        }
    }
    let in_name = certificate.subject().iter_by_oid(&OID_PKCS9_EMAIL_ADDRESS);
    found.extend(in_name.filter_map(|attribute| Some(attribute.as_str().ok()?.to_owned())));
    found
}

/// The certificate of a key, and those between it and its root.
#[derive(Debug)]
pub(super) struct Chain {
    /// The own one first.
    sent: Vec<Certificate>,
    end: ChainEnd,
    strays: usize,
}

impl Chain {
    /// Finds the certificate of `key` among `certificates`, which have no order, and those that
    /// lead from it to its root. `None` where none is the key's.
    pub(super) fn new(key: &Key, mut certificates: Vec<Certificate>) -> Option<Self> {
        let own = certificates.iter().position(|certificate| certificate.public_key == key.public())?;
        let mut sent = vec![certificates.swap_remove(own)];
        let end = loop {
            let last = sent.last().expect("it begins with the own certificate");
            if last.names_itself() {
                break ChainEnd::SelfSigned;
            }
            let named = |other: &Certificate| other.subject_der == last.issuer_der;
            let signed = certificates.iter().position(|other| named(other) && last.is_signed_by(other));
            match signed {
                Some(at) if certificates[at].names_itself() => {
                    let root = certificates.swap_remove(at);
                    break ChainEnd::Root(root.subject);
                }
                Some(at) => sent.push(certificates.swap_remove(at)),
                None if certificates.iter().any(named) => break ChainEnd::Forged(last.issuer.clone()),
                None => break ChainEnd::Issuer(last.issuer.clone()),
            }
        };
        Some(Self { sent, end, strays: certificates.len() })
    }

    pub(super) fn sent(&self) -> &[Certificate] {
        &self.sent
    }

    pub(super) fn own(&self) -> &Certificate {
        &self.sent[0]
    }

    pub(super) fn intermediates(&self) -> &[Certificate] {
        &self.sent[1..]
    }

    pub(super) fn end(&self) -> &ChainEnd {
        &self.end
    }

    pub(super) fn strays(&self) -> usize {
        self.strays
    }
}
