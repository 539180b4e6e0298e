//! Approval: one hash over everything that reaches a recipient, the same on every machine.
//!
//! It covers the rows that pass screening, their messages, and how they are signed. It does not
//! cover paths, times, rates, relays, this machine's name or its suppression list: an address that
//! is suppressed after the approval gets nothing, and the rest is sent. Nor does it cover `Date`,
//! `Message-ID` and the recipients' tokens, which differ from run to run.

use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::list::DryRun;
use crate::campaign::{Campaign, Dkim};
use crate::dkim::Signer;
use crate::kit::file::{self, PRIVATE};
use crate::run_dir::{Content, Input, recipients_part};

/// The format of the manifest, and of what is hashed.
const FORMAT: u32 = 1;

/// The manifest of what was approved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Approval {
    /// The format of this manifest.
    pub format: u32,
    /// The hash over all other fields, for `send --approved`: 64 hexadecimal digits.
    pub hash: String,
    /// What reaches a recipient.
    #[serde(flatten)]
    pub content: Approved,
}

/// What reaches a recipient.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Approved {
    /// The campaign's settings that affect what recipients get.
    pub campaign: Value,
    /// The signatures: domain, selector, public key, expiry and additional header fields.
    pub signatures: Vec<Value>,
    /// The limit, if `--limit` was given.
    pub limit: Option<u64>,
    /// The BLAKE3 hashes of the target group's files, in their order.
    pub list: Vec<String>,
    /// Role, name and BLAKE3 hash of templates, partials, attachments and images, sorted.
    pub contents: Vec<(String, String, String)>,
    /// Rows that pass screening, regardless of the suppression list.
    pub rows: u64,
    /// Rows that can't be rendered.
    pub without_message: u64,
    /// The BLAKE3 hash over all rendered messages with their recipients, in the order of the list.
    pub messages: String,
}

/// Why the manifest of an approval can't be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApprovalError {
    /// The file can't be read or written.
    #[error("can't {what} the manifest of the approval")]
    Io {
        /// `read` or `write`.
        what: &'static str,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The content is not a manifest.
    #[error("the file is not a manifest of an approval")]
    Form(#[source] serde_json::Error),
}

impl Approval {
    /// The approval of a campaign after a dry run of its whole list. `signer` has the keys of
    /// `signatures`, in the same order.
    pub(crate) fn new(
        campaign: &Campaign,
        signatures: &[Dkim],
        signer: &Signer,
        inputs: &[Input],
        contents: &[Content],
        limit: Option<u64>,
        dry_run: &DryRun,
    ) -> Self {
        let signatures = std::iter::zip(signatures, signer.keys()).map(|(dkim, key)| {
            json!({
                "domain": dkim.domain.as_str(), "selector": dkim.selector, "key": key.public_key_record(),
                "expires-after": dkim.expires_after, "headers": dkim.headers,
            })
        });
        let smime = signer
            .smime()
            .map(|smime| json!({ "smime": blake3::hash(smime.certificate().der()).to_hex().as_str() }));
        let mut contents: Vec<_> =
            contents.iter().map(|c| (c.role.clone(), c.name.clone(), c.hash.clone())).collect();
        contents.sort();
        let content = Approved {
            campaign: recipients_part(campaign),
            signatures: signatures.chain(smime).collect(),
            limit,
            list: inputs.iter().map(|input| input.hash.clone()).collect(),
            contents,
            rows: dry_run.rows(),
            without_message: dry_run.failed(),
            messages: dry_run.hash.to_hex().to_string(),
        };
        Self { format: FORMAT, hash: content.hash(), content }
    }

    /// Reads the manifest at `path`.
    pub(crate) fn read(path: &Path) -> Result<Self, ApprovalError> {
        let text = fs::read(path).map_err(|source| ApprovalError::Io { what: "read", source })?;
        serde_json::from_slice(&text).map_err(ApprovalError::Form)
    }

    /// Writes the manifest to `path`, whole or not at all.
    pub(crate) fn write(&self, path: &Path) -> Result<(), ApprovalError> {
        let error = |source| ApprovalError::Io { what: "write", source };
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        file::create_private_folders(folder).map_err(error)?;
        let text = serde_json::to_vec_pretty(self).map_err(ApprovalError::Form)?;
        file::replace(path, &text, PRIVATE).map_err(error)
    }
}

impl Approved {
    fn hash(&self) -> String {
        let text = json!(self).to_string();
        blake3::hash(format!("mailrun approval {FORMAT}\n{text}").as_bytes()).to_hex().to_string()
    }

    /// What differs from `approved`, in words; empty if both are the same.
    pub(crate) fn differences(&self, approved: &Self) -> Vec<String> {
        let mut different = Vec::new();
        let mut differs = |what: &str, is_other: bool| {
            if is_other {
                different.push(what.to_owned());
            }
        };
        differs("the list", self.list != approved.list);
        differs("`--limit`", self.limit != approved.limit);
        differs("the signatures", self.signatures != approved.signatures);
        for (role, name, hash) in &self.contents {
            let same = |(r, n, h): &&(String, String, String)| r == role && n == name && h == hash;
            differs(&format!("the file `{name}` ({role})"), !approved.contents.iter().any(|c| same(&c)));
        }
        for (role, name, _) in &approved.contents {
            let gone = !self.contents.iter().any(|(r, n, _)| r == role && n == name);
            differs(&format!("the file `{name}` ({role}), which was removed"), gone);
        }
        if let (Some(mine), Some(theirs)) = (self.campaign.as_object(), approved.campaign.as_object()) {
            for (table, settings) in mine {
                differs(&format!("`[{table}]` of the campaign file"), theirs.get(table) != Some(settings));
            }
        }
        if different.is_empty() && self.messages != approved.messages {
            different.push(
                "the messages, by a file of an attachment column or a different version of mailrun".into(),
            );
        }
        different
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn approved() -> Approved {
        Approved {
            campaign: json!({"campaign": {"id": "x"}, "sender": {"from": "a@example.com"}}),
            signatures: vec![],
            limit: None,
            list: vec!["11".into()],
            contents: vec![("text".into(), "a.hbs".into(), "22".into())],
            rows: 3,
            without_message: 0,
            messages: "33".into(),
        }
    }

    #[test]
    fn everything_counts_and_is_named() {
        let check = |change: fn(&mut Approved), named: &str| {
            let mut other = approved();
            change(&mut other);
            assert_ne!(other.hash(), approved().hash(), "{named}");
            let different = other.differences(&approved());
            assert!(different.len() == 1 && different[0].contains(named), "{named}: {different:?}");
        };
        check(|a| a.list[0] = "12".into(), "list");
        check(|a| a.limit = Some(1), "--limit");
        check(|a| a.contents[0].2 = "23".into(), "`a.hbs` (text)");
        check(|a| a.contents.clear(), "which was removed");
        check(|a| a.campaign["sender"]["from"] = json!("b@example.com"), "`[sender]`");
        check(|a| a.signatures.push(json!({"domain": "example.com"})), "signatures");
        check(|a| a.messages = "34".into(), "messages");
        assert!(approved().differences(&approved()).is_empty());
    }

    #[test]
    fn a_manifest_reads_back_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/approval.json");
        let content = approved();
        let approval = Approval { format: FORMAT, hash: content.hash(), content };
        approval.write(&path).unwrap();
        assert_eq!(Approval::read(&path).unwrap(), approval);
        fs::write(&path, "{}").unwrap();
        assert!(matches!(Approval::read(&path), Err(ApprovalError::Form(_))));
    }
}
