//! Secrets: of the tokens in links and return paths, and of the relays. They come from the
//! environment or from files.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use ring::rand::{SecureRandom, SystemRandom};

use super::error::{JobError, SecretError};
use super::workspace::Workspace;
use crate::campaign::{Relay, SecureDocuments, Smime, Unsubscribe};
use crate::feedback::mailbox::Mailbox;
use crate::kit::file;
use crate::smtp::Password;

/// The file of the tokens' secret in the state directory.
const TOKEN_KEY: &str = "token.key";
/// Its length.
const TOKEN_KEY_BYTES: usize = 32;
/// The least bytes of the secret that documents' passwords are made from.
const LEAST_DOCUMENT_SECRET: usize = 16;

/// The secret of unsubscribe tokens and return paths: as the campaign names it, or one in the state
/// directory.
pub(super) fn token_secret(
    workspace: &Workspace,
    unsubscribe: Option<&Unsubscribe>,
) -> Result<Vec<u8>, JobError> {
    if let Some(name) = unsubscribe.and_then(|unsubscribe| unsubscribe.secret_env.as_ref()) {
        let secret = std::env::var(name).unwrap_or_default();
        if secret.is_empty() {
            let hint = "it holds the secret of the unsubscribe tokens";
            return Err(SecretError::NotSet { name: name.clone(), hint }.into());
        }
        return Ok(secret.into_bytes());
    }
    if let Some(path) = unsubscribe.and_then(|unsubscribe| unsubscribe.secret_file.as_ref()) {
        let what = "the secret of the unsubscribe tokens";
        let read = fs::read(path);
        return Ok(read.map_err(|source| SecretError::Read { what, path: path.clone(), source })?);
    }
    let path = workspace.state_dir()?.join(TOKEN_KEY);
    Ok(own_secret(&path).map_err(|source| SecretError::Own { path, source })?)
}

/// The secret of the passwords of secure documents; empty without such documents. There is none by
/// default: documents that are kept for years must be opened with passwords that can be made again.
pub(super) fn document_secret(secure: Option<&SecureDocuments>) -> Result<Vec<u8>, SecretError> {
    let Some(secure) = secure else { return Ok(Vec::new()) };
    let hint = "it holds the secret of the documents' passwords";
    let named = (&secure.secret_env, &secure.secret_file);
    let secret = secret(named, hint, "the secret of the documents' passwords")?.into_bytes();
    if secret.len() < LEAST_DOCUMENT_SECRET {
        return Err(SecretError::TooShort {
            what: "the secret of the documents' passwords",
            bytes: secret.len(),
            least: LEAST_DOCUMENT_SECRET,
        });
    }
    Ok(secret)
}

/// The secret in the file at `path`, created if it does not exist: readable only by its owner,
/// complete or absent.
fn own_secret(path: &Path) -> io::Result<Vec<u8>> {
    match fs::read(path) {
        Ok(secret) if secret.len() == TOKEN_KEY_BYTES => return Ok(secret),
        Ok(_) => return Err(io::Error::other("the file is not a secret that mailrun created")),
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Err(_) => {}
    }
    let mut secret = vec![0; TOKEN_KEY_BYTES];
    SystemRandom::new()
        .fill(&mut secret)
        .map_err(|_| io::Error::other("the system provides no random bytes"))?;
    match file::create_new(path, &secret, file::PRIVATE) {
        Ok(()) => Ok(secret),
        // Another process was first: its secret counts.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => fs::read(path),
        Err(error) => Err(error),
    }
}

/// The password of a certificate's file or key, where it has one.
pub(super) fn smime_password(smime: &Smime) -> Result<Option<String>, SecretError> {
    let hint =
        "it holds the password of the S/MIME key; set it in the environment in which cron starts mailrun";
    let named = (&smime.password_env, &smime.password_file);
    if named == (&None, &None) {
        return Ok(None);
    }
    secret(named, hint, "the password of the S/MIME key").map(Some)
}

/// The password of a relay that has a user name.
pub(super) fn relay_password(relay: &Relay) -> Result<Password, SecretError> {
    let hint = "it holds the relay's password; set it in the environment in which cron starts mailrun";
    let named = (&relay.password_env, &relay.password_file);
    Ok(Password::new(secret(named, hint, "the relay's password")?))
}

/// The password of a mailbox.
pub(super) fn mailbox_password(mailbox: &Mailbox) -> Result<Password, SecretError> {
    let hint = "it holds the mailbox's password; set it in the environment in which mailrun is started";
    let named = (&mailbox.password_env, &mailbox.password_file);
    Ok(Password::new(secret(named, hint, "the mailbox's password")?))
}

/// The secret in a variable or a file, without its line end: settings with neither are refused.
fn secret(
    (env, file): (&Option<String>, &Option<PathBuf>),
    hint: &'static str,
    what: &'static str,
) -> Result<String, SecretError> {
    let secret = match (env, file) {
        (Some(name), _) => {
            std::env::var(name).map_err(|_| SecretError::NotSet { name: name.clone(), hint })?
        }
        (None, Some(path)) => fs::read_to_string(path).map_err(|source| SecretError::Read {
            what,
            path: path.clone(),
            source,
        })?,
        (None, None) => unreachable!("a user without a password is refused"),
    };
    Ok(secret.trim_end_matches(['\r', '\n']).to_owned())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_secret_of_the_tokens_is_created_once_for_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(TOKEN_KEY);
        let secret = own_secret(&path).unwrap();
        assert_eq!(secret.len(), TOKEN_KEY_BYTES);
        assert_eq!(own_secret(&path).unwrap(), secret);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn another_file_in_its_place_is_refused_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(TOKEN_KEY);
        fs::write(&path, "short").unwrap();
        assert!(own_secret(&path).unwrap_err().to_string().contains("not a secret"));
        assert_eq!(fs::read(&path).unwrap(), b"short");
    }
}
