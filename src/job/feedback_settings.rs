//! `feedback.toml` in the state directory: how soft bounces become suppressions. All campaigns
//! share it, as they share the suppression list.

use std::fs;
use std::io;

use serde::Deserialize;

use super::error::{JobError, WorkspaceError};
use super::workspace::Workspace;
use crate::campaign::Span;
use crate::feedback::Policy;

/// The file in the state directory.
const FILE: &str = "feedback.toml";

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    feedback: Settings,
}

/// `[feedback]`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Settings {
    soft_limit: Option<u32>,
    soft_within: Option<Span>,
    bounce_term: Option<Span>,
}

/// What the file says; the defaults where there is none.
pub(super) fn policy(workspace: &Workspace) -> Result<Policy, JobError> {
    let path = workspace.state_dir()?.join(FILE);
    let read = match fs::read_to_string(&path) {
        Ok(text) => parse(&text).map_err(io::Error::other),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Policy::default()),
        Err(error) => Err(error),
    };
    Ok(read.map_err(|source| WorkspaceError::Io { action: "read the settings of feedback", path, source })?)
}

fn parse(text: &str) -> Result<Policy, String> {
    let File { feedback } = toml::from_str(text).map_err(|error| error.to_string())?;
    let default = Policy::default();
    let policy = Policy {
        soft_limit: feedback.soft_limit.unwrap_or(default.soft_limit),
        soft_within: feedback.soft_within.map_or(default.soft_within, |span| span.0),
        term: feedback.bounce_term.map_or(default.term, |span| span.0),
    };
    if policy.soft_limit == 0 {
        return Err("`soft-limit` is 0: use 1 to suppress an address at its first soft bounce".to_owned());
    }
    Ok(policy)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_is_not_said_has_its_default() {
        let default = Policy::default();
        assert_eq!(parse(""), Ok(default));
        assert_eq!(parse("[feedback]\nsoft-limit = 5\n"), Ok(Policy { soft_limit: 5, ..default }));
        let days = |days: u64| Duration::from_secs(days * 86_400);
        let read = parse("[feedback]\nsoft-within = \"7d\"\nbounce-term = \"90d\"\n");
        assert_eq!(read, Ok(Policy { soft_within: days(7), term: days(90), ..default }));
        for bad in ["[feedback]\nsoft-limit = 0\n", "[feedback]\nsoft = 1\n", "[other]\n", "soft-limit = 1"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
