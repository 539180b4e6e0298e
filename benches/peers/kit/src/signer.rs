//! mail-auth's DKIM signature, put before the message.

use std::fs;

use anyhow::{Context, anyhow};
use mail_auth::common::crypto::{RsaKey, Sha256};
use mail_auth::common::headers::HeaderWriter;
use mail_auth::dkim::{DkimSigner, Done};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;

use crate::Job;

/// The fields that are signed, where the message has them.
const SIGNED: [&str; 8] =
    ["From", "To", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type", "Reply-To"];

/// Room for the DKIM-Signature field of a 2,048-bit key.
const FIELD: usize = 768;

pub struct Signer(Option<DkimSigner<RsaKey<Sha256>, Done>>);

impl Signer {
    pub fn load(job: &Job) -> anyhow::Result<Self> {
        let Some(path) = &job.key else { return Ok(Self(None)) };
        let pem = fs::read(path).with_context(|| format!("reading `{}`", path.display()))?;
        let der =
            PrivateKeyDer::from_pem_slice(&pem).map_err(|error| anyhow!("`{}`: {error}", path.display()))?;
        let key =
            RsaKey::<Sha256>::from_key_der(der).map_err(|error| anyhow!("`{}`: {error}", path.display()))?;
        let signer = DkimSigner::from_key(key).domain(&job.domain).selector(&job.selector).headers(SIGNED);
        Ok(Self(Some(signer)))
    }

    /// The message with its signature before it; as it is where nothing is signed.
    pub fn sign(&self, message: Vec<u8>) -> anyhow::Result<Vec<u8>> {
        let Some(signer) = &self.0 else { return Ok(message) };
        let signature = signer.sign(&message).map_err(|error| anyhow!("signing: {error}"))?;
        let mut signed = Vec::with_capacity(message.len() + FIELD);
        signature.write_header(&mut signed);
        signed.extend_from_slice(&message);
        Ok(signed)
    }
}
