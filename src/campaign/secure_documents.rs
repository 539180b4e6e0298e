//! `[secure-documents]`: files that each recipient gets in an encrypted ZIP, and whose password
//! follows in a second mail.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Campaign;
use super::choice::Choice;
use super::error::Mistake;

/// The lengths of passwords, in characters.
const LENGTHS: RangeInclusive<u8> = 8..=32;

/// `[secure-documents]`. With it, no message leaves without its ZIP, and the password of a ZIP
/// leaves only after the message with the ZIP was accepted.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SecureDocuments {
    /// Files for every recipient.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<PathBuf>,
    /// Columns with the path of a file for this row, in the template's `attachment-folder`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachment_columns: Vec<String>,
    /// The name of the ZIP in the message.
    #[serde(default = "default_file_name")]
    pub file_name: String,
    /// The characters of a password.
    #[serde(default = "default_password_length")]
    pub password_length: u8,
    /// The environment variable with the secret that passwords are made from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_env: Option<String>,
    /// The file with that secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_file: Option<PathBuf>,
    /// The subject of the mail with the password, a template.
    pub subject: Choice<String>,
    /// The file with its text template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<Choice<PathBuf>>,
    /// The file with its HTML template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub html: Option<Choice<PathBuf>>,
}

fn default_file_name() -> String {
    "documents.zip".to_owned()
}

fn default_password_length() -> u8 {
    16
}

impl SecureDocuments {
    /// The templates of the mail with the password.
    pub(crate) fn templates(&self) -> impl Iterator<Item = &PathBuf> {
        self.text.iter().chain(&self.html).flat_map(Choice::all)
    }

    pub(super) fn resolve_paths(&mut self, folder: &Path) {
        for path in self.attachments.iter_mut().chain(&mut self.secret_file) {
            *path = folder.join(&*path);
        }
        for choice in self.text.iter_mut().chain(&mut self.html) {
            choice.map(|path| folder.join(path));
        }
    }

    /// Changes the paths of what is in messages with `content`, and that of the secret with
    /// `other`.
    pub(super) fn map_content_paths(
        &mut self,
        content: &dyn Fn(&Path) -> PathBuf,
        other: &dyn Fn(&Path) -> PathBuf,
    ) {
        self.attachments.iter_mut().for_each(|path| *path = content(path));
        for choice in self.text.iter_mut().chain(&mut self.html) {
            choice.map(|path| content(path));
        }
        self.secret_file.iter_mut().for_each(|path| *path = other(path));
    }

    fn check(&self, campaign: &Campaign) -> Result<(), Mistake> {
        let template = &campaign.template;
        let mistake = |key, problem: &str, hint| Err(Mistake::new(key, problem, hint));
        if self.attachments.is_empty() && self.attachment_columns.is_empty() {
            return mistake(
                "secure-documents.subject",
                "there are no documents",
                "name files in `attachments`, or columns in `attachment-columns`",
            );
        }
        if self.text.is_none() && self.html.is_none() {
            return mistake(
                "secure-documents.subject",
                "the mail with the password has neither `text` nor `html`",
                "name at least one template file that prints `{{password}}`",
            );
        }
        if self.secret_env.is_some() == self.secret_file.is_some() {
            return mistake(
                "secure-documents.subject",
                "passwords need one secret",
                "set one of `secret-env` and `secret-file`: at least 16 random bytes, kept for as long as runs are resumed",
            );
        }
        if !LENGTHS.contains(&self.password_length) {
            let problem = format!("passwords can't have {} characters", self.password_length);
            let hint = "use 8 to 32 characters";
            return Err(Mistake::new("secure-documents.password-length", problem, hint));
        }
        let is_name = |c: char| !c.is_control() && !"/\\\":".contains(c);
        if !self.file_name.to_ascii_lowercase().ends_with(".zip") || !self.file_name.chars().all(is_name) {
            let problem = format!("`{}` can't be the name of the ZIP", self.file_name);
            return Err(Mistake::new("secure-documents.file-name", problem, "such as \"documents.zip\""));
        }
        if template.attachment_folder.is_none()
            && let Some(column) = self.attachment_columns.first()
        {
            let problem = format!(
                "column `{column}` names files, but `attachment-folder` does not say where they may come from"
            );
            let hint = "set `attachment-folder` in `[template]`: a folder with nothing but such files";
            return Err(Mistake::new("secure-documents.attachment-columns", problem, hint));
        }
        let in_clear = |column: &&String| template.attachment_columns.contains(column);
        if let Some(column) = self.attachment_columns.iter().find(in_clear) {
            let problem = format!("the files of column `{column}` would go out in clear too");
            let hint = "leave the column out of `attachment-columns` in `[template]`";
            return Err(Mistake::new("secure-documents.attachment-columns", problem, hint));
        }
        if let Some(path) = self.attachments.iter().find(|path| template.attachments.contains(path)) {
            let problem = format!("`{}` would go out in clear too", path.display());
            let hint = "leave the file out of `attachments` in `[template]`";
            return Err(Mistake::new("secure-documents.attachments", problem, hint));
        }
        if !template.personalised {
            return mistake(
                "template.personalised",
                "each recipient of secure documents has a password of their own, but with `personalised = false` all get one text",
                "set `personalised = true`, or leave `[secure-documents]` out",
            );
        }
        if campaign.scanner.is_empty() {
            return mistake(
                "secure-documents.subject",
                "no scanner after this one can look into encrypted documents, and the campaign has none",
                "add a `[[scanner]]`: documents are scanned before they are encrypted",
            );
        }
        Ok(())
    }
}

impl Campaign {
    /// The campaign as the mail with the password sees it: its own letter, and no files.
    pub(crate) fn of_passwords(&self) -> Option<Self> {
        let secure = self.secure_documents.as_ref()?;
        let mut own = self.clone();
        let template = &mut own.template;
        template.subject = secure.subject.clone();
        template.text.clone_from(&secure.text);
        template.html.clone_from(&secure.html);
        template.attachments.clear();
        template.attachment_columns.clear();
        template.inline.clear();
        own.variants.0.clear();
        own.secure_documents = None;
        own.tracking = None;
        Some(own)
    }

    pub(super) fn check_secure_documents(&self) -> Result<(), Mistake> {
        let (Some(secure), Some(passwords)) = (&self.secure_documents, self.of_passwords()) else {
            return Ok(());
        };
        secure.check(self)?;
        passwords.check_letters()
    }
}
