//! What a run keeps so that its messages can be composed again: its templates, the files of all
//! messages, and the campaign as it was. The rows are in its plan.
//!
//! In the run's directory, `kept/files` mirrors where the files were, so that templates find their
//! partials, and `kept/campaign.json` is the campaign with the paths of those copies. It is written
//! last: what has it is whole.

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::{JobError, WorkspaceError};
use super::frozen_run::FrozenRun;
use super::open::Job;
use super::recover_error::RecoverError;
use super::secret::{document_secret, token_secret};
use super::workspace::Workspace;
use crate::campaign::Campaign;
use crate::compose::{Composer, RunFacts};
use crate::kit::file::{self, PRIVATE, create_private_folders};
use crate::run_dir::{Manifest, RunDir};

const FOLDER: &str = "kept";
const FILES: &str = "files";
const CAMPAIGN: &str = "campaign.json";

/// The campaign of a run as it was, with its files.
#[derive(Serialize, Deserialize)]
struct Kept {
    /// The copy of the campaign file's place: what partials are looked for from.
    file: PathBuf,
    campaign: Campaign,
}

impl Job<'_> {
    /// Keeps what the messages of `run` are made of, where `[keep] recover` asks for it: before the
    /// first of them leaves.
    pub(super) fn keep_inputs(&self, run: &FrozenRun) -> Result<(), JobError> {
        let resends_one = run.manifest.options.retry.as_ref().is_some_and(|retry| retry.row.is_some());
        let kept = run.dir().path().join(FOLDER);
        if self.campaign().keep.recover.is_none() || resends_one || kept.join(CAMPAIGN).exists() {
            return Ok(());
        }
        let write = |path: PathBuf, content: &[u8]| {
            let folder = path.parent().expect("it is in the folder of the run");
            let written =
                create_private_folders(folder).and_then(|()| file::replace(&path, content, PRIVATE));
            written.map_err(|source| WorkspaceError::Io {
                action: "keep what the messages are made of",
                path,
                source,
            })
        };
        for path in self.templates().files() {
            let content = fs::read(path).map_err(|source| WorkspaceError::Io {
                action: "keep what the messages are made of",
                path: path.clone(),
                source,
            })?;
            write(kept.join(mirrored(path)), &content)?;
        }
        let mut campaign = self.campaign().clone();
        campaign.map_content_paths(&mirrored, &absolute);
        let campaign = Kept { file: mirrored(&self.campaign().path), campaign };
        let text = serde_json::to_vec_pretty(&campaign).expect("a campaign's maps have names for keys");
        Ok(write(kept.join(CAMPAIGN), &text)?)
    }
}

impl Workspace {
    /// The campaign of a run as it was when its messages left, with the copies of its files.
    ///
    /// # Errors
    /// The run kept nothing, or its time is over.
    pub(super) fn kept_campaign(&self, dir: &RunDir, manifest: &Manifest) -> Result<Campaign, JobError> {
        let run = || dir.name();
        let Some(keep) = manifest.campaign.keep.recover else {
            return Err(RecoverError::NotAsked { run: run() }.into());
        };
        let end = manifest.finished.unwrap_or_else(|| self.clock().wall());
        if self.clock().wall().since(end) > keep.0 {
            return Err(RecoverError::Over { run: run(), keep: keep.to_string() }.into());
        }
        let folder = dir.path().join(FOLDER);
        let path = folder.join(CAMPAIGN);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(RecoverError::Nothing { run: run() }.into());
            }
            Err(source) => return Err(WorkspaceError::Io { action: "read", path, source }.into()),
        };
        let Kept { file, mut campaign } =
            serde_json::from_slice(&text).map_err(|source| RecoverError::Damaged { path, source })?;
        let here = |path: &Path| folder.join(path);
        campaign.map_content_paths(&here, &|path: &Path| path.to_owned());
        campaign.path = folder.join(file);
        Ok(campaign)
    }

    /// What composes the messages of a run again, exactly as they were.
    pub(super) fn kept_composer(&self, kept: &Campaign, manifest: &Manifest) -> Result<Composer, JobError> {
        let token_secret = token_secret(self, kept.unsubscribe.as_ref())?;
        let document_secret = document_secret(kept.secure_documents.as_ref())?;
        let run_id = manifest.run_id.to_string();
        Ok(Composer::new(kept, RunFacts { run_id, token_secret, document_secret, is_test: false })?)
    }
}

/// Where the copy of a file is, below the folder with what is kept.
fn mirrored(path: &Path) -> PathBuf {
    let absolute = absolute(path);
    let names = absolute.components().filter(|component| matches!(component, Component::Normal(_)));
    Path::new(FILES).join(names.collect::<PathBuf>())
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
