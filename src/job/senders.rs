//! Which senders are verified: notes in the state directory, and the mail with a token that
//! verifies an address.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::error::{JobError, SenderRefused, WorkspaceError};
use super::secret::token_secret;
use super::token_error::VerificationError;
use super::workspace::{Workspace, campaign_file};
use crate::campaign::{Campaign, Senders};
use crate::kit::file::{self, PRIVATE, create_private_folders};
use crate::kit::seal::Sealer;
use crate::kit::text::command;
use crate::mail::{Address, Timestamp};

/// Where it is noted, in the state directory.
const NOTES: &str = "senders.json";
/// The folder of the mails with tokens and their runs, in the state directory.
const FOLDER: &str = "verifications";
/// What tokens are sealed for.
const LABEL: &str = "sender";
/// How long a token counts.
const TOKEN_LIFETIME: Duration = Duration::from_secs(7 * 86_400);

/// What is known of a sender.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SenderNote {
    /// When its domain and keys were looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub looked: Option<String>,
    /// When all of it was right; nothing where it never was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_right: Option<String>,
    /// When the last mail with a token was sent to it, until the token comes back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<String>,
    /// When the token came back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified: Option<String>,
}

impl SenderNote {
    /// `verified`, `pending`, or nothing where nobody has asked.
    pub(crate) fn state(&self) -> Option<&'static str> {
        match (&self.verified, &self.pending) {
            (Some(_), _) => Some("verified"),
            (None, Some(_)) => Some("pending"),
            (None, None) => None,
        }
    }
}

/// The notes on all senders, by domain or address.
#[derive(Debug)]
pub(crate) struct SenderNotes {
    path: PathBuf,
    notes: BTreeMap<String, SenderNote>,
}

impl Workspace {
    /// The notes on senders; none where nobody was looked at yet.
    ///
    /// # Errors
    /// The file is there and can't be read: who is verified must not be forgotten.
    pub(crate) fn sender_notes(&self) -> Result<SenderNotes, JobError> {
        let path = self.state_dir()?.join(NOTES);
        let notes = match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text)
                .map_err(|source| WorkspaceError::Notes { path: path.clone(), source })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            Err(source) => {
                return Err(WorkspaceError::Io { action: "read the notes on senders", path, source }.into());
            }
        };
        Ok(SenderNotes { path, notes })
    }

    /// The registry of the campaign in `file`, or in the folder `file`.
    pub(crate) fn registry_named_by(&self, file: &Path) -> Result<Option<PathBuf>, JobError> {
        self.registry_of(Some(&Campaign::load_with(&campaign_file(file), self.parameters())?))
    }

    /// The campaign that sends a mail with a token to `address`, from that address and on the ways
    /// of `base`. From here on the address is pending.
    pub(crate) fn verification(
        &self,
        base: &Path,
        registry: &Senders,
        address: &Address,
    ) -> Result<Campaign, JobError> {
        let base = Campaign::load_with(base, self.parameters())?;
        let now = self.clock().wall();
        let token = sealer(self)?.seal(text(address, now).into_bytes());
        let mut campaign = self.letter(address, &token, now)?;
        if base.sender.from.address.domain() == address.domain() {
            campaign.dkim.clone_from(&base.dkim);
        }
        campaign.leave_as(&base);
        let applied = registry.apply(&mut campaign);
        applied.map_err(|refused| SenderRefused::new(refused, registry.path.clone(), &campaign))?;
        // They may use columns of the campaigns' lists.
        campaign.sender.headers.clear();
        let mut notes = self.sender_notes()?;
        notes.of(&name(address)).pending = Some(now.to_string());
        notes.write()?;
        Ok(campaign)
    }

    /// Writes the mail and its list, as a campaign without a way to leave.
    fn letter(&self, address: &Address, token: &str, now: Timestamp) -> Result<Campaign, JobError> {
        let folder = self.state_dir()?.join(FOLDER);
        let write = |name: &str, content: &[u8]| {
            let path = folder.join(name);
            let written =
                create_private_folders(&folder).and_then(|()| file::replace(&path, content, PRIVATE));
            written.map_err(|source| WorkspaceError::Io {
                action: "write the mail with the token",
                path,
                source,
            })
        };
        let letter = format!(
            "Somebody wants to send mail from {address} with mailrun.\n\n\
             If that is you, confirm that mail to this address arrives:\n\n  \
             {}\n\n\
             If not, there is nothing to do: without the token the address is not used.\n",
            command(["sender", "verify", "--address", &address.to_string(), "--token", token])
        );
        write("letter.txt", letter.as_bytes())?;
        let quoted = address.to_string().replace('"', "\"\"");
        write("list.csv", format!("email\n\"{quoted}\"\n").as_bytes())?;
        let from = toml::Value::String(address.to_string());
        let toml = format!(
            "[campaign]\nid = \"sender-verification\"\nkind = \"update\"\nedition = \"{now}\"\n\
             [sender]\nfrom = {from}\n[target-group]\nfiles = [\"list.csv\"]\n\
             [template]\nsubject = \"Confirm this address as a sender\"\ntext = \"letter.txt\"\n\
             [delivery]\nroute = \"sandbox\"\n"
        );
        Ok(Campaign::parse(&toml, &folder.join("campaign.toml"))?)
    }

    /// Verifies `address` with the token of the mail that was sent to it.
    pub(crate) fn confirm_sender(&self, address: &Address, token: &str) -> Result<(), JobError> {
        let now = self.clock().wall();
        let mut notes = self.sender_notes()?;
        let note = notes.of(&name(address));
        let opened = sealer(self)?.open(token.trim()).ok_or(VerificationError::Token)?;
        let opened = String::from_utf8(opened).map_err(|_| VerificationError::Token)?;
        let (sent_to, sent) = opened.split_once('\0').ok_or(VerificationError::Token)?;
        if sent_to != name(address) {
            return Err(VerificationError::OtherAddress(sent_to.to_owned()).into());
        }
        let sent = Timestamp(sent.parse().map_err(|_| VerificationError::Token)?);
        if note.pending != Some(sent.to_string()) {
            return Err(VerificationError::NotTheLast(address.to_string()).into());
        }
        if now.since(sent) > TOKEN_LIFETIME {
            return Err(VerificationError::Old.into());
        }
        *note = SenderNote { pending: None, verified: Some(now.to_string()), ..note.clone() };
        notes.write()
    }
}

