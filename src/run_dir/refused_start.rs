//! A start of a campaign that was refused before there was a run to record it in.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::manifest::Refused;
use crate::kit::text::path_from_here;

/// A start that was refused before it was a run: nothing was planned, nothing was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedStart {
    /// The campaign's id, as far as it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub campaign: Option<String>,
    /// The campaign file.
    pub campaign_file: PathBuf,
    /// When, and why.
    #[serde(flatten)]
    pub refused: Refused,
}

impl RefusedStart {
    /// Whether it was a start of the campaign with this file or this id.
    pub fn is_of(&self, file: &Path, id: Option<&str>) -> bool {
        self.campaign_file == file || (id.is_some() && self.campaign.as_deref() == id)
    }

    /// The campaign's id, or else its file.
    pub fn name(&self) -> String {
        self.campaign.clone().unwrap_or_else(|| path_from_here(&self.campaign_file))
    }
}
