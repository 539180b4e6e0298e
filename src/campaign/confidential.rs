//! The files of a campaign that no message may carry because a row names them.

use std::path::Path;

use super::{Campaign, Relay};

impl Campaign {
    /// The files that the campaign file names as keys and secrets, and itself; each with what it
    /// is.
    pub fn confidential(&self) -> Vec<(&'static str, &Path)> {
        let mut files = vec![("the campaign file", self.path.as_path())];
        files.extend(self.dkim.iter().map(|dkim| ("a DKIM key", dkim.key.as_path())));
        for relay in self.delivery.relay.iter().chain(&self.relay) {
            files.extend(of_relay(relay));
        }
        let secret = self.unsubscribe.as_ref().and_then(|unsubscribe| unsubscribe.secret_file.as_deref());
        files.extend(secret.map(|path| ("the secret of the unsubscribe tokens", path)));
        let secret = self.secure_documents.as_ref().and_then(|secure| secure.secret_file.as_deref());
        files.extend(secret.map(|path| ("the secret of the documents' passwords", path)));
        for smime in &self.smime.0 {
            files.push(("the S/MIME certificate", &smime.certificate));
            files.extend(smime.key.as_deref().map(|path| ("the S/MIME key", path)));
            files.extend(smime.password_file.as_deref().map(|path| ("the password of the S/MIME key", path)));
        }
        files.extend(self.sender.registry.as_deref().map(|path| ("the registry of senders", path)));
        files
    }
}

fn of_relay(relay: &Relay) -> impl Iterator<Item = (&'static str, &Path)> {
    let files = [
        ("the password of a relay", &relay.password_file),
        ("a client key", &relay.client_key),
        // One PEM file often holds both.
        ("a client certificate", &relay.client_cert),
    ];
    files.into_iter().filter_map(|(what, path)| Some((what, path.as_deref()?)))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::campaign::Campaign;
    use crate::campaign::testing::SMALLEST;

    #[test]
    fn keys_certificates_and_passwords_of_smime_are_confidential() {
        let smime = "[[smime]]\ncertificate = \"c.p12\"\npassword-file = \"p\"\nuse-until = \"2026-01-01\"\n\
                     [[smime]]\ncertificate = \"d.pem\"\nkey = \"k.pem\"\nuse-from = \"2026-01-01\"\n";
        let campaign = Campaign::parse(&format!("{SMALLEST}{smime}"), Path::new("/c/campaign.toml")).unwrap();
        let files = campaign.confidential();
        for name in ["c.p12", "p", "d.pem", "k.pem"] {
            let is_there = files.iter().any(|(_, path)| path.ends_with(name));
            assert!(is_there, "{name}: {files:?}");
        }
    }
}
