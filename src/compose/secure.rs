//! Documents in an encrypted ZIP, and their passwords.
//!
//! The files are in a ZIP, and that is the only entry of the ZIP that the message carries: so their
//! names are encrypted too. Password and salt follow from the secret, the campaign, the run and the
//! row, so a run that is resumed gives the same ones. The salt also follows from the files: other
//! files never meet the same key stream.
//!
//! With `K = HMAC-SHA256(secret, label ‖ 0 ‖ campaign)`, a password is made of the blocks
//! `HMAC-SHA256(K, run ‖ 0 ‖ row ‖ n)`, n = 0, 1, 2 …: each byte below the largest multiple of the
//! alphabet's length is a character, and the rest are left out, so that all are as likely.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use ring::hmac::{self, HMAC_SHA256};

use super::mime::CommonFile;
use super::{attachment, common};
use crate::campaign::{Campaign, SecureDocuments};
use crate::kit::zip;
use crate::template::TemplateError;

/// The name in templates of the password.
pub(super) const PASSWORD: &str = "password";
/// The name of the ZIP within the ZIP.
const INNER: &str = "files.zip";
/// Characters that nobody confuses: without `0Oo`, `1Iil`, `2Zz`, `5Ss` and `8B`.
const ALPHABET: &[u8] = b"34679ACDEFGHJKLMNPQRTUVWXYabcdefghjkmnpqrtuvwxy";

/// The documents of a campaign, and what makes passwords.
#[derive(Clone)]
pub(super) struct Secure {
    /// The files of every recipient.
    pub common: Arc<[CommonFile]>,
    /// The columns that name a row's own.
    pub columns: Vec<String>,
    file_name: String,
    passwords: Passwords,
}

/// Makes the passwords of a run.
#[derive(Clone)]
pub(super) struct Passwords {
    password: hmac::Key,
    salt: hmac::Key,
    length: usize,
    run_id: String,
}

/// Shows no key.
impl fmt::Debug for Passwords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Passwords").field("run_id", &self.run_id).finish_non_exhaustive()
    }
}

impl Secure {
    /// The documents of `campaign`, where it has some, and the paths of those of every recipient.
    pub(super) fn of(
        campaign: &Campaign,
        run_id: &str,
        secret: &[u8],
    ) -> Result<Option<(Self, Vec<PathBuf>)>, TemplateError> {
        let Some(secure) = &campaign.secure_documents else { return Ok(None) };
        let mut common = Vec::new();
        let mut left = campaign.template.largest.0;
        for path in &secure.attachments {
            let content = common::read(campaign, path, &mut left)?;
            common.push(CommonFile { name: attachment::file_name(path), content, id: None });
        }
        let own = Self {
            common: common.into(),
            columns: secure.attachment_columns.clone(),
            file_name: secure.file_name.clone(),
            passwords: Passwords::new(secure, &campaign.identity.id, run_id, secret),
        };
        Ok(Some((own, secure.attachments.clone())))
    }

    /// The bytes of a row's documents before they are packed, with its own.
    pub(super) fn bytes(&self, own: &[(String, Vec<u8>)]) -> u64 {
        let common = self.common.iter().map(|file| file.content.len());
        common.chain(own.iter().map(|(_, content)| content.len())).sum::<usize>() as u64
    }

    /// The attachment of row `row` with its files `own` and those of every recipient: its name and
    /// its content.
    pub(super) fn seal(&self, row: u32, own: &[(String, Vec<u8>)]) -> (String, Vec<u8>) {
        let common = self.common.iter().map(|file| (file.name.as_str(), file.content.as_slice()));
        let own = own.iter().map(|(name, content)| (name.as_str(), content.as_slice()));
        let mut names = Vec::new();
        let files: Vec<(String, &[u8])> =
            own.chain(common).map(|(name, content)| (unlike(name, &mut names), content)).collect();
        let inner = zip::of_files(files.iter().map(|(name, content)| (name.as_str(), *content)));
        let (password, salt) = (self.passwords.of(row), self.passwords.salt(row, &inner));
        (self.file_name.clone(), zip::encrypted(INNER, inner, &password, salt))
    }
}

impl Passwords {
    /// Those of a campaign's run. The campaign's id is a part of them: runs of two campaigns may
    /// have one id.
    pub(super) fn new(secure: &SecureDocuments, campaign_id: &str, run_id: &str, secret: &[u8]) -> Self {
        let key = |label: &str| {
            let secret = hmac::Key::new(HMAC_SHA256, secret);
            let of = [label, campaign_id].join("\0");
            hmac::Key::new(HMAC_SHA256, hmac::sign(&secret, of.as_bytes()).as_ref())
        };
        Self {
            password: key("mailrun secure documents password"),
            salt: key("mailrun secure documents salt"),
            length: usize::from(secure.password_length),
            run_id: run_id.to_owned(),
        }
    }

    /// The password of row `row` of the run.
    pub(super) fn of(&self, row: u32) -> String {
        self.of_run(&self.run_id, row)
    }

    /// The run that they are of.
    pub(super) fn run_id(&self) -> &str {
        &self.run_id
    }

