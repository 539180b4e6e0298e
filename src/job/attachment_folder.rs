//! The folder that rows take their attachments from holds nothing but such files.

use std::path::PathBuf;

use super::error::JobError;
use super::open::Job;
use super::refusal::Refusal;
use crate::preflight::{Finding, Id};

impl Job<'_> {
    /// What must not be in the attachment folder and is, if anything.
    pub(super) fn attachment_folder(&self) -> Result<Option<Finding>, JobError> {
        let (Some(files), Some(folder)) =
            (self.templates().row_files(), &self.campaign().template.attachment_folder)
        else {
            return Ok(None);
        };
        let campaign = self.campaign();
        let runs = self.workspace.runs_of(campaign).folder().to_owned();
        let mut kept: Vec<(&str, PathBuf)> =
            campaign.confidential().into_iter().map(|(what, path)| (what, path.to_owned())).collect();
        kept.extend(self.target_group()?.files().iter().map(|file| ("a list", file.path.clone())));
        kept.extend(
            self.workspace.registry_of(Some(campaign))?.map(|path| ("the registry of senders", path)),
        );
        kept.push(("the state directory", self.workspace.state_dir()?));
        kept.push(("the runs", runs.clone()));
        let shown = |path: &PathBuf| match path.strip_prefix(campaign.folder()) {
            Ok(here) if here.as_os_str().is_empty() => "`.`".to_owned(),
            Ok(below) => format!("`{}`", below.display()),
            Err(_) => format!("`{}`", path.display()),
        };
        let seen = match kept.iter().find(|(_, path)| files.holds(path)) {
            Some((what, path)) => {
                format!("`attachment-folder` {} holds {what}: {}", shown(folder), shown(path))
            }
            None if files.is_inside(&runs) => {
                format!("`attachment-folder` {} is inside the runs: {}", shown(folder), shown(&runs))
            }
            None => return Ok(None),
        };
        let fix = "attachment-folder = \"attachments\" in [template]: a folder of its own, with the files of rows only";
        Ok(Some(Finding::new(Id::AttachmentFolder, seen).fix(fix)))
    }

    /// The same as an error.
    pub(super) fn check_attachment_folder(&self) -> Result<(), JobError> {
        let what = "rows could mail out secrets";
        match self.attachment_folder()? {
            Some(finding) => Err(Refusal::Findings { what, findings: vec![finding] }.into()),
            None => Ok(()),
        }
    }
}
