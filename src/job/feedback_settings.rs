//! `feedback.toml` in the state directory: how what comes back becomes suppressions, and where
//! mails come from. All campaigns share it, as they share the suppression list.

use std::fs;
use std::io;
use std::path::PathBuf;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::error::{JobError, WorkspaceError};
use super::workspace::Workspace;
use crate::campaign::Span;
use crate::feedback::mailbox::Mailbox;
use crate::feedback::{ComplaintScope, Policy};
use crate::kit::socket::Place;
use crate::mail::Address;

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
    complaint_scope: Option<ComplaintScope>,
    listen: Option<ListenSettings>,
    #[serde(default)]
    mailbox: Vec<Mailbox>,
}

/// `[feedback.listen]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct ListenSettings {
    /// Where to listen.
    #[serde(default)]
    pub addresses: Vec<Place>,
    /// Whose mail is accepted, besides that of return paths.
    #[serde(default, deserialize_with = "addresses")]
    pub recipients: Vec<Address>,
}

fn addresses<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Address>, D::Error> {
    let texts = Vec::<String>::deserialize(from)?;
    let address = |text: String| {
        Address::parse(&text).map_err(|error| D::Error::custom(format!("invalid address `{text}`: {error}")))
    };
    texts.into_iter().map(address).collect()
}

/// What the file says of actions; the defaults where there is none.
pub(super) fn policy(workspace: &Workspace) -> Result<Policy, JobError> {
    read(workspace, |text| parse(text).and_then(|settings| settings.policy()))
}

impl Workspace {
    /// What the file says of the listener.
    pub(crate) fn feedback_listen_settings(&self) -> Result<ListenSettings, JobError> {
        read(self, |text| Ok(parse(text)?.listen.unwrap_or_default()))
    }

    /// The mailboxes that the file names.
    pub(crate) fn feedback_mailboxes(&self) -> Result<Vec<Mailbox>, JobError> {
        let folder = self.state_dir()?;
        read(self, |text| {
            let mailboxes = parse(text)?.mailbox.into_iter();
            mailboxes.map(|mailbox| mailbox.checked(&folder)).collect()
        })
    }

    /// The file of these settings.
    pub(crate) fn feedback_settings_file(&self) -> Result<PathBuf, JobError> {
        Ok(self.state_dir()?.join(FILE))
    }
}

/// Reads the file, as if it were empty where there is none.
fn read<T>(workspace: &Workspace, parse: impl FnOnce(&str) -> Result<T, String>) -> Result<T, JobError> {
    let path = workspace.feedback_settings_file()?;
    let text = match fs::read_to_string(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        read => read,
    };
    let read = text.and_then(|text| parse(&text).map_err(io::Error::other));
    Ok(read.map_err(|source| WorkspaceError::Io { action: "read the settings of feedback", path, source })?)
}

fn parse(text: &str) -> Result<Settings, String> {
    let File { feedback } = toml::from_str(text).map_err(|error| error.to_string())?;
    Ok(feedback)
}

impl Settings {
    fn policy(self) -> Result<Policy, String> {
        let default = Policy::default();
        let policy = Policy {
            soft_limit: self.soft_limit.unwrap_or(default.soft_limit),
            soft_within: self.soft_within.map_or(default.soft_within, |span| span.0),
            term: self.bounce_term.map_or(default.term, |span| span.0),
            complaint_scope: self.complaint_scope.unwrap_or(default.complaint_scope),
        };
        if policy.soft_limit == 0 {
            return Err("`soft-limit` is 0: use 1 to suppress an address at its first soft bounce".to_owned());
        }
        Ok(policy)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_is_not_said_has_its_default() {
        let parse = |text: &str| parse(text).and_then(Settings::policy);
        let default = Policy::default();
        assert_eq!(parse(""), Ok(default));
        assert_eq!(parse("[feedback]\nsoft-limit = 5\n"), Ok(Policy { soft_limit: 5, ..default }));
        let days = |days: u64| Duration::from_secs(days * 86_400);
        let read = parse("[feedback]\nsoft-within = \"7d\"\nbounce-term = \"90d\"\n");
        assert_eq!(read, Ok(Policy { soft_within: days(7), term: days(90), ..default }));
        let read = parse("[feedback]\ncomplaint-scope = \"list\"\n");
        assert_eq!(read, Ok(Policy { complaint_scope: ComplaintScope::List, ..default }));
        assert_eq!(parse("[feedback]\ncomplaint-scope = \"all\"\n"), Ok(default));
        assert!(parse("[feedback]\ncomplaint-scope = \"none\"\n").is_err());
        for bad in ["[feedback]\nsoft-limit = 0\n", "[feedback]\nsoft = 1\n", "[other]\n", "soft-limit = 1"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_listener_has_places_and_recipients() {
        let read = parse(
            "[feedback.listen]\naddresses = [\"127.0.0.1:2424\", \"/run/a.sock\"]\nrecipients = [\"fbl@a.example\"]\n",
        );
        let listen = read.unwrap().listen.unwrap();
        let shown: Vec<String> = listen.addresses.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["127.0.0.1:2424", "/run/a.sock"]);
        assert_eq!(listen.recipients, [Address::parse("fbl@a.example").unwrap()]);
        for bad in ["addresses = [\"localhost\"]", "recipients = [\"fbl\"]", "port = 1"] {
            assert!(parse(&format!("[feedback.listen]\n{bad}\n")).is_err(), "{bad}");
        }
    }
}
