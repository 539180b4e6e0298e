//! What is wrong with a campaign file, and where.

use std::io;
use std::path::{Path, PathBuf};

/// A campaign file that can't be used. Shown with its place and, where there is one, a hint.
#[derive(Debug, thiserror::Error)]
#[error("{problem}")]
pub struct CampaignError {
    /// The campaign file.
    pub path: PathBuf,
    /// Line and column, from 1, where they are known.
    pub place: Option<(usize, usize)>,
    /// What is wrong, a lowercase fragment.
    pub problem: String,
    /// What to do.
    pub hint: Option<String>,
    /// The cause outside the file.
    #[source]
    pub source: Option<io::Error>,
}

impl CampaignError {
    pub(super) fn read(path: &Path, source: io::Error) -> Self {
        let hint = (source.kind() == io::ErrorKind::NotFound)
            .then(|| "`mailrun init DIR` makes a campaign folder that runs as it stands".to_owned());
        Self {
            path: path.to_owned(),
            place: None,
            problem: "can't read the campaign file".into(),
            hint,
            source: Some(source),
        }
    }

    pub(super) fn toml(path: &Path, text: &str, error: &toml::de::Error) -> Self {
        let message = error.message().trim().replace('\n', ", ");
        Self {
            path: path.to_owned(),
            place: error.span().map(|span| line_and_column(text, span.start)),
            hint: nearest_of_message(&message).map(|name| format!("did you mean `{name}`?")),
            problem: message,
            source: None,
        }
    }

    pub(super) fn check(path: &Path, text: &str, key: &str, problem: String, hint: &str) -> Self {
        Self {
            path: path.to_owned(),
            place: place_of_key(text, key),
            problem,
            hint: (!hint.is_empty()).then(|| hint.to_owned()),
            source: None,
        }
    }
}

/// "unknown field `x`, expected one of `a`, `b`": the expected name that is nearest to the unknown one.
fn nearest_of_message(message: &str) -> Option<&str> {
    let (unknown, expected) = message.split_once(", expected")?;
    if !unknown.starts_with("unknown") {
        return None;
    }
    let unknown = unknown.split('`').nth(1)?;
    nearest(unknown, expected.split('`').skip(1).step_by(2))
}

/// The candidate that a typing mistake could have turned into `name`.
pub(crate) fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let likeness = |candidate: &str| strsim::jaro_winkler(&name.to_lowercase(), &candidate.to_lowercase());
    candidates
        .map(|candidate| (likeness(candidate), candidate))
        .filter(|(likeness, _)| *likeness > 0.7)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = &text[..offset.min(text.len())];
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

/// The place of `table.key` in a TOML text: the line of the key under its table header.
fn place_of_key(text: &str, key: &str) -> Option<(usize, usize)> {
    let (table, key) = key.rsplit_once('.').unwrap_or(("", key));
    let mut inside = table.is_empty();
    let mut table_line = None;
    for (number, line) in text.lines().enumerate() {
        let trimmed = line.trim();
        if trimmed.starts_with('[') {
            inside = trimmed.trim_matches(['[', ']']) == table;
            if inside {
                table_line = Some((number + 1, 1));
            }
        } else if inside && trimmed.split('=').next().is_some_and(|name| name.trim() == key) {
            return Some((number + 1, line.len() - line.trim_start().len() + 1));
        }
    }
    table_line
}
