//! `--metrics-file`: how a command ended, for Prometheus.

use std::path::{Path, PathBuf};

use super::exit::Exit;
use super::log;
use crate::campaign::Campaign;
use crate::job::Metrics;
use crate::mail::Timestamp;
use crate::run_dir::Manifest;

/// What is known of a command while it works.
#[derive(Debug, Default)]
pub(super) struct Report {
    campaign: Option<String>,
    manifest: Option<Manifest>,
    is_left_out: bool,
}

impl Report {
    /// Tests, rehearsals and dry runs say nothing of the campaign's mail.
    pub(super) fn leave_out(&mut self, is_left_out: bool) {
        self.is_left_out = is_left_out;
    }

    /// The campaign that it is about.
    pub(super) fn of_campaign(&mut self, campaign: &Campaign) {
        self.campaign = Some(campaign.identity.id.clone());
    }

    /// Its run, as far as it is.
    pub(super) fn of_run(&mut self, manifest: &Manifest) {
        self.manifest = Some(manifest.clone());
    }

    /// Replaces `file`. If it can't be written, that is a warning: the mail was sent.
    pub(super) fn write(&self, file: &Path, exit: Exit) {
        // The process that works on the run writes the file when it ends.
        if self.is_left_out || exit == Exit::Busy {
            return;
        }
        let metrics = Metrics {
            campaign: self.campaign.as_deref(),
            at: Timestamp::wall(),
            exit_code: exit.code(),
            manifest: self.manifest.as_ref(),
        };
        if let Err(error) = metrics.write(file) {
            log::warn(&format!("warning: can't write the metrics file `{}`: {error}", file.display()));
        }
    }
}

/// The name of a file that the collector reads.
pub(super) fn file(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    if path.extension().is_some_and(|extension| extension == "prom") {
        Ok(path)
    } else {
        Err("the textfile collector reads files whose names end in `.prom`".to_owned())
    }
}
