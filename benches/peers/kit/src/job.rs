//! The job file: what scripts/compare gives every peer. Paths are absolute.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::Deserialize;

#[derive(Deserialize)]
pub struct Job {
    /// The port of the receiver on 127.0.0.1.
    pub port: u16,
    pub connections: usize,
    /// The CSV file with the recipients; its columns are the templates' names.
    pub list: PathBuf,
    pub from_name: String,
    pub from: String,
    pub return_path: String,
    /// Handlebars templates: the subject itself, and the files of the two parts.
    pub subject: String,
    pub text: PathBuf,
    pub html: PathBuf,
    pub attachment: Option<PathBuf>,
    /// The RSA key (PKCS#8, PEM) to sign with; without it nothing is signed.
    pub key: Option<PathBuf>,
    pub domain: String,
    pub selector: String,
}

/// A file that every message carries.
pub struct Attachment {
    pub name: String,
    pub contents: Vec<u8>,
}

impl Job {
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let text = fs::read(path).with_context(|| format!("reading `{}`", path.display()))?;
        serde_json::from_slice(&text).with_context(|| format!("in `{}`", path.display()))
    }

    pub fn attachment(&self) -> anyhow::Result<Option<Attachment>> {
        let Some(path) = &self.attachment else { return Ok(None) };
        let contents = fs::read(path).with_context(|| format!("reading `{}`", path.display()))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Some(Attachment { name, contents }))
    }
}
