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
