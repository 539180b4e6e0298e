//! The paths in the directory of one run.

use std::path::{Path, PathBuf};

use crate::plan::PlanFiles;

/// `<runs>/<campaign id>/<run id>/`: the run's files on this machine. Stores other than the file
/// system keep local copies of the plan and the results here.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RunDir {
    path: PathBuf,
}

impl RunDir {
    /// The run directory at `path`, whatever is in it.
    pub fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// The directory itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// `manifest.json`
    pub fn manifest(&self) -> PathBuf {
        self.path.join("manifest.json")
    }

    /// `plan.arrow`: the accepted rows.
    pub fn plan(&self) -> PathBuf {
        self.plan_files().plan
    }

    /// `screened.arrow`: the other rows.
    pub fn screened(&self) -> PathBuf {
        self.plan_files().screened
    }

    /// Both files of the plan.
    pub fn plan_files(&self) -> PlanFiles {
        PlanFiles::in_folder(&self.path)
    }

    /// `journal.db`: intents and outcomes.
    pub fn journal(&self) -> PathBuf {
        self.path.join("journal.db")
    }

    /// The folder of the result files.
    pub fn results(&self) -> PathBuf {
        self.path.join("results")
    }

    /// `stdin`: the list that came from there.
    pub fn stdin(&self) -> PathBuf {
        self.path.join("stdin")
    }

    /// `<campaign id>/<run id>`
    pub fn name(&self) -> String {
        format!("{}/{}", self.campaign_id(), self.run_id())
    }

    /// The name of the directory.
    pub fn run_id(&self) -> &str {
        self.part(0)
    }

    /// The name of the folder that it is in.
    pub fn campaign_id(&self) -> &str {
        self.part(1)
    }

    fn part(&self, up: usize) -> &str {
        self.path.iter().rev().nth(up).and_then(|name| name.to_str()).unwrap_or_default()
    }
}
