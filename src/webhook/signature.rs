//! Secrets and signatures as Standard Webhooks 1.0 has them: symmetric, `v1`.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;

/// How a secret begins.
const PREFIX: &str = "whsec_";
/// The fewest and the most bytes of a secret.
const BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// A secret can't be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SecretError {
    /// Its file can't be read.
    #[error("can't read the secret of a webhook")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file holds something else.
    #[error("the file holds no secret of a webhook")]
    Wrong(PathBuf),
}

impl SecretError {
    /// The file.
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Read { path, .. } | Self::Wrong(path) => path,
        }
    }
}

/// What requests of a webhook are signed with.
#[derive(Clone)]
pub(crate) struct Keys(Vec<hmac::Key>);

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys")
    }
}

impl Keys {
    /// Reads the secrets of a webhook from their files, the newest first.
    pub(crate) fn read(files: &[PathBuf]) -> Result<Self, SecretError> {
        let read = |path: &PathBuf| {
            let text = fs::read_to_string(path)
                .map_err(|source| SecretError::Read { path: path.clone(), source })?;
            key(&text).ok_or_else(|| SecretError::Wrong(path.clone()))
        };
        Ok(Self(files.iter().map(read).collect::<Result<_, _>>()?))
    }

    /// The value of `webhook-signature`: a signature for each secret.
    pub(super) fn sign(&self, id: &str, seconds: i64, body: &[u8]) -> String {
        let signature = |key: &hmac::Key| {
            let mut signed = hmac::Context::with_key(key);
            signed.update(format!("{id}.{seconds}.").as_bytes());
            signed.update(body);
            format!("v1,{}", STANDARD.encode(signed.sign()))
        };
        self.0.iter().map(signature).collect::<Vec<_>>().join(" ")
    }
}

fn key(text: &str) -> Option<hmac::Key> {
    let secret = STANDARD.decode(text.trim().strip_prefix(PREFIX)?).ok()?;
    BYTES.contains(&secret.len()).then(|| hmac::Key::new(hmac::HMAC_SHA256, &secret))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the reference libraries.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n";

    #[test]
    fn a_signature_is_that_of_the_reference_libraries() {
        let keys = Keys(vec![key(SECRET).unwrap()]);
        let body = br#"{"test": 2432232314}"#;
        let signed = keys.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        let two = Keys(vec![key(SECRET).unwrap(), key(SECRET).unwrap()]);
        let both = two.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body);
        assert_eq!(both, format!("{signed} {signed}"));
        assert_eq!(format!("{two:?}"), "Keys");
    }

    #[test]
    fn other_texts_are_no_secrets() {
        for wrong in ["", "whsec_", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_c2hvcnQ=", "whsec_*"] {
            assert!(key(wrong).is_none(), "{wrong}");
        }
    }
}