impl SenderNotes {
    /// The note on a domain or an address, made where there is none.
    pub(crate) fn of(&mut self, name: &str) -> &mut SenderNote {
        self.notes.entry(name.to_owned()).or_default()
    }

    /// The note on an address.
    pub(crate) fn of_address(&self, address: &Address) -> SenderNote {
        self.notes.get(&name(address)).cloned().unwrap_or_default()
    }

    /// All notes, by domain or address.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &SenderNote)> {
        self.notes.iter().map(|(name, note)| (name.as_str(), note))
    }

    /// Writes the notes, whole or not at all.
    pub(crate) fn write(&self) -> Result<(), JobError> {
        let text = serde_json::to_vec_pretty(&self.notes).expect("texts in a map can be written as JSON");
        let path = self.path.clone();
        file::replace(&self.path, &text, PRIVATE)
            .map_err(|source| WorkspaceError::Io { action: "save the notes on senders", path, source }.into())
    }
}

fn sealer(workspace: &Workspace) -> Result<Sealer, JobError> {
    Ok(Sealer::new(&token_secret(workspace, None)?, LABEL))
}

/// What a token says.
fn text(address: &Address, sent: Timestamp) -> String {
    format!("{}\0{}", name(address), sent.0)
}

/// Letter case makes no difference.
fn name(address: &Address) -> String {
    address.to_string().to_lowercase()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::tests::Silent;
    use super::super::workspace::Places;
    use super::*;
    use crate::pacing::Clock;

    fn workspace(state: &Path) -> Workspace {
        let places = Places { state: Some(state.to_owned()), runs: None };
        Workspace::new(places, Clock::system(), Arc::new(Silent))
    }

    fn pending(workspace: &Workspace, address: &Address, sent: Timestamp) -> String {
        let mut notes = workspace.sender_notes().unwrap();
        notes.of(&name(address)).pending = Some(sent.to_string());
        notes.write().unwrap();
        sealer(workspace).unwrap().seal(text(address, sent).into_bytes())
    }

    #[test]
    fn only_the_token_of_the_last_mail_verifies_its_address() {
        let folder = tempfile::tempdir().unwrap();
        let workspace = workspace(folder.path());
        let [ann, bob] = ["Ann@example.com", "bob@example.com"].map(|text| Address::parse(text).unwrap());
        let state = || workspace.sender_notes().unwrap().of_address(&ann).state();
        let refused = |address: &Address, token: &str| {
            workspace.confirm_sender(address, token).unwrap_err().to_string()
        };
        let now = workspace.clock().wall();
        let first = pending(&workspace, &ann, now - Duration::from_secs(60));
        let last = pending(&workspace, &ann, now);
        assert_eq!(state(), Some("pending"));
        assert!(refused(&ann, &format!("{last}A")).contains("was altered"));
        assert_eq!(refused(&bob, &last), "the token was sent to `ann@example.com`");
        assert!(refused(&ann, &first).contains("not that of the last mail"));
        assert_eq!(state(), Some("pending"));
        workspace.confirm_sender(&Address::parse("ann@EXAMPLE.com").unwrap(), &last).unwrap();
        assert_eq!(state(), Some("verified"));
        assert!(refused(&ann, &last).contains("not that of the last mail"), "it counts once");
        let old = pending(&workspace, &bob, now - (TOKEN_LIFETIME + Duration::from_secs(60)));
        assert_eq!(refused(&bob, &old), "the token is older than 7 days");
    }

    #[test]
    fn damaged_notes_are_refused_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(NOTES);
        fs::write(&path, "{\"ann@example.com\":").unwrap();
        let error = workspace(folder.path()).sender_notes().unwrap_err();
        assert!(error.to_string().contains("damaged"), "{error}");
        assert_eq!(fs::read_to_string(path).unwrap(), "{\"ann@example.com\":");
    }

    #[test]
    fn the_notes_of_the_first_version_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let notes =
            "{\"example.com\":{\"looked\":\"2026-11-01T00:00:00Z\",\"last_right\":\"2026-11-01T00:00:00Z\"}}";
        fs::write(folder.path().join(NOTES), notes).unwrap();
        let notes = workspace(folder.path()).sender_notes().unwrap();
        let (name, note) = notes.iter().next().unwrap();
        assert_eq!((name, note.state()), ("example.com", None));
        assert_eq!(note.last_right.as_deref(), Some("2026-11-01T00:00:00Z"));
    }
}