    /// The password of row `row` of another run.
    pub(super) fn of_run(&self, run_id: &str, row: u32) -> String {
        let fair = 256 / ALPHABET.len() * ALPHABET.len();
        let blocks = (0_u32..).map(|number| {
            let mut message = hmac::Context::with_key(&self.password);
            message.update(run_id.as_bytes());
            message.update(&[0]);
            message.update(&row.to_le_bytes());
            message.update(&number.to_le_bytes());
            message.sign()
        });
        let bytes = blocks.flat_map(|block| block.as_ref().to_vec());
        let fair = bytes.map(usize::from).filter(|byte| *byte < fair);
        fair.map(|byte| char::from(ALPHABET[byte % ALPHABET.len()])).take(self.length).collect()
    }

    /// The salt of row `row` of the run for its files.
    fn salt(&self, row: u32, files: &[u8]) -> [u8; zip::SALT] {
        let mut message = hmac::Context::with_key(&self.salt);
        message.update(self.run_id.as_bytes());
        message.update(&[0]);
        message.update(&row.to_le_bytes());
        message.update(blake3::hash(files).as_bytes());
        *message.sign().as_ref().first_chunk().expect("a tag of SHA-256 is longer")
    }
}

/// What tells secrets apart and does not give them away: a run whose documents were sent with one
/// must not tell passwords of another.
pub(crate) fn mark_of_secret(secret: &[u8]) -> String {
    let key = hmac::Key::new(HMAC_SHA256, secret);
    let mark = hmac::sign(&key, b"mailrun secure documents mark");
    mark.as_ref()[..12].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `name`, or with a number where `names` have it: programs that unpack a ZIP would overwrite the
/// file before.
fn unlike(name: &str, names: &mut Vec<String>) -> String {
    let (stem, extension) = match name.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() => (stem, format!(".{extension}")),
        Some(_) | None => (name, String::new()),
    };
    let numbered = (2..).map(|number: u32| format!("{stem}-{number}{extension}"));
    let mut candidates = std::iter::once(name.to_owned()).chain(numbered);
    let free = candidates.find(|candidate| !names.contains(&candidate.to_lowercase()));
    let free = free.expect("there are more numbers than files");
    names.push(free.to_lowercase());
    free
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn passwords(secret: &[u8], run_id: &str, length: usize) -> Passwords {
        passwords_of("invoices", secret, run_id, length)
    }

    fn passwords_of(campaign_id: &str, secret: &[u8], run_id: &str, length: usize) -> Passwords {
        let secure = SecureDocuments {
            attachments: Vec::new(),
            attachment_columns: Vec::new(),
            file_name: "documents.zip".into(),
            password_length: length as u8,
            secret_env: None,
            secret_file: None,
            subject: crate::campaign::Choice::one(String::new()),
            text: None,
            html: None,
        };
        Passwords::new(&secure, campaign_id, run_id, secret)
    }

    /// Pinned: a run that is resumed with a newer version must give the same password.
    #[test]
    fn a_password_is_the_same_in_every_version_and_another_for_each_row_run_and_secret() {
        let ours = passwords(b"sixteen bytes or more", "spring-4f2a", 16);
        assert_eq!(ours.of(7), PINNED);
        let all: HashSet<String> = (0..10_000).map(|row| ours.of(row)).collect();
        assert_eq!(all.len(), 10_000);
        assert!(all.iter().all(|password| password.bytes().all(|byte| ALPHABET.contains(&byte))));
        assert_ne!(passwords(b"another secret of some", "spring-4f2a", 16).of(7), PINNED);
        assert_ne!(passwords(b"sixteen bytes or more", "spring-4f2b", 16).of(7), PINNED);
        let of_another = passwords_of("payslips", b"sixteen bytes or more", "spring-4f2a", 16);
        assert_ne!(of_another.of(7), PINNED);
        assert_eq!(passwords(b"another secret of some", "x", 32).of(7).len(), 32);
        assert!(!format!("{ours:?}").contains("sixteen"));
    }

    const PINNED: &str = "L9KkRLPbRNVbbfuW";

    #[test]
    fn every_character_is_as_likely() {
        let ours = passwords(b"sixteen bytes or more", "spring-4f2a", 32);
        let mut counts = [0_u32; 256];
        (0..4_700).flat_map(|row| ours.of(row).into_bytes()).for_each(|byte| counts[usize::from(byte)] += 1);
        let of_alphabet = ALPHABET.iter().map(|byte| counts[usize::from(*byte)]);
        // 3,200 each; six standard deviations are 340.
        assert!(
            of_alphabet.clone().all(|count| count.abs_diff(3_200) < 340),
            "{:?}",
            of_alphabet.collect::<Vec<_>>()
        );
    }

    #[test]
    fn no_two_files_in_a_zip_have_one_name() {
        let mut names = Vec::new();
        let named = ["a.pdf", "A.PDF", "a.pdf", ".x", ".x", "b"].map(|name| unlike(name, &mut names));
        assert_eq!(named, ["a.pdf", "A-2.PDF", "a-3.pdf", ".x", ".x-2", "b"]);
    }
}
